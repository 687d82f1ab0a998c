"""A data plane's counters, read again and again: what happened in a period is the difference of two readings."""

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from rehearsal.clock import Clock

EVERY_SECONDS = 5
"""The finest period in which anything is measured at the data plane; it divides a minute."""

_EARLY_SECONDS = 0.5
"""A clock may wake this much too soon: it is the end of the period all the same."""


class Counting(Protocol):
    """A data plane, as far as it counts."""

    def report(self) -> dict[str, Any]:
        """All counters since the start, as in `routing.Report`."""
        ...


class Period:
    """A period that has ended. Most are asked for again and again, and their readings only once."""

    def __init__(self, begins: int, ends: int, reading_at: Callable[[int], Mapping[str, Any]]) -> None:
        self.at = datetime.fromtimestamp(begins, UTC)
        self.begins = begins
        """Seconds since 1970."""
        self._ends = ends
        self._reading_at = reading_at

    @property
    def before(self) -> Mapping[str, Any]:
        """What the counters had come to at its beginning."""
        return self._reading_at(self.begins)

    @property
    def after(self) -> Mapping[str, Any]:
        """What they had come to at its end."""
        return self._reading_at(self._ends)


class CounterReadings:
    """
    Reads the data plane's counters every five simulated seconds while the context is open.

    A reading that comes late, because the clock hurries more than this machine can, counts what came until then; one
    that is left out leaves what it would have counted to the next.
    """

    def __init__(self, clock: Clock, data_plane: Counting) -> None:
        self._clock = clock
        self._data_plane = data_plane
        self._stopped = clock.event()
        self._thread = clock.rounds(self._run, self._stopped, name="counter-readings")
        self._times: list[int] = []
        """Seconds since 1970, as those of periods."""
        self._reports: list[Mapping[str, Any]] = []
        self._periods: dict[tuple[int, int], Period] = {}
        """By beginning and length: whoever asks for one asks again."""

    def install(self) -> None:
        """Begin to count from what the data plane has counted by now."""
        self._read()
        self._thread.start()

    def uninstall(self) -> None:
        """Read no more."""
        self._stopped.set()
        self._thread.join()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def periods(self, seconds: int, start: datetime, end: datetime) -> Iterator[Period]:
        """
        Yield the periods of so many seconds that begin from `start` to before `end` and are over.

        They begin at multiples of their seconds, which are a multiple of EVERY_SECONDS. The first is the one in which
        reading began.
        """
        newest, before = self._times[-1], end.timestamp()
        begins = _floor(max(start.timestamp(), self._times[0]), seconds)
        if begins < start.timestamp():
            begins += seconds
        while begins < before and begins + seconds <= newest:
            period = self._periods.get((begins, seconds))
            if period is None:
                period = self._periods[begins, seconds] = Period(begins, begins + seconds, self._reading_at)
            yield period
            begins += seconds

    def read_until(self) -> datetime:
        """Tell the end of the last period that is over."""
        return datetime.fromtimestamp(self._times[-1], UTC)

    def _reading_at(self, time: int) -> Mapping[str, Any]:
        return self._reports[max(bisect_right(self._times, time) - 1, 0)]

    def _run(self) -> Generator[float]:
        while not self._stopped.is_set():
            yield EVERY_SECONDS - self._clock.now().timestamp() % EVERY_SECONDS
            if not self._stopped.is_set():
                self._read()

    def _read(self) -> None:
        ended = _floor(self._clock.now().timestamp() + _EARLY_SECONDS, EVERY_SECONDS)
        if not self._times or ended > self._times[-1]:
            self._reports.append(self._data_plane.report())
            self._times.append(ended)


def _floor(time: float, seconds: int) -> int:
    return int(time // seconds) * seconds
