"""A release is answered as a restore is: once, by name, and in the URL by another human than who has started it."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from lambdas.notices.topic import Topic
from lambdas.operate import answer_approval, answer_by_url, note_caller
from lambdas.operate.requesters import Requesters
from lambdas.release.approval_rules import ApprovalStatus, ReleaseApproval
from lambdas.release.callers import Callers
from lambdas.release.record import ReleaseRecord
from lambdas.release.release_approvals import ReleaseApprovals
from lambdas.release.request_rules import ReleaseAsked
from lambdas.release.requests import Requests
from lambdas.release.restores import Restores
from tests.builders import DEPLOYMENT, OPERATE, OTHER_OPERATE, at
from tests.fakes import FakeExecutions, LosesAnswers
from tests.unit.operate.restores import JO, JO_AS_APPROVER, KIM, TOKEN, FakeTokens, asked, request, started

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)
PUSHES = "arn:aws:sts::123456789012:assumed-role/Runback-receipts-test-StartReleaseRole0A1B/receipts-test-start-release"


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


@pytest.fixture
def releases(record: ReleaseRecord) -> ReleaseApprovals:
    """Let release "new" wait for an answer."""
    found = ReleaseApprovals(record)
    Requests(record).note(ReleaseAsked("new", "4f2c1e9", DEPLOYMENT, at(30)))
    found.ask(ReleaseApproval("new", DEPLOYMENT, at(30), at(59), summary="12 commits.", task_token=TOKEN))
    return found


@pytest.fixture(autouse=True)
def topic(
    record: ReleaseRecord, releases: ReleaseApprovals, tokens: FakeTokens, monkeypatch: pytest.MonkeyPatch
) -> str:
    sns = boto3.client("sns")
    arn: str = sns.create_topic(Name="receipts-test-notices")["TopicArn"]
    for each in (answer_approval, answer_by_url, note_caller):
        monkeypatch.setattr(each, "restores", Restores(record))
        monkeypatch.setattr(each, "releases", releases)
    for each in (answer_by_url, note_caller):
        monkeypatch.setattr(each, "topic", Topic(sns, arn))
    for each in (answer_approval, answer_by_url):
        monkeypatch.setattr(each, "tokens", tokens)
        monkeypatch.setattr(each, "executions", FakeExecutions())
    monkeypatch.setattr(answer_by_url, "requesters", Requesters(Callers(record)))
    monkeypatch.setattr(note_caller, "callers", Callers(record))
    return arn


def sent(arn: str) -> list[tuple[str, str]]:
    found = sns_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].topics[arn].sent_notifications
    return [(subject, body) for _, body, subject, *_ in found]


def orders(action: str = "approve", by: str = OPERATE, now: str = at(31), **more: Any) -> dict[str, Any]:
    """Give the answer by the operate machine."""
    event = {"action": action, "release_id": "new", "asked": "all is well", "accept_unaccounted": False}
    return answer_approval.lambda_handler({**event, "execution": by, "now": now, **more}, CONTEXT)


def sends(event: dict[str, Any]) -> tuple[int, str]:
    answer = answer_by_url.lambda_handler(event, CONTEXT)
    return answer["statusCode"], json.loads(answer["body"])["reason"]


def noted(event: dict[str, Any]) -> bool:
    own: bool = note_caller.lambda_handler(event, CONTEXT)["own"]
    return own


def status(releases: ReleaseApprovals) -> ApprovalStatus:
    found = releases.of("new")
    assert found is not None
    return found.status


def test_a_release_goes_on_with_a_human_s_yes(releases: ReleaseApprovals, tokens: FakeTokens) -> None:
    answer = orders()

    assert (answer["verdict"], answer["kind"]) == ("carried_out", "release_approved")
    assert answer["reason"] == "Release new goes on now. It takes the environment if nobody else has it.\n12 commits."
    assert tokens.answers == [{"approved": True, "by": OPERATE, "reason": "all is well"}]
    assert status(releases) is ApprovalStatus.APPROVED


def test_a_rejection_is_handed_over_too(releases: ReleaseApprovals, tokens: FakeTokens) -> None:
    answer = orders("reject")
    assert (answer["verdict"], answer["kind"]) == ("carried_out", "release_rejected")
    assert answer["reason"] == "Release new does not begin. Nothing was changed."
    assert tokens.answers[0]["approved"] is False
    assert status(releases) is ApprovalStatus.REJECTED


def test_the_first_answer_counts_and_counts_once(tokens: FakeTokens) -> None:
    orders()
    assert orders()["verdict"] == "carried_out"
    assert orders(by=OTHER_OPERATE)["verdict"] == "already_so"
    late = orders("reject", OTHER_OPERATE)
    assert (late["verdict"], late["reason"]) == ("refused", "Release new is approved, and waits for no answer.")
    assert len(tokens.answers) == 1


def test_one_that_was_written_and_not_handed_over_is_handed_over(
    releases: ReleaseApprovals, record: ReleaseRecord, tokens: FakeTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB wrote it, its answer was lost, and the client's second attempt met its own write."""
    forgetful = ReleaseApprovals(replace(record, dynamodb=LosesAnswers(record.dynamodb, "transact_write_items")))
    monkeypatch.setattr(answer_approval, "releases", forgetful)
    assert orders()["verdict"] == "carried_out"
    assert len(tokens.answers) == 1
    assert status(releases) is ApprovalStatus.APPROVED


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"now": at(59)}, f"Release new waited until {at(59)}. Start it again, and approve that."),
        ({"accept_unaccounted": True}, "Release new loses no writes"),
        ({"release_id": "other"}, "Neither release other nor a restore of it waits for approval."),
    ],
)
def test_what_fits_nothing_is_refused_with_why(more: dict[str, Any], said: str, tokens: FakeTokens) -> None:
    answer = orders(**more)
    assert answer["verdict"] == "refused"
    assert answer["reason"].startswith(said)
    assert tokens.answers == []


def test_one_whose_execution_was_stopped_is_refused(tokens: FakeTokens) -> None:
    tokens.waiting.clear()
    answer = orders()
    assert answer["verdict"] == "refused"
    assert "The execution of release new has ended." in answer["reason"]


def test_an_approver_lets_a_release_go_on_that_somebody_else_has_started(tokens: FakeTokens, topic: str) -> None:
    noted(started(DEPLOYMENT))

    assert sends(request())[0] == 200
    assert tokens.answers == [{"approved": True, "by": KIM, "reason": "the loss is known"}]
    ((subject, body),) = sent(topic)
    assert subject == "[receipts test] Release new is approved"
    assert KIM in body


def test_who_has_started_it_cannot_approve_it(tokens: FakeTokens) -> None:
    noted(started(DEPLOYMENT))
    code, reason = sends(request(JO_AS_APPROVER))
    assert code == 403
    assert reason.startswith(f"{JO} has asked for this release, and so cannot approve it")
    assert tokens.answers == []


def test_who_has_started_it_can_reject_it(tokens: FakeTokens) -> None:
    noted(started(DEPLOYMENT))
    assert sends(request(JO_AS_APPROVER, action="reject"))[0] == 200
    assert tokens.answers[0]["approved"] is False


def test_a_push_has_no_human_who_asked_so_any_approver_may_approve_it(tokens: FakeTokens) -> None:
    noted(started(DEPLOYMENT, PUSHES))
    assert sends(request(KIM))[0] == 200
    assert tokens.answers[0]["approved"] is True


def test_a_service_that_somebody_may_have_told_to_start_it_is_nobody_s_alibi(tokens: FakeTokens) -> None:
    """Whoever may make a schedule could have it start what he approves."""
    scheduler = "arn:aws:sts::123456789012:assumed-role/scheduler/0a1b2c3d"
    noted(started(DEPLOYMENT, scheduler, invokedBy="scheduler.amazonaws.com"))
    code, reason = sends(request())
    assert code == 409
    assert reason.startswith(f"No human has started {DEPLOYMENT}, but a service")
    assert tokens.answers == []


def test_whoever_has_started_it_may_be_the_approver_until_cloudtrail_tells(tokens: FakeTokens) -> None:
    """That the input of an execution names who pushed proves nothing: humans can write it, too."""
    code, reason = sends(request())
    assert code == 409
    assert "CloudTrail has not told yet who started the release" in reason
    assert tokens.answers == []


@pytest.mark.parametrize("deployment_first", [True, False])
def test_an_approval_of_one_s_own_release_in_the_console_is_told(
    deployment_first: bool,  # noqa: FBT001
    topic: str,
) -> None:
    orders()
    events = [started(DEPLOYMENT, JO), started(OPERATE, JO_AS_APPROVER)]
    first, second = events if deployment_first else reversed(events)
    assert not noted(first)
    assert noted(second)
    ((subject, body),) = sent(topic)
    assert subject == "[receipts test] ACTION NEEDED: new approved by who asked"
    assert JO in body
    assert JO_AS_APPROVER in body


def test_nobody_is_told_of_an_approval_by_somebody_else(topic: str) -> None:
    orders()
    assert not noted(started(DEPLOYMENT, JO))
    assert not noted(started(OPERATE, KIM))
    assert sent(topic) == []


def test_a_restore_of_the_same_release_that_waits_is_meant(
    record: ReleaseRecord, releases: ReleaseApprovals, tokens: FakeTokens
) -> None:
    """The release was approved by the same human, long before somebody wanted the database of before it back."""
    noted(started(DEPLOYMENT))
    sends(request(KIM))
    tokens.waiting.add(TOKEN)
    asked(Restores(record))
    noted(started())

    assert "Restore r-new-0a1b2c3d begins now" in sends(request(KIM))[1]
    assert len(tokens.answers) == 2
    assert status(releases) is ApprovalStatus.APPROVED
