"""The gates of time and people."""

from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lambdas.gates import check_operations as function
from lambdas.gates.calendars import Calendars
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Maintenance, Work
from lambdas.rollback.subscribers import Subscribers
from tests.builders import GATES, OPERATE, TOPIC_ARN, at

(CALENDAR,) = GATES["calendars"]
OPEN = {"State": "OPEN", "AtTime": "2026-03-01T10:00:00Z", "NextTransitionTime": "2026-03-02T10:00:00Z"}
FROZEN = {"State": "CLOSED", "AtTime": "2026-03-01T10:00:00Z", "NextTransitionTime": "2026-03-01T10:30:00Z"}


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    ssm = boto3.client("ssm")
    stubber = Stubber(ssm)
    monkeypatch.setattr(function, "calendars", Calendars(ssm))
    stubber.activate()
    return stubber


def says(calendar: Stubber, answer: dict[str, Any]) -> None:
    asked = {"CalendarNames": [CALENDAR], "AtTime": "2026-03-01T10:00:00Z"}
    calendar.add_response("get_calendar_state", answer, asked)


@pytest.fixture(autouse=True)
def wired(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Any:
    sns = boto3.client("sns")
    sns.create_topic(Name=TOPIC_ARN.rpartition(":")[2])
    sns.subscribe(TopicArn=TOPIC_ARN, Protocol="sms", Endpoint="+41791234567")
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "subscribers", Subscribers(sns))
    return sns


def look(now: str = at(0), skips: tuple[str, ...] = ()) -> dict[str, Any]:
    answer = function.lambda_handler.__wrapped__({"emergency_skips": list(skips), "now": now}, None)
    return {each["gate"]: each for each in answer["results"]}


def statuses(now: str = at(0), skips: tuple[str, ...] = ()) -> dict[str, str]:
    return {gate: each["status"] for gate, each in look(now, skips).items()}


def test_release_may_begin_in_a_window_that_nobody_has_frozen(calendar: Stubber) -> None:
    says(calendar, OPEN)
    assert statuses() == {"change_window": "passed", "maintenance": "passed", "on_call": "passed"}


def test_frozen_calendar_is_pending_until_it_opens(calendar: Stubber) -> None:
    says(calendar, FROZEN)
    found = look()["change_window"]
    assert (found["status"], found["again_at"]) == ("pending", "2026-03-01T10:30:00Z")


def test_closed_window_is_pending_although_the_calendar_is_open(calendar: Stubber) -> None:
    calendar.add_response("get_calendar_state", OPEN)
    found = look("2026-03-06T10:00:00.000Z")["change_window"]
    assert (found["status"], found["again_at"]) == ("pending", "2026-03-08T08:00:00Z")


def test_calendar_that_cannot_be_read_is_an_error_also_in_a_window(calendar: Stubber) -> None:
    calendar.add_client_error("get_calendar_state", "InvalidDocument", "Document is not a change calendar.")
    found = look()["change_window"]
    assert found["status"] == "error"
    assert "not a change calendar" in found["detail"]


def test_windows_alone_ask_no_calendar(calendar: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    gates = replace(function.settings.gates, calendars=())
    monkeypatch.setattr(function, "settings", replace(function.settings, gates=gates))
    assert statuses()["change_window"] == "passed"
    calendar.assert_no_pending_responses()


def test_calendars_alone_are_open_at_any_time(calendar: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    gates = replace(function.settings.gates, windows=())
    monkeypatch.setattr(function, "settings", replace(function.settings, gates=gates))
    says(calendar, OPEN)
    assert statuses()["change_window"] == "passed"


def test_maintenance_is_pending(record: ReleaseRecord, calendar: Stubber) -> None:
    says(calendar, OPEN)
    record.note_maintenance(Work(), Maintenance(at(30), "a new switch", OPERATE))
    found = look()["maintenance"]
    assert (found["status"], found["again_at"]) == ("pending", "2026-03-01T10:30:00Z")


def test_nobody_on_call_fails(wired: Any, calendar: Stubber) -> None:
    says(calendar, OPEN)
    for each in wired.list_subscriptions()["Subscriptions"]:
        wired.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    assert statuses()["on_call"] == "failed"


def test_skipped_gate_is_not_looked_at(calendar: Stubber) -> None:
    """Nobody waits for what an emergency goes without."""
    assert statuses(skips=("change_window",))["change_window"] == "skipped"
    calendar.assert_no_pending_responses()
