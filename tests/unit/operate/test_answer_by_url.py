"""A restore is approved by who proves to be somebody else than who has asked for it, and by nobody else."""

import json
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from lambdas.notices.topic import Topic
from lambdas.operate import answer_by_url as function
from lambdas.operate import note_caller
from lambdas.operate.requesters import Requesters
from lambdas.release.approval_rules import Approval
from lambdas.release.callers import Callers
from lambdas.release.record import ReleaseRecord
from lambdas.release.restore_rules import Restore, RestoreStatus
from lambdas.release.restores import Restores
from tests.builders import OPERATE, ROLLBACK, at
from tests.fakes import FakeExecutions
from tests.unit.operate.restores import JO, JO_AS_APPROVER, KIM, FakeTokens, asked, by_machine, request, started

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)


@pytest.fixture
def restores(record: ReleaseRecord) -> Restores:
    return Restores(record)


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


@pytest.fixture(autouse=True)
def topic(restores: Restores, tokens: FakeTokens, monkeypatch: pytest.MonkeyPatch) -> str:
    sns = boto3.client("sns")
    arn: str = sns.create_topic(Name="receipts-test-notices")["TopicArn"]
    for each in (function, note_caller):
        monkeypatch.setattr(each, "restores", restores)
        monkeypatch.setattr(each, "topic", Topic(sns, arn))
    monkeypatch.setattr(note_caller, "callers", Callers(restores.record))
    monkeypatch.setattr(function, "requesters", Requesters(Callers(restores.record)))
    monkeypatch.setattr(function, "tokens", tokens)
    monkeypatch.setattr(function, "executions", FakeExecutions())
    return arn


def sent(arn: str) -> list[tuple[str, str]]:
    """Return subject and body of every message."""
    found = sns_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].topics[arn].sent_notifications
    return [(subject, body) for _, body, subject, *_ in found]


def noted(event: dict[str, Any]) -> dict[str, Any]:
    return note_caller.lambda_handler(event, CONTEXT)


def sends(event: dict[str, Any]) -> tuple[int, str]:
    """Return status and reason of what comes back."""
    answer = function.lambda_handler(event, CONTEXT)
    assert answer["headers"]["Content-Type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"])["reason"]


def latest(restores: Restores) -> Restore:
    restore = restores.latest()
    assert restore is not None
    return restore


def is_untouched(restores: Restores, tokens: FakeTokens) -> bool:
    restore = latest(restores)
    return restore.status is RestoreStatus.WAITING and restore.approval is None and not tokens.answers


def test_an_approver_who_has_not_asked_lets_the_restore_begin(restores: Restores, tokens: FakeTokens) -> None:
    asked(restores)
    noted(started())

    status, reason = sends(request())

    assert (status, reason) == (
        200,
        "Restore r-new-0a1b2c3d begins now: traffic is frozen first, and users get 503.\nThe database goes back.",
    )
    assert tokens.answers == [{"approved": True, "by": KIM, "reason": "the loss is known"}]
    approval = latest(restores).approval
    assert approval is not None
    assert (approval.caller, approval.at, approval.reason) == (KIM, at(31), "the loss is known")
    assert latest(restores).task_token == ""


def test_everybody_hears_who_has_approved_it(restores: Restores, topic: str) -> None:
    asked(restores)
    noted(started())
    sends(request())

    ((subject, body),) = sent(topic)
    assert subject == "[receipts test] The restore before new is approved"
    assert f"the loss is known ({KIM})" in body


@pytest.mark.parametrize("caller", [JO_AS_APPROVER, JO_AS_APPROVER.replace("/jo", "/Jo")])
def test_who_has_asked_cannot_approve_in_whatever_role(caller: str, restores: Restores, tokens: FakeTokens) -> None:
    asked(restores)
    noted(started())

    status, reason = sends(request(caller))

    assert status == 403
    assert reason.startswith(f"{JO} has asked for this restore, and so cannot approve it as {caller}")
    assert is_untouched(restores, tokens)


def test_until_cloudtrail_has_told_nobody_can_approve(restores: Restores, tokens: FakeTokens) -> None:
    asked(restores)

    status, reason = sends(request())

    assert status == 409
    assert "CloudTrail has not told yet who started the restore" in reason
    assert "the account has no trail" in reason
    assert "use the operate machine" in reason
    assert is_untouched(restores, tokens)


def test_who_has_started_the_rollback_has_asked_for_the_restore_after_it(
    restores: Restores, tokens: FakeTokens
) -> None:
    asked(restores, asked_by=ROLLBACK)
    noted(by_machine())
    early = sends(request())
    noted(started(ROLLBACK))

    assert early[0] == 409
    assert "who started the rollback that asked for it" in early[1]
    assert sends(request(JO_AS_APPROVER))[0] == 403
    assert is_untouched(restores, tokens)
    assert sends(request())[0] == 200


def test_nobody_can_put_another_requester_into_the_input(restores: Restores, tokens: FakeTokens) -> None:
    """Whoever starts the restore by hand can write any rollback there: that of a colleague, for instance."""
    asked(restores, asked_by=ROLLBACK)
    noted(started(ROLLBACK, KIM))
    before = sends(request(JO_AS_APPROVER))
    noted(started(caller=JO))

    assert before[0] == 409
    assert sends(request(JO_AS_APPROVER))[0] == 403
    assert is_untouched(restores, tokens)


@pytest.mark.parametrize(
    "event",
    [
        started(ROLLBACK, "arn:aws:sts::123456789012:assumed-role/events/0", invokedBy="events.amazonaws.com"),
        started(
            ROLLBACK, "arn:aws:sts::123456789012:assumed-role/Runback-receipts-test-Watchdog/receipts-test-watchdog"
        ),
    ],
)
def test_a_restore_that_no_human_has_asked_for_is_not_approved_here(event: dict[str, Any], restores: Restores) -> None:
    asked(restores, asked_by=ROLLBACK)
    noted(by_machine())
    noted(event)

    status, reason = sends(request())

    assert (status, reason.partition(",")[0]) == (409, f"No human has started {ROLLBACK}")


@pytest.mark.parametrize("is_known", [True, False])
def test_everybody_may_withdraw_what_he_has_asked_for(
    restores: Restores, tokens: FakeTokens, *, is_known: bool
) -> None:
    """To reject changes nothing, so nobody has to be told apart."""
    asked(restores)
    if is_known:
        noted(started())

    status, reason = sends(request(JO_AS_APPROVER, action="reject"))

    assert (status, reason) == (200, "Restore r-new-0a1b2c3d does not begin. Nothing was changed.")
    assert tokens.answers == [{"approved": False, "by": JO_AS_APPROVER, "reason": "the loss is known"}]


@pytest.mark.parametrize("caller", ["arn:aws:sts::123456789012:assumed-role/operator/kim", ""])
def test_who_is_no_approver_answers_nothing(caller: str, restores: Restores, tokens: FakeTokens) -> None:
    """Whatever else in the account lets him call the function."""
    asked(restores)
    noted(started())

    status, reason = sends(request(caller, action="reject"))

    assert status == 403
    assert "approval.approver_arns" in reason
    assert is_untouched(restores, tokens)


def test_the_same_answer_is_found_again(restores: Restores, tokens: FakeTokens, topic: str) -> None:
    """Its own answer was lost, and it was sent once more."""
    asked(restores)
    noted(started())

    assert sends(request()) == sends(request())
    assert len(tokens.answers) == len(sent(topic)) == 1


def test_the_opposite_answer_comes_too_late(restores: Restores, tokens: FakeTokens) -> None:
    asked(restores)
    noted(started())
    sends(request())

    status, reason = sends(request(action="reject"))

    assert (status, reason) == (409, "Restore r-new-0a1b2c3d is approved, and waits for no answer.")
    assert len(tokens.answers) == 1


def test_an_answer_that_was_written_and_not_handed_over_is_handed_over(
    restores: Restores, tokens: FakeTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(restores)
    noted(started())

    def fails(*_: object) -> bool:
        raise ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "SendTaskSuccess")

    with monkeypatch.context() as context:
        context.setattr(tokens, "succeed", fails)
        status, reason = sends(request())
    again = sends(request())

    assert status == 503
    assert "SendTaskSuccess: Throttling: slow down" in reason
    assert "Send the same request again" in reason
    assert again[0] == 200
    assert len(tokens.answers) == 1


@pytest.mark.parametrize(
    ("changed", "status", "named"),
    [
        ({"body": "approve"}, 400, "The input must be a JSON object"),
        ({"body": None}, 400, "The input must be a JSON object"),
        ({"body": "[" * 5000}, 400, "The input must be a JSON object"),
        ({"body": "x" * 20_000}, 400, "The input must be a JSON object"),
        ({"body": "/w==", "isBase64Encoded": True}, 400, "The input must be a JSON object"),
        (request(reason=" "), 400, "Field 'reason' is missing"),
        (request(release_id=""), 400, "Field 'release_id' is missing"),
        (request(action="pause"), 400, "Only approve and reject come this way"),
        (request(approver=JO), 400, "Field 'approver' is not known."),
        (request(method="GET"), 405, "Send a POST"),
        (
            request(release_id="newer"),
            409,
            "Neither release newer nor a restore of it waits for approval; a restore of release new does.",
        ),
    ],
)
def test_what_is_no_answer_is_told_why(
    changed: dict[str, Any], status: int, named: str, restores: Restores, tokens: FakeTokens
) -> None:
    asked(restores)
    noted(started())

    found = sends({**request(), **changed})

    assert found[0] == status
    assert named in found[1]
    assert is_untouched(restores, tokens)


def test_a_body_in_base64_is_read(restores: Restores) -> None:
    """Lambda encodes what does not say that it is text."""
    asked(restores)
    noted(started())
    event = request()

    status, _ = sends({**event, "body": b64encode(event["body"].encode()).decode(), "isBase64Encoded": True})

    assert status == 200


def test_a_message_that_cannot_be_sent_stops_no_answer(
    restores: Restores, tokens: FakeTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(restores)
    noted(started())
    monkeypatch.setattr(function, "topic", Topic(boto3.client("sns"), "arn:aws:sns:eu-west-1:123456789012:gone"))

    assert sends(request())[0] == 200
    assert len(tokens.answers) == 1


def test_an_answer_in_the_console_gets_its_name_when_it_is_known(restores: Restores, topic: str) -> None:
    restore = asked(restores)
    noted(started())
    answered_in_console(restores, restore)

    answer = noted(started(OPERATE, KIM))

    approval = latest(restores).approval
    assert approval is not None
    assert (approval.by, approval.caller) == (OPERATE, KIM)
    assert answer == {"execution": OPERATE, "caller": KIM, "own": False}
    assert sent(topic) == []


@pytest.mark.parametrize("is_late", [True, False])
def test_who_approves_his_own_restore_in_the_console_is_told_of(
    restores: Restores, topic: str, *, is_late: bool
) -> None:
    """Nothing prevents it there; in whichever order the two events come."""
    events = [started(), started(OPERATE, JO)]
    restore = asked(restores)
    answered_in_console(restores, restore)

    found = [noted(event)["own"] for event in (reversed(events) if is_late else events)]

    assert found == [False, True]
    ((subject, body),) = sent(topic)
    assert subject == "[receipts test] ACTION NEEDED: restore of new approved by who asked"
    assert f"{JO} has asked for it, and {JO} has approved it in the console" in body


def test_whoever_starts_something_else_changes_no_answer(restores: Restores) -> None:
    restore = asked(restores)
    answered_in_console(restores, restore)

    noted(started(ROLLBACK, KIM))

    approval = latest(restores).approval
    assert approval is not None
    assert approval.caller == ""


def test_a_caller_is_kept_when_nothing_was_ever_restored(restores: Restores) -> None:
    noted(started(ROLLBACK))

    caller = Callers(restores.record).of(ROLLBACK)
    assert caller is not None
    assert (caller.arn, caller.at, caller.invoked_by) == (JO, "2026-03-01T10:30:00Z", "")


def answered_in_console(restores: Restores, restore: Restore) -> None:
    restores.answer(restore.restore_id, Approval(approved=True, by=OPERATE, at=at(31), reason="because"))
