"""The question whether a release may begin is in the record, and is answered once."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from lambdas.errors import EnvironmentBusy
from lambdas.release.approval_rules import Approval, ApprovalStatus, ReleaseApproval, expiry
from lambdas.release.record import ReleaseRecord
from lambdas.release.release_approvals import ReleaseApprovals
from lambdas.release.request_rules import ReleaseAsked, RequestOutcome
from lambdas.release.requests import Requests
from tests.builders import DEPLOYMENT, OPERATE, OTHER_OPERATE, at
from tests.fakes import LosesAnswers

ASKED = ReleaseApproval("new", DEPLOYMENT, at(1), at(59), summary="What there is to know.", task_token="token-one")
YES = Approval(approved=True, by=OPERATE, at=at(5), reason="all is well")


@pytest.fixture
def releases(record: ReleaseRecord) -> Iterator[ReleaseApprovals]:
    Requests(record).note(ReleaseAsked("new", "4f2c1e9", DEPLOYMENT, at(1), pushed_by="octocat"))
    yield ReleaseApprovals(record)  # noqa: PT022


def of(releases: ReleaseApprovals) -> ReleaseApproval:
    found = releases.of("new")
    assert found is not None
    return found


def test_nobody_was_asked_about_a_release_that_only_went_through_its_gates(releases: ReleaseApprovals) -> None:
    assert releases.of("new") is None
    assert releases.of("another") is None


def test_the_question_is_kept_beside_what_was_asked_for(releases: ReleaseApprovals, record: ReleaseRecord) -> None:
    releases.ask(ASKED)

    assert of(releases) == ASKED
    request = Requests(record).of("new")
    assert request is not None
    assert (request.version, request.pushed_by) == ("4f2c1e9", "octocat")
    assert releases.about(DEPLOYMENT) == "new"
    assert releases.about(OPERATE) == ""


def test_the_last_token_is_the_one_that_waits(releases: ReleaseApprovals) -> None:
    releases.ask(ASKED)
    releases.ask(replace(ASKED, task_token="token-two"))
    assert of(releases).task_token == "token-two"  # noqa: S105


def test_the_token_is_shown_to_nobody(releases: ReleaseApprovals) -> None:
    releases.ask(ASKED)
    assert "token-one" not in f"{of(releases)}"


def test_the_first_answer_counts(releases: ReleaseApprovals) -> None:
    releases.ask(ASKED)
    releases.answer("new", YES)
    with pytest.raises(EnvironmentBusy):
        releases.answer("new", replace(YES, approved=False, by=OTHER_OPERATE))

    found = of(releases)
    assert (found.status, found.approval) == (ApprovalStatus.APPROVED, YES)
    assert releases.about(OPERATE) == "new"
    assert releases.about(OTHER_OPERATE) == ""


def test_an_answered_question_is_not_asked_again(releases: ReleaseApprovals) -> None:
    """A step that is repeated after its answer must not take the answer back."""
    releases.ask(ASKED)
    releases.answer("new", YES)
    with pytest.raises(EnvironmentBusy):
        releases.ask(ASKED)
    assert of(releases).approval == YES


def test_nothing_is_answered_before_somebody_waits(releases: ReleaseApprovals) -> None:
    releases.ask(ASKED)
    releases.forget_token("new")
    with pytest.raises(EnvironmentBusy):
        releases.answer("new", YES)


def test_an_answer_whose_own_answer_was_lost_is_written(record: ReleaseRecord, releases: ReleaseApprovals) -> None:
    """The client sends the request again, and finds its own write."""
    releases.ask(ASKED)
    forgetful = ReleaseApprovals(replace(record, dynamodb=LosesAnswers(record.dynamodb, "transact_write_items")))
    with pytest.raises(EnvironmentBusy):
        forgetful.answer("new", YES)
    assert of(releases).approval == YES


def test_who_answered_is_named_when_it_is_known(releases: ReleaseApprovals) -> None:
    releases.ask(ASKED)
    releases.answer("new", YES)
    assert not releases.name_answerer("new", OTHER_OPERATE, "arn:of:mallory")
    assert releases.name_answerer("new", OPERATE, "arn:of:kim")
    approval = of(releases).approval
    assert approval is not None
    assert approval.caller == "arn:of:kim"


@pytest.mark.parametrize("status", [ApprovalStatus.EXPIRED, ApprovalStatus.LOST])
def test_without_an_answer_it_ends_as_aborted(
    status: ApprovalStatus, releases: ReleaseApprovals, record: ReleaseRecord
) -> None:
    releases.ask(ASKED)
    releases.end("new", status, "Nobody has approved it.")
    releases.end("new", status, "Said again.")

    found, request = of(releases), Requests(record).of("new")
    assert request is not None
    assert (found.status, found.task_token) == (status, "")
    assert (request.outcome, request.reason) == (RequestOutcome.ABORTED, "Nobody has approved it.")
    with pytest.raises(EnvironmentBusy):
        releases.answer("new", YES)
    with pytest.raises(EnvironmentBusy):
        releases.ask(ASKED)


def test_an_end_takes_no_answer_back(releases: ReleaseApprovals) -> None:
    """A human answered in the moment in which the execution gave up."""
    releases.ask(ASKED)
    releases.answer("new", replace(YES, approved=False))
    releases.end("new", ApprovalStatus.EXPIRED, "Rejected.")
    assert of(releases).status is ApprovalStatus.REJECTED


def test_nothing_is_written_of_a_release_that_nobody_knows(releases: ReleaseApprovals, record: ReleaseRecord) -> None:
    releases.end("another", ApprovalStatus.LOST, "The record could not be written.")
    assert Requests(record).of("another") is None


def test_it_ends_also_when_nobody_was_ever_asked(releases: ReleaseApprovals, record: ReleaseRecord) -> None:
    releases.end("new", ApprovalStatus.LOST, "The notices could not be sent.")
    request = Requests(record).of("new")
    assert request is not None
    assert request.outcome is RequestOutcome.ABORTED


def test_nobody_can_answer_when_nobody_waits_any_more() -> None:
    """So an answer always finds the execution: its time-out is later."""
    assert not ASKED.waits(at(59))
    assert ASKED.waits(at(58, 59))
    assert expiry(at(0), 60) == "2026-03-01T10:59:30Z"
