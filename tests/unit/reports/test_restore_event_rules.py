"""What an operator reads of a restore: what it cost users in rows and in time, and when they were shut out."""

from datetime import timedelta
from typing import Any

import pytest

from lambdas.reports.event_rules import decisions_of, events_of, request_of
from lambdas.reports.restore_event_rules import frozen_for, losses_of, lost_rows
from lambdas.reports.story import Tone
from tests.builders import OPERATE, RESTORING
from tests.unit.reports.histories import Played

SESSIONS = "arn:aws:sts::123456789012:assumed-role/approver"
LOST = {"receipts": {"inserted": 1200, "changed": 3, "deleted": 0}, "owners": {"inserted": 0}}


def restore(**given: Any) -> Played:
    return Played(RESTORING, {"reason": "receipts are garbled", **given})


def frozen(played: Played, seconds: float) -> Played:
    """Let users be shut out for so long."""
    played.task("Freeze traffic", "freeze-traffic", {"restore_id": "r"}, {"frozen_at": "…"})
    return played.task("Thaw traffic", "thaw-traffic", {"restore_id": "r"}, {"thawed": 1}, seconds=seconds)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "A restore of the database was asked for: receipts are garbled."),
        ({"undo": True}, "An undo of the restore was asked for: receipts are garbled."),
    ],
)
def test_a_restore_says_why_it_was_asked_for(given: dict[str, Any], said: str) -> None:
    assert request_of(restore(**given).read()) == said


@pytest.mark.parametrize(
    ("approved", "by", "said"),
    [
        (True, OPERATE, "A human has approved it: worth it"),
        (False, OPERATE, "A human has rejected it: worth it"),
        (True, f"{SESSIONS}/kim", f"{SESSIONS}/kim has approved it: worth it"),
    ],
)
def test_an_answer_is_read_as_the_human_gave_it(approved: bool, by: str, said: str) -> None:  # noqa: FBT001
    answer = {"approved": approved, "by": by, "reason": "worth it"}
    asked = restore().human("Wait for approval", "ask-approval", answer)
    assert events_of(asked.read())[-1].text == said


def test_lost_rows_are_told_by_table_and_change() -> None:
    assert lost_rows(LOST) == "receipts: 1,200 inserted, 3 changed"
    assert lost_rows({"receipts": {"inserted": 0, "changed": 0, "deleted": 0}}) == "none"


def test_only_what_was_counted_to_its_end_is_a_loss() -> None:
    counting = restore().task("Count lost writes", "count-lost-writes", {}, {"done": False, "lost": LOST})
    assert losses_of([counting.read()]) == []

    counted = counting.task("Count lost writes", "count-lost-writes", {}, {"done": True, "lost": LOST})
    assert losses_of([counted.read()]) == ["receipts: 1,200 inserted, 3 changed"]


def test_a_freeze_is_told_from_beginning_to_end() -> None:
    history = frozen(restore(), 90).read()

    assert frozen_for([history]) == timedelta(seconds=90)
    assert [(each.label, each.tone) for each in decisions_of(history)] == [
        ("frozen", Tone.WARNING),
        ("thawed", Tone.GOOD),
    ]


def test_a_freeze_that_others_end_is_one_and_one_that_nobody_ends_has_no_length() -> None:
    dead = restore().task("Freeze traffic", "freeze-traffic", {"restore_id": "r"}, {"frozen_at": "…"})
    assert frozen_for([dead.read()]) is None

    went_on = frozen(Played(RESTORING, {}, at=600), 90)
    assert frozen_for([dead.read(), went_on.read()]) == timedelta(seconds=690)
