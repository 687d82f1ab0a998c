"""How moto takes a request."""

import io
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import moto.backends
import moto.core.responses
from botocore.awsrequest import AWSPreparedRequest
from moto.core import DEFAULT_ACCOUNT_ID, botocore_stubber
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.exceptions import HTTPException
from moto.core.parse import BaseJSONParser
from moto.core.request import Request, environ_key_for_header, normalize_request
from moto.core.responses import BaseResponse
from werkzeug.datastructures import ImmutableMultiDict

from rehearsal.engine.shortcuts.shortcut import Shortcut, is_same_in_json

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/x-amz-json-"


def shortcuts() -> Iterator[Shortcut]:
    """Yield what to replace."""
    yield Shortcut(botocore_stubber.BotocoreStubber, "process_request", _finding_methods())
    yield Shortcut(BackendDict, "__getitem__", _finding_backends())
    yield Shortcut(Request, "from_primitives", _filling_in_requests())
    yield Shortcut(Request, "raw_url", _knowing_urls())
    yield Shortcut(moto.core.responses, "urlparse", lru_cache(maxsize=1024)(moto.core.responses.urlparse))
    for name in ("method_names_from_class", "camelcase_to_underscores"):
        yield Shortcut(moto.core.responses, name, cache(getattr(moto.core.responses, name)))
    yield Shortcut(BaseResponse, "_get_action", _remembering_actions())
    yield Shortcut(BaseResponse, "access_key_regex", _Searched(BaseResponse.access_key_regex))
    yield Shortcut(BaseResponse, "region_regex", _Searched(BaseResponse.region_regex))
    yield Shortcut(BaseJSONParser, "_parse_structure", _parsing_what_is_there())


def _finding_methods() -> Any:
    """
    Remember which of moto's methods answers which URL.

    moto derives it from the URL and from its tables of patterns alone; the account is found by the method itself.
    """
    really_process = botocore_stubber.BotocoreStubber.process_request
    method_of.cache_clear()  # a new account makes its backends when it is first asked, and draws by chance for them

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


@lru_cache(maxsize=4096)
def method_of(url: str) -> Any:
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


def _finding_backends() -> Any:
    """Look only at the place where moto has listed a service before: it looks through all places each time."""
    really_get = BackendDict.__getitem__

    def get(backends: Any, account_id: str) -> Any:
        instances = vars(BackendDict)["_instances"]
        known = vars(backends).get("_known_as")
        if known is not None and instances[known : known + 1] == [backends] and account_id in backends:
            return dict.__getitem__(backends, account_id)
        found = really_get(backends, account_id)
        vars(backends)["_known_as"] = instances.index(backends)
        return found

    return get


class _Form(NamedTuple):
    """Of requests that look alike: their environment, under which keys the headers go, and their whole URL."""

    environ: dict[str, Any]
    keys: tuple[str, ...]
    url: str


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
        content = body.encode() if isinstance(body, str) else body or b""
        if form is None or type(content) is not bytes:
            request = really_make(method, url, headers, body)
            keys = tuple(environ_key_for_header(name) for name in names)
            if [request.environ.get(key) for key in keys] == values and len({*keys}) == len(keys):
                own = {"werkzeug.request", "wsgi.input"}
                environ = {key: value for key, value in request.environ.items() if key not in own}
                forms[known] = _Form(environ, keys, request.raw_url)
            return request
        environ = {**form.environ, **dict(zip(form.keys, values, strict=True))}
        environ["CONTENT_LENGTH"] = str(len(content))
        environ["wsgi.input"] = io.BytesIO(content)
        request = Request(environ)
        vars(request)["_raw_url"] = form.url
        _read(request, content)
        return request

    return classmethod(from_primitives)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _read(request: Request, content: bytes) -> None:
    """Read a form or JSON as werkzeug does when it is first asked for either, without looking for files in it."""
    if request.mimetype == _FORM:
        items = parse_qsl(content.decode(), keep_blank_values=True, errors="werkzeug.url_quote")
        content = b""
    elif request.mimetype.startswith(_JSON):
        items = []
    else:
        return
    known = vars(request)
    known["form"], known["files"] = ImmutableMultiDict(items), ImmutableMultiDict()
    known["data"] = known["_cached_data"] = content


def _knowing_urls() -> Any:
    """Remember the URL of a request that looks like an earlier one: it was put together from the same parts."""
    really_tell = vars(Request)["raw_url"].fget

    def raw_url(request: Request) -> str:
        known: str | None = vars(request).get("_raw_url")
        return really_tell(request) if known is None else known

    return property(raw_url)


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


def _parsing_what_is_there() -> Any:
    """Look only for those members of a structure whose names are in a request, in the order of moto's model."""
    really_parse = vars(BaseJSONParser)["_parse_structure"]
    members_of: dict[int, tuple[Any, dict[str, list[int]], list[tuple[str, Any]]]] = {}

    def parse(parser: Any, shape: Any, value: Any) -> Any:
        if type(value) is not dict or shape.is_document_type:
            return really_parse(parser, shape, value)
        if parser.MAP_TYPE is dict and is_same_in_json(shape, value):
            return value
        if id(shape) not in members_of:
            members = list(shape.members.items())
            numbers: dict[str, list[int]] = {}
            for number, (name, member) in enumerate(members):
                numbers.setdefault(member.serialization.get("name", name), []).append(number)
            members_of[id(shape)] = (shape, numbers, members)
        _, named, every = members_of[id(shape)]
        parsed = parser.MAP_TYPE()
        for number in sorted(n for name, raw in value.items() if raw is not None for n in named.get(name, ())):
            name, member = every[number]
            parsed[name] = parser._parse_shape(member, value[member.serialization.get("name", name)])
        return parsed

    return parse
