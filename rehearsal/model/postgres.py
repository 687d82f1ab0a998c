"""
A database server that knows who may log in, and that 1 is 1.

That is all that the shipped check asks of a database. The model speaks PostgreSQL's protocol to it, so that driver, TLS
and password are what they are in AWS. The rows of the model's applications are their own affair.
https://www.postgresql.org/docs/18/protocol.html
"""

import asyncio
import secrets
import struct
from typing import Any

from scramp import ScramException, ScramMechanism

from rehearsal.model.door import Door
from rehearsal.world.certificates import Certificate
from rehearsal.world.postgres import CopyFailed

_VERSION_3_0 = 196608
_MECHANISM = "SCRAM-SHA-256"
_INT4 = 23
_ANY_DATABASE = "postgres"


class ModelPostgres:
    """
    A `world.servers.Server` that starts, ends and is copied at once.

    It opens no socket and starts no thread before `listen`, so that it can be made in one process and used in another
    that was forked from it.
    """

    def __init__(self) -> None:
        self.copies: dict[str, tuple[set[str], dict[str, Any]]] = {}
        """Databases and roles, by the name of each copy."""
        self._is_up = False
        self._databases = {_ANY_DATABASE}
        self._roles: dict[str, Any] = {}
        self._door: Door | None = None

    # -- as every server of an instance

    @property
    def port(self) -> int:
        """Where it listens, with TLS; the same after it was killed and started. Not to be asked before `listen`."""
        assert self._door is not None, "the model does not listen yet"
        return self._door.port

    def create(self, master: str, password: str, database: str | None) -> None:
        """Start with a master user, and perhaps a database beside the one that is always there."""
        self._add_role(master, password)
        if database:
            self._databases.add(database)
        self.start()

    def create_application(self, database: str, username: str, password: str, schema: str) -> None:
        """Create a role; there are no tables."""
        del database, schema
        self._add_role(username, password)

    def create_visitor(self, database: str, username: str, password: str) -> None:
        """Create a role, which may do no less than others: all that anybody can do is SELECT 1."""
        del database
        self._add_role(username, password)

    def run(self, database: str, statement: str) -> None:
        """Do nothing: here are no rows."""
        del database, statement

    def start(self) -> None:
        """Be up; listen again, if it did."""
        self._is_up = True
        if self._door is not None:
            self._door.open()

    def kill(self) -> None:
        """Break connections, and refuse new ones. Safe to repeat."""
        self._is_up = False
        if self._door is not None:
            self._door.shut()

    def copy_as(self, name: str) -> None:
        """Keep who may log in. Raises CopyFailed when it is down."""
        if not self._is_up:
            raise CopyFailed("the server is down")
        self.copies[name] = (set(self._databases), dict(self._roles))

    def copy_again(self, name: str, other_name: str) -> None:
        """Keep a copy that there is by another name, too. Raises KeyError."""
        self.copies[other_name] = self.copies[name]

    def restore(self, source: "ModelPostgres", name: str) -> None:
        """Start with those who could log in to another one when it was copied. Raises KeyError."""
        databases, roles = source.copies[name]
        self._databases, self._roles = set(databases), dict(roles)
        self.start()

    @property
    def keeps_log(self) -> bool:
        """Without rows there is nothing to be logged."""
        return False

    def roll_forward(self, source: "ModelPostgres", name: str, until: float) -> None:
        """Start as the copy: who may log in does not change."""
        del until
        self.restore(source, name)

    def remove(self) -> None:
        """End it, and let others have its port."""
        self.kill()
        if self._door is not None:
            self._door.remove()

    # -- as a model

    def is_up(self) -> bool:
        """Whether it would answer."""
        return self._is_up

    def listen(self, certificate: Certificate) -> int:
        """Let clients in from now on, whenever it is up. Return the port, on which only TLS is spoken, as by RDS."""
        self._door = Door("postgresql", certificate, self._speak)
        if self._is_up:
            self._door.open()
        return self._door.port

    def _add_role(self, username: str, password: str) -> None:
        self._roles[username] = _secret(password)

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(reader, writer)
        asked = await client.startup()
        if asked is None:
            return
        user = asked.get("user", "")
        if not await client.knows_password(self._roles.get(user)):
            client.send(_error("28P01", f'password authentication failed for user "{user}"', "FATAL"))
        elif (database := asked.get("database", user)) not in self._databases:
            client.send(_error("3D000", f'database "{database}" does not exist', "FATAL"))
        else:
            client.send(_WELCOME)
            await client.answer_queries()


class _Client:
    """One connection, from its start-up on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, answer: bytes) -> None:
        """Answers are far too short to wait for."""
        self._writer.write(answer)

    async def startup(self) -> dict[str, str] | None:
        """Return the parameters; None when they are of a protocol that we do not speak."""
        length, version = struct.unpack("!ii", await self._reader.readexactly(8))
        if version != _VERSION_3_0:
            self.send(_error("0A000", f"the model speaks protocol 3.0, not {version >> 16}.{version & 65535}", "FATAL"))
            return None
        words = (await self._reader.readexactly(length - 8)).decode().split("\0")
        return dict(zip(words[::2], words[1::2], strict=False))

    async def knows_password(self, secret: Any) -> bool:
        """
        Let the client prove it. Without a secret, as of a role that does not exist, there is nothing to know.

        Such a client is asked all the same, as PostgreSQL does.
        https://www.postgresql.org/docs/18/sasl-authentication.html
        """
        secret = secret or _secret(secrets.token_hex())
        server = ScramMechanism(_MECHANISM).make_server(lambda _: secret)
        try:
            self.send(_authentication(10, _MECHANISM.encode() + b"\0\0"))
            _, initial = await self._receive()
            mechanism, _, response = initial.partition(b"\0")
            if mechanism.decode() != _MECHANISM:
                return False
            server.set_client_first(response[4:].decode())
            self.send(_authentication(11, server.get_server_first().encode()))
            _, final = await self._receive()
            server.set_client_final(final.decode())
        except ScramException:
            return False
        self.send(_authentication(12, server.get_server_final().encode()))
        return True

    async def answer_queries(self) -> None:
        """Answer until the client terminates. After an error all is skipped up to the next Sync."""
        skipping = False
        while True:
            kind, content = await self._receive()
            if kind == b"X":
                return
            if kind == b"S":
                skipping = False
                self.send(_READY)
            elif not skipping:
                answer = _answer(kind, content)
                skipping = answer.startswith(b"E") and kind != b"Q"
                self.send(answer)

    async def _receive(self) -> tuple[bytes, bytes]:
        """Return the kind of a message, and what is in it."""
        kind, length = struct.unpack("!ci", await self._reader.readexactly(5))
        return kind, await self._reader.readexactly(length - 4)


def _answer(kind: bytes, content: bytes) -> bytes:
    """Answer Query, or Parse, Bind, Describe, Execute, Close and Flush of the extended protocol."""
    if kind == b"Q":
        problem = _problem_with(content.rstrip(b"\0"))
        return (problem or _COLUMNS + _ROW + _COMPLETE) + _READY
    if kind == b"P":
        return _problem_with(content.split(b"\0")[1]) or _message(b"1")
    if kind == b"D":
        return _NO_PARAMETERS + _COLUMNS if content.startswith(b"S") else _COLUMNS
    unknown = _error("08P01", f"the model does not know messages of the kind {kind!r}")
    return {b"B": _message(b"2"), b"E": _ROW + _COMPLETE, b"C": _message(b"3"), b"H": b""}.get(kind, unknown)


def _problem_with(query: bytes) -> bytes:
    """Return an error, or nothing."""
    if query.strip().rstrip(b";").upper() == b"SELECT 1":
        return b""
    return _error("0A000", "the model knows no query but SELECT 1")


def _secret(password: str) -> Any:
    """Return what a server keeps of a password."""
    return ScramMechanism(_MECHANISM).make_auth_info(password)


def _message(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack("!ci", kind, len(content) + 4) + content


def _error(code: str, message: str, severity: str = "ERROR") -> bytes:
    fields = {"S": severity, "V": severity, "C": code, "M": message}
    return _message(b"E", *(f"{name}{text}\0".encode() for name, text in fields.items()), b"\0")


def _authentication(step: int, data: bytes = b"") -> bytes:
    return _message(b"R", struct.pack("!i", step), data)


_READY = _message(b"Z", b"I")
_WELCOME = (
    _authentication(0)
    + _message(b"S", b"server_version\0", b"18.4\0")
    + _message(b"S", b"client_encoding\0", b"UTF8\0")
    + _READY
)
_NO_PARAMETERS = _message(b"t", struct.pack("!h", 0))
_COLUMNS = _message(b"T", struct.pack("!h", 1), b"?column?\0", struct.pack("!ihihih", 0, 0, _INT4, 4, -1, 0))
_ROW = _message(b"D", struct.pack("!hi", 1, 1), b"1")
_COMPLETE = _message(b"C", b"SELECT 1\0")
