import json
import re

import pytest

from lambdas.notices.rules import Kind, Message, Notice, compose, waits_for_somebody
from lambdas.operate.rules import read_order


@pytest.mark.parametrize("kind", list(Kind))
def test_every_message_says_what_why_and_what_to_do(kind: Kind) -> None:
    notice = Notice(kind, "2222222-abcd", "the reason", "arn:execution", commands="aws elbv2 modify-listener")
    message = compose(notice, "receipts", "production")
    assert "receipts production" in message.subject
    assert "the reason" in message.body
    assert "arn:execution" in message.body
    assert len(message.body.split("\n\n")) >= 4


def test_message_reads_from_what_happened_to_what_to_do() -> None:
    notice = Notice(Kind.REFUSED, "2222222-abcd", " The plan is refused.\n", "arn:execution")
    assert compose(notice, "receipts", "production") == Message(
        subject="[receipts production] Release 2222222-abcd was refused, nothing changed",
        body="Release 2222222-abcd was refused, nothing changed (receipts, production).\n\n"
        "Why: The plan is refused.\n\n"
        "Remove the reason above, then start receipts-production-deploy again.\n\n"
        "Execution: arn:execution",
    )


def test_message_without_release_or_reason_has_no_gaps() -> None:
    notice = Notice(Kind.ABORT_ORDERED, "", "", "arn:execution")
    assert compose(notice, "receipts", "production").body == (
        "Release a release is given up by an operator (receipts, production).\n\n"
        "Watch receipts-production-rollback: its own message says how the release ended.\n\n"
        "Execution: arn:execution"
    )


def test_page_without_record_carries_the_commands() -> None:
    notice = Notice(Kind.RECORD_UNREACHABLE, "", "throttled", "arn", commands="aws elbv2 modify-listener --x")
    assert "aws elbv2 modify-listener --x" in compose(notice, "receipts", "production").body


def test_page_says_where_to_look_when_even_the_commands_are_lost() -> None:
    body = compose(Notice(Kind.RECORD_UNREACHABLE, "", "", "arn"), "receipts", "production").body
    assert "\n\n(their copy in SSM cannot be read either: see the runbook, Quick Rollback)\n\n" in body


@pytest.mark.parametrize(("kind", "machine"), [(Kind.PROMOTED, "rollback"), (Kind.CLEAN_UP_FAILED, "clean-up")])
def test_input_to_paste_is_given_with_the_machine_to_start(kind: Kind, machine: str) -> None:
    body = compose(Notice(kind, "new", "", "arn"), "receipts", "production").body
    assert f"start receipts-production-{machine} with the input {{}}" in body


@pytest.mark.parametrize(
    ("kind", "actions"),
    [
        (Kind.PAUSED, ["resume", "abort"]),
        (Kind.RESUMED, ["pause"]),
        (Kind.PROMOTE_ORDERED, ["pause"]),
        (Kind.UNDECIDED, ["promote", "abort"]),
    ],
)
def test_order_to_paste_is_one_that_is_understood(kind: Kind, actions: list[str]) -> None:
    body = compose(Notice(kind, "2222222-abcd", "", "arn"), "receipts", "production").body
    orders = [read_order(json.loads(text), 3600) for text in re.findall(r"\{.+?\}", body) if text != "{}"]
    assert [(each.problem, each.action, each.release_id) for each in orders] == [
        ("", action, "2222222-abcd") for action in actions
    ]


@pytest.mark.parametrize("kind", list(Kind))
def test_subject_says_everything_of_a_real_release(kind: Kind) -> None:
    """It is cut at 100 characters."""
    subject = compose(Notice(kind, "0123456789ab-0123abcd", "", "arn"), "receipt-vault", "production").subject
    assert len(subject) < 100


def test_subject_is_one_that_sns_accepts() -> None:
    """Up to 100 ASCII characters: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html."""
    subject = compose(Notice(Kind.ESCALATED, "ü" * 200, "", "arn"), "receipts", "production").subject
    assert len(subject) == 100
    assert subject.isascii()


ENDS = {
    Kind.PROMOTED,
    Kind.ABORTED,
    Kind.ROLLED_BACK,
    Kind.NOT_VERIFIED,
    Kind.ESCALATED,
    Kind.CLEAN_UP_FAILED,
}


@pytest.mark.parametrize("kind", list(Kind))
def test_message_about_an_end_says_where_the_report_is(kind: Kind) -> None:
    notice = Notice(kind, "2222222-abcd", "", "arn:execution", report="https://console/report")
    lines = compose(notice, "receipts", "production").body.split("\n\n")
    assert lines[-1] == ("Report: https://console/report" if kind in ENDS else "Execution: arn:execution")


def test_message_about_no_release_names_no_report() -> None:
    notice = Notice(Kind.CLEAN_UP_FAILED, "", "", "arn:execution", report="https://console/report")
    assert "Report:" not in compose(notice, "receipts", "production").body


@pytest.mark.parametrize(
    ("failure", "reason"),
    [({}, "checkout is broken"), ({"Error": "LeaseLost", "Cause": '{"errorMessage": "Gone."}'}, "LeaseLost: Gone.")],
)
def test_reason_is_the_failure_where_there_is_one(failure: dict[str, str], reason: str) -> None:
    event = {"kind": "escalated", "release_id": "new", "reason": "checkout is broken", "failure": failure}
    assert Notice.from_event({**event, "execution": "arn"}) == Notice(Kind.ESCALATED, "new", reason, "arn")


@pytest.mark.parametrize("kind", list(Kind))
def test_subject_says_whether_somebody_has_to_act(kind: Kind) -> None:
    subject = compose(Notice(kind, "new", "", "arn"), "receipts", "production").subject
    assert waits_for_somebody(kind) == ("ACTION NEEDED" in subject)


def test_page_about_a_held_release_has_every_way_on_to_paste() -> None:
    """Nothing moves traffic by itself then, so the reader must not have to look anything up."""
    body = compose(Notice(Kind.HELD, "2222222-abcd", "an alarm is on", "arn"), "receipts", "production").body
    for given in (
        'receipts-production-rollback with the input {"release_id": "2222222-abcd", "reason": "…"}',
        '{"release_id": "2222222-abcd", "database": true, "reason": "…"}',
        'receipts-production-operate with {"action": "end-window", "release_id": "2222222-abcd", "reason": "…"}',
    ):
        assert given in body


def test_page_about_a_changed_schema_names_the_restore() -> None:
    body = compose(Notice(Kind.SCHEMA_CHANGED, "2222222-abcd", "", "arn"), "receipts", "production").body
    assert 'receipts-production-restore-database with the input {"release_id": "2222222-abcd", "reason": "…"}' in body


@pytest.mark.parametrize("kind", [Kind.RESTORE_ASKED, Kind.RELEASE_ASKED])
def test_approvers_are_told_where_to_send_an_answer(kind: Kind) -> None:
    """A URL that takes signed requests alone: whoever merely has the message can do nothing with it."""
    url = "https://0123.lambda-url.eu-west-1.on.aws/"
    body = compose(Notice(kind, "new", "", "arn", approval_url=url), "receipts", "production").body

    assert "\n\nApprovers who have not asked for it themselves can send the same JSON, signed with" in body
    assert f"as a POST to {url}" in body
    assert "Approve as somebody else" in body


@pytest.mark.parametrize(
    ("kind", "url"),
    [(Kind.RESTORE_ASKED, ""), (Kind.RESTORE_APPROVED, "https://it/"), (Kind.RELEASE_APPROVED, "https://it/")],
)
def test_nobody_else_is_told_of_a_url(kind: Kind, url: str) -> None:
    assert "POST" not in compose(Notice(kind, "new", "", "arn", approval_url=url), "receipts", "production").body
