"""
CloudWatch's metrics: who measures what is registered by namespace, and GetMetricData answers from that.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, Self

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from rehearsal.world.overlay import Overlay

MOST_DATAPOINTS = 100_800
"""Of a page of GetMetricData."""

STANDARD_SECONDS = 60
"""The resolution of every metric that nobody publishes in high resolution."""
_HIGH_RESOLUTION_PERIODS = (1, 5, 10, 20, 30)

NO_UNIT = "None"
"""As CloudWatch calls it."""

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_IN_RANGE = re.compile(r"(TC|PR)\((\d*\.?\d*):(\d*\.?\d*)\)")


class Metric(NamedTuple):
    """Which figure, and of what: dimensions are names with values."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


@dataclass
class Tally:
    """
    Values of a metric: how many, their sum, and how many there are in which range.

    Of a summary nobody knows the values themselves, so that its one range is from the least to the greatest.
    """

    count: int = 0
    sum: float = 0.0
    ranges: Counter[tuple[float, float]] = field(default_factory=Counter)
    is_summary: bool = False

    @classmethod
    def of(cls, value: float, count: int = 1) -> Self:
        """Count the same value so many times."""
        return cls(count, value * count, Counter({(value, value): count}) if count else Counter())

    def since(self, before: "Tally") -> "Tally":
        """Return what has been added since; both are of the same metric."""
        return Tally(self.count - before.count, self.sum - before.sum, self.ranges - before.ranges)

    def add(self, other: "Tally") -> None:
        """Add what was counted elsewhere."""
        self.count += other.count
        self.sum += other.sum
        self.ranges += other.ranges
        self.is_summary |= other.is_summary

    def with_more(self, other: "Tally") -> "Tally":
        """Return both together; neither is changed."""
        both = Tally()
        both.add(self)
        both.add(other)
        return both

    def statistic(self, name: str) -> float:
        """
        Compute one of CloudWatch's statistics; percentiles, ranks, extremes of times too, are exact to their range.

        Raises NotImplementedError for one that the rehearsal does not know.
        """
        if simple := _SIMPLE.get(name):
            return simple(self)
        if name == "Minimum":
            return min(low for low, _ in self.ranges)
        if name == "Maximum":
            return max(high for _, high in self.ranges)
        if self.is_summary:
            raise NotImplementedError(f"of values that were only summed up there is no {name}")
        if percentile := _PERCENTILE.fullmatch(name):
            return self._percentile(float(percentile[1]))
        if in_range := _IN_RANGE.fullmatch(name):
            kind, above, to = in_range.groups()
            found = self._between(float(above) if above else None, float(to) if to else None)
            return float(found) if kind == "TC" else 100 * found / self.count
        raise NotImplementedError(f"the rehearsal does not know the statistic {name}")

    def _percentile(self, percent: float) -> float:
        """Find the range in which it is, and take it to be as far into it as its rank is among the values there."""
        rank, passed = percent / 100 * self.count, 0
        for (low, high), values in sorted(self.ranges.items()):
            if passed + values >= rank:
                return low + (high - low) * (rank - passed) / values
            passed += values
        raise AssertionError("no percentile is beyond all values")

    def _between(self, above: float | None, to: float | None) -> int:
        """Count values above one bound and up to the other; a range is where its middle is."""
        middles = (((low + high) / 2, values) for (low, high), values in self.ranges.items())
        return sum(
            values for middle, values in middles if (above is None or middle > above) and (to is None or middle <= to)
        )


_SIMPLE: Mapping[str, Callable[[Tally], float]] = {
    "Sum": lambda tally: tally.sum,
    "SampleCount": lambda tally: float(tally.count),
    "Average": lambda tally: tally.sum / tally.count,
}


class Datapoint(NamedTuple):
    """A metric in a period; `at` is when that began."""

    at: datetime
    tally: Tally
    unit: str = NO_UNIT


_AT = attrgetter("at")


class MetricSource(Protocol):
    """Whoever measures something."""

    def datapoints(self, metric: Metric, start: datetime, end: datetime, period: int) -> list[Datapoint]:
        """
        Return what CloudWatch shows of a metric by now, oldest first: nothing for a metric that it does not know.

        Periods of so many seconds follow one another from `start` to before `end`; those without a value have no
        datapoint. Raises NotImplementedError for a period that is finer than the metric.
        """
        ...

    def settled_until(self) -> datetime | None:
        """
        Tell until when everything is known: before, nothing will be added or changed; after, nothing is shown yet.

        None when that cannot be told.
        """
        ...


@dataclass
class _Settled:
    """The datapoints of a metric, in periods of one length that follow one another, which nothing changes any more."""

    begin: datetime
    end: datetime
    shown_until: datetime
    """Until when anything is known by now: within the period that is going on, perhaps."""
    points: list[Datapoint] = field(default_factory=list)
    statistics: dict[str, dict[datetime, float]] = field(default_factory=dict)
    """What was computed of them, by name."""

    def between(self, start: datetime, end: datetime) -> list[Datapoint]:
        """Return those that begin from `start` to before `end`."""
        return self.points[bisect_left(self.points, start, key=_AT) : bisect_left(self.points, end, key=_AT)]


class Metrics:
    """All metrics of the account: those of a namespace's own sources, and for any other namespace those of `others`."""

    def __init__(self, others: MetricSource | None = None) -> None:
        self._others = () if others is None else (others,)
        self._sources: dict[str, tuple[MetricSource, ...]] = {}
        self._settled: dict[tuple[Metric, int, int], _Settled] = {}
        """By metric, period, and the second of a period at which they begin."""
        self._overlay = Overlay()

    def install(self) -> None:
        """Answer GetMetricData; moto would answer other questions as if nobody had measured anything."""
        self._overlay.wrap(CloudWatchResponse, "get_metric_data", self._get_metric_data)
        for name in ("get_metric_statistics", "list_metrics"):
            self._overlay.wrap(CloudWatchResponse, name, _refusing)

    def uninstall(self) -> None:
        """Give CloudWatch back to moto."""
        self._overlay.uninstall()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def register(self, namespace: str, source: MetricSource) -> None:
        """Let a source measure in a namespace, beside those that do so already; no metric may have two."""
        self._sources[namespace] = (*self._sources.get(namespace, ()), source)
        self._settled.clear()

    def datapoints(self, metric: Metric, start: datetime, end: datetime, period: int) -> list[Datapoint]:
        """
        Return what CloudWatch shows by now, see MetricSource.

        Sources are asked for what may have changed only: alarms and judges look at the same hour again and again.
        """
        return self._datapoints(self._known(metric, start, end, period), metric, start, end, period)

    def _datapoints(
        self, known: _Settled | None, metric: Metric, start: datetime, end: datetime, period: int
    ) -> list[Datapoint]:
        if known is None or known.begin == known.end:  # sources are asked at least once: some refuse a period
            return self._ask(metric, start, end, period)
        if end <= known.end or known.end >= known.shown_until:
            return known.between(start, end)
        return [*known.between(start, known.end), *self._ask(metric, known.end, end, period)]

    def _ask(self, metric: Metric, start: datetime, end: datetime, period: int) -> list[Datapoint]:
        sources = self._sources.get(metric.namespace, self._others)
        return [point for source in sources for point in source.datapoints(metric, start, end, period)]

    def _known(self, metric: Metric, start: datetime, end: datetime, period: int) -> _Settled | None:
        """Return all that is settled from a start on; None when nothing is."""
        sources = self._sources.get(metric.namespace, self._others)
        seconds = start.timestamp()
        if not sources or seconds % min(period, STANDARD_SECONDS):
            return None
        known_until = [source.settled_until() for source in sources]
        settled = min(each for each in known_until if each) if all(known_until) else None
        if settled is None:
            return None
        key = (metric, period, int(seconds) % period)
        known = self._settled.get(key)
        if known is None or not known.begin <= start <= known.end <= settled:
            self._settled[key] = known = _Settled(start, start, settled)
        known.shown_until = settled
        whole = (min(end, settled) - known.end) // timedelta(seconds=period)
        if whole > 0:
            until = known.end + whole * timedelta(seconds=period)
            known.points += self._ask(metric, known.end, until, period)
            known.end = until
        return known

    def values(
        self, metric: Metric, statistic: str, period: int, start: datetime, end: datetime
    ) -> dict[datetime, float]:
        """
        Return a statistic of each period that has a value by now, oldest first, by the period's beginning.

        Raises NotImplementedError for a statistic or a period that the rehearsal does not know.
        """
        known = self._known(metric, start, end, period)
        points = self._datapoints(known, metric, start, end, period)
        if known is None:
            return {each.at: each.tally.statistic(statistic) for each in points}
        computed = known.statistics.setdefault(statistic, {})
        found = {}
        for at, tally, _ in points:
            value = computed.get(at)
            if value is None:
                value = tally.statistic(statistic)
                if at < known.end:
                    computed[at] = value
            found[at] = value
        return found

    # -- GetMetricData

    def _get_metric_data(self, original: Any, response: CloudWatchResponse) -> Any:
        del original
        asked = response._get_params()
        queries = asked.get("MetricDataQueries", [])
        if any("Expression" in query for query in queries):
            raise NotImplementedError("the rehearsal knows no metric math")
        return ActionResult(self._page(asked, queries))

    def _page(self, asked: Mapping[str, Any], queries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Answer one page. A token says which value comes next, of all values of all queries one after the other."""
        start, end = aware(asked["StartTime"]), aware(asked["EndTime"])
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
        period = int(wanted["Period"])
        begin = _rounded_down(start, period)
        if begin >= end:
            raise ValidationError("The parameter EndTime must be greater than StartTime.")
        dimensions = frozenset((each["Name"], each["Value"]) for each in wanted["Metric"].get("Dimensions", []))
        metric = Metric(wanted["Metric"]["Namespace"], wanted["Metric"]["MetricName"], dimensions)
        for each in self.datapoints(metric, begin, end, period):
            if wanted.get("Unit") in (None, each.unit):
                yield each.at, each.tally.statistic(wanted["Stat"])


def by_period(fine: Iterable[Datapoint], start: datetime, end: datetime, period: int) -> list[Datapoint]:
    """Add up datapoints of a finer resolution; those that do not begin from `start` to before `end` are left out."""
    found: dict[int, Datapoint] = {}
    length = timedelta(seconds=period)
    for each in fine:
        if start <= each.at < end:
            number = (each.at - start) // length
            if number not in found:
                at = start + number * length
                found[number] = each if at == each.at else each._replace(at=at)
            else:
                so_far = found[number]
                found[number] = so_far._replace(tally=so_far.tally.with_more(each.tally))
    return [found[number] for number in sorted(found)]


def published_until(now: datetime, after_seconds: int, resolution_seconds: int) -> datetime:
    """Tell until when all is published, of what is published so many seconds after a period of such a resolution."""
    seconds = int(now.timestamp() - after_seconds) // resolution_seconds * resolution_seconds
    return datetime.fromtimestamp(seconds, UTC)


def minutes(start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the beginnings of all minutes of which a part lies between."""
    minute = start.replace(second=0, microsecond=0)
    while minute < end:
        yield minute
        minute += timedelta(minutes=1)


def require_period(period: int, resolution_seconds: int) -> None:
    """Raise NotImplementedError for a period that AWS refuses, or for which a metric is not fine enough."""
    is_multiple = period > 0 and period % STANDARD_SECONDS == 0
    is_fine = period in _HIGH_RESOLUTION_PERIODS and period % resolution_seconds == 0
    if not (is_multiple or is_fine):
        raise NotImplementedError(f"the rehearsal keeps this metric by {resolution_seconds} s, not {period}")


def _refusing(original: Any, response: CloudWatchResponse) -> Any:
    del original, response
    raise NotImplementedError("the rehearsal answers nothing but GetMetricData about metrics")


def _rounded_down(time: datetime, period: int) -> datetime:
    """
    Round down a start, to its minute or to the part of it that a period is.

    "If you set Period to 5, 10, 20, or 30, the start time of your request is rounded down to the nearest time that
    corresponds to even 5-, 10-, 20-, or 30-second divisions of a minute."
    """
    seconds = time.second - time.second % period if period in _HIGH_RESOLUTION_PERIODS else 0
    return time.replace(second=seconds, microsecond=0)


def aware(time: datetime) -> datetime:
    """Tell the time in UTC, which it is in already if it does not say."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
