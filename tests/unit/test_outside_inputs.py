"""Whatever people, GitHub and events hand in: it is answered, a refusal names the field, and nothing is changed."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambdas.database.restore_rules import read_restore_request
from lambdas.errors import GitHubRefused, GitHubUnavailable
from lambdas.github import github_rules as github
from lambdas.github.push_rules import PushSettings, Starts, read_push_request
from lambdas.judge.alarm_rules import Alarm, AlarmName, Effect
from lambdas.operate.answer_rules import Answer
from lambdas.operate.rules import read_order
from lambdas.operate.url_rules import UrlRequest, read_answer
from lambdas.release.rules import (
    EnvironmentRecord,
    Live,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    explain_failure,
    read_clean_up_request,
    read_request,
)
from lambdas.rollback.alarm_rules import CriticalAlarms
from lambdas.rollback.rules import RollbackRequest, decide, read_rollback_request
from tests import builders
from tests.mutated import JSON, STRANGE, as_text, given_or
from tests.protocol.engine import Engine
from tests.protocol.world import World, alarm_of

OFTEN = settings(
    max_examples=150, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
RARELY = settings(OFTEN, max_examples=40)
NOW = builders.at(30)
COMMIT = "4f2c1e9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e"

DEPLOYMENTS = given_or(
    {"version": "4f2c1e9"},
    {"version": "4f2c1e9", "despite_alarms": "known", "migrations": "backward-compatible", "infrastructure": True},
    {"version": "4f2c1e9", "migrations": "breaking", "no_automatic_rollback": "agreed"},
    {"version": "4f2c1e9", "emergency": "users cannot log in", "skip_gates": ["coverage", "approval"]},
)
ALARM = {
    "source": "alarm",
    "alarm": alarm_of("green"),
    "state": "ALARM",
    "previous_state": "OK",
    "changed_at": builders.at(20),
    "reason": "too many errors",
}
ROLLBACKS = given_or(
    {"reason": "checkout is broken"},
    {"reason": "checkout is broken", "release_id": "new", "database": True},
    {"source": "deployment", "execution_arn": builders.DEPLOYMENT, "reason": "ReleaseUnhealthy", "cause": "{}"},
    {"source": "execution-status", "execution_arn": builders.DEPLOYMENT, "status": "FAILED"},
    ALARM,
)
ORDERS = given_or(
    {"action": "pause", "reason": "looks slow", "minutes": 10},
    {"action": "approve", "reason": "agreed", "release_id": "new", "accept_unaccounted": True},
    {"action": "begin-maintenance", "reason": "new disks", "minutes": 60},
    {"action": "release-environment", "reason": "its execution is dead"},
)
RESTORES = given_or(
    {"reason": "wrong totals", "release_id": "new", "to": "point-in-time"},
    {"reason": "wrong totals", "undo": True},
    {"reason": "wrong totals", "snapshot": "arn:aws:rds:eu-west-1:222233334444:snapshot:nightly"},
)
PUSHED = {
    "source": "github.com",
    "commit": COMMIT,
    "ref": "refs/heads/main",
    "sender": "ada",
    "delivery": "d",
    "pushed_at": builders.at(20),
    "before": "0" * 40,
    "repository_id": 412906233,
    "deleted": False,
    "fork": False,
}
PUSHES = given_or(PUSHED, {"commit": COMMIT}, {"source": "validated", "environment": "staging"})
CLEAN_UPS = given_or({"release_id": "new"}, {})


def is_told(problem: str) -> bool:
    """Say whether a refusal names what is wrong: a field, or that the input is no object."""
    named = problem.startswith(("Field", "The input must be a JSON object", "Migrations are 'breaking'"))
    return named and len(problem) < 1500


@OFTEN
@given(DEPLOYMENTS, st.booleans(), st.booleans())
def test_any_input_of_a_deployment_is_answered(typed: Any, can_migrate: bool, can_apply: bool) -> None:  # noqa: FBT001  Hypothesis gives them
    read = read_request(typed, "name", can_migrate=can_migrate, can_apply=can_apply, skippable=builders.SKIPPABLE)
    assert is_told(read.problem) if read.problem else read.version == typed["version"]


@pytest.mark.parametrize(
    ("inputs", "read"),
    [
        (ROLLBACKS, read_rollback_request),
        (ORDERS, lambda typed: read_order(typed, 3600)),
        (CLEAN_UPS, read_clean_up_request),
        (RESTORES, read_restore_request),
    ],
)
def test_any_input_of_a_machine_is_answered(inputs: st.SearchStrategy[Any], read: Callable[[Any], Any]) -> None:
    @OFTEN
    @given(inputs)
    def answered(typed: Any) -> None:
        problem = read(typed).problem
        assert not problem or is_told(problem)

    answered()


@OFTEN
@given(PUSHES, st.sampled_from(Starts))
def test_any_input_of_the_push_machine_is_answered(typed: Any, starts: Starts) -> None:
    read = read_push_request(typed, PushSettings(starts, "refs/heads/main", "staging", "table", 412906233), NOW)
    assert not read.problem or is_told(read.problem)
    if read.problem or read.refusal:
        assert read.push is None


LIVE = Live(
    "new",
    "2222222",
    "green",
    builders.at(2),
    RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": builders.BLUE}, capacity=2),
)
ON = Alarm(AlarmName(Effect.ROLLS_BACK, "error-rate-api", "green"), is_on=True, since=builders.at(20))


@OFTEN
@given(given_or(ALARM), st.sampled_from([None, (), (ON,)]), st.sampled_from([None, Phase.SHIFTING, Phase.COMMITTED]))
def test_any_event_of_an_alarm_is_decided(typed: Any, on: Any, phase: Phase | None) -> None:
    """Also when CloudWatch cannot be asked, and the event has the last word."""
    read: RollbackRequest = read_rollback_request(typed)
    work = Work(3, builders.DEPLOYMENT if phase is Phase.SHIFTING else None, phase, "new", progress_at=builders.at(3))
    critical = CriticalAlarms(builders.ALARMS["prefix"], on)
    verdict = decide(read, EnvironmentRecord(work, LIVE), "me", NOW, holder_runs=True, critical=critical)
    assert verdict.reason


@OFTEN
@given(STRANGE.map(as_text) | JSON.map(as_text) | st.text(max_size=50), st.text(max_size=20))
def test_any_cause_of_a_failure_is_explained(cause: str, error: str) -> None:
    """A machine hands on what a function, or whoever typed an input, has written."""
    assert isinstance(explain_failure({"Error": error, "Cause": cause}), str)


@pytest.mark.parametrize("cause", ["9" * 5000, "[" * 100_000, '{"errorMessage": 5}', '{"errorMessage": null}', "[1]"])
def test_a_cause_that_is_no_failure_of_a_function_is_quoted(cause: str) -> None:
    assert explain_failure({"Error": "Wrong", "Cause": cause}).startswith("Wrong")


@pytest.mark.parametrize("moment", ["2026-03-01T10:00:00", "2026-03-01", "0001-01-01T00:00:00+23:59", "yesterday"])
def test_an_alarm_without_a_proper_moment_is_refused(moment: str) -> None:
    problem = read_rollback_request({**ALARM, "changed_at": moment}).problem
    assert problem.startswith("Field 'changed_at' must be a moment with its time zone")


@pytest.fixture
def world() -> Iterator[World]:
    monkeypatch = pytest.MonkeyPatch()
    found = World()
    found.install(monkeypatch)
    yield found
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("machine", "inputs", "read"),
    [
        ("rollback", ROLLBACKS, read_rollback_request),
        ("operate", ORDERS, lambda typed: read_order(typed, 3600)),
        ("clean-up", CLEAN_UPS, read_clean_up_request),
    ],
)
def test_what_is_refused_changes_nothing(
    machine: str, inputs: st.SearchStrategy[Any], read: Callable[[Any], Any], world: World
) -> None:
    """The functions behind the first steps write nothing for an input that is not understood."""
    engine = Engine(world)
    engine.start("deploy", "2222222")
    engine.play_until(lambda: world.read().work.phase is Phase.COMMITTED)

    @RARELY
    @given(inputs)
    def unchanged(typed: Any) -> None:
        if not read(typed).problem:
            return
        before = deepcopy((world.table.items, world.weights, world.capacity))
        execution = engine.start(machine, typed)
        assert execution is not None
        while engine.runs(execution):
            engine.advance(execution)
        assert (world.table.items, world.weights, world.capacity) == before
        assert world.started == []

    unchanged()


CALLER = builders.APPROVERS[1]


@OFTEN
@given(ORDERS, st.booleans(), st.sampled_from(["POST", "GET", ""]), st.sampled_from([CALLER, "", "arn:aws:iam::1:x"]))
def test_any_signed_answer_is_answered(typed: Any, is_base64: bool, method: str, caller: str) -> None:  # noqa: FBT001  as above
    """Only a caller whom settings name, with a POST of a valid answer, gets further than a reply."""
    sent = {
        "requestContext": {
            "http": {"method": method},
            "timeEpoch": 1772445605000,
            "authorizer": {"iam": {"userArn": caller}},
        },
        "body": as_text(typed),
        "isBase64Encoded": is_base64,
    }
    read = read_answer(UrlRequest.from_event(sent), tuple(builders.APPROVERS))
    if isinstance(read, Answer):
        assert (method, caller, is_base64) == ("POST", CALLER, False)
    else:
        assert 400 <= read["statusCode"] < 500
        assert '"reason"' in read["body"]


CHECK = {"name": "tests", "status": "completed", "conclusion": "success", "output": {"title": "98 %", "summary": ""}}
ANSWERS: dict[str, tuple[Callable[[str, Any], Any], Any]] = {
    "check runs": (github.read_check_runs, {"total_count": 1, "check_runs": [CHECK]}),
    "statuses": (github.read_statuses, {"total_count": 1, "statuses": [{"context": "ci", "state": "success"}]}),
    "comparison": (github.read_comparison, {"status": "ahead", "ahead_by": 1, "html_url": "https://github.com"}),
    "commits": (github.read_commits, {"list": [{"sha": COMMIT, "commit": {"message": "Mend it"}}]}),
    "pull requests": (github.read_pull_requests, {"list": [{"number": 1, "node_id": "n", "merged_at": NOW}]}),
    "deployments": (github.read_deployments, {"list": [{"id": 1, "payload": {"release_id": "new"}}]}),
    "deployment": (github.read_deployment_id, {"id": 1}),
    "comments": (github.read_comments, {"list": [{"body": "well done"}]}),
    "revert": (
        github.read_revert,
        {
            "data": {"revertPullRequest": {"revertPullRequest": {"url": "https://github.com"}}},
            "errors": [{"type": "RATE_LIMITED", "message": "later"}],
        },
    ),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_any_answer_of_github_is_read_or_refused(answer: str) -> None:
    read, valid = ANSWERS[answer]

    @OFTEN
    @given(given_or(valid))
    def read_or_refused(said: Any) -> None:
        content = said.get("list") if isinstance(said, dict) and "list" in valid else said
        try:
            read("answer", github.read_json("answer", as_text(content)))
        except (GitHubUnavailable, GitHubRefused) as refusal:
            assert "GitHub" in str(refusal)  # noqa: PT017  both ways are right

    read_or_refused()


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000, "", "<html>", "{"])
def test_what_is_no_json_of_githubs_is_unavailable(text: str) -> None:
    with pytest.raises(GitHubUnavailable):
        github.read_json("answer", text)


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000, "5"])
def test_no_text_of_a_refusal_hides_its_status(text: str) -> None:
    with pytest.raises(GitHubRefused):
        github.require_answer("answer", github.Reply(404, text, {}))
    with pytest.raises(GitHubRefused):
        github.read_token(text)


@OFTEN
@given(
    st.integers(100, 599),
    st.text(max_size=30),
    st.sampled_from(["9" * 5000, "²", "-1", "30", ""]),
    st.text(max_size=30),
)
def test_any_headers_of_a_refusal_are_read(status: int, text: str, number: str, date: str) -> None:
    headers = {"retry-after": number, "x-ratelimit-reset": number, "x-ratelimit-remaining": "0", "date": date}
    for told in (headers, {**headers, "retry-after": ""}):
        try:
            github.require_answer("answer", github.Reply(status, text, told))
        except (GitHubUnavailable, GitHubRefused) as refusal:
            assert "GitHub" in str(refusal)  # noqa: PT017  both ways are right
