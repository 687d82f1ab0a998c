"""A web site on this machine that does what a test wants of it, right or wrong."""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Self

from rehearsal.world.certificates import Certificate

Behavior = Callable[[ssl.SSLSocket, Event], None]


def answering(status: str = "200 OK", body: str = "", **headers: str) -> Behavior:
    """Return what a well-behaved server does."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    content = "\r\n".join([*lines, "", body]).encode()
    return lambda connection, _: connection.sendall(content)


def silent(_: ssl.SSLSocket, released: Event) -> None:
    """Answer nothing until the test is over, or has waited for some seconds."""
    released.wait(3)


def hanging_up(_: ssl.SSLSocket, __: Event) -> None:
    """Close the connection without an answer."""


def trickling(start: bytes) -> Behavior:
    """Return what sends this, and then byte after byte for some seconds, or until the test is over."""

    def trickle(connection: ssl.SSLSocket, released: Event) -> None:
        connection.sendall(start)
        for _ in range(300):
            if released.wait(0.01):
                return
            connection.sendall(b"x")

    return trickle


@dataclass
class Site:
    """A server for TLS on loopback. `requests` is what arrived, head and body."""

    certificate: Certificate
    behavior: Behavior = field(default_factory=answering)
    requests: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Self:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.chain_file, self.certificate.key_file)
        self._context = context
        self._released = Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads = [Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listening.close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://localhost:{self._listening.getsockname()[1]}"

    def _accept(self) -> None:
        with suppress(OSError):  # no longer listening
            while True:
                connection, _ = self._listening.accept()
                thread = Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # not trusted, or gone
            connection.settimeout(5)
            with self._context.wrap_socket(connection, server_side=True) as encrypted:
                if request := _read(encrypted):
                    self.requests.append(request)
                    self.behavior(encrypted, self._released)


def _read(connection: ssl.SSLSocket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received or _missing(received):
        more = connection.recv(65536)
        if not more:
            break
        received += more
    return received


def _missing(received: bytes) -> int:
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return sum(lengths) - len(body)
