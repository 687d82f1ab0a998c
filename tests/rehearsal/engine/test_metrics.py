"""CloudWatch answers from whoever measures a namespace, by periods and statistics as AWS describes them."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from rehearsal.engine.metrics import Datapoint, Metric, Metrics, Tally, by_period, require_period

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ORDERS, VISITS = Metric("Shop", "Orders", frozenset({("Color", "blue")})), Metric("Site", "Visits", frozenset())


class Source:
    """Knows values by the ten seconds, or only by the minute."""

    def __init__(self, resolution_seconds: int = 10) -> None:
        self.resolution_seconds = resolution_seconds
        self.points: dict[Metric, list[Datapoint]] = {}

    def measure(self, metric: Metric, *values: float, after: float = 0, unit: str = "Count") -> None:
        at = START + timedelta(seconds=after)
        points = self.points.setdefault(metric, [])
        points += [
            Datapoint(at + timedelta(seconds=number * self.resolution_seconds), Tally.of(value), unit)
            for number, value in enumerate(values)
        ]

    def datapoints(self, metric: Metric, start: datetime, end: datetime, period: int) -> list[Datapoint]:
        require_period(period, self.resolution_seconds)
        return by_period(self.points.get(metric, ()), start, end, period)

    def settled_until(self) -> None:
        """What is measured here may come late."""


class CloudWatch:
    """An account with nothing but metrics: the shop's in high resolution, the site's by the minute."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.shop, self.site = Source(), Source(resolution_seconds=60)
        metrics.register("Shop", self.shop)
        metrics.register("Site", self.site)
        self.client = boto3.client("cloudwatch", "eu-west-1", aws_access_key_id="A", aws_secret_access_key="test")

    def ask(self, *queries: dict[str, Any], **more: Any) -> dict[str, Any]:
        times = {"StartTime": START, "EndTime": START + timedelta(days=1), "ScanBy": "TimestampAscending"}
        answer: dict[str, Any] = self.client.get_metric_data(MetricDataQueries=queries, **(times | more))
        return answer

    def told(self, *queries: dict[str, Any], **more: Any) -> list[list[tuple[float, float]]]:
        """Seconds since START and value, for each query."""
        return [
            [
                ((at - START).total_seconds(), value)
                for at, value in zip(each["Timestamps"], each["Values"], strict=True)
            ]
            for each in self.ask(*queries, **more)["MetricDataResults"]
        ]


def _pairs(result: dict[str, Any]) -> Iterator[tuple[datetime, float]]:
    return zip(result["Timestamps"], result["Values"], strict=True)


def query(metric: Metric = VISITS, stat: str = "Sum", period: int = 60, **more: Any) -> dict[str, Any]:
    named = [{"Name": name, "Value": value} for name, value in metric.dimensions]
    asked = {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": named}
    return {"Id": metric.name.lower(), "MetricStat": {"Metric": asked, "Period": period, "Stat": stat, **more}}


@pytest.fixture
def cloudwatch() -> Iterator[CloudWatch]:
    with mock_aws(), Metrics() as metrics:
        yield CloudWatch(metrics)


def test_one_request_asks_about_several_namespaces(cloudwatch: CloudWatch) -> None:
    cloudwatch.shop.measure(ORDERS, 1.0, 2.0)
    cloudwatch.site.measure(VISITS, 5.0)

    found = cloudwatch.told(query(ORDERS, period=10), query(VISITS), query(Metric("Other", "Noise", frozenset())))
    assert [[(0, 1.0), (10, 2.0)], [(0, 5.0)], []] == found


def test_dimensions_are_part_of_a_metrics_name(cloudwatch: CloudWatch) -> None:
    cloudwatch.shop.measure(ORDERS, 1.0)
    assert [[]] == cloudwatch.told(query(ORDERS._replace(dimensions=frozenset({("Color", "green")}))))


def test_periods_are_added_up_from_the_start(cloudwatch: CloudWatch) -> None:
    cloudwatch.shop.measure(ORDERS, *[1.0] * 18)

    assert [[(0, 6.0), (60, 6.0), (120, 6.0)]] == cloudwatch.told(query(ORDERS, period=60))
    assert [[(0, 3.0), (30, 3.0)]] == cloudwatch.told(query(ORDERS, period=30), EndTime=START + MINUTE)
    assert [[(60, 12.0)]] == cloudwatch.told(query(ORDERS, period=300), StartTime=START + MINUTE)


def test_values_are_there_for_who_is_no_client(cloudwatch: CloudWatch) -> None:
    cloudwatch.shop.measure(ORDERS, 1.0, 2.0)
    found = cloudwatch.metrics.values(ORDERS, "Maximum", 10, START, START + MINUTE)
    assert {START: 1.0, START + timedelta(seconds=10): 2.0} == found


def test_sources_share_a_namespace(cloudwatch: CloudWatch) -> None:
    second = Source()
    cloudwatch.metrics.register("Shop", second)
    second.measure(ORDERS._replace(name="Returns"), 7.0)
    cloudwatch.shop.measure(ORDERS, 1.0)

    assert [[(0, 1.0)], [(0, 7.0)]] == cloudwatch.told(query(ORDERS), query(ORDERS._replace(name="Returns")))


def test_a_namespace_without_a_source_is_the_others(cloudwatch: CloudWatch) -> None:
    others, metric = Source(), Metric("Other", "Noise", frozenset())
    others.measure(metric, 3.0)
    others.measure(ORDERS, 99.0)
    metrics = Metrics(others)
    metrics.register("Shop", cloudwatch.shop)

    assert {START: 3.0} == metrics.values(metric, "Sum", 60, START, START + MINUTE)
    assert {} == metrics.values(ORDERS, "Sum", 60, START, START + MINUTE)


# -- when


def test_periods_are_chosen_by_their_beginning(cloudwatch: CloudWatch) -> None:
    """The start is rounded down to its minute; what begins at the end is left out."""
    cloudwatch.site.measure(VISITS, *[1.0] * 5)

    def minutes(start: float, end: float) -> list[float]:
        (found,) = cloudwatch.told(query(), StartTime=START + start * MINUTE, EndTime=START + end * MINUTE)
        return [seconds / 60 for seconds, _ in found]

    assert [1, 2] == minutes(1, 3)
    assert [1, 2, 3] == minutes(1.9, 3.5)
    with pytest.raises(ClientError, match=r"ValidationError.*EndTime must be greater than StartTime"):
        minutes(3, 3)


@pytest.mark.parametrize(("period", "first"), [(10, 20), (30, 0), (60, 0)])
def test_a_start_is_rounded_down_to_a_part_of_its_minute(cloudwatch: CloudWatch, period: int, first: int) -> None:
    """AWS: "rounded down to the nearest time that corresponds to even 5-, 10-, 20-, or 30-second divisions"."""
    cloudwatch.shop.measure(ORDERS, *[1.0] * 6)
    (found,) = cloudwatch.told(query(ORDERS, period=period), StartTime=START + timedelta(seconds=29.5))
    assert first == found[0][0]


@pytest.mark.parametrize("order", ["TimestampAscending", "TimestampDescending"])
@pytest.mark.parametrize("most", [1, 2, 3, 5, 7, 100])
def test_pages_hold_together_what_one_would(cloudwatch: CloudWatch, order: str, most: int) -> None:
    cloudwatch.shop.measure(ORDERS, *[1.0] * 4)
    cloudwatch.site.measure(VISITS, *[1.0] * 4)
    asked = [query(ORDERS, period=10), query(VISITS)]
    whole = cloudwatch.ask(*asked, ScanBy=order)

    found: dict[str, list[datetime]] = {"orders": [], "visits": []}
    statuses, more = [], {}
    while True:
        page = cloudwatch.ask(*asked, ScanBy=order, MaxDatapoints=most, **more)
        assert sum(len(result["Values"]) for result in page["MetricDataResults"]) <= most
        for result in page["MetricDataResults"]:
            found[result["Id"]] += result["Timestamps"]
            statuses.append(result["StatusCode"])
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}

    assert found == {result["Id"]: result["Timestamps"] for result in whole["MetricDataResults"]}
    assert sorted(found["orders"], reverse=order == "TimestampDescending") == found["orders"]
    assert 4 == len(found["orders"]) == len(found["visits"])
    assert ("PartialData" in statuses) is (most < 8)
    assert ["Complete", "Complete"] == statuses[-2:]


# -- statistics

TALLY = Tally(4, 10.0, Counter({(1.0, 1.0): 1, (2.0, 2.0): 1, (3.0, 3.0): 1, (4.0, 4.0): 1}))


@pytest.mark.parametrize(
    ("statistic", "value"),
    [
        ("Sum", 10.0),
        ("SampleCount", 4.0),
        ("Average", 2.5),
        ("Minimum", 1.0),
        ("Maximum", 4.0),
        ("p50", 2.0),
        ("p99.9", 4.0),
        ("p100", 4.0),
        ("TC(:3)", 3.0),
        ("TC(3:)", 1.0),
        ("TC(1:3)", 2.0),
        ("TC(0.5:1.5)", 1.0),
        ("TC(10:)", 0.0),
        ("PR(:3)", 75.0),
        ("PR(3:)", 25.0),
        ("PR(1:3)", 50.0),
    ],
)
def test_statistics(statistic: str, value: float) -> None:
    """AWS: a range is "exclusive" at its lower bound and "inclusive" at its upper one."""
    assert value == TALLY.statistic(statistic)


def test_values_known_by_their_range_are_where_its_middle_is() -> None:
    tally = Tally(5, 14.0, Counter({(2.9, 3.2): 2, (2.7, 3.1): 3}))
    assert [3.0, 2.0] == [tally.statistic(name) for name in ("TC(:3)", "TC(3:)")]


@pytest.mark.parametrize("statistic", ["tm99", "TC(5%:95%)", "PR", "p101", "IQM", "sum"])
def test_an_unknown_statistic_is_not_computed(statistic: str) -> None:
    with pytest.raises(NotImplementedError, match=f"does not know the statistic {statistic[:2]}"):
        TALLY.statistic(statistic)


@pytest.mark.parametrize("statistic", ["p95", "PR(:3)"])
def test_of_a_summary_there_are_no_ranks(statistic: str) -> None:
    """AWS computes none either."""
    summary = Tally(4, 10.0, Counter({(1.0, 4.0): 4}), is_summary=True)
    assert [1.0, 2.5, 4.0] == [summary.statistic(name) for name in ("Minimum", "Average", "Maximum")]
    with pytest.raises(NotImplementedError, match="only summed up"):
        summary.statistic(statistic)


def test_another_unit_finds_nothing(cloudwatch: CloudWatch) -> None:
    cloudwatch.site.measure(VISITS, 1.0, unit="Seconds")
    assert [[]] == cloudwatch.told(query(Unit="Count"))
    assert [[(0, 1.0)]] == cloudwatch.told(query(Unit="Seconds"))


# -- what is not known


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"Id": "m", "Expression": "SUM(METRICS())"}, "metric math"),
        (query(stat="tm99"), "statistic tm99"),
        (query(period=30), "by 60 s, not 30"),
        (query(period=90), "by 60 s, not 90"),
        (query(ORDERS, period=5), "by 10 s, not 5"),
    ],
    ids=["expression", "statistic", "too fine", "no multiple", "finer than it is"],
)
def test_what_is_not_known_is_not_answered(cloudwatch: CloudWatch, asked: dict[str, Any], said: str) -> None:
    """AWS would have answered, or refused, so that the rehearsal must fail."""
    cloudwatch.site.measure(VISITS, 1.0)
    with pytest.raises(NotImplementedError, match=said):
        cloudwatch.ask(asked)


def test_other_ways_to_ask_are_not_answered_with_nothing(cloudwatch: CloudWatch) -> None:
    asked = {"Namespace": "Site", "MetricName": "Visits"}
    with pytest.raises(NotImplementedError):
        cloudwatch.client.list_metrics(**asked)
    with pytest.raises(NotImplementedError):
        cloudwatch.client.get_metric_statistics(
            **asked, StartTime=START, EndTime=START + MINUTE, Period=60, Statistics=["Sum"]
        )


def test_afterwards_moto_is_as_it_was(cloudwatch: CloudWatch) -> None:
    cloudwatch.site.measure(VISITS, 1.0)
    cloudwatch.metrics.uninstall()

    assert [[]] == cloudwatch.told(query(), EndTime=START + 5 * MINUTE)
    assert [] == cloudwatch.client.list_metrics(Namespace="Site")["Metrics"]


class Settling(Source):
    """Knows until when it will change nothing any more, and is asked for what."""

    def __init__(self) -> None:
        super().__init__()
        self.until: datetime | None = START
        self.asked: list[tuple[float, float]] = []

    def datapoints(self, metric: Metric, start: datetime, end: datetime, period: int) -> list[Datapoint]:
        self.asked.append(((start - START).total_seconds(), (end - START).total_seconds()))
        shown = min(end, self.until or end)
        return super().datapoints(metric, start, shown, period)

    def settled_until(self) -> datetime | None:
        return self.until


def test_sources_are_asked_once_for_what_is_settled() -> None:
    source, metrics = Settling(), Metrics()
    metrics.register("Shop", source)
    source.measure(ORDERS, *range(1, 31))

    def sums(begin: int, end: int) -> list[float]:
        span = (START + timedelta(seconds=begin), START + timedelta(seconds=end))
        return list(metrics.values(ORDERS, "Sum", 60, *span).values())

    source.until = START + timedelta(seconds=150)
    assert [21.0, 57.0, 42.0] == sums(0, 240)  # the third minute is half over
    source.until = START + timedelta(seconds=200)
    assert [21.0, 57.0, 93.0, 39.0] == sums(0, 240)
    assert [57.0, 93.0] == sums(60, 180)
    assert [93.0, 39.0] == sums(120, 240)

    assert [(0, 120), (120, 240), (120, 180), (180, 240), (180, 240)] == source.asked


def test_what_is_not_settled_is_asked_for_each_time() -> None:
    source, metrics = Settling(), Metrics()
    metrics.register("Shop", source)
    source.measure(ORDERS, *range(1, 13))
    span = (START, START + 2 * MINUTE)
    source.until = START + 2 * MINUTE
    known = metrics.values(ORDERS, "Maximum", 60, *span)

    source.until = None
    source.measure(ORDERS, 99.0, after=30)

    assert [6.0, 12.0] == list(known.values())
    assert [99.0, 12.0] == list(metrics.values(ORDERS, "Maximum", 60, *span).values())
