"""The approval of a release: asked while nobody is held up, answered once, and followed by another look."""

import pytest

from tests.statemachines.definitions import golden, payload_of, tasks
from tests.statemachines.machines import UNANSWERED, UNASKED, UNFORESEEN, Answer, Machines
from tests.statemachines.roads import REJECTED

DEPLOY = golden("deploy")
STATES = tasks(DEPLOY)
NOT_APPROVED = "ReleaseNotApproved"


def test_nothing_is_held_while_a_human_thinks(account: Machines) -> None:
    called = account.run("deploy").called
    assert called.index("Wait for approval") < called.index("Claim environment")


def test_what_was_found_before_is_looked_at_again_after(account: Machines) -> None:
    """He may have taken hours."""
    called = account.run("deploy").called
    assert called.index("Wait for approval") < called.index("Decide gates after approval")
    assert called.index("Decide gates after approval") < called.index("Claim environment")


def test_who_is_asked_is_told_the_plan(account: Machines) -> None:
    run = account.run("deploy")
    data = run.given("Wait for approval")["data"]
    assert data["planned"]["summary"].startswith("Terraform adds")
    assert data["request"]["release_id"] == run.release_id


@pytest.mark.parametrize(
    ("answer", "status"), [(REJECTED, "rejected"), (UNANSWERED, "expired"), (UNFORESEEN, "lost")], ids=str
)
def test_without_a_yes_nothing_begins_and_the_cause_says_why(answer: Answer, status: str, account: Machines) -> None:
    run = account.run("deploy", {"Wait for approval": answer})

    assert run.ending == ("FAILED", NOT_APPROVED, "Nobody has approved release release-two.")
    assert "Claim environment" not in run.called
    (end,) = [call for call in run.calls if "status" in call.given]
    assert end.given["status"] == status
    assert bool(end.given["failure"]) == (status == "lost")


@pytest.mark.parametrize(("answer", "told"), [(REJECTED, False), (UNANSWERED, True), (UNFORESEEN, True)], ids=str)
def test_who_has_said_no_need_not_be_told(answer: Answer, told: bool, account: Machines) -> None:  # noqa: FBT001
    """The order itself tells everybody of a rejection."""
    run = account.run("deploy", {"Wait for approval": answer})
    assert ("Tell about the missing approval" in run.called) == told


def test_a_human_is_asked_once_even_when_he_does_not_answer(account: Machines) -> None:
    run = account.run("deploy", {"Wait for approval": UNANSWERED})
    assert run.called.count("Wait for approval") == 1


def test_an_end_that_cannot_be_written_down_is_no_yes(account: Machines) -> None:
    run = account.run("deploy", {"Wait for approval": REJECTED, "Record rejection": UNFORESEEN})
    assert run.ending[:2] == ("FAILED", NOT_APPROVED)
    assert "Claim environment" not in run.called


def test_an_emergency_can_go_without(account: Machines) -> None:
    run = account.run("deploy", given=UNASKED)
    assert run.ending[0] == "SUCCEEDED"
    assert "Wait for approval" not in run.called


def test_the_token_is_given_to_one_function_alone() -> None:
    given = [name for name, state in STATES.items() if "task_token.$" in payload_of(state)]
    assert given == ["Wait for approval"]
