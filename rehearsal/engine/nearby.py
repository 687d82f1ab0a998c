"""
Who listens in this process: with him a function can talk without a socket, once it has been shown that it could with.

A check connects anew each simulated minute. To accept, to shake hands and to hand everything from thread to thread
takes a hundred times longer than what is said then. See `shortcuts.connecting` for who makes use of this.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol


class Conversation(Protocol):
    """What a listener says to one client, after TLS was agreed upon."""

    def hear(self, said: bytes) -> None:
        """Listen to the client."""
        ...

    def answer(self) -> bytes:
        """Return what there is to say to all that was heard; nothing more when it is over, or waits for more."""
        ...

    def end(self) -> None:
        """Note that the client is gone."""
        ...


class Listener(Protocol):
    """Who listens on a port of this machine. To connect to the same one means to be shown the same certificate."""

    @property
    def asked_for_tls(self) -> tuple[bytes, bytes]:
        """What a client says before TLS begins, and what it is answered."""
        ...

    def converse(self) -> Conversation:
        """Begin to talk with one more client."""
        ...


_listeners: dict[int, Listener] = {}


def announce(port: int, listener: Listener) -> None:
    """Let clients in this process know who listens there."""
    _listeners[port] = listener


def withdraw(port: int, listener: Listener) -> None:
    """Let this one not be known to listen there; safe to repeat, also when somebody else has the port by then."""
    if _listeners.get(port) is listener:
        del _listeners[port]


def listener_on(port: int) -> Listener | None:
    """Tell who listens there now, None for anybody whom this process knows nothing of."""
    return _listeners.get(port)


class Spoken:
    """
    A conversation that was written for asyncio's streams, without a loop: it goes on while it has something to read.

    speak: is given a reader and a writer, which have of asyncio's what conversations need.
    """

    def __init__(self, speak: Callable[[Any, Any], Coroutine[Any, Any, None]]) -> None:
        self._heard = bytearray()
        self._is_alone = False
        self._answer = bytearray()
        self._talk = speak(self, self)
        self._is_over = False

    # -- as every conversation

    def hear(self, said: bytes) -> None:
        """Listen to the client."""
        self._heard += said

    def answer(self) -> bytes:
        """Speak until more would have to be heard first."""
        if not self._is_over:
            try:
                self._talk.send(None)
            except (StopIteration, OSError, asyncio.IncompleteReadError):
                self._is_over = True
        said, self._answer = bytes(self._answer), bytearray()
        return said

    def end(self) -> None:
        """Let the other side read the end."""
        self._is_alone = True
        self.answer()
        self._talk.close()

    # -- as asyncio's reader and writer

    async def readexactly(self, count: int) -> bytes:
        """Return so many bytes. Raises IncompleteReadError when the client is gone before."""
        while len(self._heard) < count:
            await self._more(count)
        return self._taken(count)

    async def readuntil(self, separator: bytes) -> bytes:
        """Return what comes up to a separator, which is included. Raises IncompleteReadError as above."""
        while (found := self._heard.find(separator)) < 0:
            await self._more(None)
        return self._taken(found + len(separator))

    def write(self, data: bytes) -> None:
        """Say something."""
        self._answer += data

    async def _more(self, expected: int | None) -> None:
        if self._is_alone:
            raise asyncio.IncompleteReadError(bytes(self._heard), expected)
        await _Pause()

    def _taken(self, count: int) -> bytes:
        taken = bytes(self._heard[:count])
        del self._heard[:count]
        return taken


class _Pause:
    """Hands control back to who makes the conversation go on."""

    def __await__(self) -> Any:
        yield
