"""
What the application publishes of itself in high resolution, by color: requests, errors and response times.

On AWS an agent beside each instance's application counts; the rehearsal's counts at the data plane what the targets of
a color have really answered. So health checks are no requests, and what no target answered (a refused connection, a
time-out) is none either: an application that is gone cannot tell of it. What came through a test listener is counted,
too, as an application would count it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rehearsal.clock import Clock
from rehearsal.engine.metrics import Datapoint, Metric, Tally, by_period, published_until, require_period
from rehearsal.settings import ApplicationMetrics as Names
from rehearsal.settings import Settings
from rehearsal.world.counter_readings import EVERY_SECONDS, CounterReadings, Period
from rehearsal.world.load_balancer_metrics import response_times

PUBLISHED_AFTER_SECONDS = 5
"""How long after their end five seconds are in CloudWatch: agents send what they have counted within seconds."""


class ApplicationMetrics:
    """
    A value of requests and of errors in every five seconds in which a color has answered, and each response time.

    target_groups: those of a color, by the name of its Auto Scaling group; with several routes there are several.
    """

    def __init__(
        self, clock: Clock, readings: CounterReadings, names: Names, target_groups: Mapping[str, Sequence[str]]
    ) -> None:
        self._clock = clock
        self._readings = readings
        self._names = names
        self._target_groups = {frozenset({(names.dimension, group)}): arns for group, arns in target_groups.items()}
        self._known: dict[frozenset[tuple[str, str]], dict[int, Mapping[str, Tally]]] = {
            dimensions: {} for dimensions in self._target_groups
        }

    def datapoints(self, metric: Metric, start: datetime, end: datetime, period: int) -> list[Datapoint]:
        """Return what can be known of a metric by now, see MetricSource."""
        require_period(period, EVERY_SECONDS)
        if metric.dimensions not in self._target_groups:
            return []
        published = self._clock.now() - timedelta(seconds=PUBLISHED_AFTER_SECONDS + EVERY_SECONDS)
        unit = "Seconds" if metric.name == self._names.response_time else "Count"
        found = [
            Datapoint(each.at, tally, unit)
            for each in self._readings.periods(EVERY_SECONDS, start, end)
            if each.at <= published and (tally := self._counted(each, metric.dimensions).get(metric.name))
        ]
        return by_period(found, start, end, period)

    def settled_until(self) -> datetime:
        """What is published, and read."""
        published = published_until(self._clock.now(), PUBLISHED_AFTER_SECONDS, EVERY_SECONDS)
        return min(published, self._readings.read_until())

    def _counted(self, period: Period, dimensions: frozenset[tuple[str, str]]) -> Mapping[str, Tally]:
        """Work out five seconds when they are first asked for."""
        known = self._known[dimensions]
        if period.begins not in known:
            known[period.begins] = self._answers(period, self._target_groups[dimensions])
        return known[period.begins]

    def _answers(self, period: Period, target_groups: Sequence[str]) -> Mapping[str, Tally]:
        requests = errors = 0
        times = Tally()
        reports = [report["target_groups"] for report in (period.before, period.after)]
        for arn in target_groups:
            before, after = (report.get(arn, _NOTHING) for report in reports)
            requests += _answered(after) - _answered(before)
            errors += _answered(after, "5") - _answered(before, "5")
            times.add(response_times(_since(before["latency_milliseconds"], after["latency_milliseconds"])))
        if not requests:
            return {}
        names = self._names
        return {
            names.requests: Tally.of(float(requests)),
            names.errors: Tally.of(float(errors)),
            names.response_time: times,
        }


def application_metrics(
    clock: Clock, readings: CounterReadings, settings: Settings
) -> tuple[str, ApplicationMetrics] | None:
    """Return what an environment's application publishes, with its namespace; None when it publishes nothing."""
    if settings.application_metrics is None:
        return None
    groups = {
        color.auto_scaling_group: [route.target_group(name) for route in settings.routes]
        for name, color in settings.colors.items()
    }
    names = settings.application_metrics
    return names.namespace, ApplicationMetrics(clock, readings, names, groups)


_NOTHING: Mapping[str, Any] = {"target": {}, "latency_milliseconds": {"count": 0, "sum": 0.0, "buckets": {}}}


def _since(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a data plane has counted between two readings of its response times."""
    known = before["buckets"]
    new = {bound: count - known.get(bound, 0) for bound, count in after["buckets"].items()}
    return {
        "count": after["count"] - before["count"],
        "sum": after["sum"] - before["sum"],
        "buckets": {bound: count for bound, count in new.items() if count},
    }


def _answered(counters: Mapping[str, Any], first_digit: str = "") -> int:
    """Count the answers with a status that begins so."""
    return sum(count for status, count in counters["target"].items() if status.startswith(first_digit))
