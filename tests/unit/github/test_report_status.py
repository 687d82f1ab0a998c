"""What GitHub shows of a release is what the record says, however late, and what follows a rollback is done once."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.errors import GitHubRefused, GitHubUnavailable
from lambdas.github import report_status as function
from lambdas.github.github_rules import AfterRollback, PullRequest
from lambdas.github.push_rules import Execution
from lambdas.github.reports import GitHubReports
from lambdas.release.approval_rules import ReleaseApproval
from lambdas.release.record import ReleaseRecord, to_dynamodb
from lambdas.release.release_approvals import ReleaseApprovals
from lambdas.release.request_rules import ReleaseAsked, RequestOutcome
from lambdas.release.requests import Requests
from lambdas.release.rules import (
    Bake,
    Lease,
    Live,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    later,
    release_id_of,
)
from tests.builders import DEPLOYMENT, ROLLBACK, at

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)
COMMIT = "4f2c1e9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e"
NEW = release_id_of(COMMIT, "one")
KIM = "arn:aws:sts::123456789012:assumed-role/approver/kim"
PULL = PullRequest("PR_1", 5, "Add currencies", "https://github.com/pull/5", "main", at(0), COMMIT)


@dataclass
class FakeGitHub:
    """Keeps what it is told, and fails as a test wants it to."""

    statuses: list[tuple[str, str, str]] = field(default_factory=list)
    deployments: dict[int, str] = field(default_factory=dict)
    deployment_statuses: list[tuple[int, str]] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    reverts: list[str] = field(default_factory=list)
    pulls: tuple[PullRequest, ...] = (PULL,)
    fails: dict[str, Exception] = field(default_factory=dict)
    loses: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise self.fails[name]
        if "all" in self.fails:
            raise self.fails["all"]

    def _answer(self, name: str) -> None:
        """Lose the answer to what was done."""
        if name in self.loses:
            self.loses.remove(name)
            raise GitHubUnavailable("GitHub did not answer.")

    def head(self, ref: str) -> str:
        self._called("head")
        assert COMMIT.startswith(ref)
        return COMMIT

    def set_status(self, commit: str, context: str, state: str, description: str, url: str = "") -> None:
        self._called("set_status")
        assert (commit, url[:8]) == (COMMIT, "https://")
        self.statuses.append((context, str(state), description))

    def deployment_of(self, commit: str, environment: str, release_id: str) -> int | None:
        self._called("deployment_of")
        assert (commit, environment) == (COMMIT, "test")
        return next((number for number, each in self.deployments.items() if each == release_id), None)

    def create_deployment(self, commit: str, environment: str, release_id: str, *, production: bool) -> int:
        self._called("create_deployment")
        assert (commit, environment, production) == (COMMIT, "test", False)
        self.deployments[len(self.deployments) + 1] = release_id
        self._answer("create_deployment")
        return len(self.deployments)

    def set_deployment_status(self, deployment: int, state: str, description: str, url: str = "") -> None:
        self._called("set_deployment_status")
        assert description
        assert url.startswith("https://")
        self.deployment_statuses.append((deployment, str(state)))

    def comments(self, commit: str) -> tuple[str, ...]:
        self._called("comments")
        assert commit == COMMIT
        return tuple(self.written)

    def comment(self, commit: str, text: str) -> None:
        self._called("comment")
        assert commit == COMMIT
        self.written.append(text)
        self._answer("comment")

    def pull_requests(self, commit: str) -> tuple[PullRequest, ...]:
        self._called("pull_requests")
        assert commit == COMMIT
        return self.pulls

    def revert(self, pull_request_node_id: str, title: str, body: str) -> str:
        self._called("revert")
        assert pull_request_node_id == "PR_1"
        assert "Reverts #5" in body
        self.reverts.append(title)
        self._answer("revert")
        return "https://github.com/pull/6"


@dataclass
class FakeStates:
    """What Step Functions says of the deployment."""

    execution: Execution = field(default_factory=lambda: Execution("RUNNING"))

    def of(self, execution_arn: str) -> Execution:
        assert execution_arn == DEPLOYMENT
        return self.execution


@pytest.fixture(autouse=True)
def github(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    fake = FakeGitHub()
    monkeypatch.setattr(function, "github", fake)
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "requests", Requests(record))
    monkeypatch.setattr(function, "approvals", ReleaseApprovals(record))
    monkeypatch.setattr(function, "reports", GitHubReports(record))
    yield fake  # noqa: PT022


@pytest.fixture(autouse=True)
def states(monkeypatch: pytest.MonkeyPatch) -> FakeStates:
    fake = FakeStates()
    monkeypatch.setattr(function, "states", fake)
    return fake


def looks(minute: int, second: int = 0, detail: dict[str, Any] | None = None) -> dict[str, Any]:
    """Let the schedule, or an event, have it look."""
    now = at(minute, second).replace(".000Z", "Z")
    return function.lambda_handler({"time": now, "detail": detail or {}}, CONTEXT)


def begins(given: object = None, status: str = "RUNNING") -> dict[str, Any]:
    """Return what an event says of the deployment's execution."""
    text = json.dumps({"version": COMMIT} if given is None else given)
    machine = DEPLOYMENT.removesuffix(":one").replace("execution", "stateMachine")
    return {"executionArn": DEPLOYMENT, "stateMachineArn": machine, "name": "one", "status": status, "input": text}


def claimed(record: ReleaseRecord, phase: Phase = Phase.PREPARING, version: str = COMMIT) -> Lease:
    release_id = release_id_of(version, "one")
    record.note_release(release_id, {}, keep={"version": version, "execution": DEPLOYMENT, "requested_at": at(1)})
    return record.claim(
        Work(), Work(holder=DEPLOYMENT, phase=phase, release_id=release_id, claimed_at=at(1), progress_at=at(1))
    )


def promoted(record: ReleaseRecord, lease: Lease, minute: int = 10) -> Live:
    point = RollbackPoint(PointStatus.VALID, "blue", "d" * 40, "old", {}, 2, at(minute + 20))
    live = Live(NEW, COMMIT, "green", at(minute), point)
    record.commit(lease, live, at(minute))
    record.finish(lease, Phase.COMMITTED, at(minute), {NEW: {}})
    return live


def rolled_back(record: ReleaseRecord, lease: Lease, minute: int = 10) -> None:
    issue = "ReleaseUnhealthy: 12 % of the requests failed, `see` @octocat"
    record.finish(lease, Phase.ROLLED_BACK, at(minute), {NEW: {"outcome": "rolled_back", "issue": issue}})


def test_a_release_is_followed_from_its_first_moment_to_its_end(record: ReleaseRecord, github: FakeGitHub) -> None:
    looks(0, detail=begins())
    lease = claimed(record)
    looks(1)
    record.require_lease(lease, at(2), phase=Phase.SHIFTING)
    record.renew_lease(lease, at(2), bake=Bake(10, at(2), at(7)))
    looks(2)
    promoted(record, lease)
    looks(10, detail=begins(status="SUCCEEDED"))
    looks(11)

    assert github.statuses == [
        ("runback/test", "pending", "It has been asked for."),
        ("runback/test", "pending", "It is brought up, and has no traffic yet."),
        ("runback/test", "pending", "It has 10 % of the traffic, and is observed."),
        ("runback/test", "success", "It is live."),
    ]
    assert list(github.deployments.values()) == [NEW]
    assert [state for _, state in github.deployment_statuses] == ["queued", "in_progress", "in_progress", "success"]


def test_a_release_of_which_no_event_has_told_is_found(record: ReleaseRecord, github: FakeGitHub) -> None:
    claimed(record)
    looks(3)
    assert github.statuses == [("runback/test", "pending", "It is brought up, and has no traffic yet.")]


def test_nothing_is_said_twice(record: ReleaseRecord, github: FakeGitHub) -> None:
    claimed(record)
    for minute in range(1, 6):
        looks(minute)
    assert len(github.statuses) == 1
    assert len(github.deployment_statuses) == 1


def test_once_the_window_is_over_nobody_looks_at_it_any_more(record: ReleaseRecord, github: FakeGitHub) -> None:
    promoted(record, claimed(record))
    looks(11)
    assert GitHubReports(record).open().releases == {NEW}
    looks(31)
    assert GitHubReports(record).open().releases == frozenset()
    calls = len(github.calls)
    looks(32)
    assert len(github.calls) == calls


def test_a_release_of_a_short_version_is_told_of_its_whole_commit(record: ReleaseRecord, github: FakeGitHub) -> None:
    """GitHub takes a status for nothing else."""
    claimed(record, version=COMMIT[:7])
    looks(1)
    looks(2)
    assert github.calls.count("head") == 1
    assert len(github.statuses) == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"verdict": "wait", "reason": "The release waits for change_window."}, "It waits: The release waits for"),
        ({"outcome": RequestOutcome.REFUSED, "reason": "backup (required)"}, "Refused by its gates: backup (required)"),
        (
            {"outcome": RequestOutcome.ABORTED, "reason": f"{KIM} has rejected it"},
            "Not approved: kim has rejected it",
        ),
    ],
)
def test_what_happens_before_it_has_the_environment_is_told(
    asked: dict[str, Any], said: str, record: ReleaseRecord, github: FakeGitHub
) -> None:
    Requests(record).note(ReleaseAsked(NEW, COMMIT, DEPLOYMENT, at(0), **asked))
    looks(0, detail=begins())
    ((_, state, description),) = github.statuses
    assert description.startswith(said)
    assert state == ("failure" if "outcome" in asked else "pending")


def test_it_says_for_whom_it_waits(record: ReleaseRecord, github: FakeGitHub) -> None:
    Requests(record).note(ReleaseAsked(NEW, COMMIT, DEPLOYMENT, at(0)))
    ReleaseApprovals(record).ask(ReleaseApproval(NEW, DEPLOYMENT, at(0), at(50), task_token="canary"))
    looks(1, detail=begins())
    assert github.statuses == [("runback/test", "pending", f"It waits for an approval until {at(50)}.")]
    assert github.deployment_statuses == [(1, "pending")]


@pytest.mark.parametrize(
    ("execution", "said"),
    [
        (Execution("FAILED", "ReleaseRefused"), "It did not begin (ReleaseRefused)"),
        (Execution("ABORTED"), "It did not begin (aborted)"),
        (Execution(""), "It did not begin (its execution is not known any more)"),
    ],
)
def test_one_that_never_got_the_environment_does_not_stay_pending(
    execution: Execution, said: str, states: FakeStates, record: ReleaseRecord, github: FakeGitHub
) -> None:
    looks(0, detail=begins())
    states.execution = execution
    looks(1)
    assert github.statuses[-1][1] == "error"
    assert github.statuses[-1][2].startswith(said)
    assert GitHubReports(record).open().releases == frozenset()


@pytest.mark.parametrize("given", [{}, {"version": "HEAD"}, "4f2c1e9", None, {"version": COMMIT, "x": 1}])
def test_an_input_that_is_no_release_is_none(given: object, github: FakeGitHub) -> None:
    looks(0, detail={**begins(), "input": json.dumps(given)})
    is_one = isinstance(given, dict) and given.get("version") == COMMIT
    assert bool(github.calls) == is_one


@pytest.mark.parametrize(
    "detail",
    [
        {"input": "{}"},
        {"input": "{nonsense"},
        {
            "executionArn": ROLLBACK,
            "stateMachineArn": ROLLBACK.replace("execution", "stateMachine").removesuffix(":two"),
        },
    ],
)
def test_other_events_only_make_it_look(detail: dict[str, Any]) -> None:
    assert looks(0, detail={**begins(), **detail}) == {"told": [], "problems": []}


def test_a_rollback_is_told_with_a_comment_once(record: ReleaseRecord, github: FakeGitHub) -> None:
    lease = claimed(record, Phase.BAKING)
    looks(5)
    rolled_back(record, lease)
    for minute in (10, 11, 13):
        looks(minute)

    assert github.statuses[-1][1] == "failure"
    assert github.statuses[-1][2].startswith("It was rolled back: ReleaseUnhealthy: 12 % of the requests failed")
    (comment,) = github.written
    assert f"Release `{NEW}` of this commit was rolled back in **test**" in comment
    assert "```text\nReleaseUnhealthy: 12 % of the requests failed, 'see' @octocat\n```" in comment
    assert GitHubReports(record).open().releases == frozenset()


def test_a_comment_whose_answer_was_lost_is_not_written_twice(record: ReleaseRecord, github: FakeGitHub) -> None:
    rolled_back(record, claimed(record))
    looks(1, detail=begins())
    github.loses = {"comment"}
    for minute in (10, 11, 12, 14, 16, 18):
        looks(minute)
    assert len(github.written) == 1
    assert GitHubReports(record).open().releases == frozenset()


def test_a_comment_that_never_arrived_is_written_later(record: ReleaseRecord, github: FakeGitHub) -> None:
    rolled_back(record, claimed(record))
    github.fails = {"comment": GitHubUnavailable("GitHub did not answer.")}
    looks(10, detail=begins())
    github.fails = {}
    looks(11)
    assert github.written == []
    looks(16)
    assert len(github.written) == 1


def test_the_same_event_twice_is_one_comment(record: ReleaseRecord, github: FakeGitHub) -> None:
    """Lambda gives an event again whose function was stopped in the middle."""
    rolled_back(record, claimed(record))
    github.loses = {"comment"}
    looks(10, detail=begins())
    looks(10, detail=begins())
    assert len(github.written) == 1


@pytest.fixture
def _reverts(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = type(function.settings)(
        **{
            **{name: getattr(function.settings, name) for name in function.settings.__dataclass_fields__},
            "github": type(function.settings.github)(
                **{**asdict(function.settings.github), "after_rollback": AfterRollback.REVERT}
            ),
        }
    )
    monkeypatch.setattr(function, "settings", changed)


@pytest.mark.usefixtures("_reverts")
def test_a_rollback_can_ask_for_a_revert_once(record: ReleaseRecord, github: FakeGitHub) -> None:
    rolled_back(record, claimed(record))
    for minute in (10, 11, 13, 20):
        looks(minute, detail=begins())
    assert github.reverts == ['Revert "Add currencies" (rolled back in test)']
    assert github.written == []
    reported = GitHubReports(record).of(NEW)
    assert reported is not None
    assert reported.after_url == "https://github.com/pull/6"


@pytest.mark.usefixtures("_reverts")
@pytest.mark.parametrize("pulls", [(), (PULL, PULL), (PullRequest("PR_2", 6, "Open", "", "main", "", ""),)])
def test_without_the_one_merge_to_revert_there_is_a_comment(
    pulls: tuple[PullRequest, ...], record: ReleaseRecord, github: FakeGitHub
) -> None:
    github.pulls = pulls
    rolled_back(record, claimed(record))
    looks(10, detail=begins())
    assert (github.reverts, len(github.written)) == ([], 1)


@pytest.mark.usefixtures("_reverts")
def test_a_revert_of_which_nobody_knows_is_not_made_again(record: ReleaseRecord, github: FakeGitHub) -> None:
    """Two pull requests that revert the same would be one too many; the comment says what is so."""
    github.loses = {"revert"}
    rolled_back(record, claimed(record))
    for minute in (10, 11, 16, 18):
        looks(minute, detail=begins())
    assert len(github.reverts) == 1
    assert len(github.written) == 1


def test_when_it_is_down_the_rest_waits_and_then_only_the_last_is_told(
    record: ReleaseRecord, github: FakeGitHub
) -> None:
    github.fails = {"all": GitHubUnavailable("GitHub did not answer.")}
    assert looks(0, detail=begins())["problems"] == ["GitHub did not answer."]
    lease = claimed(record)
    looks(2)
    promoted(record, lease)
    assert github.statuses == []

    github.fails = {}
    looks(20)
    assert github.statuses == [("runback/test", "success", "It is live.")]
    assert github.deployment_statuses == [(1, "success")]


def test_it_is_left_alone_for_as_long_as_it_wants(record: ReleaseRecord, github: FakeGitHub) -> None:
    github.fails = {"all": GitHubUnavailable("Too much was asked of it.", retry_after=600)}
    claimed(record)
    looks(0)
    calls = len(github.calls)
    looks(5)
    looks(6, detail=begins())
    assert len(github.calls) == calls
    github.fails = {}
    looks(10)
    assert len(github.statuses) == 1


def test_a_right_that_the_token_lacks_keeps_nothing_else_from_being_told(
    record: ReleaseRecord, github: FakeGitHub
) -> None:
    github.fails = {"deployment_of": GitHubRefused("GitHub will not list deployments: 403.", 403)}
    rolled_back(record, claimed(record))
    assert looks(10, detail=begins())["problems"] == ["GitHub will not list deployments: 403."]
    assert github.statuses[-1][1] == "failure"
    assert len(github.written) == 1


def test_after_a_day_in_vain_it_is_given_up(record: ReleaseRecord, github: FakeGitHub) -> None:
    rolled_back(record, claimed(record))
    github.fails = {"set_status": GitHubRefused("GitHub will not take a status.", 404)}
    looks(10, detail=begins())
    function.lambda_handler({"time": later(at(9), 24 * 3600), "detail": {}}, CONTEXT)
    assert GitHubReports(record).open().releases == {NEW}
    function.lambda_handler({"time": later(at(11), 24 * 3600), "detail": {}}, CONTEXT)
    assert GitHubReports(record).open().releases == frozenset()


def test_a_deployment_whose_answer_was_lost_is_found_again(record: ReleaseRecord, github: FakeGitHub) -> None:
    github.loses = {"create_deployment"}
    claimed(record)
    looks(1)
    looks(2)
    assert list(github.deployments.values()) == [NEW]
    assert github.deployment_statuses == [(1, "in_progress")]


def test_a_rollback_long_after_all_was_told_is_told_too(record: ReleaseRecord, github: FakeGitHub) -> None:
    live = promoted(record, claimed(record))
    looks(11)
    looks(31)
    found = record.read()
    work = Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id=NEW, claimed_at=at(40), progress_at=at(40))
    lease = record.claim(found.work, work)
    looks(40)
    rolled_back(record, lease, 41)
    looks(41)
    assert live.release_id == NEW
    assert [state for _, state, _ in github.statuses] == ["success", "pending", "failure"]
    assert len(github.written) == 1


@pytest.mark.parametrize("phase", [Phase.RESTORING, Phase.CLEANING_UP])
def test_other_work_on_the_environment_says_nothing_of_the_release(
    phase: Phase, record: ReleaseRecord, github: FakeGitHub
) -> None:
    promoted(record, claimed(record))
    looks(11)
    work = Work(holder=ROLLBACK, phase=phase, release_id=NEW, claimed_at=at(40), progress_at=at(40))
    record.claim(record.read().work, work)
    looks(40)
    assert [state for _, state, _ in github.statuses] == ["success"]


def test_what_ended_long_before_is_not_brought_up(record: ReleaseRecord, github: FakeGitHub) -> None:
    """GitHub was put into the settings after it."""
    rolled_back(record, claimed(record), 2)
    function.lambda_handler({"time": later(at(3), 24 * 3600), "detail": {}}, CONTEXT)
    assert github.calls == []


def test_what_is_live_is_shown_as_soon_as_github_is_in_the_settings(record: ReleaseRecord, github: FakeGitHub) -> None:
    promoted(record, claimed(record))
    function.lambda_handler({"time": later(at(10), 30 * 24 * 3600), "detail": {}}, CONTEXT)
    assert [state for _, state, _ in github.statuses] == ["success"]


def test_of_two_releases_of_a_commit_the_later_one_speaks(record: ReleaseRecord, github: FakeGitHub) -> None:
    """One was refused because the environment was taken, and its event comes late."""
    again = release_id_of(COMMIT, "two")
    Requests(record).note(ReleaseAsked(NEW, COMMIT, DEPLOYMENT, at(0)))
    looks(0, detail=begins())
    Requests(record).end(NEW, RequestOutcome.REFUSED, "backup")
    record.note_release(again, {}, keep={"version": COMMIT, "execution": DEPLOYMENT})
    record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id=again, claimed_at=at(1)))
    looks(1)
    assert [state for _, state, _ in github.statuses] == ["pending", "pending"]
    assert dict(github.deployment_statuses) == {1: "failure", 2: "in_progress"}


def test_the_token_of_an_approval_goes_nowhere(record: ReleaseRecord, github: FakeGitHub) -> None:
    Requests(record).note(ReleaseAsked(NEW, COMMIT, DEPLOYMENT, at(0)))
    ReleaseApprovals(record).ask(ReleaseApproval(NEW, DEPLOYMENT, at(0), at(50), task_token="canary"))
    looks(1, detail=begins())
    kept = record.dynamodb.get_item(
        TableName=record.table, Key=to_dynamodb(record.plain_key(f"github#{NEW}")), ConsistentRead=True
    )
    assert "canary" not in f"{github} {kept}"
