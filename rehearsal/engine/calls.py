"""Every call to the pretend account, one at a time: who asked for what, and what came of it."""

import base64
import hashlib
import itertools
import json
import re
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Self, cast

from botocore.exceptions import ConnectionClosedError
from botocore.model import OperationNotFoundError
from moto.core.errors import COMMON_ERROR_CODES
from moto.core.exceptions import ServiceException
from moto.core.model import ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model

from rehearsal.clock import Clock
from rehearsal.engine.storage import Storage, body_of

Reply = tuple[int, dict[str, str], Any]
"""What moto answers with: HTTP status, headers, body."""

ROLE_KEY = "ASIA"
"""What the access key of a function, or of whoever else acts as a role, begins with; an operator's does not."""

WITHOUT_LOCK = {("lambda", "Invoke"), ("sqs", "ReceiveMessage"), ("stepfunctions", "GetActivityTask")}
"""Calls that wait for something which itself makes calls: holding the lock would stop the account."""

READS = re.compile(
    r"(Describe|Filter|Get|List|Query|Scan|BatchGet|TransactGet|Head|Lookup|Search|Simulate|Validate|Receive|Invoke)(?=[A-Z]|$)"
)
"""Verbs that change nothing by themselves; an invoked function's own calls are logged one by one."""


@dataclass
class Call:
    """One call as it was sent; `error` is AWS's error code once it has been answered."""

    number: int
    at: float
    """Simulated seconds since the clock started."""
    stamp: float
    """The same moment by `Clock.stamp`, in which it can be compared with what users saw."""
    service: str
    """As boto3 names it: `elbv2`, `stepfunctions`."""
    action: str
    caller: str | None
    """Name of the Lambda function that called; None for the interpreter, the event bus and the runner."""
    parameters: dict[str, Any]
    mutating: bool
    error: str | None = None
    answered: float | None = None
    """By `Clock.stamp`, when its effects were in force; None until then."""
    access_key: str = ""
    """Of whoever signed it: see `access_key_of`."""


@dataclass(frozen=True)
class Unsupported:
    """A call that the emulator could not answer. AWS would have: a rehearsal with one of these proves nothing."""

    call: Call
    reason: str


@dataclass(frozen=True)
class Refusal:
    """An error to answer with instead of making the call."""

    code: str
    message: str
    status: int | None = None
    """HTTP status; by default the one that AWS's model gives to this code, else 400."""


class _Refused(ServiceException):
    """Lives here because moto derives an exception's service from the module that defines it."""


Observer = Callable[[Call], None]
AnswerObserver = Callable[[Call, Reply], None]
Interceptor = Callable[[Call], Refusal | None]
Loser = Callable[[Call], bool]
Journey = Callable[[str | None, str, str], None]
"""Is told the calling function, the service and the action; returns when the call has arrived."""


class Calls:
    """
    Sees in-process boto3 and HTTP calls alike.

    One lock over all backends makes each call atomic, as it is on AWS: moto's conditional writes are not.
    Observers run after the call under that lock, so they see the account as this call left it; they must not raise.
    """

    def __init__(self, clock: Clock) -> None:
        self.log: list[Call] = []
        self.unsupported: list[Unsupported] = []
        self._clock = clock
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._callers: dict[str, str] = {}
        self._observers: list[Observer] = []
        self._answer_observers: list[AnswerObserver] = []
        self._interceptors: list[Interceptor] = []
        self._losers: list[Loser] = []
        self._journeys: list[Journey] = []
        self._moto_call_action = BaseResponse.call_action
        self._storage = Storage(self._answer)

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Reentrant; for whatever changes moto's backends outside of a call."""
        return self._lock

    def install(self) -> None:
        """Stand between every caller and moto."""
        calls, moto = self, self._moto_call_action

        def call_action(response: BaseResponse) -> Reply:
            return calls._answer(response, moto)

        BaseResponse.call_action = call_action  # type: ignore[method-assign,assignment]
        self._storage.install()

    def uninstall(self) -> None:
        """Let callers reach moto directly again; the log remains."""
        BaseResponse.call_action = self._moto_call_action  # type: ignore[method-assign]
        self._storage.uninstall()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def register_caller(self, access_key: str, function_name: str) -> None:
        """Calls signed with this key were made by this function. moto wants keys of 20 capitals and digits."""
        self._callers[access_key] = function_name

    def add_observer(self, observer: Observer) -> None:
        """Call `observer` after every call, answered or refused, and before its caller gets the answer."""
        self._observers.append(observer)

    def add_answer_observer(self, observer: AnswerObserver) -> None:
        """Call `observer` with what was answered, too, whenever the others are called."""
        self._answer_observers.append(observer)

    def add_interceptor(self, interceptor: Interceptor) -> None:
        """Ask `interceptor` before every call; its refusal is answered and the call is not made."""
        self._interceptors.append(interceptor)

    def add_loser(self, loser: Loser) -> None:
        """
        Ask `loser` of every answer to a function whether it is lost: the call was made, and the connection is closed.

        To the function this looks as botocore has it: an error of the connection, which is no ClientError.
        """
        self._losers.append(loser)

    def add_journey(self, journey: Journey) -> None:
        """Let calls take their time to arrive: `journey` may wait on the clock, for nothing is locked meanwhile."""
        self._journeys.append(journey)

    def _answer(self, response: BaseResponse, moto: Callable[[BaseResponse], Reply]) -> Reply:
        service, action = response.boto3_service_name, response._get_action()
        for journey in self._journeys:
            journey(self._callers.get(response.get_access_key()), service, action)
        with nullcontext() if (service, action) in WITHOUT_LOCK else self._lock:
            call = self._begin(response, service, action)
            reply = self._intercept(call, response) or self._perform(call, response, moto)
            with self._lock:
                call.error = error_code(reply)
                for observer in self._observers:
                    observer(call)
                for answer_observer in self._answer_observers:
                    answer_observer(call, reply)
                call.answered = self._clock.stamp()
        if call.caller is not None and any(loser(call) for loser in self._losers):
            raise ConnectionClosedError(endpoint_url=f"https://{service}.amazonaws.com/")
        return reply

    def _begin(self, response: BaseResponse, service: str, action: str) -> Call:
        with self._lock:
            call = Call(
                number=next(self._numbers),
                at=self._clock.seconds(),
                stamp=self._clock.stamp(),
                service=service,
                action=action,
                caller=self._callers.get(response.get_access_key()),
                parameters=parameters(response, service, action),
                mutating=not READS.match(action),
                access_key=response.get_access_key(),
            )
            self.log.append(call)
            return call

    def _intercept(self, call: Call, response: BaseResponse) -> Reply | None:
        for interceptor in self._interceptors:
            if refusal := interceptor(call):
                return refused(response, refusal)
        return None

    def _perform(self, call: Call, response: BaseResponse, moto: Callable[[BaseResponse], Reply]) -> Reply:
        try:
            return moto(response)
        except Exception:  # noqa: BLE001 - AWS has no Python exceptions: whatever it is, the emulator failed, not the caller
            reason = traceback.format_exc()
            self.unsupported.append(Unsupported(call, reason))
            message = f"The rehearsal cannot answer {call.service}:{call.action}: {reason.splitlines()[-1]}"
            return refused(response, Refusal("NotImplemented", message, status=HTTPStatus.NOT_IMPLEMENTED))


def access_key_of(signer: str) -> str:
    """Make the access key of a function, by name, or of who acts as a role, by its ARN, as moto wants keys to be."""
    return ROLE_KEY + hashlib.sha256(signer.encode()).hexdigest()[:16].upper()


def parameters(response: BaseResponse, service: str, action: str) -> dict[str, Any]:
    """The call's parameters under the names of AWS's model, whatever the protocol, as JSON can hold them."""
    model = service_model(service)
    try:
        operation = model.operation_model(action)
    except OperationNotFoundError:
        return {}
    if response.automated_parameter_parsing and type(response.params) is dict:
        return _as_plain(response.params)  # moto has just done the same
    request = response.normalized_request
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)](operation, map_type=dict)
    parsed = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": body_of(response),
            "url_path": request.path,
            "url_params": response.uri_match,
        }
    )
    return _as_plain(parsed)


def _as_plain(parsed: Any) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(json.dumps(parsed, default=as_json)))


@lru_cache(maxsize=64)
def service_model(service: str) -> ServiceModel:
    """Keep the model: moto builds a new one for every request."""
    return get_service_model(service)


def as_json(value: object) -> str:
    """Times as ISO 8601; bytes as text if they are text, else in base64."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    raise TypeError(f"A call's parameter of type {type(value).__name__} has no JSON form")


def refused(response: BaseResponse, refusal: Refusal) -> Reply:
    """The refusal in the protocol that the caller speaks, request id included: SDKs and moto's interpreter read it."""
    if refusal.code not in COMMON_ERROR_CODES:
        COMMON_ERROR_CODES.append(refusal.code)  # every service throttles and denies; their models do not list it
    status, headers, body = response.serialized(ActionResult(_Refused(refusal.code, refusal.message)))
    headers["status"] = str(refusal.status or status)
    headers, body = response._enrich_response(headers, body)
    return refusal.status or status, headers, body


def error_code(reply: Reply) -> str | None:
    """AWS's error code in a reply of any protocol, None if the call succeeded."""
    status, headers, body = reply
    if status < HTTPStatus.BAD_REQUEST:
        return None
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    if in_xml := re.search(r"<Code>(.*?)</Code>", text):
        return in_xml[1]
    lower_case = {name.lower(): value for name, value in headers.items()}
    try:
        in_body = json.loads(text).get("__type")
    except (ValueError, AttributeError):
        in_body = None
    code = lower_case.get("x-amzn-errortype") or in_body or f"HTTP {status}"
    return str(code).split(":")[0].rsplit("#")[-1]
