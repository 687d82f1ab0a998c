"""
A small receipt application: one process per pretend instance, without a framework, so that it starts in 0.3 s.

It closes the connection after each answer. A load balancer that kept connections open could meet one that this
process is just closing, and a request lost that way would be the rehearsal's fault, not the release's.
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
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

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
    delay_seconds: path → wall seconds before its answer.
    """

    health_status: int = 200
    error_rates: Mapping[str, float] = field(default_factory=dict)
    live_error_rates: Mapping[str, float] = field(default_factory=dict)
    delay_seconds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote, on the other side of a command line."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Write it for the command line of the application's process."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Identity:
    """Who answers: every response carries it."""

    version: str
    color: str
    instance: str


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


class RequestLog:
    """
    Writes one line of JSON per answered request, health checks included.

    timestamp is in milliseconds of this machine's clock, not of the rehearsal's, which the application cannot know;
    level is ERROR for a status of 500 or more.
    """

    def __init__(self, path: Path | None, identity: Identity) -> None:
        self._identity = asdict(identity)
        # line by line; threads write under the file object's own lock
        self._file = None if path is None else path.open("a", buffering=1, encoding="utf-8")

    def write(self, method: str, path: str, status: int, seconds: float) -> None:
        """Do nothing without a file."""
        if self._file is None:
            return
        line = {
            "timestamp": time.time_ns() // 1_000_000,
            "level": "ERROR" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "INFO",
            "method": method,
            "path": path,
            "status": int(status),
            "duration_ms": round(seconds * 1000, 3),
            **self._identity,
        }
        self._file.write(json.dumps(line) + "\n")


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


class ReceiptServer(ThreadingHTTPServer):
    """Finishes the requests in flight before `server_close` returns."""

    daemon_threads = False
    request_queue_size = 128
    allow_reuse_port = True  # the parent holds the port reserved, see network.py

    def __init__(
        self, port: int, identity: Identity, behaviour: Behaviour, services: Services, request_log: RequestLog
    ) -> None:
        self.identity = identity
        self.behaviour = behaviour
        self.services = services
        self.request_log = request_log
        self.receipts: Receipts = ReceiptsInPostgres(services.database) if services.database else ReceiptsInMemory()
        self.sessions: Sessions = SessionsInRedis(services.cache) if services.cache else SignedSessions()
        self.statistics = Statistics()
        self.dice = random.Random(identity.instance)
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of our own name: it may ask a DNS server."""
        socketserver.TCPServer.server_bind(self)

    def misbehaves(self, path: str, *, live: bool) -> bool:
        """Draw whether this request is one of the share that the version is declared to fail."""
        rate = self.behaviour.error_rates.get(path, 0.0)
        if live:
            rate = max(rate, self.behaviour.live_error_rates.get(path, 0.0))
        return self.dice.random() < rate


class Handler(BaseHTTPRequestHandler):
    """Routes of the application; every answer is `(status, body, content type)`."""

    server: ReceiptServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """What the load balancer, an operator and a user read."""
        self._serve({"/health": self._health, "/metrics": self._metrics, "/api/v2/receipts": self._list_receipts})

    def do_POST(self) -> None:
        """What a user changes."""
        self._serve({"/auth/login": self._log_in, "/api/v2/receipts": self._add_receipt})

    def _serve(self, routes: Mapping[str, Any]) -> None:
        started = time.monotonic()
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(self.server.behaviour.delay_seconds.get(path, 0.0))
        status, answer = self._handle(path, routes, body)
        self._answer(status, answer)
        seconds = time.monotonic() - started
        self.server.statistics.count(status, seconds)
        self.server.request_log.write(self.command, path, status, seconds)

    def _handle(self, path: str, routes: Mapping[str, Any], body: bytes) -> tuple[int, bytes]:
        if path not in routes:
            return HTTPStatus.NOT_FOUND, _json({"error": "no such path"})
        if self.server.misbehaves(path, live=self.headers.get("X-Forwarded-Port") == LIVE_PORT):
            return HTTPStatus.INTERNAL_SERVER_ERROR, _json({"error": "this version is declared bad"})
        try:
            answer: tuple[int, bytes] = routes[path](body)
        except StoreUnavailable as error:
            sys.stderr.write(f"{self.command} {path}: {error}\n")
            return HTTPStatus.SERVICE_UNAVAILABLE, _json({"error": "try again later"})
        except Exception:  # noqa: BLE001  whatever it is, the client gets an answer and the log a line
            traceback.print_exc()
            return HTTPStatus.INTERNAL_SERVER_ERROR, _json({"error": "our fault"})
        return answer

    def _answer(self, status: int, body: bytes) -> None:
        identity = self.server.identity
        self.send_response(status)
        for name, value in (
            ("Content-Type", "application/json" if body.startswith(b"{") else "text/plain"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            ("X-Version", identity.version),
            ("X-Color", identity.color),
            ("X-Instance", identity.instance),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _health(self, _: bytes) -> tuple[int, bytes]:
        """
        Say that this process works, without asking database or cache.

        If health hung on what all instances share, one outage there would make every target of both colors unhealthy
        at the same moment, and leave no color to roll back to. Smoke checks find out about database and cache.
        """
        status = self.server.behaviour.health_status
        word = "ok" if status == HTTPStatus.OK else "failing"
        return status, _json({"status": word, "version": self.server.identity.version})

    def _metrics(self, _: bytes) -> tuple[int, bytes]:
        return HTTPStatus.OK, self.server.statistics.as_text().encode()

    def _log_in(self, body: bytes) -> tuple[int, bytes]:
        try:
            credentials = json.loads(body)
            email, password = credentials["email"], credentials["password"]
        except (ValueError, KeyError, TypeError):
            return HTTPStatus.BAD_REQUEST, _json({"error": "email and password expected"})
        if not (isinstance(email, str) and isinstance(password, str) and self._is_known(email, password)):
            return HTTPStatus.UNAUTHORIZED, _json({"error": "unknown account"})
        return HTTPStatus.OK, _json({"token": self.server.sessions.begin(email)})

    def _is_known(self, email: str, password: str) -> bool:
        users = self.server.services.users
        return users.get(email) == password if users else bool(email and password)

    def _list_receipts(self, _: bytes) -> tuple[int, bytes]:
        owner = self._owner()
        if owner is None:
            return HTTPStatus.UNAUTHORIZED, _json({"error": "log in first"})
        return HTTPStatus.OK, _json({"receipts": self.server.receipts.of(owner)})

    def _add_receipt(self, body: bytes) -> tuple[int, bytes]:
        owner = self._owner()
        if owner is None:
            return HTTPStatus.UNAUTHORIZED, _json({"error": "log in first"})
        fields = _form_fields(self.headers.get("Content-Type", ""), body)
        if not fields.get("file"):
            return HTTPStatus.BAD_REQUEST, _json({"error": "an empty receipt"})
        receipt_id = self.server.receipts.add(owner, fields.get("category", b"").decode(), fields["file"])
        return HTTPStatus.CREATED, _json({"id": receipt_id})

    def _owner(self) -> str | None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return None
        service_token = self.server.services.service_token
        if service_token is not None and hmac.compare_digest(service_token.encode(), token.encode()):
            return SERVICE_OWNER
        return self.server.sessions.owner(token)

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


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()


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
    request_log = RequestLog(options.request_log, identity)
    server = ReceiptServer(options.port, identity, options.behaviour, options.services, request_log)
    # shutdown() waits for serve_forever to return: called in this thread, it would wait for itself
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    end_with_parent()
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
