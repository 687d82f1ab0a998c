"""A warning reaches people with what the record knows."""

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from lambdas.errors import AwsCallFailed
from lambdas.notices import tell_alarm as function
from lambdas.notices.topic import Topic
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Live, Phase, PointStatus, RollbackPoint, Work
from tests.builders import BLUE, DEPLOYMENT, NEW_VERSION, OLD_VERSION, at

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)
EVENT = {
    "time": at(6),
    "detail": {
        "alarmName": "receipts-test-warns-error-rate-api-green",
        "state": {"value": "ALARM", "reason": "Threshold Crossed", "timestamp": "2026-03-01T10:05:00.123+0000"},
    },
}


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> str:
    sns = boto3.client("sns")
    arn: str = sns.create_topic(Name="receipts-test-notices")["TopicArn"]
    monkeypatch.setattr(function, "topic", Topic(sns, arn))
    return arn


def sent(arn: str) -> list[tuple[str, str]]:
    """Return subject and body of every message."""
    found = sns_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].topics[arn].sent_notifications
    return [(subject, body) for _, body, subject, *_ in found]


def test_warning_is_told_with_the_release_that_receives_traffic(
    topic: str, record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "record", record)
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    point = RollbackPoint(PointStatus.VALID, "blue", OLD_VERSION, "old", {"api": BLUE}, 2)
    live = Live("new", NEW_VERSION, "green", since=at(0), rollback_point=point)
    record.begin_shifting(lease, live, Phase.SHIFTING, {}, at(0))

    answer = function.lambda_handler(EVENT, CONTEXT)

    ((subject, body),) = sent(topic)
    assert answer == {"told": subject}
    assert subject == "[receipts test] Warning: error-rate-api on green"
    assert "On its way: release new, which receives a part of the traffic." in body
    assert "start receipts-test-rollback with the input {}" in body


def test_warning_without_a_record_fails_so_that_it_is_tried_again(topic: str) -> None:
    """The table is not there; Lambda invokes anew what failed."""
    with pytest.raises(AwsCallFailed):
        function.lambda_handler(EVENT, CONTEXT)
    assert sent(topic) == []
