"""
The load balancer's metrics in CloudWatch: what its data plane really saw, minute by minute.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
"If there are no requests flowing through the load balancer or no data for a metric, the metric is not reported": a
count is never 0. Of the metrics there, those of requests, answers and response times are here, by load balancer and by
load balancer and target group; Availability Zones are not.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol, Self

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from rehearsal.clock import Clock
from rehearsal.world.overlay import Overlay

NAMESPACE = "AWS/ApplicationELB"
PERIOD_SECONDS = 60
PUBLISHED_AFTER_SECONDS = 60
"""How long after its end a minute is in CloudWatch. AWS names no figure; a minute is what is usual."""

MOST_DATAPOINTS = 100_800
"""Of a page: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""

_EARLY_SECONDS = 0.5
"""A clock may wake this much too soon: it is the end of the minute all the same."""

_RANGE = 1.1
"""How much greater the upper bound of a data plane's count of response times is than its lower one."""
_LOWEST_MILLISECONDS = 0.1
"""Whatever took less was counted as this."""

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_OWN_STATUSES = ("500", "502", "503", "504")
"""Of the answers that are the load balancer's own, those that AWS counts one by one."""


class Counting(Protocol):
    """A data plane, as far as it counts."""

    def report(self) -> dict[str, Any]:
        """All counters since the start, as in `routing.Report`."""
        ...


class Metric(NamedTuple):
    """Which figure, and of what."""

    name: str
    dimensions: frozenset[tuple[str, str]]


@dataclass
class Tally:
    """Values of a metric: how many, their sum, and how many there are in which range."""

    count: int = 0
    sum: float = 0.0
    ranges: Counter[tuple[float, float]] = field(default_factory=Counter)

    def since(self, before: "Tally") -> "Tally":
        """Return what has been added since; both are of the same metric."""
        return Tally(self.count - before.count, self.sum - before.sum, self.ranges - before.ranges)

    def add(self, other: "Tally") -> None:
        """Add what was counted elsewhere."""
        self.count += other.count
        self.sum += other.sum
        self.ranges += other.ranges

    def statistic(self, name: str) -> float:
        """
        Compute one of CloudWatch's statistics; percentiles, extremes of times too, are exact to their range.

        Raises NotImplementedError for one that the rehearsal does not know.
        """
        if name in ("Sum", "SampleCount", "Average"):
            return {"Sum": self.sum, "SampleCount": float(self.count), "Average": self.sum / self.count}[name]
        if name == "Minimum":
            return min(low for low, _ in self.ranges)
        if name == "Maximum":
            return max(high for _, high in self.ranges)
        if percentile := _PERCENTILE.fullmatch(name):
            return self._percentile(float(percentile[1]))
        raise NotImplementedError(f"the rehearsal does not know the statistic {name}")

    def _percentile(self, percent: float) -> float:
        """Find the range in which it is, and take it to be as far into it as its rank is among the values there."""
        rank, passed = percent / 100 * self.count, 0
        for (low, high), values in sorted(self.ranges.items()):
            if passed + values >= rank:
                return low + (high - low) * (rank - passed) / values
            passed += values
        raise AssertionError("no percentile is beyond all values")


class Datapoint(NamedTuple):
    """A metric in a minute; `at` is when that began."""

    at: datetime
    tally: Tally


class LoadBalancerMetrics:
    """
    Reads the data plane's counters at the end of each simulated minute, and answers GetMetricData from them.

    A reading that comes late, because the clock hurries more than this machine can, counts what came until then.
    """

    def __init__(self, clock: Clock, data_plane: Counting) -> None:
        self._clock = clock
        self._data_plane = data_plane
        self._overlay = Overlay()
        self._stopped = clock.event()
        self._thread = clock.thread(self._run, name="load-balancer-metrics", daemon=True)
        self._readings: list[tuple[datetime, Mapping[str, Any]]] = []
        self._minutes: dict[int, dict[Metric, Tally]] = {}

    def install(self) -> None:
        """Begin to count from what the data plane has counted by now."""
        overlay = self._overlay
        overlay.wrap(CloudWatchResponse, "get_metric_data", self._get_metric_data)
        for name in ("get_metric_statistics", "list_metrics"):
            overlay.wrap(CloudWatchResponse, name, _refusing_ours)
        self._readings.append((self._last_full_minute(), self._data_plane.report()))
        self._thread.start()

    def uninstall(self) -> None:
        """Read no more; give CloudWatch back to moto."""
        self._stopped.set()
        self._thread.join()
        self._overlay.uninstall()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def datapoints(self, metric: Metric, start: datetime, end: datetime) -> list[Datapoint]:
        """
        Return what can be known of a metric by now, of the minutes that begin from `start` to before `end`.

        Raises NotImplementedError for more than one load balancer: the data plane counts target groups for all of them.
        """
        published = self._clock.now() - timedelta(seconds=PUBLISHED_AFTER_SECONDS)
        found = []
        for number, (ended, _) in enumerate(list(self._readings)[1:], start=1):
            at = ended - timedelta(seconds=PERIOD_SECONDS)
            if ended <= published and start <= at < end and (tally := self._minute(number).get(metric)):
                found.append(Datapoint(at, tally))
        return found

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds_to_next_minute()):
            ended = self._last_full_minute()
            if ended > self._readings[-1][0]:
                self._readings.append((ended, self._data_plane.report()))

    def _seconds_to_next_minute(self) -> float:
        return PERIOD_SECONDS - self._clock.now().timestamp() % PERIOD_SECONDS

    def _last_full_minute(self) -> datetime:
        now = self._clock.now().timestamp() + _EARLY_SECONDS
        return datetime.fromtimestamp(now - now % PERIOD_SECONDS, UTC)

    def _minute(self, number: int) -> dict[Metric, Tally]:
        """Work out a minute when it is first asked for: most never are."""
        if number not in self._minutes:
            before, now = (_tallies(self._readings[each][1]) for each in (number - 1, number))
            new = {metric: tally.since(before.get(metric, Tally())) for metric, tally in now.items()}
            self._minutes[number] = {metric: tally for metric, tally in new.items() if tally.count > 0}
        return self._minutes[number]

    def _get_metric_data(self, original: Any, response: CloudWatchResponse) -> Any:
        asked = response._get_params()
        queries = asked.get("MetricDataQueries", [])
        if any("Expression" in query for query in queries):
            raise NotImplementedError("the rehearsal knows no metric math")
        namespaces = {query["MetricStat"]["Metric"]["Namespace"] for query in queries if "MetricStat" in query}
        if NAMESPACE not in namespaces:
            return original(response)
        if namespaces != {NAMESPACE}:
            raise NotImplementedError(f"the rehearsal cannot answer for {namespaces} at once")
        return ActionResult(self._page(asked, queries))

    def _page(self, asked: Mapping[str, Any], queries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Answer one page. A token says which value comes next, of all values of all queries one after the other."""
        start, end = _minute_of(asked["StartTime"]), _aware(asked["EndTime"])
        if start >= end:
            raise ValidationError("The parameter EndTime must be greater than StartTime.")
        is_ascending = asked.get("ScanBy") == "TimestampAscending"
        first, most = int(asked.get("NextToken") or 0), int(asked.get("MaxDatapoints") or MOST_DATAPOINTS)
        results, passed = [], 0
        for query in (each for each in queries if each.get("ReturnData", True)):
            values = list(self._values(query["MetricStat"], start, end))
            values = values if is_ascending else values[::-1]
            shown = values[max(first - passed, 0) : max(first + most - passed, 0)]
            passed += len(values)
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or query["MetricStat"]["Metric"]["MetricName"],
                    "Timestamps": [at for at, _ in shown],
                    "Values": [value for _, value in shown],
                    "StatusCode": "Complete" if passed <= first + most else "PartialData",
                }
            )
        more = {"NextToken": str(first + most)} if passed > first + most else {}
        return {"MetricDataResults": results, "Messages": [], **more}

    def _values(self, wanted: Mapping[str, Any], start: datetime, end: datetime) -> Iterator[tuple[datetime, float]]:
        if int(wanted["Period"]) != PERIOD_SECONDS:
            raise NotImplementedError(f"the rehearsal keeps metrics by {PERIOD_SECONDS} s, not {wanted['Period']}")
        dimensions = frozenset((each["Name"], each["Value"]) for each in wanted["Metric"].get("Dimensions", []))
        metric = Metric(wanted["Metric"]["MetricName"], dimensions)
        if wanted.get("Unit") in (None, _unit(metric)):
            for at, tally in self.datapoints(metric, start, end):
                yield at, tally.statistic(wanted["Stat"])


def _refusing_ours(original: Any, response: CloudWatchResponse) -> Any:
    """Around what moto would answer with nothing, as if nobody had asked for anything."""
    if response._get_params().get("Namespace") == NAMESPACE:
        raise NotImplementedError(f"the rehearsal answers nothing but GetMetricData for {NAMESPACE}")
    return original(response)


def _unit(metric: Metric) -> str:
    return "Seconds" if metric.name == "TargetResponseTime" else "Count"


def _minute_of(time: datetime) -> datetime:
    """Round down: "Start time less than 15 days ago - Round down to the nearest whole minute"."""
    return _aware(time).replace(second=0, microsecond=0)


def _aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


# -- from a data plane's counters to metrics


def _tallies(report: Mapping[str, Any]) -> dict[Metric, Tally]:
    """Return each metric as it has been counted since the data plane's start."""
    listeners = {arn: counters for arn, counters in report["listeners"].items() if _balancer_of(arn)}
    balancers = {_balancer_of(arn) for arn in listeners}
    if len(balancers) > 1:
        raise NotImplementedError(f"the rehearsal cannot tell the metrics of {sorted(balancers)} apart")
    found: dict[Metric, Tally] = {}
    for balancer in balancers:
        of_balancer = frozenset({("LoadBalancer", balancer)})
        _collect(found, of_balancer, _own_answers(listeners.values()))
        for arn, counters in report["target_groups"].items():
            measured = _by_targets(counters)
            of_group = of_balancer | {("TargetGroup", arn.rpartition(":")[2])}
            for dimensions in (of_balancer, of_group):
                _collect(found, dimensions, measured)
    return found


def _collect(found: dict[Metric, Tally], dimensions: frozenset[tuple[str, str]], measured: Mapping[str, Tally]) -> None:
    for name, tally in measured.items():
        found.setdefault(Metric(name, dimensions), Tally()).add(tally)


def _own_answers(listeners: Iterable[Mapping[str, Any]]) -> dict[str, Tally]:
    """Count the answers that no target gave."""
    statuses: Counter[str] = Counter()
    for each in listeners:
        statuses.update(each["elb"])
    counts = {f"HTTPCode_ELB_{status}_Count": statuses[status] for status in _OWN_STATUSES}
    return {name: _counted(count) for name, count in (counts | _by_class("ELB", statuses)).items()}


def _by_targets(counters: Mapping[str, Any]) -> dict[str, Tally]:
    """Count the requests for which a target was chosen, and what came of them."""
    counts = {"RequestCount": counters["requests"], "TargetConnectionErrorCount": counters["connection_errors"]}
    counts |= _by_class("Target", counters["target"])
    latency = counters["latency_milliseconds"]
    ranges = {_seconds(float(bound)): count for bound, count in latency["buckets"].items()}
    times = Tally(latency["count"], latency["sum"] / 1000, Counter(ranges))
    return {**{name: _counted(count) for name, count in counts.items()}, "TargetResponseTime": times}


def _by_class(who: str, statuses: Mapping[str, int]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for status, count in statuses.items():
        counts[f"HTTPCode_{who}_{status[0]}XX_Count"] += count
    return counts


def _counted(count: int) -> Tally:
    """Make each a value of 1: "Minimum, Maximum, and Average all return 1"."""
    return Tally(count, float(count), Counter({(1.0, 1.0): count}) if count else Counter())


def _seconds(upper_milliseconds: float) -> tuple[float, float]:
    lower = upper_milliseconds / _RANGE if upper_milliseconds > _LOWEST_MILLISECONDS * _RANGE else 0.0
    return lower / 1000, upper_milliseconds / 1000


def _balancer_of(listener_arn: str) -> str:
    """Return a listener's load balancer as CloudWatch names it: `app/receipts/0123456789abcdef`; "" for no ARN."""
    return listener_arn.partition(":listener/")[2].rpartition("/")[0]
