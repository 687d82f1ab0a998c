"""A model listener's entrance for real clients: HTTP over TLS on loopback, for what runs in functions."""

import io
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from select import select
from typing import Any, NoReturn, Protocol, cast

from rehearsal.engine import nearby
from rehearsal.world.network import HOST
from rehearsal.world.routing import Front, Request

_IDLE_WALL_SECONDS = 10.0
"""After which a connection that says nothing is closed; AWS waits for 60."""


class Response(Protocol):
    """What is sent for a request."""

    @property
    def status(self) -> int:
        """HTTP's."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Without the length of the body."""
        ...

    @property
    def body(self) -> bytes:
        """As it is sent."""
        ...


class TlsListener:
    """
    Serves until it is closed, in threads that wait for nothing but sockets: they are foreign to virtual time.

    answer: called in those threads, for several requests at the same time.
    """

    def __init__(self, front: Front, answer: Callable[[Request], Response]) -> None:
        self._answer = answer
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(front.certificate, front.key)
        self._listening = socket.create_server((HOST, 0), backlog=128)
        self._port = int(self._listening.getsockname()[1])
        self._woken, self._waker = socket.socketpair()
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._thread = threading.Thread(target=self._accept, name="tls-listener", daemon=True)
        self._thread.start()
        nearby.announce(self.port, self)

    @property
    def asked_for_tls(self) -> tuple[bytes, bytes]:
        """Nothing: TLS is spoken at once."""
        return b"", b""

    def converse(self) -> nearby.Conversation:
        """Serve a client in this process, in whatever thread it reads our answers."""
        return _Nearby(self._answer_while_open)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    def close(self) -> None:
        """Refuse and break all connections, and return when its threads have ended; safe to repeat."""
        nearby.withdraw(self._port, self)
        self._answer = _broken  # a client's pool may keep its connection for good, and with it all that we answer from
        with suppress(OSError):
            self._waker.send(b"x")
        self._thread.join()
        for each in (self._listening, self._woken, self._waker):
            each.close()
        with self._lock:
            remaining = dict(self._connections)
        for connection, thread in remaining.items():
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            thread.join()

    def _answer_while_open(self, request: Request) -> Response:
        return self._answer(request)

    def _accept(self) -> None:
        while self._woken not in select([self._listening, self._woken], [], [])[0]:
            with suppress(OSError):  # gone again
                plain, _ = self._listening.accept()
                plain.settimeout(_IDLE_WALL_SECONDS)
                # no handshake yet: one client that does not go on with it must not keep the others out
                connection = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                self._begin(connection)

    def _begin(self, connection: ssl.SSLSocket) -> None:
        thread = threading.Thread(target=self._serve, args=(connection,), name="tls-connection", daemon=True)
        with self._lock:
            self._connections[connection] = thread
        thread.start()

    def _serve(self, connection: ssl.SSLSocket) -> None:
        try:
            with connection, suppress(OSError, ValueError):  # whatever it is, the client is gone, or wants no TLS
                connection.do_handshake()
                _Handler(connection, connection.getpeername(), self._answer)
        finally:
            with self._lock:
                self._connections.pop(connection, None)


def _broken(_: Request) -> NoReturn:
    raise ConnectionResetError("the listener was closed")


class _Nearby:
    """A connection without a socket: requests are served when the client waits for what comes of them."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self._serve = answer
        self._heard = bytearray()
        self._said = bytearray()

    def hear(self, said: bytes) -> None:
        self._heard += said

    def answer(self) -> bytes:
        if self._heard:
            _Handler(cast("Any", self), (HOST, 0), self._serve)
        said, self._said = bytes(self._said), bytearray()
        return said

    def end(self) -> None:
        self._heard.clear()

    # -- as a socket is for a handler

    def settimeout(self, seconds: float) -> None:
        """Nobody waits."""

    def makefile(self, *_: object) -> io.BytesIO:
        heard, self._heard = io.BytesIO(self._heard), bytearray()
        return heard

    def sendall(self, data: bytes) -> None:
        self._said += data


class _Handler(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_WALL_SECONDS

    def __init__(self, connection: ssl.SSLSocket, peer: Any, answer: Callable[[Request], Response]) -> None:
        self._answer = answer
        super().__init__(connection, peer, cast("Any", None))  # it is no server of socketserver's

    def do_GET(self) -> None:
        if "Transfer-Encoding" in self.headers:
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            known = name.title()
            headers[known] = f"{headers[known]}, {value}" if known in headers else value
        host, remote = self.headers.get("Host", ""), self.client_address[0]
        answer = self._answer(Request(self.command, path, headers, body, query, host, remote))
        content = answer.body
        self.send_response_only(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815  as the base class calls them

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as the base class calls it
        """Say nothing: what is worth knowing is in the data plane's report."""
