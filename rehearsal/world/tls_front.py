"""
TLS in front of servers that speak none: the PostgreSQL of the wheel is built without, and fakeredis knows none.

RDS refuses connections without TLS (`rds.force_ssl`, on by default from PostgreSQL 15), and ElastiCache with encryption
in transit, too. A process of its own accepts TLS and passes on what is in it. It decides nothing: when the server
behind is gone, so is the connection, and when there is none, a new one ends before its handshake.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.SSL.html
https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST

Lines of JSON, on standard input → on standard output:
    {"protocol": "postgresql" or "redis", "to": port}  →  {"port": where TLS is spoken now}
"""

import argparse
import asyncio
import signal
import socket
import ssl
import struct
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import Literal

from rehearsal.world.certificates import Certificate
from rehearsal.world.network import HOST
from rehearsal.world.processes import ChildProcess
from rehearsal.world.questions import answer, questions

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
SSL_REQUEST_GRANTED = b"S"
_HANDSHAKE_WITHIN_SECONDS = 5.0
_CHUNK = 1 << 16


class TlsFronts:
    """The parent's end of the process. Every front presents the same certificate. Raises ChildFailed."""

    def __init__(self, certificate: Certificate, log_directory: Path) -> None:
        arguments = ["--certificate", str(certificate.chain_file), "--key", str(certificate.key_file)]
        self._process = ChildProcess("rehearsal.world.tls_front", arguments, log_directory / "tls-front.log")

    def open(self, protocol: Literal["postgresql", "redis"], to: int) -> int:
        """Return the local port on which that protocol is spoken over TLS with the server on the local port `to`."""
        return int(self._process.ask({"protocol": protocol, "to": to})["port"])

    def stop(self) -> None:
        """Close all fronts and their connections; safe to repeat."""
        self._process.stop()


class EncryptedPort(ABC):
    """
    Accepts on one port, and encrypts as the protocol wants it; a subclass attends to what is said then.

    context: None for a protocol that is not encrypted there.
    """

    def __init__(self, protocol: str, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        self._begins_with_request = protocol == "postgresql"
        self._context = context
        self._listening = listening
        self._listening.setblocking(False)  # noqa: FBT003  the standard library's own signature
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    async def serve(self) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        with self._listening:
            while True:
                client, _ = await loop.sock_accept(self._listening)
                task = asyncio.create_task(self._attend(client))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                task.add_done_callback(partial(_close, client))

    @abstractmethod
    async def _attend(self, client: socket.socket) -> None:
        """Do all that is to be done for one client, which is closed at the end."""

    async def _encrypted(self, client: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raise OSError when the client does not begin as it should, or does not trust us."""
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio would, if it knew that it is TCP
        async with asyncio.timeout(_HANDSHAKE_WITHIN_SECONDS):
            if self._begins_with_request:
                await _grant_ssl_request(client)
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, client.dup(), ssl=self._context)
            return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class Front(EncryptedPort):
    """One port where TLS is spoken, in front of one where it is not."""

    def __init__(self, protocol: str, to: int, context: ssl.SSLContext) -> None:
        super().__init__(protocol, socket.create_server((HOST, 0), backlog=128), context)
        self._to = to

    async def _attend(self, client: socket.socket) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(HOST, self._to)
        except OSError:
            return
        try:
            from_client, to_client = await self._encrypted(client)
            try:
                await _pass_on_both(from_client, to_server, from_server, to_client)
            finally:
                to_client.close()
        except (OSError, asyncio.IncompleteReadError):  # refused, broken off, or too slow: the client knows
            return
        finally:
            to_server.close()


def server_context(chain_file: Path, key_file: Path) -> ssl.SSLContext:
    """Return what a server presents that certificate with."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain_file, key_file)
    return context


def _close(client: socket.socket, _: object) -> None:
    client.close()


async def _grant_ssl_request(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    received = b""
    while len(received) < len(SSL_REQUEST):
        more = await loop.sock_recv(client, len(SSL_REQUEST) - len(received))
        if not more:
            raise ConnectionAbortedError("gone before it said anything")
        received += more
    if received != SSL_REQUEST:
        raise ConnectionRefusedError("no connection without TLS")
    await loop.sock_sendall(client, SSL_REQUEST_GRANTED)


async def _pass_on_both(
    from_client: asyncio.StreamReader,
    to_server: asyncio.StreamWriter,
    from_server: asyncio.StreamReader,
    to_client: asyncio.StreamWriter,
) -> None:
    """Return when either side has ended: neither protocol goes on in one direction alone."""
    directions = [
        asyncio.create_task(_pass_on(from_client, to_server)),
        asyncio.create_task(_pass_on(from_server, to_client)),
    ]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


async def serve(context: ssl.SSLContext) -> None:
    """Open what the parent asks for, until it stops asking."""
    fronts = []
    async for question in questions():
        front = Front(question["protocol"], question["to"], context)
        fronts.append(asyncio.create_task(front.serve()))
        answer({"port": front.port})


def main() -> None:
    """Run until standard input ends or SIGTERM comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for our parent
    asyncio.run(serve(server_context(options.certificate, options.key)))


if __name__ == "__main__":
    main()
