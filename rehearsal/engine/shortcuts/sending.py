"""What the SDK sends, and what it makes of an answer."""

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any
from urllib.parse import urlencode

import boto3
import botocore.auth
import botocore.parsers
import botocore.useragent
import jmespath
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient, ClientCreator
from botocore.endpoint import Endpoint, convert_to_response_dict
from botocore.hooks import EventAliaser
from botocore.parsers import BaseJSONParser, QueryParser, ResponseParser
from botocore.regions import EndpointRulesetResolver
from botocore.utils import EVENT_ALIASES
from botocore.validate import ParamValidationDecorator
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import botocore_stubber

from rehearsal.engine.shortcuts import receiving
from rehearsal.engine.shortcuts.histories import ToldHistory
from rehearsal.engine.shortcuts.shortcut import Shortcut, is_same_in_json, own, reading

_FIRST = itemgetter(0)
_MOST_ANSWERS = 1024
_SIGNS_DIFFERENTLY = frozenset({"s3", "s3control"})


def shortcuts() -> Iterator[Shortcut]:
    """Yield what to replace."""
    yield Shortcut(botocore.auth.SigV4Auth, "add_auth", _name_signer)
    yield Shortcut(botocore.useragent.UserAgentString, "to_string", _introduce)
    yield Shortcut(boto3, "client", _making_clients_once())
    yield Shortcut(ClientCreator, "_load_service_model", _sharing_models())
    yield Shortcut(EventAliaser, "__init__", _sharing_aliases())
    yield Shortcut(EndpointRulesetResolver, "construct_endpoint", _finding_endpoints())
    yield Shortcut(ParamValidationDecorator, "serialize_to_request", _checking_requests_once())
    yield Shortcut(BaseClient, "_make_request", _choosing_the_short_way())
    yield Shortcut(Endpoint, "create_request", _writing_requests())
    yield Shortcut(Endpoint, "_get_response", _asking_moto())
    yield Shortcut(BaseJSONParser, "_handle_structure", _parsing_what_is_there())
    yield Shortcut(ResponseParser, "_handle_list", _parsing_members_alike())
    yield Shortcut(QueryParser, "_do_parse", _parsing_xml_once())
    yield Shortcut(
        botocore.parsers, "DEFAULT_TIMESTAMP_PARSER", reading(vars(botocore.parsers)["DEFAULT_TIMESTAMP_PARSER"])
    )


def _name_signer(auth: botocore.auth.SigV4Auth, request: Any) -> None:
    """Say who sends a request, and prove nothing: moto reads the access key, and never checks a signature."""
    request.context["timestamp"] = "20260301T100000Z"
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    del request.headers["Authorization"]
    if isinstance(auth, botocore.auth.S3SigV4Auth):
        del request.headers["X-Amz-Content-SHA256"]
        request.headers["X-Amz-Content-SHA256"] = auth.payload(request)  # tells moto whether the body is wrapped
    service, region = vars(auth)["_service_name"], vars(auth)["_region_name"]
    request.headers["Authorization"] = _signature(str(auth.credentials.access_key), region, service)


def _signature(access_key: str, region: str, service: str) -> str:
    scope = f"{access_key}/20260301/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"


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


def _sharing_models() -> Any:
    """Let all clients share the model of their service, which they only read: each takes it apart for itself else."""
    really_load = vars(ClientCreator)["_load_service_model"]
    models: dict[Any, Any] = {}

    def load(creator: Any, service_name: str, api_version: str | None = None) -> Any:
        known = (service_name, api_version, *creator._loader.search_paths)
        if known not in models:
            models[known] = really_load(creator, service_name, api_version)
        return models[known]

    return load


def _sharing_aliases() -> Any:
    """Let all clients share what is known of the names of events: each looks through a hundred aliases otherwise."""
    really_make = EventAliaser.__init__
    known: dict[str, str] = {}

    def make(aliaser: Any, event_emitter: Any, event_aliases: dict[str, str] | None = None) -> None:
        really_make(aliaser, event_emitter, event_aliases)
        if event_aliases is None or event_aliases == EVENT_ALIASES:
            aliaser._alias_name_cache = known

    return make


def _finding_endpoints() -> Any:
    """
    Let a client find an endpoint once.

    It depends on the client's configuration, the operation, and those parameters that the operation's model names.
    """
    really_construct = EndpointRulesetResolver.construct_endpoint

    def construct(resolver: Any, operation_model: Any, call_args: Any, request_context: Any) -> Any:
        if operation_model.service_model.service_name in _SIGNS_DIFFERENTLY:
            return really_construct(resolver, operation_model, call_args, request_context)
        named = [call_args.get(each.member_name) for each in operation_model.context_parameters]
        found_by = [jmespath.search(each["path"], call_args) for each in _by_path(operation_model)]
        endpoints = vars(resolver).setdefault("_found_endpoints", {})
        known = (operation_model.name, repr(named), repr(found_by))
        if known not in endpoints:
            endpoints[known] = really_construct(resolver, operation_model, call_args, request_context)
        return endpoints[known]

    return construct


def _checking_requests_once() -> Any:
    """Check and write down the same parameters of an operation once: functions ask for the same again and again."""
    really_serialize = ParamValidationDecorator.serialize_to_request
    written: dict[tuple[int, str], tuple[Any, Any]] = {}

    def serialize(decorator: Any, parameters: Any, operation_model: Any) -> Any:
        if operation_model.service_model.service_name in _SIGNS_DIFFERENTLY:
            return really_serialize(decorator, parameters, operation_model)
        known = (id(operation_model), repr(parameters))
        if known not in written:
            request = really_serialize(decorator, parameters, operation_model)
            if not isinstance(request["body"], bytes | str | dict):
                return request
            if len(written) >= _MOST_ANSWERS:
                written.clear()
            written[known] = (operation_model, own(request))  # which keeps the model, and so its id
            return request
        return own(written[known][1])

    return serialize


def _by_path(operation_model: Any) -> Iterable[Any]:
    return (operation_model.operation_context_parameters or {}).values()


# -- the short way from a client to moto: events, retries and the parsing of answers remain the SDK's own


class _OnShortWay(AWSPreparedRequest):
    """A request that goes nowhere but to moto's function for its URL."""


def _choosing_the_short_way() -> Any:
    """Sign here what moto will answer in this process, because an endpoint does not know who asks."""
    really_make = vars(BaseClient)["_make_request"]

    def make_request(client: Any, operation_model: Any, request_dict: Any, request_context: Any) -> Any:
        signature = _simple_signature(client, request_context)
        if (
            signature is not None
            and botocore_stubber.enabled
            and client.meta.service_model.service_name not in _SIGNS_DIFFERENTLY
            and isinstance(request_dict["body"], bytes | str | dict)
            and receiving.method_of(request_dict["url"]) is not None
        ):
            request_dict["short way"] = signature
        return really_make(client, operation_model, request_dict, request_context)

    return make_request


def _simple_signature(client: Any, request_context: Any) -> str | None:
    """Write the usual signature, and none where an operation has another or needs none."""
    signer, signing = client._request_signer, request_context.get("signing", {})
    if (
        request_context.get("auth_type") not in (None, "v4")
        or signer.signature_version != "v4"
        or signer._credentials is None
        or signing.keys() - {"region", "signing_name", "disableDoubleEncoding"}
    ):
        return None
    access_key = signer._credentials.get_frozen_credentials().access_key
    region = signing.get("region") or signer.region_name
    return _signature(access_key, region, signing.get("signing_name") or signer.signing_name)


def _writing_requests() -> Any:
    """
    Write down a request without the headers that moto does not read.

    Who listens to the event that is left out here only signs, counts tries and introduces himself.
    """
    really_create = Endpoint.create_request

    def create_request(endpoint: Any, params: Any, operation_model: Any = None) -> Any:
        signature = params.get("short way")
        if signature is None or operation_model is None:
            return really_create(endpoint, params, operation_model)
        headers: Any = {**params["headers"], "Authorization": signature}
        body = params["body"]
        if isinstance(body, dict):
            body = urlencode(body, doseq=True)
        stream = operation_model.has_streaming_output or operation_model.has_event_stream_output
        return _OnShortWay(params["method"], params["url"], headers, _as_bytes(body), stream, {})

    return create_request


def _as_bytes(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _asking_moto() -> Any:
    """Have a request answered by moto's function, and the answer read by the SDK; nobody listens in between."""
    really_get = vars(Endpoint)["_get_response"]

    def get_response(endpoint: Any, request: Any, operation_model: Any, context: Any) -> Any:
        if not isinstance(request, _OnShortWay):
            return really_get(endpoint, request, operation_model, context)
        try:
            answer: Any = botocore_stubber.process_request(request)
        except Exception as error:  # noqa: BLE001  as in botocore, which decides whether to try again
            return None, error
        status, headers, body = answer
        if isinstance(body, ToldHistory):
            response = AWSResponse(request.url, status, headers, MockRawResponse("{}"))
            return (response, _parsed_history(endpoint, response, operation_model, body)), None
        response = AWSResponse(request.url, status, headers, MockRawResponse(body))
        return (response, _parsed(endpoint, response, operation_model)), None

    return get_response


def _parsed(endpoint: Any, response: AWSResponse, operation_model: Any) -> Any:
    """Read an answer as botocore's Endpoint does."""
    as_dict = convert_to_response_dict(response, operation_model)  # type: ignore[no-untyped-call]
    parser = endpoint._response_parser_factory.create_parser(operation_model.service_model.resolved_protocol)
    parsed = parser.parse(as_dict, operation_model.output_shape)
    if response.status_code >= 300:  # noqa: PLR2004  botocore's own limit
        endpoint._add_modeled_error_fields(as_dict, parsed, operation_model, parser)
    return parsed


def _parsed_history(endpoint: Any, response: AWSResponse, operation_model: Any, history: ToldHistory) -> Any:
    """Read the events one by one, because they have been read before, and around them an answer without any."""
    parser = endpoint._response_parser_factory.create_parser(operation_model.service_model.resolved_protocol)
    shape = operation_model.output_shape.members["events"].member
    events = [event.read_by(parser, shape) for event in history.events]
    return {"events": events, **_parsed(endpoint, response, operation_model)}


# -- what the SDK is answered


def _parsing_what_is_there() -> Any:
    """Look only for those members of a structure whose names are in an answer, in the order of botocore's model."""
    really_parse = vars(BaseJSONParser)["_handle_structure"]
    members_of: dict[int, tuple[Any, dict[str, list[int]], list[tuple[str, Any]]]] = {}

    def parse(parser: Any, shape: Any, value: Any) -> Any:
        if type(value) is not dict or shape.is_document_type or shape.is_tagged_union:
            return really_parse(parser, shape, value)
        if is_same_in_json(shape, value):
            return value
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


def _parsing_members_alike() -> Any:
    """Look up once how the members of a list are read, and not at all at those that are read already."""

    def parse(parser: Any, shape: Any, node: Any) -> list[Any]:
        member = shape.member
        default = parser._default_handle
        handle = getattr(parser, f"_handle_{member.type_name}", default)
        if handle == default:
            return list(node)
        return [None if each is None else handle(member, each) for each in node]

    return parse


def _parsing_xml_once() -> Any:
    """Read an answer in XML once, whatever the id of the request is: who asks often is mostly told the same."""
    really_parse = vars(QueryParser)["_do_parse"]
    read: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def parse(parser: Any, response: Any, shape: Any) -> Any:
        before, marker, rest = response["body"].rpartition(b"<RequestId>")
        request_id, _, after = rest.partition(b"</RequestId>")
        known = (type(parser), id(shape), before, after)
        if not marker or known not in read:
            parsed = really_parse(parser, response, shape)
            if marker and parsed.get("ResponseMetadata") == {"RequestId": request_id.decode()}:
                if len(read) >= _MOST_ANSWERS:
                    read.clear()
                read[known] = (shape, own(parsed))  # which keeps the shape, and so its id
            return parsed
        parsed = own(read[known][1])
        parsed["ResponseMetadata"]["RequestId"] = request_id.decode()
        return parsed

    return parse
