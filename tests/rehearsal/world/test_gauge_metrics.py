"""Somebody looks at the end of each minute, once."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from rehearsal.engine.metrics import Metric
from rehearsal.engine.virtual import VirtualTime
from rehearsal.engine.virtual.virtual_time import START, VirtualClock
from rehearsal.world.gauge_metrics import GaugeMetrics, Reading

LOOKS = Metric("Test", "Looks", frozenset())
NOTHING = Metric("Test", "Nothing", frozenset())


class Jittery(VirtualClock):
    """May be a little early, as a clock of this machine."""

    early_seconds = 0.0

    def now(self) -> datetime:
        return super().now() - timedelta(seconds=self.early_seconds)


class Looker:
    """Counts how often it has looked."""

    def __init__(self) -> None:
        self.looks = 0

    def look(self) -> Iterator[Reading]:
        self.looks += 1
        yield Reading(LOOKS, (float(self.looks),), "Count")
        yield Reading(NOTHING, (), "Count")


def told(gauges: GaugeMetrics, metric: Metric = LOOKS) -> dict[float, float]:
    found = gauges.datapoints(metric, START, START + timedelta(hours=1), 60)
    return {(each.at - START).total_seconds(): each.tally.statistic("Sum") for each in found}


def test_each_minute_is_looked_at_once() -> None:
    with VirtualTime(seed=1) as time, GaugeMetrics(time.clock, [Looker().look]) as gauges:
        time.sleep(250)
        assert {0: 1.0, 60: 2.0, 120: 3.0} == told(gauges)


def test_what_has_no_value_is_not_told() -> None:
    with VirtualTime(seed=1) as time, GaugeMetrics(time.clock, [Looker().look]) as gauges:
        time.sleep(250)
        assert {} == told(gauges, NOTHING)


def test_who_wakes_a_little_early_looks_no_second_time() -> None:
    """Or whatever grows by the look would grow twice."""
    with VirtualTime(seed=1) as time:
        clock, looker = Jittery(time.clock._scheduler), Looker()
        with GaugeMetrics(clock, [looker.look]):
            time.sleep(30)
            clock.early_seconds = 0.01
            time.sleep(60)
            assert 1 == looker.looks


def test_nobody_looks_afterwards() -> None:
    with VirtualTime(seed=1) as time:
        looker = Looker()
        with GaugeMetrics(time.clock, [looker.look]):
            time.sleep(70)
        time.sleep(600)
        assert 1 == looker.looks
