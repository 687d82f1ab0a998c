"""The critical alarms, read whole."""

import boto3
import pytest

from lambdas.errors import AlarmsMissing
from lambdas.judge.alarm_rules import Alarm, AlarmName, AlarmSettings, Effect
from lambdas.judge.alarms import Alarms
from tests.builders import at
from tests.unit.judge.cloudwatch import CRITICAL, PREFIX, WARNING, FakeCloudWatch

SETTINGS = AlarmSettings(PREFIX, critical=3)


def read(cloudwatch: FakeCloudWatch) -> dict[str, Alarm]:
    return {each.name.full(PREFIX): each for each in Alarms(cloudwatch.client(), SETTINGS).critical()}


def test_critical_alarms_are_those_that_roll_back_and_that_page(cloudwatch: FakeCloudWatch) -> None:
    cloudwatch.on = {CRITICAL[1]: at(5), WARNING: at(5)}
    found = read(cloudwatch)
    assert sorted(found) == sorted(CRITICAL)
    assert [name for name, each in found.items() if each.is_on] == [CRITICAL[1]]


def test_alarm_is_on_since_it_turned_on_and_not_since_it_was_looked_at(cloudwatch: FakeCloudWatch) -> None:
    """CloudWatch keeps both times."""
    cloudwatch.on = {CRITICAL[1]: at(5)}
    assert read(cloudwatch)[CRITICAL[1]] == Alarm(
        AlarmName(Effect.ROLLS_BACK, "error-rate-api", "green"),
        is_on=True,
        since="2026-03-01T10:05:00+00:00",
        reason="Threshold Crossed",
    )


def test_all_pages_are_read(cloudwatch: FakeCloudWatch) -> None:
    cloudwatch.alarms += [f"{PREFIX}-rolls-back-probe-{name}-all" for name in ("health", "login", "upload")]
    assert len(read(cloudwatch)) == 6


@pytest.mark.parametrize("gone", CRITICAL)
def test_alarm_that_is_gone_is_missed(cloudwatch: FakeCloudWatch, gone: str) -> None:
    """It would never be on."""
    cloudwatch.alarms.remove(gone)
    with pytest.raises(AlarmsMissing, match="There are 2 critical alarms of receipts-test, and there must be 3"):
        read(cloudwatch)


def test_reading_that_must_not_fail_says_that_it_did(cloudwatch: FakeCloudWatch) -> None:
    alarms = Alarms(cloudwatch.client(), SETTINGS)
    cloudwatch.on = {CRITICAL[1]: at(5)}
    assert len(alarms.readable_that_roll_back() or ()) == 1
    cloudwatch.refuses = {"DescribeAlarms": "Throttling"}
    assert alarms.readable_that_roll_back() is None


def test_alarms_that_roll_back_are_read_while_they_are_on(cloudwatch: FakeCloudWatch) -> None:
    alarms = Alarms(cloudwatch.client(), SETTINGS)
    assert alarms.that_roll_back() == ()
    cloudwatch.on = dict.fromkeys([*CRITICAL, WARNING], at(5))
    assert [each.name.full(PREFIX) for each in alarms.that_roll_back()] == [
        name for name in CRITICAL if "-rolls-back-" in name
    ]


def test_alarms_that_cloudwatch_makes_can_be_read() -> None:
    """Not every alarm tells when it turned: one that never did has only been looked at."""
    client = boto3.client("cloudwatch")
    for name in CRITICAL:
        client.put_metric_alarm(
            AlarmName=name,
            MetricName="Errors",
            Namespace="Receipts",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
    assert len(Alarms(client, SETTINGS).critical()) == 3
