"""
What botocore and moto work out anew for every request, worked out once: for thousands of rehearsals in one process.

Nothing of it changes an answer, which a test proves by rehearsing with and without.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from typing import Any
from unittest import mock

import botocore.auth
import botocore.useragent
import moto.core.responses
from moto.core import serialize
from moto.core.serialize import MISSING, AttributePicker, AttributePickerContext


@contextmanager
def taken() -> Iterator[None]:
    """Take all shortcuts while the context is open."""
    with ExitStack() as patches:
        for owner, name, replacement in (
            (botocore.auth.SigV4Auth, "add_auth", _name_signer),
            (botocore.useragent, "sanitize_user_agent_string_component", _sanitized()),
            (moto.core.responses, "method_names_from_class", cache(moto.core.responses.method_names_from_class)),
            (AttributePicker, "__call__", _picking(AttributePicker.__call__)),
        ):
            patches.enter_context(mock.patch.object(owner, name, replacement))
        yield


def _name_signer(auth: botocore.auth.SigV4Auth, request: Any) -> None:
    """Say who sends a request, and prove nothing: moto reads the access key, and never checks a signature."""
    request.context["timestamp"] = "20260301T100000Z"
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    del request.headers["Authorization"]
    service, region = vars(auth)["_service_name"], vars(auth)["_region_name"]
    scope = f"{auth.credentials.access_key}/20260301/{region}/{service}/aws4_request"
    request.headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"


def _sanitized() -> Any:
    really_sanitize = botocore.useragent.sanitize_user_agent_string_component

    @lru_cache(maxsize=1024)
    def sanitize(raw_str: str, allow_hash: bool) -> str:  # noqa: FBT001  botocore's own signature
        return str(really_sanitize(raw_str, allow_hash))

    return sanitize


def _picking(really_pick: Any) -> Any:
    """
    Remember under which names a dictionary may hold an attribute.

    For a dictionary moto derives them from the picker, the attribute and its shape alone.
    """
    names_of: dict[tuple[Any, ...], tuple[Any, tuple[str, ...]]] = {}

    def pick(picker: AttributePicker, context: AttributePickerContext) -> Any:
        if type(context.obj) is not dict or picker.response_transformers:
            return really_pick(picker, context)
        known = (type(picker), *picker.alias_providers, id(context.shape), context.key)
        if known not in names_of:
            names = tuple(dict.fromkeys(picker.get_possible_keys(context)))
            names_of[known] = (context.shape, names)  # which keeps the shape, and so its id
        for name in names_of[known][1]:
            value = serialize.get_value(context.obj, name, MISSING)
            if value is not MISSING:
                return value
        return None

    return pick
