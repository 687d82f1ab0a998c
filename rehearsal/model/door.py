"""
Where functions, which are real programs, get into a model: a port on loopback, with TLS spoken by the model itself.

Whatever serves there is foreign to virtual time. It waits for sockets only and never for the rehearsal's clock, and it
wakes nobody there.
"""

import asyncio
import socket
import ssl
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine
from typing import Any

from rehearsal.engine import nearby
from rehearsal.world.certificates import Certificate
from rehearsal.world.network import HOST
from rehearsal.world.tls_front import SSL_REQUEST, SSL_REQUEST_GRANTED, EncryptedPort, server_context

Speak = Callable[[StreamReader, StreamWriter], Coroutine[Any, Any, None]]
"""Talks with one client until either has had enough. May raise OSError and IncompleteReadError: the client is gone."""


class Door:
    """
    Keeps its port, bound, from its making to `remove`; only between `open` and `shut` somebody listens there.

    certificate: None where nothing is encrypted.
    """

    def __init__(self, protocol: str, certificate: Certificate | None, speak: Speak) -> None:
        self._protocol = protocol
        self._context = None if certificate is None else server_context(certificate.chain_file, certificate.key_file)
        self._speak = speak
        self._kept = _bound(0)
        self.port = int(self._kept.getsockname()[1])
        self._attendant: _Attendant | None = None

    def open(self) -> None:
        """Return when clients can connect; safe to repeat."""
        if self._attendant is None:
            listening = _bound(self.port)
            listening.listen(128)
            self._attendant = _Attendant(_Port(self._protocol, listening, self._context, self._speak))
            if self._context is not None:
                nearby.announce(self.port, self)

    def shut(self) -> None:
        """Return when all connections are broken and new ones are refused; safe to repeat."""
        nearby.withdraw(self.port, self)
        if self._attendant is not None:
            self._attendant.stop()
            self._attendant = None

    @property
    def asked_for_tls(self) -> tuple[bytes, bytes]:
        """What PostgreSQL's clients say first; others begin with TLS."""
        return (SSL_REQUEST, SSL_REQUEST_GRANTED) if self._protocol == "postgresql" else (b"", b"")

    def converse(self) -> nearby.Conversation:
        """Talk with a client in this process."""
        return nearby.Spoken(self._speak)

    def remove(self) -> None:
        """Let others have the port, too."""
        self.shut()
        self._kept.close()


class _Attendant:
    """A thread that serves a port until it is stopped."""

    def __init__(self, port: EncryptedPort) -> None:
        self._told_to_stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(port,), name="model-door", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._told_to_stop.set)
        self._thread.join()

    def _run(self, port: EncryptedPort) -> None:
        """At its end the runner cancels what is under way."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(port))

    async def _serve(self, port: EncryptedPort) -> None:
        serving = asyncio.create_task(port.serve())
        await self._told_to_stop.wait()
        serving.cancel()


class _Port(EncryptedPort):
    def __init__(self, protocol: str, listening: socket.socket, context: ssl.SSLContext | None, speak: Speak) -> None:
        super().__init__(protocol, listening, context)
        self._speak = speak

    async def _attend(self, client: socket.socket) -> None:
        try:
            reader, writer = await self._encrypted(client)
            try:
                await self._speak(reader, writer)
            finally:
                writer.transport.abort()  # to close would wait for the client's word, also when we are told to stop
        except (OSError, asyncio.IncompleteReadError):  # refused, broken off, or too slow: the client knows
            return


def _bound(port: int) -> socket.socket:
    """Bind so that the port can be bound once more, by us, as `world.network` does for instances."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((HOST, port))
    return made
