"""Metrics that are looked up once a minute: how many hosts are healthy, and how much instances and database bear."""

from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self

from rehearsal.clock import Clock
from rehearsal.engine.metrics import (
    STANDARD_SECONDS,
    Datapoint,
    Metric,
    Tally,
    by_period,
    minutes,
    published_until,
    require_period,
)

PUBLISHED_AFTER_SECONDS = 60
"""How long after its end a minute is in CloudWatch. AWS names no figure; a minute is what is usual."""

_EARLY_SECONDS = 0.5
"""A clock may wake this much too soon: it is the end of the minute all the same."""


class Reading(NamedTuple):
    """What a metric is at the moment: a value, or one for each of those of whom the metric is."""

    metric: Metric
    values: tuple[float, ...]
    unit: str


class GaugeMetrics:
    """What somebody who looks at the end of each minute finds, a minute later, while the context is open."""

    def __init__(self, clock: Clock, looks: Iterable[Callable[[], Iterable[Reading]]]) -> None:
        self._clock = clock
        self._looks = tuple(looks)
        self._found: dict[datetime, Mapping[Metric, Datapoint]] = {}
        self._noted_until = clock.now()
        self._stopped = clock.event()
        self._thread = clock.rounds(self._run, self._stopped, name="gauges")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def datapoints(self, metric: Metric, start: datetime, end: datetime, period: int) -> list[Datapoint]:
        """Return what can be known of a metric by now, see MetricSource."""
        require_period(period, STANDARD_SECONDS)
        published = self._clock.now() - timedelta(seconds=PUBLISHED_AFTER_SECONDS + STANDARD_SECONDS)
        known = (self._found[at] for at in minutes(start, end) if at <= published and at in self._found)
        return by_period((found[metric] for found in known if metric in found), start, end, period)

    def settled_until(self) -> datetime:
        """Minutes are noted one after the other, and published later."""
        published = published_until(self._clock.now(), PUBLISHED_AFTER_SECONDS, STANDARD_SECONDS)
        return min(published, self._noted_until)

    def _run(self) -> Generator[float]:
        """Note what is found as that of the minute which ends; one that the clock passes over has none."""
        while not self._stopped.is_set():
            now = self._clock.now().timestamp()
            ends = (now + _EARLY_SECONDS) // STANDARD_SECONDS * STANDARD_SECONDS + STANDARD_SECONDS
            yield ends - now
            if not self._stopped.is_set():
                at = datetime.fromtimestamp(ends - STANDARD_SECONDS, UTC)
                found = (each for look in self._looks for each in look() if each.values)
                self._found[at] = {each.metric: Datapoint(at, _tally(each.values), each.unit) for each in found}
                self._noted_until = datetime.fromtimestamp(ends, UTC)


def _tally(values: Iterable[float]) -> Tally:
    tally = Tally()
    for value in values:
        tally.add(Tally.of(value))
    return tally
