"""
What botocore and moto work out anew for every request, worked out once: for thousands of rehearsals in one process.

Nothing of it changes an answer, which a test proves by rehearsing with and without. Each says why.
"""

import copy
import io
import re
import string
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, NamedTuple
from unittest import mock

import boto3
import botocore.auth
import botocore.parsers
import botocore.useragent
import moto.backends
import moto.core.responses
import moto.core.serialize
from botocore.awsrequest import AWSPreparedRequest
from botocore.hooks import EventAliaser
from botocore.parsers import BaseJSONParser
from botocore.utils import EVENT_ALIASES
from moto.core import DEFAULT_ACCOUNT_ID, botocore_stubber
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.exceptions import HTTPException
from moto.core.request import Request, environ_key_for_header, normalize_request
from moto.core.responses import BaseResponse
from moto.core.serialize import (
    MISSING,
    AttributePicker,
    AttributePickerContext,
    BaseJSONSerializer,
    ResponseSerializer,
)
from moto.moto_api._internal.moto_random import MotoRandom
from moto.stepfunctions.parser.asl.component.common.path import result_path

_LETTERS = string.ascii_letters
_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
_FIRST = itemgetter(0)
_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})


@contextmanager
def taken() -> Iterator[None]:
    """Take all shortcuts while the context is open."""
    with ExitStack() as patches:
        for owner, name, replacement in (
            (botocore.auth.SigV4Auth, "add_auth", _name_signer),
            (botocore.useragent.UserAgentString, "to_string", _introduce),
            (boto3, "client", _making_clients_once()),
            (EventAliaser, "__init__", _sharing_aliases()),
            (BaseJSONParser, "_handle_structure", _parsing_what_is_there()),
            (botocore.parsers, "DEFAULT_TIMESTAMP_PARSER", _reading(botocore.parsers.DEFAULT_TIMESTAMP_PARSER)),
            (botocore_stubber.BotocoreStubber, "process_request", _finding_methods()),
            (Request, "from_primitives", _filling_in_requests()),
            (moto.core.responses, "method_names_from_class", cache(moto.core.responses.method_names_from_class)),
            (moto.core.responses, "camelcase_to_underscores", cache(moto.core.responses.camelcase_to_underscores)),
            (moto.core.serialize, "parse_to_aware_datetime", _reading(moto.core.serialize.parse_to_aware_datetime)),
            (BaseResponse, "_get_action", _remembering_actions()),
            (BaseResponse, "access_key_regex", _Searched(BaseResponse.access_key_regex)),
            (BaseResponse, "region_regex", _Searched(BaseResponse.region_regex)),
            (BaseJSONSerializer, "_serialize_type_structure", _serializing_what_is_there()),
            (AttributePicker, "__call__", _picking()),
            (MotoRandom, "get_random_string", _random_string),
            (result_path, "parse", cache(vars(result_path)["parse"])),
        ):
            patches.enter_context(mock.patch.object(owner, name, replacement))
        patches.enter_context(mock.patch.dict(vars(copy)["_deepcopy_dispatch"], {dict: _copy_dict, list: _copy_list}))
        yield


# -- what the SDK sends


def _name_signer(auth: botocore.auth.SigV4Auth, request: Any) -> None:
    """Say who sends a request, and prove nothing: moto reads the access key, and never checks a signature."""
    request.context["timestamp"] = "20260301T100000Z"
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    del request.headers["Authorization"]
    service, region = vars(auth)["_service_name"], vars(auth)["_region_name"]
    scope = f"{auth.credentials.access_key}/20260301/{region}/{service}/aws4_request"
    request.headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"


def _introduce(_: object) -> str:
    """Name no versions: moto looks for nothing in the user agent but a region, which botocore never puts there."""
    return "Boto3/rehearsal"


def _making_clients_once() -> Any:
    """Let who asks for the same client again have the one that was made: it keeps nothing of a call."""
    really_make = boto3.client
    made: dict[tuple[str, str], Any] = {}

    def client(service_name: str, **options: Any) -> Any:
        if options.keys() != {"region_name"}:
            return really_make(service_name, **options)  # type: ignore[call-overload]
        known = (service_name, options["region_name"])
        if known not in made:
            made[known] = really_make(service_name, **options)  # type: ignore[call-overload]
        return made[known]

    return client


def _sharing_aliases() -> Any:
    """Let all clients share what is known of the names of events: each looks through a hundred aliases otherwise."""
    really_make = EventAliaser.__init__
    known: dict[str, str] = {}

    def make(aliaser: Any, event_emitter: Any, event_aliases: dict[str, str] | None = None) -> None:
        really_make(aliaser, event_emitter, event_aliases)
        if event_aliases is None or event_aliases == EVENT_ALIASES:
            aliaser._alias_name_cache = known

    return make


# -- what the SDK is answered


def _parsing_what_is_there() -> Any:
    """Look only for those members of a structure whose names are in an answer, in the order of botocore's model."""
    really_parse = vars(BaseJSONParser)["_handle_structure"]
    members_of: dict[int, tuple[Any, dict[str, list[int]], list[tuple[str, Any]]]] = {}

    def parse(parser: Any, shape: Any, value: Any) -> Any:
        if type(value) is not dict or shape.is_document_type or shape.is_tagged_union:
            return really_parse(parser, shape, value)
        if id(shape) not in members_of:
            members = list(shape.members.items())
            numbers: dict[str, list[int]] = {}
            for number, (name, member) in enumerate(members):
                numbers.setdefault(member.serialization.get("name", name), []).append(number)
            members_of[id(shape)] = (shape, numbers, members)
        _, named, every = members_of[id(shape)]
        present = [(number, raw) for name, raw in value.items() if raw is not None for number in named.get(name, ())]
        return {
            every[number][0]: parser._parse_shape(every[number][1], raw) for number, raw in sorted(present, key=_FIRST)
        }

    return parse


# -- how moto takes it


def _finding_methods() -> Any:
    """
    Remember which of moto's methods answers which URL.

    moto derives it from the URL and from its tables of patterns alone; the account is found by the method itself.
    """
    really_process = botocore_stubber.BotocoreStubber.process_request
    method_of = cache(_method_of)

    def process_request(stubber: Any, request: AWSPreparedRequest) -> Any:
        method = method_of(request.url)
        if method is None:
            return really_process(stubber, request)
        normalized = normalize_request(request)
        try:
            return method(normalized, normalized.raw_url, normalized.headers)
        except HTTPException as refused:
            return refused.code, refused.get_headers(), refused.get_body()

    return process_request


def _method_of(url: str) -> Any:
    """Do what BotocoreStubber.process_request does, for the standard domain; None where it may do anything else."""
    parsed, was_modified = botocore_stubber.get_equivalent_url_in_aws_domain(url)
    clean_url = f"{parsed.scheme}://{parsed.netloc}{parsed.path}"
    for service, pattern in botocore_stubber.backend_index.backend_url_patterns:
        if pattern.match(clean_url) and not was_modified:
            found: Any = moto.backends.get_backend(service)  # type: ignore[call-overload]
            if isinstance(found, BackendDict):
                regions = found[DEFAULT_ACCOUNT_ID]
                backend: BaseBackend = regions["us-east-1" if "us-east-1" in regions else "aws"]
            else:
                backend = found["global"]
            for pattern_of_method, method in backend.urls.items():
                if re.match(pattern_of_method, clean_url):
                    return method
    return None


class _Form(NamedTuple):
    environ: dict[str, Any]
    keys: tuple[str, ...]


def _filling_in_requests() -> Any:
    """
    Take the environment of an earlier request with the same method, URL and names of headers, and fill in the values.

    What werkzeug makes of a request is made of these, of the type of its content, and of whether there is any.
    """
    really_make = Request.from_primitives
    forms: dict[Any, _Form] = {}

    def from_primitives(_: object, method: str, url: str, headers: Any, body: Any = None) -> Request:
        names, values = tuple(headers.keys()), [_text(value) for value in headers.values()]
        known = (method, url, names, bool(body), headers.get("Content-Type"))
        form = forms.get(known)
        if form is None or type(body) not in (bytes, type(None)):
            request = really_make(method, url, headers, body)
            keys = tuple(environ_key_for_header(name) for name in names)
            if [request.environ.get(key) for key in keys] == values and len({*keys}) == len(keys):
                own = {"werkzeug.request", "wsgi.input"}
                environ = {key: value for key, value in request.environ.items() if key not in own}
                forms[known] = _Form(environ, keys)
            return request
        environ = {**form.environ, **dict(zip(form.keys, values, strict=True))}
        environ["CONTENT_LENGTH"] = str(len(body or b""))
        environ["wsgi.input"] = io.BytesIO(body or b"")
        return Request(environ)

    return classmethod(from_primitives)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


class _Searched:
    """A pattern that looks through the same text once: every request names its signer, and the host of its region."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.search = lru_cache(maxsize=1024)(pattern.search)


def _remembering_actions() -> Any:
    """Find out once what a request asks for: moto asks several times, and looks through all routes of a REST API."""
    really_get = BaseResponse._get_action

    def get_action(response: BaseResponse) -> str:
        known = vars(response)
        asked = (id(known["querystring"]), id(known["normalized_request"]))
        if known.get("_asked") != asked:
            known["_asked"], known["_action"] = asked, really_get(response)
        action: str = known["_action"]
        return action

    return get_action


# -- how moto answers


def _picking() -> Any:
    """
    Remember under which names a dictionary may hold an attribute.

    For a dictionary moto derives them from the picker, the attribute and its shape alone.
    """
    really_pick = AttributePicker.__call__

    def pick(picker: AttributePicker, context: AttributePickerContext) -> Any:
        if type(context.obj) is not dict or picker.response_transformers:
            return really_pick(picker, context)
        for name in _names(picker, context):
            value = moto.core.serialize.get_value(context.obj, name, MISSING)
            if value is not MISSING:
                return value
        return None

    names_of: dict[tuple[Any, ...], tuple[Any, tuple[str, ...]]] = {}

    def _names(picker: AttributePicker, context: AttributePickerContext) -> tuple[str, ...]:
        known = (type(picker), *picker.alias_providers, id(context.shape), context.key)
        if known not in names_of:
            names = tuple(dict.fromkeys(picker.get_possible_keys(context)))
            names_of[known] = (context.shape, names)  # which keeps the shape, and so its id
        return names_of[known][1]

    return pick


class _Members(NamedTuple):
    """Of a structure: its members in their order, and which of them a dictionary may hold under which name."""

    shape: Any
    all: list[tuple[str, Any, tuple[str, ...]]]
    named: dict[str, list[int]]
    """Name, numbers of members."""


def _serializing_what_is_there() -> Any:
    """
    Look only for those members of a structure that a dictionary can hold, because it has one of their names as a key.

    The others are not there for moto either. An event of an execution's history has 5 of 60.
    """
    really_serialize = BaseJSONSerializer._serialize_type_structure
    members_of: dict[tuple[Any, ...], _Members | None] = {}

    def serialize(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        picker = serializer._value_picker
        if type(value) is not dict or not isinstance(picker, AttributePicker) or picker.response_transformers:
            really_serialize(serializer, serialized, value, shape, key)
            return
        known = (type(picker), *picker.alias_providers, id(shape))
        if known not in members_of:
            members_of[known] = None if shape.is_document_type else _members(serializer, picker, shape)
        members = members_of[known]
        if members is None:
            really_serialize(serializer, serialized, value, shape, key)
            return
        wrapper = serializer.MAP_TYPE() if key else serialized
        named = members.named
        for number in sorted({number for name in value if name in named for number in named[name]}):
            member_key, member_shape, names = members.all[number]
            member = next(value[name] for name in names if name in value)
            if member is not None:
                serializer._serialize(wrapper, member, member_shape, member_key)
        if key:
            serializer._default_serialize(serialized, wrapper, shape, key)

    return serialize


def _members(serializer: ResponseSerializer, picker: AttributePicker, shape: Any) -> _Members | None:
    """Ask the picker for the names; None if one is a path, which means something else than a key."""
    every: list[tuple[str, Any, tuple[str, ...]]] = []
    named: dict[str, list[int]] = {}
    for number, (member_key, member_shape) in enumerate(shape.members.items()):
        member_shape.parent = shape  # as moto does: the picker looks at it
        context = AttributePickerContext({}, member_key, member_shape, serializer.operation_model)
        names = tuple(dict.fromkeys(picker.get_possible_keys(context)))
        if any("." in name for name in names):
            return None
        every.append((member_key, member_shape, names))
        for name in names:
            named.setdefault(name, []).append(number)
    return _Members(shape, every, named)


def _reading(really_read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Read the same text or number once: the time that it tells never changes, and depends on nothing else."""
    read_before = lru_cache(maxsize=4096, typed=True)(really_read)

    def read(value: Any) -> Any:
        return (read_before if type(value) in (str, int, float) else really_read)(value)

    return read


def _random_string(chance: MotoRandom, length: int = 20, include_digits: bool = True, lower_case: bool = False) -> str:  # noqa: FBT001, FBT002  moto's own signature
    """Draw as `random.choice` does, bit by bit, so that the same state of chance gives the same text."""
    pool = _LETTERS_AND_DIGITS if include_digits else _LETTERS
    bits, draw, size = len(pool).bit_length(), chance.getrandbits, len(pool)
    text = []
    while len(text) < length:
        drawn = draw(bits)
        if drawn < size:
            text.append(pool[drawn])
    made = "".join(text)
    return made.lower() if lower_case else made


# -- what both copy


def _copy_dict(original: dict[Any, Any], memo: dict[int, Any]) -> dict[Any, Any]:
    """Copy as `copy.deepcopy` does, memo included, but without asking for each text and number whether it is one."""
    made: dict[Any, Any] = {}
    memo[id(original)] = made
    for key, value in original.items():
        copied = value if type(value) in _ATOMS else copy.deepcopy(value, memo)
        made[key if type(key) in _ATOMS else copy.deepcopy(key, memo)] = copied
    return made


def _copy_list(original: list[Any], memo: dict[int, Any]) -> list[Any]:
    """Do the same for a list."""
    made: list[Any] = []
    memo[id(original)] = made
    made.extend(each if type(each) in _ATOMS else copy.deepcopy(each, memo) for each in original)
    return made
