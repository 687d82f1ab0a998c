"""One clock for the whole rehearsal: a bake of thirty minutes takes seconds, and a time-out still means a time-out."""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, Literal, Protocol

LONGEST_WALL_WAIT_SECONDS = 3600.0
"""Longer waits are cut into slices: `Condition.wait` cannot wait for every 99,999,999 s that States Language allows."""


class ClockEvent(Protocol):
    """`threading.Event`, with `wait` in simulated seconds."""

    def set(self) -> None:
        """Wake all who wait."""
        ...

    def clear(self) -> None:
        """Let the next wait block."""
        ...

    def is_set(self) -> bool:
        """Say whether a wait would return at once."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Say whether the event was set at any moment of the wait, even if it was cleared again at once."""
        ...


class Clock(Protocol):
    """
    What everything that waits in a rehearsal waits on; all durations are simulated seconds.

    Waiting, waking and starting threads go through the clock and nothing else, so that a scheduler which runs one
    thread at a time and jumps over idle time can take the place of TwoSpeedClock.
    """

    def now(self) -> datetime:
        """Tell the simulated time of day, aware, in UTC."""
        ...

    def seconds(self) -> float:
        """Count the simulated seconds since the clock started; never goes back."""
        ...

    def stamp(self) -> float:
        """
        Tell the seconds by which users, calls and states are put in order: of the wall where users are real.

        Users that send over real sockets know no other time; users that are a model know the simulated one.
        """
        ...

    def seconds_at(self, stamp: float) -> float:
        """Tell which simulated second it was when `stamp` told this; before the clock started, its first one."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after so many simulated seconds."""
        ...

    def event(self) -> ClockEvent:
        """Make an event that is not set."""
        ...

    def thread(
        self,
        target: Callable[..., object],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        daemon: bool | None = None,
    ) -> threading.Thread:
        """Make a thread, not yet started, whose `join` counts simulated seconds."""
        ...

    def rounds(
        self, rounds: Callable[[], Generator[float | None]], until: ClockEvent, *, name: str
    ) -> threading.Thread:
        """
        Make a thread, not yet started, of a generator that waits in no other way than by yielding.

        It yields for how many simulated seconds it waits, or less if `until` is set before: it looks for that itself.
        """
        ...

    def at_real_speed(self) -> AbstractContextManager[None]:
        """Let a simulated second be a wall second while any such context is open, in whatever thread."""
        ...

    def pace(self, speed: float) -> None:
        """Take another speed for the time in which everything waits."""
        ...

    @property
    def speed(self) -> float:
        """Simulated seconds per wall second, now."""
        ...


class TwoSpeedClock:
    """
    Real speed while code that really takes time runs, `speed` times faster while everything waits.

    Plain scaling would be wrong: at 60 times the speed a cold start of half a second is thirty seconds, and every
    time-out fires falsely. A change of speed re-plans the waits under way.
    """

    def __init__(self, speed: float = 100.0, start: datetime | None = None) -> None:
        self._lock = threading.RLock()
        self._waiting: list[threading.Condition] = []
        self._start = start or datetime.now(UTC)
        self._fast_speed = _checked(speed)
        self._open_at_real_speed = 0
        self._simulated_at_change = 0.0
        self._wall_at_change = time.monotonic()
        self._changes: list[tuple[float, float, float]] = [(self._wall_at_change, 0.0, self.speed)]
        self._wall_seconds_by_speed: dict[float, float] = {}

    def now(self) -> datetime:
        """Tell the simulated time of day, aware, in UTC."""
        return self._start + timedelta(seconds=self.seconds())

    def seconds(self) -> float:
        """Count the simulated seconds since the clock started."""
        with self._lock:
            return self._simulated_at_change + (time.monotonic() - self._wall_at_change) * self.speed

    def stamp(self) -> float:
        """Tell `time.monotonic()`, which all processes of this machine share."""
        return time.monotonic()

    def seconds_at(self, stamp: float) -> float:
        """Look up how fast the clock went then; before it started, tell its first second."""
        with self._lock:
            wall, simulated, speed = self._changes[max(bisect_right(self._changes, (stamp, inf, inf)) - 1, 0)]
        return simulated + max(stamp - wall, 0.0) * speed

    def sleep(self, seconds: float) -> None:
        """Return after so many simulated seconds, at whatever speeds those pass."""
        self._wait_until(_never, threading.Condition(self._lock), seconds)

    def event(self) -> ClockEvent:
        """Make an event that is not set."""
        return _Event(threading.Condition(self._lock), self._wait_until)

    def thread(
        self,
        target: Callable[..., object],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        daemon: bool | None = None,
    ) -> threading.Thread:
        """Make a thread, not yet started, whose `join` counts simulated seconds."""
        thread = _Thread(target=target, args=tuple(args), kwargs=dict(kwargs or {}), name=name, daemon=daemon)
        thread.has_ended = self.event()
        return thread

    def rounds(
        self, rounds: Callable[[], Generator[float | None]], until: ClockEvent, *, name: str
    ) -> threading.Thread:
        """Make a thread that does the rounds, and waits between them."""

        def run() -> None:
            for seconds in rounds():
                until.wait(seconds)

        return self.thread(run, name=name, daemon=True)

    @contextmanager
    def at_real_speed(self) -> Iterator[None]:
        """Let a simulated second be a wall second while any such context is open, in whatever thread."""
        self._change_speed(real_speed_by=1)
        try:
            yield
        finally:
            self._change_speed(real_speed_by=-1)

    def pace(self, speed: float) -> None:
        """Take another fast speed from now on, as states do in which traffic is judged."""
        self._change_speed(fast_speed=_checked(speed))

    @property
    def mode(self) -> Literal["real", "fast"]:
        """Which of the two speeds the clock runs at, now."""
        return "real" if self._open_at_real_speed else "fast"

    @property
    def speed(self) -> float:
        """Simulated seconds per wall second, now."""
        return 1.0 if self._open_at_real_speed else self._fast_speed

    @property
    def speeds(self) -> dict[float, float]:
        """Wall seconds spent so far at each speed, for the report."""
        with self._lock:
            spent = dict(self._wall_seconds_by_speed)
            spent[self.speed] = spent.get(self.speed, 0.0) + time.monotonic() - self._wall_at_change
            return spent

    def _change_speed(self, *, real_speed_by: int = 0, fast_speed: float | None = None) -> None:
        with self._lock:
            wall = time.monotonic()
            elapsed_wall = wall - self._wall_at_change
            self._simulated_at_change += elapsed_wall * self.speed
            self._wall_seconds_by_speed[self.speed] = self._wall_seconds_by_speed.get(self.speed, 0.0) + elapsed_wall
            self._wall_at_change = wall
            speed_before = self.speed
            self._open_at_real_speed += real_speed_by
            self._fast_speed = fast_speed or self._fast_speed
            if self.speed != speed_before:
                self._changes.append((wall, self._simulated_at_change, self.speed))
                for condition in self._waiting:
                    condition.notify_all()

    def _wait_until(self, done: Callable[[], bool], condition: threading.Condition, timeout: float | None) -> bool:
        """Whether `done` came true within `timeout` simulated seconds, at whatever speeds those pass."""
        with self._lock:
            deadline = None if timeout is None else self.seconds() + timeout
            self._waiting.append(condition)
            try:
                while not done():
                    wall_seconds = LONGEST_WALL_WAIT_SECONDS
                    if deadline is not None:
                        wall_seconds = min((deadline - self.seconds()) / self.speed, wall_seconds)
                        if wall_seconds <= 0:
                            return False
                    condition.wait(wall_seconds)
                return True
            finally:
                self._waiting.remove(condition)


class _Event:
    """Counts how often it was set: moto sets and clears at once, and a waiter that looks at a flag would miss it."""

    def __init__(
        self,
        condition: threading.Condition,
        wait_until: Callable[[Callable[[], bool], threading.Condition, float | None], bool],
    ) -> None:
        self._condition = condition
        self._wait_until = wait_until
        self._is_set = False
        self._times_set = 0

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        with self._condition:
            self._is_set = True
            self._times_set += 1
            self._condition.notify_all()

    def clear(self) -> None:
        with self._condition:
            self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        with self._condition:
            seen = self._times_set
            return self._wait_until(lambda: self._is_set or self._times_set != seen, self._condition, timeout)


class _Thread(threading.Thread):
    has_ended: ClockEvent

    def run(self) -> None:
        try:
            super().run()
        finally:
            self.has_ended.set()

    def join(self, timeout: float | None = None) -> None:
        if self.has_ended.wait(timeout):
            super().join()


def _checked(speed: float) -> float:
    if speed <= 0:
        raise ValueError(f"a clock's speed must be positive, not {speed}")
    return speed


def _never() -> bool:
    return False
