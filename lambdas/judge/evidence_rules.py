"""What a release is judged by: counts of requests of both colors, and where each source has them. All pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from json import loads
from typing import Any, Self

from lambdas.release.rules import parse_moment
from lambdas.traffic.rules import Route

_BALANCER_PERIOD_SECONDS = 60
_HUNDRED = 100

_PUBLISHED_AFTER_SECONDS = {"application": 5, "load_balancer": 60, "logs": 10}
"""
How long after its end a period is in CloudWatch. Agents send within seconds; of the others AWS names no figure, and
this is what is usual. What comes later still is counted at the next look, because every look counts from the beginning.
"""


class Source(StrEnum):
    """Where the counts come from."""

    APPLICATION = "application"
    """What the application publishes of itself, by Auto Scaling group."""
    LOGS = "logs"
    """The application's log, by version."""
    LOAD_BALANCER = "load_balancer"
    """The load balancer's metrics, by target group."""


class WhenInconclusive(StrEnum):
    """What becomes of a release that cannot be judged, when its bake has been extended for long enough."""

    HOLD = "hold"
    """It waits for a human."""
    PROCEED = "proceed"


@dataclass(frozen=True)
class MetricNames:
    """What the application's own metrics are called, see `cdk.settings.ApplicationMetrics`."""

    namespace: str
    dimension: str
    requests: str
    errors: str
    response_time: str
    period_seconds: int


@dataclass(frozen=True)
class JudgeSettings:
    """What a release is judged by, and how strictly, see `cdk.settings.Judge`."""

    source: Source
    metrics: MetricNames | None
    minimum_requests: int
    maximum_error_percent: float
    slow_seconds: float
    maximum_slow_percent: float
    false_alarms_percent: float
    longest_extension_seconds: int
    when_inconclusive: WhenInconclusive

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the JUDGE variable of a function."""
        given = loads(text)
        metrics = MetricNames(**given["metrics"]) if given["metrics"] else None
        source, otherwise = Source(given["source"]), WhenInconclusive(given["when_inconclusive"])
        return cls(**{**given, "source": source, "metrics": metrics, "when_inconclusive": otherwise})


@dataclass(frozen=True)
class Tally:
    """
    Requests to one color since the present step of the release began. `slow` took longer than `slow_seconds`.

    A connection that could not be made is an error too. A source may be ahead with one count and behind with another,
    and an attempt may be counted where a request is not: neither ever makes more errors than requests.
    """

    requests: int = 0
    errors: int = 0
    slow: int = 0

    @classmethod
    def counted(cls, requests: float, errors: float, slow: float) -> Self:
        """Return counts as metrics have them."""
        return cls(round(requests), round(min(errors, requests)), round(min(slow, requests)))

    def as_record(self) -> dict[str, int]:
        """Return the form in which a release's history keeps it."""
        return {"requests": self.requests, "errors": self.errors, "slow": self.slow}


@dataclass(frozen=True)
class Evidence:
    """The counts of both colors, over the same time."""

    new: Tally
    old: Tally


NOTHING_YET = Evidence(Tally(), Tally())
"""Before anything can have been published."""


@dataclass(frozen=True)
class Span:
    """From when until when to count, in whole periods; the last moment is not part of it."""

    since: datetime
    until: datetime
    period_seconds: int

    @property
    def is_empty(self) -> bool:
        """Say that nothing can have been published yet."""
        return self.until <= self.since


def span_of(settings: JudgeSettings, began_at: str, now: str) -> Span:
    """
    Return what can be counted by now of a step that is observed since `began_at`.

    It begins with the period in which the step began, so that the first requests to the new color are not missed.
    """
    period = {Source.APPLICATION: settings.metrics.period_seconds if settings.metrics else 0, Source.LOGS: 1}.get(
        settings.source, _BALANCER_PERIOD_SECONDS
    )
    published = parse_moment(now) - timedelta(seconds=_PUBLISHED_AFTER_SECONDS[settings.source])
    return Span(_rounded_down(parse_moment(began_at), period), _rounded_down(published, period), period)


def _rounded_down(moment: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)


class Counted(StrEnum):
    """Which count of a tally a metric adds to."""

    REQUESTS = "requests"
    ERRORS = "errors"
    SLOW = "slow"


@dataclass(frozen=True)
class Query:
    """A metric that adds to a count. `statistic` is as GetMetricData takes it."""

    counted: Counted
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str = "Sum"


def queries(settings: JudgeSettings, routes: Sequence[Route], group: str, color: str) -> list[Query]:
    """Return what to add up for one color, whose Auto Scaling group is `group`."""
    if settings.metrics:
        return _of_application(settings.metrics, group, _slow(settings))
    return [each for route in routes for each in _of_route(route, color, _slow(settings))]


def _slow(settings: JudgeSettings) -> str:
    """
    Return the statistic that counts what took longer: the trimmed count above a fixed value, which is not part of it.

    It needs what percentiles need, which CloudWatch has of TargetResponseTime and of any metric whose values were not
    summed up before they were sent:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
    """
    return f"TC({settings.slow_seconds:g}:)"


def _of_application(names: MetricNames, group: str, slow: str) -> list[Query]:
    dimensions = {names.dimension: group}
    return [
        Query(Counted.REQUESTS, names.namespace, names.requests, dimensions),
        Query(Counted.ERRORS, names.namespace, names.errors, dimensions),
        Query(Counted.SLOW, names.namespace, names.response_time, dimensions, slow),
    ]


def _of_route(route: Route, color: str, slow: str) -> list[Query]:
    dimensions = {
        "LoadBalancer": "/".join(route.arn.rpartition(":")[2].split("/")[1:4]),
        "TargetGroup": route.target_group(color).rpartition(":")[2],
    }
    return [
        Query(Counted.REQUESTS, "AWS/ApplicationELB", "RequestCount", dimensions),
        Query(Counted.ERRORS, "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", dimensions),
        Query(Counted.ERRORS, "AWS/ApplicationELB", "TargetConnectionErrorCount", dimensions),
        Query(Counted.SLOW, "AWS/ApplicationELB", "TargetResponseTime", dimensions, slow),
    ]


def added_up(asked: Iterable[Query], sums: Iterable[float]) -> Tally:
    """Return the tally of the sums that belong to queries."""
    totals: dict[Counted, float] = dict.fromkeys(Counted, 0.0)
    for query, total in zip(asked, sums, strict=True):
        totals[query.counted] += total
    return Tally.counted(**totals)


@dataclass(frozen=True)
class Kind:
    """Something that requests can be: how many were it, and how that is said of a color."""

    counted: Counted
    words: str


FAILED, SLOW = Kind(Counted.ERRORS, "failed"), Kind(Counted.SLOW, "were slow")


def hits(tally: Tally, kind: Kind) -> int:
    """Return how many of the requests were of a kind."""
    return tally.errors if kind.counted is Counted.ERRORS else tally.slow


def percent(tally: Tally, kind: Kind) -> float:
    """Return the share of the requests that were of a kind; 0 without requests."""
    return _HUNDRED * hits(tally, kind) / tally.requests if tally.requests else 0.0


def described(color: str, tally: Tally, kind: Kind, *, briefly: bool = False) -> str:
    """Say it in words: "green: 41 of 512 requests failed (8.0 %)"; briefly without naming what they did."""
    if not tally.requests:
        return f"{color}: no requests"
    what = "" if briefly else f" requests {kind.words}"
    return f"{color}: {hits(tally, kind):,} of {tally.requests:,}{what} ({percent(tally, kind):.1f} %)"


def as_record(evidence: Evidence | None) -> dict[str, Any]:
    """Return the form in which a release's history keeps it; empty for none."""
    return {"new": evidence.new.as_record(), "old": evidence.old.as_record()} if evidence else {}
