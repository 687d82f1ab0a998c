"""What is put with PutMetricData, and what functions print in the embedded metric format, can be asked for."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from aws_lambda_powertools import Metrics as PowertoolsMetrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import ClientError
from moto import mock_aws

from rehearsal.engine.custom_metrics import PUBLISHED_AFTER_SECONDS, CustomMetrics
from rehearsal.engine.metrics import Metric, Metrics
from rehearsal.engine.virtual import VirtualTime
from rehearsal.engine.virtual.virtual_time import START

PROBE = Metric("Runback/Probe", "Success", frozenset({("Check", "login")}))


class Published:
    """An account in virtual time to which metrics are published."""

    def __init__(self, time: VirtualTime, custom: CustomMetrics) -> None:
        self.time = time
        self.custom = custom
        self.metrics = Metrics(custom)
        self.client = boto3.client("cloudwatch", "eu-west-1", aws_access_key_id="A", aws_secret_access_key="test")

    def put(self, metric: Metric = PROBE, **datum: Any) -> None:
        named = [{"Name": name, "Value": value} for name, value in metric.dimensions]
        data = [{"MetricName": metric.name, "Dimensions": named, **datum}]
        self.client.put_metric_data(Namespace=metric.namespace, MetricData=data)

    def values(self, metric: Metric = PROBE, stat: str = "Sum", period: int = 60) -> dict[datetime, float]:
        self.time.sleep(PUBLISHED_AFTER_SECONDS)
        return self.metrics.values(metric, stat, period, START, START + timedelta(hours=1))

    def statistics(self, *names: str) -> list[float]:
        (found,) = zip(*(self.values(stat=name).values() for name in names), strict=True)
        return list(found)


@pytest.fixture
def published() -> Iterator[Published]:
    with ExitStack() as stack:
        time = stack.enter_context(VirtualTime(seed=1))
        stack.enter_context(mock_aws())
        yield Published(time, stack.enter_context(CustomMetrics(time.clock)))


def seconds(number: float) -> datetime:
    return START + timedelta(seconds=number)


def test_a_value_counts_for_its_minute(published: Published) -> None:
    published.put(Value=100.0)
    published.time.sleep(70)
    published.put(Value=0.0)
    published.put(PROBE._replace(dimensions=frozenset()), Value=7.0)

    assert {seconds(0): 100.0, seconds(60): 0.0} == published.values()


def test_a_value_is_there_a_few_seconds_after_it_came(published: Published) -> None:
    published.put(Value=100.0)
    published.time.sleep(PUBLISHED_AFTER_SECONDS - 0.1)
    assert {} == published.metrics.values(PROBE, "Sum", 60, START, seconds(60))
    published.time.sleep(0.1)
    assert {START: 100.0} == published.metrics.values(PROBE, "Sum", 60, START, seconds(60))


def test_a_value_counts_for_the_time_that_it_names(published: Published) -> None:
    published.time.sleep(300)
    published.put(Value=100.0, Timestamp=seconds(125))
    assert {seconds(120): 100.0} == published.values()


def test_values_come_with_their_counts(published: Published) -> None:
    published.put(Values=[1.0, 4.0], Counts=[3.0, 1.0])
    assert [4.0, 7.0, 1.0, 4.0, 1.0] == published.statistics("SampleCount", "Sum", "Minimum", "Maximum", "p75")


def test_values_without_counts_came_once(published: Published) -> None:
    published.put(Values=[1.0, 4.0])
    assert [2.0, 5.0] == published.statistics("SampleCount", "Sum")


def test_a_summary_is_no_distribution(published: Published) -> None:
    published.put(StatisticValues={"SampleCount": 4.0, "Sum": 10.0, "Minimum": 1.0, "Maximum": 4.0})

    assert [4.0, 2.5, 1.0, 4.0] == published.statistics("SampleCount", "Average", "Minimum", "Maximum")
    with pytest.raises(NotImplementedError, match="only summed up"):
        published.values(stat="p95")


def test_high_resolution_is_asked_for_by_the_second(published: Published) -> None:
    published.time.sleep(25)
    published.put(Value=1.0, StorageResolution=1)
    published.time.sleep(10)
    published.put(Value=2.0, StorageResolution=1)

    assert {seconds(20): 1.0, seconds(30): 2.0} == published.values(period=10)
    assert {seconds(0): 3.0} == published.values(period=60)


def test_what_was_stored_by_the_minute_is_not_finer(published: Published) -> None:
    published.put(Value=1.0)
    with pytest.raises(NotImplementedError, match="by 60 s, not 10"):
        published.values(period=10)


def test_what_is_malformed_is_refused_as_moto_does(published: Published) -> None:
    with pytest.raises(ClientError):
        published.put(Value=float("nan"))
    assert {} == published.values()


# -- the embedded metric format


def line(content: dict[str, Any], *directives: dict[str, Any]) -> str:
    return json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": directives}, **content})


def test_what_powertools_prints_is_a_metric(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    """As our functions print it, with its time of the wall, which is none of the rehearsal's."""
    powertools = PowertoolsMetrics(namespace="Runback", service="receipts")
    powertools.add_dimension(name="Environment", value="production")
    powertools.add_metric(name="Steps", unit=MetricUnit.Count, value=2)
    powertools.flush_metrics()
    published.time.sleep(61)
    published.custom.read("runback-claim", capsys.readouterr().out.strip())

    metric = Metric("Runback", "Steps", frozenset({("service", "receipts"), ("Environment", "production")}))
    assert {seconds(60): 2.0} == published.values(metric)


def test_each_set_of_dimensions_is_a_metric_of_its_own(published: Published) -> None:
    directive = {
        "Namespace": "Runback",
        "Dimensions": [["Service"], ["Service", "Check"], []],
        "Metrics": [{"Name": "Success", "Unit": "Percent", "StorageResolution": 1}],
    }
    published.custom.read("probe", line({"Service": "s", "Check": "login", "Success": [100, 0]}, directive))

    for dimensions in ({("Service", "s")}, {("Service", "s"), ("Check", "login")}, set()):
        metric = Metric("Runback", "Success", frozenset(dimensions))
        assert {START: 50.0} == published.values(metric, "Average", period=10)


@pytest.mark.parametrize(
    "printed", ["START RequestId: 1", 'no JSON, but "_aws"', '{"message": "\\"_aws\\""}', '["_aws"]', '{"_aws": 1}']
)
def test_other_lines_are_no_metrics(published: Published, printed: str) -> None:
    published.custom.read("claim", printed)
    assert {} == published.values()
