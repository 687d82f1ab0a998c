"""Who approves a release is told, once, all that there is to know; and nothing that is missing keeps him from it."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from lambdas.errors import EnvironmentBusy, GitHubRefused, GitHubUnavailable
from lambdas.gates import ask_release_approval as function
from lambdas.gates import end_release_approval
from lambdas.github.github_rules import Commit, Comparison
from lambdas.notices.topic import Topic
from lambdas.release.approval_rules import Approval, ApprovalStatus, ReleaseApproval
from lambdas.release.record import ReleaseRecord, to_dynamodb
from lambdas.release.release_approvals import ReleaseApprovals
from lambdas.release.request_rules import GateLevel, GateResult, GateStatus, ReleaseAsked
from lambdas.release.requests import Requests
from lambdas.release.rules import Live
from tests.builders import DEPLOYMENT, OPERATE, at

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)
TOKEN = "a-canary-that-nobody-may-see"  # noqa: S105
NEW, OLD = "c" * 40, "d" * 40
COMMITS = (Commit("c" * 40, "Fix the totals", "octocat"), Commit("e" * 40, "Add currencies", ""))


@dataclass
class FakeGitHub:
    """Compares two commits, or cannot."""

    answer: Comparison | Exception = field(
        default_factory=lambda: Comparison("ahead", 12, "https://github.com/compare", COMMITS)
    )
    asked: list[tuple[str, str]] = field(default_factory=list)

    def compare(self, base: str, head: str, commits: int = 0) -> Comparison:
        assert commits
        self.asked.append((base, head))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def github(monkeypatch: pytest.MonkeyPatch) -> FakeGitHub:
    fake = FakeGitHub()
    monkeypatch.setattr(function, "github", fake)
    return fake


@pytest.fixture(autouse=True)
def topic(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> str:
    sns = boto3.client("sns")
    arn: str = sns.create_topic(Name="receipts-test-notices")["TopicArn"]
    monkeypatch.setattr(function, "topic", Topic(sns, arn))
    live = Live("old-1", OLD, "blue", at(0))
    item = {**record.plain_key("live"), "release_id": live.release_id, "version": OLD, "color": "blue", "since": at(0)}
    record.dynamodb.put_item(TableName=record.table, Item=to_dynamodb(item))
    return arn


def sent(arn: str) -> list[tuple[str, str]]:
    found = sns_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].topics[arn].sent_notifications
    return [(subject, body) for _, body, subject, *_ in found]


def asks(token: str = TOKEN, **request: Any) -> dict[str, Any]:
    """Let the machine ask."""
    data = {
        "request": {"release_id": "new-1", "version": NEW, "pushed_by": "octocat", **request},
        "planned": {"summary": "Terraform adds aws_sqs_queue.thumbnails."},
    }
    return function.lambda_handler({"task_token": token, "data": data, "execution": DEPLOYMENT, "now": at(5)}, CONTEXT)


def of(record: ReleaseRecord) -> ReleaseApproval:
    found = ReleaseApprovals(record).of("new-1")
    assert found is not None
    return found


def test_the_message_says_all_there_is_to_know(record: ReleaseRecord, topic: str, github: FakeGitHub) -> None:
    gates = (
        GateResult("backup", GateLevel.REQUIRED, GateStatus.PASSED, "3 h old"),
        GateResult("cdn", GateLevel.WARN, GateStatus.ERROR, "CloudFront did not answer."),
        GateResult("dns", GateLevel.OFF, GateStatus.OFF, ""),
    )
    Requests(record).note(ReleaseAsked("new-1", NEW, DEPLOYMENT, at(1), pushed_by="octocat", gates=gates))

    assert asks() == {"asked": True}

    ((subject, body),) = sent(topic)
    assert subject == "[receipts test] ACTION NEEDED: approve or reject release new-1"
    for said in (
        f"Release new-1 of version {NEW} waits until 2026-03-01T14:04:30Z (pushed by octocat).",
        f"Live now: version {OLD} of release old-1, since {at(0)}.",
        "Changes: 12 commits since the live version, https://github.com/compare",
        "- cccccccccccc Fix the totals (octocat)",
        "- and 10 more",
        "- backup (required): passed - 3 h old",
        "- cdn (warn): error - CloudFront did not answer.",
        "Infrastructure: Terraform adds aws_sqs_queue.thumbnails.",
        "Database: a snapshot is taken before anything changes.",
        "Expected duration: ",
        '{"action": "approve", "release_id": "new-1", "reason": "…"}',
        "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws/",
        DEPLOYMENT,
    ):
        assert said in body, said
    assert "dns" not in body
    assert TOKEN not in body
    assert github.asked == [(OLD, NEW)]
    assert of(record).task_token == TOKEN
    assert of(record).summary in body


def test_a_repeated_step_asks_once_and_keeps_the_last_token(record: ReleaseRecord, topic: str) -> None:
    asks("token-one")
    asks("token-two")
    assert len(sent(topic)) == 1
    assert of(record).task_token == "token-two"  # noqa: S105


def test_who_was_not_told_is_told_by_the_next_attempt(
    record: ReleaseRecord, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that waits without anybody knowing would wait in vain."""

    class Broken:
        def publish(self, _: object) -> None:
            raise ConnectionError

    working = function.topic
    monkeypatch.setattr(function, "topic", Broken())
    with pytest.raises(ConnectionError):
        asks()
    monkeypatch.setattr(function, "topic", working)
    asks("token-two")
    assert len(sent(topic)) == 1
    assert of(record).task_token == "token-two"  # noqa: S105


def test_one_that_was_answered_meanwhile_does_not_wait_again(record: ReleaseRecord) -> None:
    asks()
    ReleaseApprovals(record).answer("new-1", Approval(approved=True, by=OPERATE, at=at(6), reason="fine"))
    with pytest.raises(EnvironmentBusy):
        asks("token-two")


@pytest.mark.parametrize(
    "error", [GitHubUnavailable("GitHub did not answer."), GitHubRefused("GitHub will not.", 404)], ids=type
)
def test_a_host_that_says_nothing_keeps_nobody_from_asking(error: Exception, topic: str, github: FakeGitHub) -> None:
    github.answer = error
    asks()
    ((_, body),) = sent(topic)
    assert f"Changes: could not be read. {error}" in body


@pytest.mark.parametrize(
    ("comparison", "said"),
    [
        (Comparison("behind", 0, "https://c"), "OLDER than the live one"),
        (Comparison("diverged", 1, "https://c"), "1 commit since the live version, https://c It lacks commits"),
        (Comparison("identical", 0, "https://c"), "Changes: none."),
    ],
)
def test_a_step_back_is_named(comparison: Comparison, said: str, topic: str, github: FakeGitHub) -> None:
    github.answer = comparison
    asks()
    ((_, body),) = sent(topic)
    assert said in body


def test_a_commit_message_takes_its_line_and_no_more(topic: str, github: FakeGitHub) -> None:
    """An SNS message has 256 KB, and a commit message as much as somebody likes."""
    commits = (Commit("c" * 40, "word " * 100_000, "octocat"),)
    github.answer = Comparison("ahead", 1, "https://c", commits)
    asks()
    ((_, body),) = sent(topic)
    assert len(body) < 4000


def test_an_emergency_is_the_second_thing_that_is_said(topic: str) -> None:
    asks(emergency="checkout is down", skip_gates=["change_window", "dns"])
    ((_, body),) = sent(topic)
    assert "EMERGENCY: checkout is down It goes without change_window, dns." in body


@pytest.mark.parametrize("data", [{"pushed_by": ""}])
def test_one_without_pusher_was_started_by_hand(data: dict[str, Any], topic: str) -> None:
    asks(**data)
    ((_, body),) = sent(topic)
    assert "(started by hand)" in body


def ends(status: str, failure: dict[str, str] | None = None) -> str:
    event = {"release_id": "new-1", "status": status, "failure": failure or {}, "now": at(9)}
    reason: str = end_release_approval.lambda_handler(event, CONTEXT)["reason"]
    return reason


@pytest.fixture
def ending(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> ReleaseApprovals:
    releases = ReleaseApprovals(record)
    monkeypatch.setattr(end_release_approval, "releases", releases)
    return releases


def test_a_rejection_names_who_and_why(ending: ReleaseApprovals) -> None:
    asks()
    ending.answer("new-1", Approval(approved=False, by=OPERATE, at=at(6), reason="not on a Friday", caller="kim"))
    assert ends("rejected") == "kim has rejected release new-1: not on a Friday"


@pytest.mark.usefixtures("ending")
def test_an_expiry_names_its_moment(record: ReleaseRecord) -> None:
    asks()
    assert ends("expired") == "Nobody has approved release new-1 until 2026-03-01T14:04:30Z."
    assert of(record).status is ApprovalStatus.EXPIRED


@pytest.mark.usefixtures("ending")
def test_what_kept_people_from_being_asked_is_named() -> None:
    reason = ends("lost", {"Error": "AwsCallFailed", "Cause": '{"errorMessage": "Publish: Throttling"}'})
    assert reason == ("Nobody could be asked whether release new-1 may begin. AwsCallFailed: Publish: Throttling")
