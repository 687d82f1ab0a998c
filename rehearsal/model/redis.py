"""
A cache that knows its AUTH token, and how to answer a PING.

That is all that the shipped check asks of a cache. The model speaks Redis's protocol to it, of version 2, or of 3 when
a client says HELLO 3. The sessions of the model's applications are their own affair.
https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

import asyncio
import hmac
from typing import Self

from rehearsal.model.door import Door
from rehearsal.world.certificates import Certificate
from rehearsal.world.network import HOST

_OK = b"+OK\r\n"
_WRONG_PASSWORD = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
_NOT_AUTHENTICATED = b"-NOAUTH Authentication required.\r\n"


class ModelCache:
    """
    Stands in for `world.cache.Cache`, and starts and stops at once. Without a `token` it takes any, as Redis does.

    It opens no socket and starts no thread before `listen`, so that it can be made in one process and used in another
    that was forked from it.
    """

    def __init__(self, token: str | None = None) -> None:
        self._token = None if token is None else token.encode()
        self._is_up = False
        self._door: Door | None = None

    # -- as every cache

    @property
    def port(self) -> int:
        """Where it listens; the same after it was stopped and started. Not to be asked before `listen`."""
        assert self._door is not None, "the model does not listen yet"
        return self._door.port

    @property
    def address(self) -> str:
        """What a client on this machine connects to, `host:port`."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Be up; listen again, if it did."""
        self._is_up = True
        if self._door is not None:
            self._door.open()

    def stop(self) -> None:
        """Break connections, and refuse new ones. Safe to repeat."""
        self._is_up = False
        if self._door is not None:
            self._door.shut()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._door is not None:
            self._door.remove()

    # -- as a model

    def is_up(self) -> bool:
        """Whether it would answer."""
        return self._is_up

    def listen(self, certificate: Certificate | None) -> int:
        """Let clients in from now on, whenever it is up. Return the port; without a certificate it has no TLS."""
        self._door = Door("redis", certificate, self._speak)
        if self._is_up:
            self._door.open()
        return self._door.port

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self._token)
        while True:
            try:
                words = await _command(reader)
            except (ValueError, asyncio.LimitOverrunError):
                writer.write(b"-ERR Protocol error\r\n")
                return
            writer.write(connection.answer(words))


class _Connection:
    """What is remembered of one client."""

    def __init__(self, token: bytes | None) -> None:
        self._token = token
        self._is_authenticated = token is None

    def answer(self, words: list[bytes]) -> bytes:
        """Answer one command. Its words are not repeated in errors: they may be a token."""
        match [words[0].upper(), *words[1:]]:
            case [b"AUTH", token] | [b"AUTH", b"default", token]:
                return self._authenticate(token) or _OK
            case [b"HELLO", b"2" | b"3" as version, *options]:
                return self._hello(version, options)
            case _ if not self._is_authenticated:
                return _NOT_AUTHENTICATED
            case [b"PING"]:
                return b"+PONG\r\n"
            case [b"CLIENT", about, *_] if about.upper() == b"SETINFO":
                return _OK
        return b"-ERR unknown command\r\n"

    def _authenticate(self, token: bytes) -> bytes:
        """Return an error, or nothing."""
        if self._token is not None and not hmac.compare_digest(self._token, token):
            return _WRONG_PASSWORD
        self._is_authenticated = True
        return b""

    def _hello(self, version: bytes, options: list[bytes]) -> bytes:
        """Introduce ourselves, in the version of the protocol that is spoken from now on."""
        match [option.upper() for option in options[:1]], options[1:]:
            case [b"AUTH"], [b"default", token]:
                if refused := self._authenticate(token):
                    return refused
            case [b"AUTH"], [_, _]:
                return _WRONG_PASSWORD
        if not self._is_authenticated:
            return _NOT_AUTHENTICATED
        start = b"%2" if version == b"3" else b"*4"
        return start + b"\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:" + version + b"\r\n"


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    """Read one array of strings. Raises ValueError for anything else."""
    return [await _word(reader) for _ in range(await _number(reader, b"*"))]


async def _word(reader: asyncio.StreamReader) -> bytes:
    length = await _number(reader, b"$")
    return (await reader.readexactly(length + 2))[:-2]


async def _number(reader: asyncio.StreamReader, mark: bytes) -> int:
    """Read a line that is a mark and a number of at least one."""
    line = await reader.readuntil(b"\r\n")
    number = int(line[1:])
    if line[:1] != mark or number < 1:
        raise ValueError(line)
    return number
