"""The watchdog needs no event: it looks whether the holder lives."""

from dataclasses import dataclass

import pytest

from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import HealthReading, Live, Phase, PointStatus, RollbackPoint, Work
from lambdas.rollback import watchdog as function
from lambdas.traffic.rules import TargetHealth
from tests.builders import BLUE, CLEAN_UP, DEPLOYMENT, ROLLBACK, at
from tests.fakes import FakeExecutions

NOW = "2026-03-01T10:10:00Z"


@dataclass(frozen=True)
class HealthyBlue:
    """A load balancer that knows of two healthy blue targets."""

    def health(self, target_group: str) -> TargetHealth:
        return TargetHealth(healthy=2 if target_group == BLUE else 0, unknown=0)


@pytest.fixture(autouse=True)
def executions(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> FakeExecutions:
    fake = FakeExecutions()
    monkeypatch.setattr(function, "executions", fake)
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "load_balancer", HealthyBlue())
    return fake


def held_by(record: ReleaseRecord, holder: str, phase: Phase, progress_at: str = at(9)) -> None:
    record.claim(Work(), Work(holder=holder, phase=phase, release_id="new", progress_at=progress_at))


@pytest.mark.parametrize(("holder", "phase"), [(DEPLOYMENT, Phase.SHIFTING), (CLEAN_UP, Phase.CLEANING_UP)])
def test_dead_holder_is_recovered(record: ReleaseRecord, executions: FakeExecutions, holder: str, phase: Phase) -> None:
    held_by(record, holder, phase)
    assert function.watch(NOW) == holder
    assert list(executions.started.values()) == [{"source": "watchdog", "execution_arn": holder}]


def test_repeated_tick_recovers_once_and_the_next_minute_tries_again(
    record: ReleaseRecord, executions: FakeExecutions
) -> None:
    """EventBridge delivers more than once; a recovery can fail."""
    held_by(record, DEPLOYMENT, Phase.SHIFTING)
    function.watch(NOW)
    function.watch(NOW)
    assert len(executions.started) == 1
    function.watch("2026-03-01T10:11:00Z")
    assert len(executions.started) == 2


def test_living_holder_is_left_alone(record: ReleaseRecord, executions: FakeExecutions) -> None:
    executions.running.add(DEPLOYMENT)
    held_by(record, DEPLOYMENT, Phase.SHIFTING, progress_at=at(0))
    assert function.watch(NOW) == ""
    assert executions.started == {}


def test_rollback_without_progress_is_recovered_although_it_runs(
    record: ReleaseRecord, executions: FakeExecutions
) -> None:
    executions.running.add(ROLLBACK)
    held_by(record, ROLLBACK, Phase.ROLLING_BACK, progress_at=at(4, 59))
    assert function.watch(NOW) == ROLLBACK


def test_free_environment_needs_nothing(executions: FakeExecutions) -> None:
    assert function.watch(NOW) == ""
    assert executions.started == {}


@pytest.mark.parametrize(
    ("status", "reading"),
    [(PointStatus.VALID, HealthReading("blue", 2, NOW)), (PointStatus.CONSUMED, None), (PointStatus.EXPIRED, None)],
)
def test_health_of_a_valid_way_back_is_kept(
    record: ReleaseRecord, status: PointStatus, reading: HealthReading | None
) -> None:
    point = RollbackPoint(status, "blue", "1111111", "old", {"api": BLUE}, capacity=2)
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    record.commit(lease, Live("new", "2222222", "green", at(2), point), at(3))
    record.finish(lease, Phase.COMMITTED, at(3), {})
    function.watch(NOW)
    assert record.read().health == reading
