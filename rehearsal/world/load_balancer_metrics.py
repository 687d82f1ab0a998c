"""
The load balancer's metrics in CloudWatch: what its data plane really saw, minute by minute.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
"If there are no requests flowing through the load balancer or no data for a metric, the metric is not reported": a
count is never 0. Of the metrics there, those of requests, answers and response times are here, by load balancer and by
load balancer and target group; Availability Zones are not.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

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
from rehearsal.settings import Settings
from rehearsal.world.counter_readings import CounterReadings, Period

NAMESPACE = "AWS/ApplicationELB"
PUBLISHED_AFTER_SECONDS = 60
"""How long after its end a minute is in CloudWatch. AWS names no figure; a minute is what is usual."""

_RANGE = 1.1
"""How much greater the upper bound of a data plane's count of response times is than its lower one."""
_LOWEST_MILLISECONDS = 0.1
"""Whatever took less was counted as this."""

_OWN_STATUSES = ("500", "502", "503", "504")
"""Of the answers that are the load balancer's own, those that AWS counts one by one."""


class LoadBalancerMetrics:
    """
    What the data plane has counted in each minute, a minute after its end.

    balancers: by target group, for those of more than one load balancer; the data plane counts them for all together.
    """

    def __init__(self, clock: Clock, readings: CounterReadings, balancers: Mapping[str, str] | None = None) -> None:
        self._clock = clock
        self._readings = readings
        self._balancers = balancers or {}
        self._minutes: dict[datetime, dict[Metric, Tally]] = {}
        self._until: dict[datetime, dict[Metric, Tally]] = {}

    def datapoints(self, metric: Metric, start: datetime, end: datetime, period: int) -> list[Datapoint]:
        """
        Return what can be known of a metric by now, see MetricSource.

        Raises NotImplementedError where nobody has said which load balancer a target group is of, of several.
        """
        require_period(period, STANDARD_SECONDS)
        published = self._clock.now() - timedelta(seconds=PUBLISHED_AFTER_SECONDS + STANDARD_SECONDS)
        minutes = self._readings.periods(STANDARD_SECONDS, start, end)
        found = [
            Datapoint(minute.at, tally, _unit(metric))
            for minute in minutes
            if minute.at <= published and (tally := self._minute(minute).get(metric))
        ]
        return by_period(found, start, end, period)

    def settled_until(self) -> datetime:
        """What is published, and read."""
        published = published_until(self._clock.now(), PUBLISHED_AFTER_SECONDS, STANDARD_SECONDS)
        return min(published, self._readings.read_until())

    def _minute(self, minute: Period) -> dict[Metric, Tally]:
        """Work out a minute when it is first asked for: most never are."""
        if minute.at not in self._minutes:
            ended = minute.at + timedelta(seconds=STANDARD_SECONDS)
            before = self._until.pop(minute.at, None) or _tallies(minute.before, self._balancers)
            now = self._until[ended] = _tallies(minute.after, self._balancers)
            new = {metric: tally.since(before.get(metric, Tally())) for metric, tally in now.items()}
            self._minutes[minute.at] = {metric: tally for metric, tally in new.items() if tally.count > 0}
        return self._minutes[minute.at]


def _unit(metric: Metric) -> str:
    return "Seconds" if metric.name == "TargetResponseTime" else "Count"


def balancer_of(listener_arn: str) -> str:
    """
    Return a listener's load balancer as CloudWatch names it: `app/receipts/0123456789abcdef`; "" for no ARN.

    A rule's ARN holds its load balancer's as well.
    """
    _, _, path = listener_arn.replace(":listener-rule/", ":listener/").partition(":listener/")
    return "/".join(path.split("/")[:3])


def target_group_of(arn: str) -> str:
    """Return a target group as CloudWatch names it: `targetgroup/receipts-blue/0123456789abcdef`."""
    return arn.rpartition(":")[2]


def balancers_of(environments: Iterable[Settings]) -> dict[str, str]:
    """Return the load balancer of each target group of several environments, as CloudWatch names it."""
    return {
        arn: balancer_of(route.arn)
        for settings in environments
        for route in settings.routes
        for arn in (route.blue, route.green)
    }


# -- from a data plane's counters to metrics


def _tallies(report: Mapping[str, Any], of_groups: Mapping[str, str]) -> dict[Metric, Tally]:
    """Return each metric as it has been counted since the data plane's start."""
    listeners = {arn: counters for arn, counters in report["listeners"].items() if balancer_of(arn)}
    balancers = sorted({balancer_of(arn) for arn in listeners})
    if len(balancers) > 1 and not report["target_groups"].keys() <= of_groups.keys():
        raise NotImplementedError(f"the rehearsal cannot tell the metrics of {balancers} apart")
    found: dict[Metric, Tally] = {}
    for balancer in balancers:
        of_balancer = frozenset({("LoadBalancer", balancer)})
        _collect(found, of_balancer, _own_answers(of for arn, of in listeners.items() if balancer_of(arn) == balancer))
        for arn, counters in report["target_groups"].items():
            if of_groups.get(arn, balancer) != balancer:
                continue
            measured = _by_targets(counters)
            of_group = of_balancer | {("TargetGroup", target_group_of(arn))}
            for dimensions in (of_balancer, of_group):
                _collect(found, dimensions, measured)
    return found


def _collect(found: dict[Metric, Tally], dimensions: frozenset[tuple[str, str]], measured: Mapping[str, Tally]) -> None:
    for name, tally in measured.items():
        found.setdefault(Metric(NAMESPACE, name, dimensions), Tally()).add(tally)


def _own_answers(listeners: Iterable[Mapping[str, Any]]) -> dict[str, Tally]:
    """Count the answers that no target gave."""
    statuses: Counter[str] = Counter()
    fixed = 0
    for each in listeners:
        statuses.update(each["elb"])
        fixed += each["fixed"]
    counts = {f"HTTPCode_ELB_{status}_Count": statuses[status] for status in _OWN_STATUSES}
    counts["HTTP_Fixed_Response_Count"] = fixed
    return {name: _counted(count) for name, count in (counts | _by_class("ELB", statuses)).items()}


def _by_targets(counters: Mapping[str, Any]) -> dict[str, Tally]:
    """Count the requests for which a target was chosen, and what came of them."""
    counts = {"RequestCount": counters["requests"], "TargetConnectionErrorCount": counters["connection_errors"]}
    counts |= _by_class("Target", counters["target"])
    times = response_times(counters["latency_milliseconds"])
    return {**{name: _counted(count) for name, count in counts.items()}, "TargetResponseTime": times}


def response_times(latency: Mapping[str, Any]) -> Tally:
    """Return what a data plane has counted, see `routing.Latency`, in seconds."""
    ranges = {_seconds(float(bound)): count for bound, count in latency["buckets"].items()}
    return Tally(latency["count"], latency["sum"] / 1000, Counter(ranges))


def _by_class(who: str, statuses: Mapping[str, int]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for status, count in statuses.items():
        counts[f"HTTPCode_{who}_{status[0]}XX_Count"] += count
    return counts


def _counted(count: int) -> Tally:
    """Make each a value of 1: "Minimum, Maximum, and Average all return 1"."""
    return Tally(count, float(count), Counter({(1.0, 1.0): count}) if count else Counter())


@cache
def _seconds(upper_milliseconds: float) -> tuple[float, float]:
    lower = upper_milliseconds / _RANGE if upper_milliseconds > _LOWEST_MILLISECONDS * _RANGE else 0.0
    return lower / 1000, upper_milliseconds / 1000
