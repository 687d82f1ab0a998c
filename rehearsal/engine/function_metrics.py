"""
Lambda's metrics: how often each function was invoked, turned away or failed, and what its URL has answered.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
By function name; other metrics and dimensions are not here.
"""

from collections import defaultdict
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple

from rehearsal.clock import Clock
from rehearsal.engine.metrics import (
    STANDARD_SECONDS,
    Datapoint,
    Metric,
    Tally,
    by_period,
    published_until,
    require_period,
)
from rehearsal.engine.sandbox import Outcome

NAMESPACE = "AWS/Lambda"
PUBLISHED_AFTER_SECONDS = 60
"""How long after its end a minute is in CloudWatch. AWS names no figure; a minute is what is usual."""


_METRICS = frozenset({"Errors", "Invocations", "Throttles", "Url4xxCount", "Url5xxCount", "UrlRequestCount"})


class _Value(NamedTuple):
    at: datetime
    value: float


class FunctionMetrics:
    """A function has a value of a metric, which is 0 for an error that did not happen, once there was an occasion."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: dict[tuple[str, str], list[_Value]] = defaultdict(list)

    def invoked(self, function: str, outcome: Outcome) -> None:
        """To be added to the observers of functions' outcomes."""
        self._count("Invocations", function, is_one=True)
        self._count("Errors", function, is_one=outcome.function_error is not None)

    def turned_away(self, function: str) -> None:
        """To be added to the observers of functions that are at their limit."""
        self._count("Throttles", function, is_one=True)

    def answered(self, function: str, status: int) -> None:
        """To be added to the observers of functions' URLs."""
        self._count("UrlRequestCount", function, is_one=True)
        is_server_s = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self._count("Url5xxCount", function, is_one=is_server_s)
        self._count("Url4xxCount", function, is_one=status >= HTTPStatus.BAD_REQUEST and not is_server_s)

    def datapoints(self, metric: Metric, start: datetime, end: datetime, period: int) -> list[Datapoint]:
        """Return what can be known of a metric by now, see MetricSource."""
        require_period(period, STANDARD_SECONDS)
        if metric.name not in _METRICS:
            raise NotImplementedError(f"the rehearsal does not measure {metric.name} of functions")
        published = self._clock.now() - timedelta(seconds=PUBLISHED_AFTER_SECONDS + STANDARD_SECONDS)
        found = [
            Datapoint(each.at.replace(second=0, microsecond=0), Tally.of(each.value))
            for each in self._of(metric)
            if start <= each.at < end
        ]
        return by_period((each for each in found if each.at <= published), start, end, period)

    def settled_until(self) -> datetime:
        """All that has ended and is published."""
        return published_until(self._clock.now(), PUBLISHED_AFTER_SECONDS, STANDARD_SECONDS)

    def _count(self, metric: str, function: str, *, is_one: bool) -> None:
        self._values[metric, function].append(_Value(self._clock.now(), float(is_one)))

    def _of(self, metric: Metric) -> list[_Value]:
        """Return the values of the function that dimensions name; they name nothing else."""
        named = [value for name, value in metric.dimensions if name == "FunctionName"]
        return list(self._values.get((metric.name, named[0]), ())) if len(named) == len(metric.dimensions) == 1 else []
