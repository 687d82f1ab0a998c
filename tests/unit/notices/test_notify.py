"""What the people on call get."""

import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from lambdas.notices import notify
from lambdas.notices.rules import Kind
from lambdas.notices.topic import Topic
from tests.builders import APPROVAL_URL, DEPLOYMENT, PARAMETERS, REPORTS
from tests.statemachines.definitions import golden, payload_of, tasks

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)
EVENT = {"kind": "promoted", "release_id": "2222222-abcd", "reason": "", "failure": {}, "execution": DEPLOYMENT}


@pytest.fixture(autouse=True)
def topic(monkeypatch: pytest.MonkeyPatch) -> str:
    sns = boto3.client("sns")
    arn = sns.create_topic(Name="receipts-test-notices")["TopicArn"]
    monkeypatch.setattr(notify, "topic", Topic(sns, arn))
    monkeypatch.setattr(notify, "ssm", boto3.client("ssm"))
    return arn


def sent(arn: str) -> list[tuple[str, str]]:
    """Return subject and body of every message."""
    found = sns_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].topics[arn].sent_notifications
    return [(subject, body) for _, body, subject, *_ in found]


def test_message_carries_the_address_of_the_report(topic: str) -> None:
    answer = notify.lambda_handler(EVENT, CONTEXT)
    ((subject, body),) = sent(topic)
    assert answer == {"told": subject}
    assert subject == "[receipts test] Release 2222222-abcd is live"
    assert body.endswith(f"Report: {REPORTS['url']}releases%2F2222222-abcd.html")


def test_address_is_no_secret(topic: str) -> None:
    """Whoever gets hold of the mail still has to log in."""
    notify.lambda_handler(EVENT, CONTEXT)
    assert "Signature" not in sent(topic)[0][1]


def test_who_is_asked_for_an_approval_is_told_the_url(topic: str) -> None:
    notify.lambda_handler({**EVENT, "kind": Kind.RESTORE_ASKED.value}, CONTEXT)
    assert APPROVAL_URL in sent(topic)[0][1]


def test_commands_of_the_way_back_are_sent_when_nothing_else_helps(topic: str) -> None:
    boto3.client("ssm").put_parameter(Name=PARAMETERS["way_back"], Value="aws elbv2 modify-listener", Type="String")
    for kind in (Kind.RECORD_UNREACHABLE, Kind.ESCALATED):
        notify.lambda_handler({**EVENT, "kind": kind.value}, CONTEXT)
    assert ["aws elbv2 modify-listener" in body for _, body in sent(topic)] == [True, False]


def test_page_is_sent_although_the_commands_cannot_be_read(topic: str) -> None:
    notify.lambda_handler({**EVENT, "kind": "record_unreachable", "release_id": ""}, CONTEXT)
    ((_, body),) = sent(topic)
    assert "Quick Rollback" in body


@pytest.mark.parametrize("machine", ["deploy", "rollback", "clean-up", "operate"])
def test_machines_give_what_is_read(machine: str) -> None:
    telling = [task for task in tasks(golden(machine)).values() if task["Parameters"].get("FunctionName") == "notify"]
    assert telling
    for task in telling:
        given = {name.removesuffix(".$") for name in payload_of(task)}
        assert given == {*EVENT, "now"}, json.dumps(task)
