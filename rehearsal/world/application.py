"""
A small receipt application: one process per pretend instance, standard library only, so that it starts in 0.2 s.

It closes the connection after each answer. A load balancer that kept connections open could meet one that this
process is just closing, and a request lost that way would be the rehearsal's fault, not the release's.
"""

import argparse
import hashlib
import hmac
import json
import random
import signal
import socketserver
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, Self

from rehearsal.world.processes import end_with_parent

_TOKEN_KEY = b"rehearsal: the same on every instance, so that a session survives a switch of color"


@dataclass(frozen=True)
class Behaviour:
    """
    How a version behaves, declared by a scenario; as default, well.

    error_rates: path → share (0 to 1) of its requests answered with 500; delay_seconds: path → wall seconds before
    its answer.
    """

    health_status: int = 200
    error_rates: Mapping[str, float] = field(default_factory=dict)
    delay_seconds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Identity:
    """Who answers: every response carries it."""

    version: str
    color: str
    instance: str


class Receipts(Protocol):
    """Where receipts are kept."""

    def add(self, owner: str, category: str, content: bytes) -> str: ...

    def of(self, owner: str) -> list[dict[str, Any]]: ...


class ReceiptsInMemory:
    """Keeps the newest receipts of this process only, so that a long rehearsal does not fill the machine."""

    LIMIT = 1000

    def __init__(self) -> None:
        self._receipts: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._added = 0

    def add(self, owner: str, category: str, content: bytes) -> str:
        with self._lock:
            self._added += 1
            receipt_id = f"r-{self._added:08d}"
            digest = hashlib.sha256(content).hexdigest()
            self._receipts[receipt_id] = {"id": receipt_id, "owner": owner, "category": category, "sha256": digest}
            if len(self._receipts) > self.LIMIT:
                del self._receipts[next(iter(self._receipts))]
            return receipt_id

    def of(self, owner: str) -> list[dict[str, Any]]:
        with self._lock:
            return [receipt for receipt in self._receipts.values() if receipt["owner"] == owner][-20:]


class Statistics:
    """What /metrics tells."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = self._errors = 0
        self._seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
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


def token_for(email: str) -> str:
    return f"{email}:{hmac.new(_TOKEN_KEY, email.encode(), hashlib.sha256).hexdigest()}"


def owner_of(token: str) -> str | None:
    """The email that a token was issued for, None when it was not issued by us."""
    email = token.rpartition(":")[0]
    return email if email and hmac.compare_digest(token_for(email).encode(), token.encode()) else None


class ReceiptServer(ThreadingHTTPServer):
    """Finishes the requests in flight before `server_close` returns."""

    daemon_threads = False
    request_queue_size = 128
    allow_reuse_port = True  # the parent holds the port reserved, see network.py

    def __init__(self, port: int, identity: Identity, behaviour: Behaviour, receipts: Receipts) -> None:
        self.identity = identity
        self.behaviour = behaviour
        self.receipts = receipts
        self.statistics = Statistics()
        self.dice = random.Random(identity.instance)
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of our own name: it may ask a DNS server."""
        socketserver.TCPServer.server_bind(self)

    def misbehaves(self, path: str) -> bool:
        return self.dice.random() < self.behaviour.error_rates.get(path, 0.0)


class Handler(BaseHTTPRequestHandler):
    """Routes of the application; every answer is `(status, body, content type)`."""

    server: ReceiptServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._serve({"/health": self._health, "/metrics": self._metrics, "/api/v2/receipts": self._list_receipts})

    def do_POST(self) -> None:
        self._serve({"/auth/login": self._log_in, "/api/v2/receipts": self._add_receipt})

    def _serve(self, routes: Mapping[str, Any]) -> None:
        started = time.monotonic()
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(self.server.behaviour.delay_seconds.get(path, 0.0))
        if path not in routes:
            status, answer = HTTPStatus.NOT_FOUND, _json({"error": "no such path"})
        elif self.server.misbehaves(path):
            status, answer = HTTPStatus.INTERNAL_SERVER_ERROR, _json({"error": "this version is declared bad"})
            sys.stderr.write(f"ERROR {self.command} {path}\n")
        else:
            status, answer = routes[path](body)
        self._answer(status, answer)
        self.server.statistics.count(status, time.monotonic() - started)

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
        if not (isinstance(email, str) and email and password):
            return HTTPStatus.UNAUTHORIZED, _json({"error": "unknown account"})
        return HTTPStatus.OK, _json({"token": token_for(email)})

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
        return owner_of(token) if scheme == "Bearer" else None

    def log_message(self, *_: object) -> None:
        """Write no access log: 100 lines a second would hide the errors."""


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--color", required=True)
    parser.add_argument("--instance", required=True)
    parser.add_argument("--behaviour", type=Behaviour.from_json, default=Behaviour())
    options = parser.parse_args()
    identity = Identity(options.version, options.color, options.instance)
    server = ReceiptServer(options.port, identity, options.behaviour, ReceiptsInMemory())
    # shutdown() waits for serve_forever to return: called in this thread, it would wait for itself
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    end_with_parent()
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
