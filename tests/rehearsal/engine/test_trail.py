"""CloudTrail tells minutes later who has started an execution, and nothing of a start that was refused."""

import json
from typing import Any

import pytest

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.calls import Call, access_key_of
from rehearsal.engine.people import people_of
from rehearsal.engine.template import Resource, Stack
from rehearsal.engine.trail import DELAY_SECONDS, Trail

PEOPLE = people_of("123456789012", "arn:aws:iam::123456789012:role/approver")
ROLE = "arn:aws:iam::123456789012:role/Runback-receipts-test-It0A1B"
SESSIONS = "arn:aws:sts::123456789012:assumed-role"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-rollback:one"
STACK = Stack(
    "Runback-receipts-test",
    "",
    {
        "Function": Resource("Function", "AWS::Lambda::Function", "receipts-test-watchdog", {}, {"Role": ROLE}),
        "Machine": Resource("Machine", "AWS::StepFunctions::StateMachine", "arn", {}, {"RoleArn": f"{ROLE}2"}),
        "Rule": Resource("Rule", "AWS::Events::Rule", "rule", {}, {"Targets": [{"RoleArn": f"{ROLE}3"}, {"Arn": "x"}]}),
    },
    {},
)


class Bus:
    """Keeps what is to be put, and when."""

    def __init__(self) -> None:
        self.events: list[tuple[dict[str, Any], float]] = []

    def put_later(self, event: dict[str, Any], seconds: float) -> None:
        self.events.append((event, seconds))


def told(key: str, action: str = "StartExecution", error: str | None = None) -> list[tuple[dict[str, Any], float]]:
    bus = Bus()
    trail = Trail(TwoSpeedClock(), bus, STACK, PEOPLE.by_access_key)  # type: ignore[arg-type]
    call = Call(1, 0.0, 0.0, "stepfunctions", action, None, {"input": "{}"}, True, error, access_key=key)  # noqa: FBT003
    trail.answered(call, (200, {}, json.dumps({"executionArn": EXECUTION, "startDate": 1.0})))
    return bus.events


@pytest.mark.parametrize(
    ("key", "identity"),
    [
        (PEOPLE.operator.access_key, {"arn": f"{SESSIONS}/operator/jo"}),
        (
            access_key_of("receipts-test-watchdog"),
            {"arn": f"{SESSIONS}/Runback-receipts-test-It0A1B/receipts-test-watchdog"},
        ),
        (
            access_key_of(f"{ROLE}2"),
            {"arn": f"{SESSIONS}/Runback-receipts-test-It0A1B2/states", "invokedBy": "states.amazonaws.com"},
        ),
        (
            access_key_of(f"{ROLE}3"),
            {"arn": f"{SESSIONS}/Runback-receipts-test-It0A1B3/events", "invokedBy": "events.amazonaws.com"},
        ),
    ],
)
def test_it_tells_who_has_started_what(key: str, identity: dict[str, str]) -> None:
    """Of a service it says that, too: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/."""
    ((event, seconds),) = told(key)

    assert seconds == DELAY_SECONDS
    assert (event["source"], event["detail-type"]) == ("aws.states", "AWS API Call via CloudTrail")
    assert event["detail"]["userIdentity"] == {"type": "AssumedRole", **identity}
    assert event["detail"]["responseElements"]["executionArn"] == EXECUTION


def test_nobody_whom_we_know_is_the_root_user() -> None:
    ((event, _),) = told("AKIAEXAMPLE")
    assert event["detail"]["userIdentity"]["type"] == "Root"


def test_it_tells_of_no_other_call_and_of_none_that_was_refused() -> None:
    assert told(PEOPLE.operator.access_key, "StopExecution") == []
    assert told(PEOPLE.operator.access_key, error="AccessDenied") == []
