"""
A small receipt application, and its process: one per pretend instance, without a framework, to start in 0.3 s.

The process closes the connection after each answer. A load balancer that kept connections open could meet one that
is just being closed, and a request lost that way would be the rehearsal's fault, not the release's.
"""

import argparse
import hmac
import json
import random
import signal
import socketserver
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from rehearsal.world.processes import end_with_parent
from rehearsal.world.stores import (
    Receipts,
    ReceiptsInMemory,
    ReceiptsInPostgres,
    Sessions,
    SessionsInRedis,
    SignedSessions,
    StoreUnavailable,
)

LIVE_PORT = "443"
"""X-Forwarded-Port of what came through the live listener; the test listener's is another."""

SERVICE_OWNER = "service"
"""Whose receipts those are that were sent with the service token."""


@dataclass(frozen=True)
class Behaviour:
    """
    How a version behaves, declared by a scenario; as default, well.

    health_status: what /health answers; not 200 is a version that never becomes healthy.
    error_rates: path → share (0 to 1) of its requests answered with 500, `{"/auth/login": 1.0}` is a broken log-in;
    live_error_rates: the same, but of what came through the live listener only: a fault that no smoke check finds.
    delay_seconds: path → wall seconds before its answer; slow_share: the share of the path's requests that wait so.
    memory_percent_per_minute: how much more of an instance's memory the version needs with every simulated minute.
    fills: column → text that the version writes into every new receipt, beside what all versions write.
    """

    health_status: int = 200
    error_rates: Mapping[str, float] = field(default_factory=dict)
    live_error_rates: Mapping[str, float] = field(default_factory=dict)
    delay_seconds: Mapping[str, float] = field(default_factory=dict)
    slow_share: float = 1.0
    memory_percent_per_minute: float = 0.0
    fills: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote, on the other side of a command line."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Write it for the command line of the application's process."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Identity:
    """
    Who answers: every response carries it.

    `environment` is told to nobody, but to its log; it is "" for an instance of the one that is rehearsed.
    """

    version: str
    color: str
    instance: str
    environment: str = ""


@dataclass(frozen=True)
class Services:
    """
    What an application is told of its surroundings when it starts, as real ones are by their environment.

    database: `postgresql://…`, None: receipts stay in the process. cache: `host:port`, None: sessions need none.
    service_token: lets other services in, None: nobody. users: email → password, empty: whoever has both.
    """

    database: str | None = None
    cache: str | None = None
    service_token: str | None = None
    users: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote, on the other side of a command line."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Write it for the command line of the application's process."""
        return json.dumps(asdict(self))


_TEXT, _JSON = "text/plain", "application/json"


class Answer(NamedTuple):
    """What a request leads to. `content` becomes JSON, if it is no text, but only when somebody reads the body."""

    status: int
    content: Mapping[str, Any] | str

    @property
    def content_type(self) -> str:
        """As a header."""
        return _TEXT if isinstance(self.content, str) else _JSON

    @property
    def body(self) -> bytes:
        """As it is sent."""
        return (self.content if isinstance(self.content, str) else json.dumps(self.content)).encode()


class Headers(Protocol):
    """A request's headers: without case, or written as HTTP's documents do."""

    def get(self, name: str, default: str, /) -> str:
        """Return a header's value."""
        ...


class RequestLog(Protocol):
    """Gets one line of JSON per answered request, health checks included."""

    def write(self, method: str, path: str, status: int, seconds: float) -> None:
        """Add a line; `path` is without the query, `seconds` is how long the answer took."""
        ...


class RequestLogFile:
    """Timestamps are this machine's, not the rehearsal's, which a process cannot know. Without a path: no log."""

    def __init__(self, path: Path | None, identity: Identity) -> None:
        self._identity = identity
        # line by line; threads write under the file object's own lock
        self._file = None if path is None else path.open("a", buffering=1, encoding="utf-8")

    def write(self, method: str, path: str, status: int, seconds: float) -> None:
        """Do nothing without a file."""
        if self._file is not None:
            timestamp = time.time_ns() // 1_000_000
            self._file.write(request_line(self._identity, timestamp, method, path, status, seconds) + "\n")


def request_line(identity: Identity, timestamp: int, method: str, path: str, status: int, seconds: float) -> str:
    """Return a request log's line; timestamp is in milliseconds, level is ERROR for a status of 500 or more."""
    before, after = _around_duration(identity, method, path, int(status))
    return f'{{"timestamp": {timestamp}, {before}"duration_ms": {round(seconds * 1000, 3)}, {after}'


@lru_cache(maxsize=1024)
def _around_duration(identity: Identity, method: str, path: str, status: int) -> tuple[str, str]:
    """Make what most lines share JSON once, without the outer braces at the line's inner ends."""
    level = "ERROR" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "INFO"
    before = json.dumps({"level": level, "method": method, "path": path, "status": status})
    shown = {"version": identity.version, "color": identity.color, "instance": identity.instance}
    return f"{before[1:-1]}, ", json.dumps(shown)[1:]


class Statistics:
    """What /metrics tells."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = self._errors = 0
        self._seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
        """Count one answer; a status of 500 or more is an error."""
        with self._lock:
            self._requests += 1
            self._errors += status >= HTTPStatus.INTERNAL_SERVER_ERROR
            self._seconds += seconds

    def as_text(self) -> str:
        """Seconds for response_time_avg; one `name value` pair a line."""
        with self._lock:
            average = self._seconds / self._requests if self._requests else 0.0
            return (
                f"response_time_avg {average:.6f}\nrequests_total {self._requests}\nerrors_total {self._errors}\n"
                f"error_rate {self._errors / self._requests if self._requests else 0.0:.6f}\n"
            )


_NO_SUCH_PATH = Answer(HTTPStatus.NOT_FOUND, {"error": "no such path"})
_DECLARED_BAD = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "this version is declared bad"})
_OUR_FAULT = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "our fault"})
_TRY_LATER = Answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "try again later"})
_LOG_IN_FIRST = Answer(HTTPStatus.UNAUTHORIZED, {"error": "log in first"})
_UNKNOWN_ACCOUNT = Answer(HTTPStatus.UNAUTHORIZED, {"error": "unknown account"})
_NO_CREDENTIALS = Answer(HTTPStatus.BAD_REQUEST, {"error": "email and password expected"})
_EMPTY_RECEIPT = Answer(HTTPStatus.BAD_REQUEST, {"error": "an empty receipt"})


class ReceiptApplication:
    """
    What is answered to a request, however it came here. Its misbehaviour is drawn by dice that the instance seeds.

    complain: gets lines of text for whoever looks for the reason of a failure.
    """

    def __init__(
        self,
        identity: Identity,
        behaviour: Behaviour,
        services: Services,
        receipts: Receipts,
        sessions: Sessions,
        request_log: RequestLog,
        *,
        complain: Callable[[str], object],
    ) -> None:
        identity_headers = {"X-Version": identity.version, "X-Color": identity.color, "X-Instance": identity.instance}
        self._headers = {each: {"Content-Type": each, **identity_headers} for each in (_TEXT, _JSON)}
        self._version = identity.version
        self._services = services
        self._receipts = receipts
        self._sessions = sessions
        self._request_log = request_log
        self._complain = complain
        self._statistics = Statistics()
        self._dice = random.Random(identity.instance)
        self.behave(behaviour)
        self._routes: Mapping[tuple[str, str], Callable[[Headers, bytes], Answer]] = {
            ("GET", "/health"): self._health,
            ("GET", "/metrics"): self._metrics,
            ("GET", "/api/v2/receipts"): self._list_receipts,
            ("POST", "/auth/login"): self._log_in,
            ("POST", "/api/v2/receipts"): self._add_receipt,
        }

    def behave(self, behaviour: Behaviour) -> None:
        """Behave otherwise, from the next request on."""
        word = "ok" if behaviour.health_status == HTTPStatus.OK else "failing"
        self._healthy = Answer(behaviour.health_status, {"status": word, "version": self._version})
        self._behaviour = behaviour

    def headers_of(self, answer: Answer) -> Mapping[str, str]:
        """Say what an answer is, and who answers. Not to be changed."""
        return self._headers[answer.content_type]

    def delay_seconds(self, path: str) -> float:
        """Draw how long the version is declared to take for an answer, which is for the caller to wait."""
        behaviour = self._behaviour
        seconds = behaviour.delay_seconds.get(path, 0.0)
        return seconds if seconds and self._dice.random() < behaviour.slow_share else 0.0

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Answer:
        """Do what is asked; `path` is without the query. Raises nothing."""
        handle = self._routes.get((method, path))
        if handle is None:
            return _NO_SUCH_PATH
        if self._misbehaves(path, headers):
            return _DECLARED_BAD
        try:
            return handle(headers, body)
        except StoreUnavailable as error:
            self._complain(f"{method} {path}: {error}\n")
            return _TRY_LATER
        except Exception:  # noqa: BLE001  whatever it is, the client gets an answer and the log a line
            self._complain(traceback.format_exc())
            return _OUR_FAULT

    def finished(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count an answer, and log it."""
        self._statistics.count(status, seconds)
        self._request_log.write(method, path, status, seconds)

    def _misbehaves(self, path: str, headers: Headers) -> bool:
        """Draw whether this request is one of the share that the version is declared to fail."""
        rate = self._behaviour.error_rates.get(path, 0.0)
        if headers.get("X-Forwarded-Port", "") == LIVE_PORT:
            rate = max(rate, self._behaviour.live_error_rates.get(path, 0.0))
        return self._dice.random() < rate

    def _health(self, _headers: Headers, _body: bytes) -> Answer:
        """
        Say that this process works, without asking database or cache.

        If health hung on what all instances share, one outage there would make every target of both colors unhealthy
        at the same moment, and leave no color to roll back to. Smoke checks find out about database and cache.
        """
        return self._healthy

    def _metrics(self, _headers: Headers, _body: bytes) -> Answer:
        return Answer(HTTPStatus.OK, self._statistics.as_text())

    def _log_in(self, _headers: Headers, body: bytes) -> Answer:
        try:
            credentials = json.loads(body)
            email, password = credentials["email"], credentials["password"]
        except (ValueError, KeyError, TypeError):
            return _NO_CREDENTIALS
        if not (isinstance(email, str) and isinstance(password, str) and self._is_known(email, password)):
            return _UNKNOWN_ACCOUNT
        return Answer(HTTPStatus.OK, {"token": self._sessions.begin(email)})

    def _is_known(self, email: str, password: str) -> bool:
        users = self._services.users
        return users.get(email) == password if users else bool(email and password)

    def _list_receipts(self, headers: Headers, _body: bytes) -> Answer:
        owner = self._owner(headers)
        if owner is None:
            return _LOG_IN_FIRST
        return Answer(HTTPStatus.OK, {"receipts": self._receipts.of(owner)})

    def _add_receipt(self, headers: Headers, body: bytes) -> Answer:
        owner = self._owner(headers)
        if owner is None:
            return _LOG_IN_FIRST
        fields = _form_fields(headers.get("Content-Type", ""), body)
        if not fields.get("file"):
            return _EMPTY_RECEIPT
        category = fields.get("category", b"").decode()
        receipt_id = self._receipts.add(owner, category, fields["file"], self._behaviour.fills)
        return Answer(HTTPStatus.CREATED, {"id": receipt_id})

    def _owner(self, headers: Headers) -> str | None:
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return None
        service_token = self._services.service_token
        if service_token is not None and hmac.compare_digest(service_token.encode(), token.encode()):
            return SERVICE_OWNER
        return self._sessions.owner(token)


class ReceiptServer(ThreadingHTTPServer):
    """Finishes the requests in flight before `server_close` returns."""

    daemon_threads = False
    request_queue_size = 128
    allow_reuse_port = True  # the parent holds the port reserved, see network.py

    def __init__(self, port: int, application: ReceiptApplication) -> None:
        self.application = application
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of our own name: it may ask a DNS server."""
        socketserver.TCPServer.server_bind(self)


class Handler(BaseHTTPRequestHandler):
    """Takes requests from sockets to the application, and its answers back."""

    server: ReceiptServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """What the load balancer, an operator and a user read."""
        self._serve()

    def do_POST(self) -> None:
        """What a user changes."""
        self._serve()

    def _serve(self) -> None:
        started = time.monotonic()
        application = self.server.application
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(application.delay_seconds(path))
        answer = application.answer(self.command, path, self.headers, body)
        self._send(answer, application.headers_of(answer))
        application.finished(self.command, path, answer.status, time.monotonic() - started)

    def _send(self, answer: Answer, headers: Mapping[str, str]) -> None:
        body = answer.body
        self.send_response(answer.status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as the base class calls it
        """Write no access log beside the request log: 100 lines a second would hide the errors."""


def _form_fields(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a multipart form by name; any other body is the file itself."""
    if not content_type.startswith("multipart/form-data"):
        return {"file": body}
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields: dict[str, bytes] = {}
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            fields[str(part.get_param("name", header="content-disposition"))] = content
    return fields


def main() -> None:
    """Serve until SIGTERM or the parent's end; requests in flight are answered first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--color", required=True)
    parser.add_argument("--instance", required=True)
    parser.add_argument("--behaviour", type=Behaviour.from_json, default=Behaviour())
    parser.add_argument("--services", type=Services.from_json, default=Services())
    parser.add_argument("--request-log", type=Path)
    options = parser.parse_args()
    identity = Identity(options.version, options.color, options.instance)
    services: Services = options.services
    application = ReceiptApplication(
        identity,
        options.behaviour,
        services,
        ReceiptsInPostgres(services.database) if services.database else ReceiptsInMemory(),
        SessionsInRedis(services.cache) if services.cache else SignedSessions(),
        RequestLogFile(options.request_log, identity),
        complain=sys.stderr.write,
    )
    server = ReceiptServer(options.port, application)
    # shutdown() waits for serve_forever to return: called in this thread, it would wait for itself
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    end_with_parent(lambda told: application.behave(Behaviour(**told)))
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
