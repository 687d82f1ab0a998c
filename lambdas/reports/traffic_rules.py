"""What the load balancer has measured of a release: which metrics to ask for, and what they say. All pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from re import search

from lambdas.release.rules import COLORS
from lambdas.reports.story import Traffic
from lambdas.traffic.rules import Route

Values = Mapping[str, Mapping[datetime, float]]
"""What was measured from each moment on, by the id of the query."""

NOBODY = ""
"""Instead of a color: what the load balancer answered itself, because no target did."""

_BEFORE, _AFTER = timedelta(minutes=2), timedelta(minutes=5)
_MILLISECONDS = 1000

_SUMS = ("RequestCount", "HTTPCode_Target_5XX_Count", "TargetConnectionErrorCount")
_OWN_ERRORS = "HTTPCode_ELB_5XX_Count"
_LATENCY = "TargetResponseTime"
_PERCENTILES = ("p50", "p95", "p99")

# How long CloudWatch keeps what it has by the minute, by five minutes and by the hour:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
_KEPT = ((timedelta(days=15), 60), (timedelta(days=63), 300))
_KEPT_LONGEST = 3600


@dataclass(frozen=True)
class Query:
    """One metric of AWS/ApplicationELB. `target_group` is empty for what belongs to the whole load balancer."""

    id: str
    color: str
    metric: str
    statistic: str
    load_balancer: str
    target_group: str = ""


@dataclass(frozen=True)
class Span:
    """From when until when to ask, in steps of how many seconds; the last moment is not part of it."""

    since: datetime
    until: datetime
    seconds: int


def span(began: datetime, ended: datetime, now: datetime) -> Span:
    """
    Return what to look at: some minutes more than the release, but none that is not over.

    What is older than 15 days is there in steps of five minutes only, and of an hour after 63 days.
    """
    wanted = began - _BEFORE
    seconds = next((step for age, step in _KEPT if now - wanted < age), _KEPT_LONGEST)
    return Span(_floor(wanted, seconds), _floor(min(ended + _AFTER, now), seconds), seconds)


def _floor(moment: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)


def queries(routes: Sequence[Route]) -> list[Query]:
    """
    Return what to ask for, per color and for the load balancer itself.

    Two routes that share a load balancer or a target group ask for it once, so that nothing is counted twice.
    """
    groups = {(color, *_names(route, color)) for route in routes for color in COLORS}
    balancers = {load_balancer for _, load_balancer, _ in groups}
    wanted = [
        (color, metric, statistic, balancer, group)
        for color, balancer, group in sorted(groups)
        for metric, statistic in (*((each, "Sum") for each in _SUMS), *((_LATENCY, each) for each in _PERCENTILES))
    ]
    wanted += [(NOBODY, _OWN_ERRORS, "Sum", balancer, "") for balancer in sorted(balancers)]
    return [Query(f"q{number}", *each) for number, each in enumerate(wanted)]


def _names(route: Route, color: str) -> tuple[str, str]:
    """
    Return load balancer and target group as CloudWatch calls them: the ends of their ARNs.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
    """
    balancer = search(r":listener(?:-rule)?/(app/[^/]+/[^/]+)", route.arn)
    if balancer is None:
        message = f"Route {route.name!r} has {route.arn}, which names no Application Load Balancer"
        raise ValueError(message)
    return balancer.group(1), route.target_group(color).rpartition(":")[2]


def traffic_of(asked: Iterable[Query], values: Values, seconds: int) -> dict[str, list[Traffic]]:
    """
    Add the routes of a color up; of latencies the slowest route counts. A step without a value is left out.

    A target that could not be connected to is one error: of its color, and not once more of the load balancer, which
    then answered in its place.
    """
    read = [(query, values.get(query.id, {})) for query in asked]
    moments = sorted({moment for _, measured in read for moment in measured})
    found: dict[str, list[Traffic]] = {color: [] for color in (*COLORS, NOBODY)}
    for moment in moments:
        here = [(query, measured[moment]) for query, measured in read if moment in measured]
        for color in COLORS:
            if any(query.color == color for query, _ in here):
                found[color].append(_of_color([each for each in here if each[0].color == color], moment, seconds))
        if own := round(_sum(here, _OWN_ERRORS) - _sum(here, "TargetConnectionErrorCount")):
            found[NOBODY] += [Traffic(moment, seconds, own, own)] if own > 0 else []
    return {color: samples for color, samples in found.items() if samples}


def _of_color(here: Sequence[tuple[Query, float]], moment: datetime, seconds: int) -> Traffic:
    requests, *errors = (_sum(here, metric) for metric in _SUMS)
    p50, p95, p99 = (_slowest(here, percentile) for percentile in _PERCENTILES)
    return Traffic(moment, seconds, round(requests), round(sum(errors)), p50, p95, p99)


def _sum(here: Iterable[tuple[Query, float]], metric: str) -> float:
    return sum(value for query, value in here if query.metric == metric)


def _slowest(here: Iterable[tuple[Query, float]], percentile: str) -> float | None:
    return max((value * _MILLISECONDS for query, value in here if query.statistic == percentile), default=None)
