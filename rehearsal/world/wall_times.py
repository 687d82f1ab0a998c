"""
Which moment of the wall a simulated one was: a real server writes its log by the wall, and is asked by the other.

RDS restores to any second, so a second is what is kept.
"""

import time
from bisect import bisect_right
from collections.abc import Generator
from datetime import datetime

from rehearsal.clock import Clock, ClockEvent


class WallTimes:
    """Notes every second from `begin` on, until `ended` is set."""

    def __init__(self, clock: Clock, ended: ClockEvent) -> None:
        self._clock, self._ended = clock, ended
        self._seconds: list[float] = []
        self._walls: list[float] = []
        self._has_begun = False

    def begin(self) -> None:
        """Begin to note. Safe to repeat."""
        if not self._has_begun:
            self._has_begun = True
            self._clock.rounds(self._note, self._ended, name="wall-times").start()

    def at(self, moment: datetime) -> float | None:
        """Return the moment in seconds since the epoch; None when it was before the first note."""
        index = bisect_right(self._seconds, moment.timestamp())
        return self._walls[index - 1] if index else None

    def _note(self) -> Generator[float]:
        while not self._ended.is_set():
            now = self._clock.now().timestamp()
            self._seconds.append(now)
            self._walls.append(time.time())
            yield int(now) + 1 - now
