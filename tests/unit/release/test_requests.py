"""What the record keeps of a request, and what a repeated or a late write changes of it."""

from dataclasses import replace

import pytest

from lambdas.release.record import ReleaseRecord
from lambdas.release.request_rules import GateLevel, GateResult, GateStatus, ReleaseAsked, RequestOutcome
from lambdas.release.requests import Requests
from tests.builders import DEPLOYMENT, NEW_VERSION, OTHER_DEPLOYMENT, at

ASKED = ReleaseAsked("2222222-abcd", NEW_VERSION, DEPLOYMENT, at(0), pushed_by="zoe")
RED = GateResult("commit_checks.tests", GateLevel.REQUIRED, GateStatus.PENDING, "It runs.", at(1))
GREEN = replace(RED, status=GateStatus.PASSED, detail="", again_at="")


@pytest.fixture
def requests(record: ReleaseRecord) -> Requests:
    return Requests(record)


def test_there_is_none_before_somebody_asks(requests: Requests) -> None:
    assert requests.of(ASKED.release_id) is None


def test_request_is_kept_with_all_that_belongs_to_it(requests: Requests) -> None:
    asked = replace(
        ASKED,
        emergency="checkout is down",
        skipped=("backup", "approval"),
        gates=(RED, GREEN),
        verdict="wait",
        reason="The release waits.",
        decided_at=at(1),
    )
    requests.note(asked)
    requests.note(asked)
    assert requests.of(ASKED.release_id) == asked


def test_results_are_replaced_and_what_was_asked_for_stays(requests: Requests) -> None:
    requests.note(replace(ASKED, gates=(RED,), verdict="wait"))
    late = replace(ASKED, execution=OTHER_DEPLOYMENT, pushed_by="mallory", asked_at=at(9), gates=(GREEN,), verdict="go")
    requests.note(late)
    assert requests.of(ASKED.release_id) == replace(ASKED, gates=(GREEN,), verdict="go")


def test_results_leave_an_answer_and_an_end_alone(requests: Requests) -> None:
    """A look that comes late must not take back what a human has said."""
    requests.note(replace(ASKED, approval={"approved": True}))
    assert requests.end(ASKED.release_id, RequestOutcome.ABORTED, "Rejected.")
    requests.note(replace(ASKED, gates=(GREEN,)))
    found = requests.of(ASKED.release_id)
    assert found is not None
    assert found.approval == {"approved": True}
    assert found.outcome is RequestOutcome.ABORTED


def test_the_first_end_is_the_end(requests: Requests) -> None:
    requests.note(ASKED)
    assert requests.end(ASKED.release_id, RequestOutcome.REFUSED, "The tests are red.")
    assert requests.end(ASKED.release_id, RequestOutcome.REFUSED, "The tests are red.")
    assert not requests.end(ASKED.release_id, RequestOutcome.ABORTED, "Rejected.")
    found = requests.of(ASKED.release_id)
    assert found is not None
    assert (found.outcome, found.reason) == (RequestOutcome.REFUSED, "The tests are red.")


def test_token_is_never_shown() -> None:
    """Whoever has it can approve."""
    assert "secret" not in repr(replace(ASKED, task_token="secret"))


def test_request_of_which_only_the_end_is_known_can_be_read(requests: Requests) -> None:
    requests.end("unknown", RequestOutcome.ABORTED, "Nobody could be asked.")
    found = requests.of("unknown")
    assert found is not None
    assert (found.version, found.outcome) == ("", RequestOutcome.ABORTED)
