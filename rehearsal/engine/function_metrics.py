"""
Lambda's metrics: how often each function was invoked, and how often it failed.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"Invocations" and "Errors" by function name; other metrics and dimensions are not here.
"""

from datetime import datetime, timedelta
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


class _Invocation(NamedTuple):
    at: datetime
    has_failed: bool


class FunctionMetrics:
    """A function has a value of both metrics, which is 0 for an error that did not happen, once it was invoked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._invocations: dict[str, list[_Invocation]] = {}

    def invoked(self, function: str, outcome: Outcome) -> None:
        """To be added to the observers of functions' outcomes."""
        self._invocations.setdefault(function, []).append(
            _Invocation(self._clock.now(), outcome.function_error is not None)
        )

    def datapoints(self, metric: Metric, start: datetime, end: datetime, period: int) -> list[Datapoint]:
        """Return what can be known of a metric by now, see MetricSource."""
        require_period(period, STANDARD_SECONDS)
        if metric.name not in ("Invocations", "Errors"):
            raise NotImplementedError(f"the rehearsal does not measure {metric.name} of functions")
        published = self._clock.now() - timedelta(seconds=PUBLISHED_AFTER_SECONDS + STANDARD_SECONDS)
        counts_all = metric.name == "Invocations"
        found = [
            Datapoint(each.at.replace(second=0, microsecond=0), Tally.of(float(counts_all or each.has_failed)))
            for each in self._of(metric.dimensions)
            if start <= each.at < end
        ]
        return by_period((each for each in found if each.at <= published), start, end, period)

    def settled_until(self) -> datetime:
        """All that has ended and is published."""
        return published_until(self._clock.now(), PUBLISHED_AFTER_SECONDS, STANDARD_SECONDS)

    def _of(self, dimensions: frozenset[tuple[str, str]]) -> list[_Invocation]:
        """Return the invocations of the function that dimensions name; they name nothing else."""
        named = [self._invocations.get(value, []) for name, value in dimensions if name == "FunctionName"]
        return list(named[0]) if len(named) == len(dimensions) == 1 else []
