"""The model applications' request logs, in the log group of moto that a LogShipper ships to."""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple, Self

from rehearsal.clock import Clock
from rehearsal.world.application import Identity, RequestLog, request_line
from rehearsal.world.request_logs import RequestLogGroup


class _Line(NamedTuple):
    """What becomes a line when somebody reads it. Most lines are never read."""

    at: datetime
    identity: Identity
    method: str
    path: str
    status: int
    seconds: float


class ModelRequestLogs:
    """
    Whatever is written is in the group when anybody reads it, with the simulated time of its request.

    To write takes no lock: what serves real connections is foreign to virtual time and must wait for nobody there.
    """

    def __init__(
        self, clock: Clock, account: str, region: str, *, account_lock: AbstractContextManager[Any], group: str
    ) -> None:
        self._clock = clock
        self._group = RequestLogGroup(account, region, group, account_lock)
        self._written: deque[_Line] = deque()

    def log_of(self, identity: Identity) -> RequestLog:
        """Return the log of an instance."""
        return _Log(identity, self._clock, self._written.append)

    def install(self) -> None:
        """Make the group, when there is none."""
        self._group.install(before_reading=self.ship)

    def uninstall(self) -> None:
        """Put what is left into the group."""
        self.ship()
        self._group.uninstall()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def ship(self) -> None:
        """Put what was written up to now into the group."""
        events: dict[str, list[dict[str, Any]]] = {}
        with self._group.account_lock:
            while self._written:
                line = self._written.popleft()
                timestamp = int(line.at.timestamp() * 1000)
                message = request_line(line.identity, timestamp, *line[2:])
                events.setdefault(line.identity.instance, []).append({"timestamp": timestamp, "message": message})
            for instance, batch in events.items():
                self._group.put(instance, batch)


class _Log:
    def __init__(self, identity: Identity, clock: Clock, write: Callable[[_Line], None]) -> None:
        self._identity = identity
        self._clock = clock
        self._write = write

    def write(self, method: str, path: str, status: int, seconds: float) -> None:
        self._write(_Line(self._clock.now(), self._identity, method, path, status, seconds))
