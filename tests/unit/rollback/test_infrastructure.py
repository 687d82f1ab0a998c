"""A human may have the infrastructure taken back, too: with the traffic, or alone when the release is gone already."""

from dataclasses import replace
from typing import Any

import pytest

from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import EnvironmentRecord, Live, Phase, PointStatus, RollbackPoint, Work
from lambdas.rollback import claim_rollback as function
from lambdas.rollback.rules import (
    Action,
    RollbackRequest,
    decide,
    ended_as,
    last_undone,
    read_rollback_request,
    with_why,
)
from tests.builders import BLUE, DEPLOYMENT, OTHER_ROLLBACK, ROLLBACK, at
from tests.fakes import FakeExecutions

POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2)
LIVE = Live("new", "2222222", "green", at(2), POINT)
GONE = Live("old", "1111111", "blue", at(9), replace(POINT, status=PointStatus.CONSUMED, release_id="new"))
"""What is live after a rollback of release "new"."""
ASKED = RollbackRequest(infrastructure=True)


@pytest.fixture
def executions(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> FakeExecutions:
    fake = FakeExecutions(running={DEPLOYMENT})
    monkeypatch.setattr(function, "executions", fake)
    monkeypatch.setattr(function, "record", record)
    return fake


def ended(phase: Phase, release_id: str = "new") -> Work:
    return Work(token=7, phase=phase, release_id=release_id)


def decided(work: Work, live: Live | None, asked: RollbackRequest = ASKED) -> Action:
    return decide(asked, EnvironmentRecord(work, live), ROLLBACK, at(10), holder_runs=True).action


def problem(given: dict[str, Any]) -> str:
    return read_rollback_request(given).problem


def test_infrastructure_is_for_a_human_to_ask_for() -> None:
    assert read_rollback_request({"infrastructure": True}).infrastructure
    assert not read_rollback_request({}).infrastructure
    assert "must be true or false" in problem({"infrastructure": "yes"})
    watchdog = {"source": "watchdog", "execution_arn": DEPLOYMENT, "infrastructure": True}
    assert "is for a human to set" in problem(watchdog)


def test_database_and_infrastructure_are_two_decisions() -> None:
    """Both change what the version stands on; if one of them fails, the other must not be half done."""
    told = problem({"infrastructure": True, "database": True})

    assert told.startswith("Fields 'database' and 'infrastructure' cannot both be true")


def test_live_release_is_rolled_back_with_its_infrastructure() -> None:
    assert decided(Work(token=7), LIVE) is Action.SWITCH


@pytest.mark.parametrize("phase", [Phase.ROLLED_BACK, Phase.ABORTED])
def test_release_that_is_gone_has_only_its_infrastructure_taken_back(phase: Phase) -> None:
    assert decided(ended(phase), GONE) is Action.INFRASTRUCTURE
    assert decided(ended(phase), GONE, RollbackRequest(infrastructure=True, release_id="new")) is Action.INFRASTRUCTURE
    assert decided(ended(phase), GONE, RollbackRequest()) is Action.NOTHING


def test_failed_attempt_may_be_repeated() -> None:
    failed = replace(ended(Phase.ESCALATED), action=Action.INFRASTRUCTURE.value)

    assert decided(failed, GONE) is Action.INFRASTRUCTURE


def test_release_that_came_since_keeps_its_infrastructure() -> None:
    """What an older one had left is by now mixed with what this one has applied."""
    assert last_undone(ended(Phase.COMMITTED)) == ""
    assert decided(ended(Phase.COMMITTED), GONE) is Action.NOTHING


def test_naming_the_live_release_means_that_one_although_another_was_aborted() -> None:
    aborted = ended(Phase.ABORTED, "next")

    assert decided(aborted, LIVE) is Action.INFRASTRUCTURE
    assert decided(aborted, LIVE, RollbackRequest(infrastructure=True, release_id="new")) is Action.SWITCH


def test_nothing_is_taken_back_while_somebody_works() -> None:
    preparing = Work(token=7, holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="next")

    assert decided(preparing, GONE) is Action.ABORT


def test_whoever_aborts_with_it_is_told_how_to_go_on() -> None:
    preparing = Work(token=7, holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="next")
    verdict = decide(ASKED, EnvironmentRecord(preparing, GONE), ROLLBACK, at(10), holder_runs=True)

    assert 'start again with {"infrastructure": true}' in with_why(verdict, ASKED).reason


def test_release_ends_as_it_had_ended() -> None:
    assert ended_as(EnvironmentRecord(ended(Phase.ROLLED_BACK), GONE)) is Phase.ROLLED_BACK
    assert ended_as(EnvironmentRecord(ended(Phase.ABORTED, "next"), GONE)) is Phase.ABORTED
    assert ended_as(EnvironmentRecord(ended(Phase.ABORTED), None)) is Phase.ABORTED


def claim(given: dict[str, Any], execution: str = ROLLBACK) -> dict[str, Any]:
    return function.claim_rollback(read_rollback_request(given), execution, at(10))


@pytest.fixture
def gone(record: ReleaseRecord) -> None:
    """Leave a release behind that was rolled back."""
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.ROLLING_BACK, release_id="new"))
    record.finish(lease, Phase.ROLLED_BACK, at(9), {}, live=GONE)


@pytest.mark.usefixtures("executions", "gone")
def test_claim_for_infrastructure_alone_names_the_version_that_serves(record: ReleaseRecord) -> None:
    """That version's infrastructure is to come back; the rollback point names the other one by now."""
    answer = claim({"infrastructure": True})

    assert (answer["action"], answer["version"], answer["release_id"]) == ("infrastructure", "1111111", "new")
    assert (answer["infrastructure"], answer["ended_as"]) == (True, "rolled_back")
    assert record.read().work.phase is Phase.ROLLING_BACK


@pytest.mark.usefixtures("gone")
def test_rollback_that_died_is_resumed_with_what_it_was_asked_for(executions: FakeExecutions) -> None:
    claim({"infrastructure": True})
    assert ROLLBACK not in executions.running

    ended_execution = {"source": "execution-status", "execution_arn": ROLLBACK, "status": "FAILED"}
    answer = claim(ended_execution, OTHER_ROLLBACK)

    assert (answer["action"], answer["infrastructure"], answer["version"]) == ("infrastructure", True, "1111111")


@pytest.mark.usefixtures("executions")
def test_switch_that_died_still_knows_that_the_infrastructure_is_to_follow(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    record.begin_shifting(lease, LIVE, Phase.SHIFTING, {}, at(2))
    assert claim({"infrastructure": True})["infrastructure"]

    ended_execution = {"source": "execution-status", "execution_arn": ROLLBACK, "status": "TIMED_OUT"}
    answer = claim(ended_execution, OTHER_ROLLBACK)

    assert (answer["action"], answer["infrastructure"], answer["version"]) == ("switch", True, "1111111")


@pytest.mark.usefixtures("executions")
def test_environment_without_infrastructure_refuses_the_request(
    record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "settings", replace(function.settings, has_infrastructure=False))
    answer = claim({"infrastructure": True})

    assert answer["action"] == "invalid"
    assert "add the table [infrastructure]" in answer["reason"]
    assert record.read().work.holder is None
