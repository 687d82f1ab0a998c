"""Counters are read every ten seconds; what happened in a period is what was counted between its ends."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from rehearsal.clock import Clock
from rehearsal.engine.virtual import VirtualTime
from rehearsal.engine.virtual.virtual_time import START, VirtualClock
from rehearsal.world.counter_readings import CounterReadings


class Counter:
    """Counts the seconds of its clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.reports = 0

    def report(self) -> dict[str, Any]:
        self.reports += 1
        return {"seconds": self._clock.seconds()}


def told(readings: CounterReadings, period: int, start: float = 0, end: float = 3600) -> dict[float, float]:
    """Seconds since START → how much was counted in the period that began there."""
    found = readings.periods(period, at(start), at(end))
    return {(each.at - START).total_seconds(): each.after["seconds"] - each.before["seconds"] for each in found}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize(("period", "expected"), [(10, dict.fromkeys(range(0, 120, 10), 10.0)), (60, {0: 60, 60: 60})])
def test_periods_follow_one_another(period: int, expected: dict[float, float]) -> None:
    with VirtualTime(seed=1) as time, CounterReadings(time.clock, Counter(time.clock)) as readings:
        time.sleep(125)
        assert expected == told(readings, period)


def test_periods_are_chosen_by_their_beginning() -> None:
    with VirtualTime(seed=1) as time, CounterReadings(time.clock, Counter(time.clock)) as readings:
        time.sleep(125)
        assert [20, 30] == list(told(readings, 10, start=15, end=40))
        assert [60] == list(told(readings, 60, start=1))


def test_the_first_period_is_the_one_in_which_reading_began() -> None:
    """What the data plane had counted before is of no period."""
    with VirtualTime(seed=1) as time:
        time.sleep(73)
        with CounterReadings(time.clock, Counter(time.clock)) as readings:
            time.sleep(60)
            assert {60: 47.0} == told(readings, 60)
            assert {70: 7.0, 80: 10.0} == {seconds: told(readings, 10)[seconds] for seconds in (70, 80)}


def test_what_a_reading_that_was_left_out_would_have_counted_is_in_the_next() -> None:
    """A clock that hurries more than the machine can passes over some."""

    class Delayed(VirtualClock):
        delay = 0.0

        def now(self) -> datetime:
            return super().now() + timedelta(seconds=self.delay)

    with VirtualTime(seed=1) as time:
        clock = Delayed(time.clock._scheduler)
        with CounterReadings(clock, Counter(clock)) as readings:
            time.sleep(15)
            clock.delay = 20.0  # the next two readings are one
            time.sleep(20)
            assert {0: 10.0, 10: 0.0, 20: 0.0, 30: 10.0, 40: 10.0} == told(readings, 10)


def test_nothing_is_read_afterwards() -> None:
    with VirtualTime(seed=1) as time:
        counter = Counter(time.clock)
        with CounterReadings(time.clock, counter):
            time.sleep(13)
        time.sleep(100)
        assert 3 == counter.reports
