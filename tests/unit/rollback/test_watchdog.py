"""The watchdog needs no event: it looks whether the holder lives."""

from dataclasses import dataclass, replace

import pytest

from lambdas.judge.alarm_rules import Alarm, AlarmName, Effect
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import HealthReading, Live, Phase, PointStatus, RollbackPoint, Work
from lambdas.rollback import watchdog as function
from lambdas.rollback.alarm_rules import AlarmEvent
from lambdas.rollback.rules import Source, read_rollback_request
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
    assert function.watch(NOW)["recovering"] == holder
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
    assert function.watch(NOW)["recovering"] == ""
    assert executions.started == {}


def test_rollback_without_progress_is_recovered_although_it_runs(
    record: ReleaseRecord, executions: FakeExecutions
) -> None:
    executions.running.add(ROLLBACK)
    held_by(record, ROLLBACK, Phase.ROLLING_BACK, progress_at=at(4, 59))
    assert function.watch(NOW)["recovering"] == ROLLBACK


def test_free_environment_needs_nothing(executions: FakeExecutions) -> None:
    assert function.watch(NOW)["recovering"] == ""
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


# Alarms whose event did not arrive


ERRORS = Alarm(
    AlarmName(Effect.ROLLS_BACK, "error-rate-api", "green"), is_on=True, since=at(8), reason="9 % of requests"
)
POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2, window_ends_at=at(30))


@dataclass(frozen=True)
class Described:
    """Critical alarms as CloudWatch describes them."""

    alarms: tuple[Alarm, ...]

    def that_roll_back(self) -> tuple[Alarm, ...]:
        return self.alarms


@pytest.fixture
def promoted(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    record.commit(lease, Live("new", "2222222", "green", at(2), POINT), at(3))
    record.finish(lease, Phase.COMMITTED, at(3), {})


def heard(monkeypatch: pytest.MonkeyPatch, *alarms: Alarm, now: str = NOW) -> str:
    monkeypatch.setattr(function, "alarms", Described(alarms))
    return function.watch(now)["alarm"]


@pytest.mark.usefixtures("promoted")
def test_alarm_that_nobody_heard_starts_the_rollback_that_its_event_would_have_started(
    executions: FakeExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert heard(monkeypatch, ERRORS) == "receipts-test-rolls-back-error-rate-api-green"
    (given,) = executions.started.values()
    request = read_rollback_request(given)
    assert (request.problem, request.source, request.why) == ("", Source.ALARM, "9 % of requests")
    assert request.alarm == AlarmEvent("receipts-test-rolls-back-error-rate-api-green", "OK", at(8))


@pytest.mark.usefixtures("promoted")
@pytest.mark.parametrize(
    "alarm",
    [
        replace(ERRORS, since=at(9, 1)),
        replace(ERRORS, since=at(1)),
        replace(ERRORS, name=replace(ERRORS.name, color="blue")),
    ],
    ids=["its event may come still", "before the release", "of the old color"],
)
def test_watchdog_starts_nothing_for_what_would_move_no_traffic(
    executions: FakeExecutions, monkeypatch: pytest.MonkeyPatch, alarm: Alarm
) -> None:
    """It would page every minute."""
    assert heard(monkeypatch, alarm) == ""
    assert executions.started == {}


def test_watchdog_leaves_a_held_release_alone(
    record: ReleaseRecord, executions: FakeExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alarm's event has paged, and nothing is moved for it."""
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    live = Live("new", "2222222", "green", at(2), POINT, no_automatic_rollback="the old version knows no currencies")
    record.commit(lease, live, at(3))
    record.finish(lease, Phase.COMMITTED, at(3), {})
    assert heard(monkeypatch, ERRORS) == ""
    assert executions.started == {}


@dataclass(frozen=True)
class Blue:
    """What the metrics say of the way back."""

    said: str

    def trouble(self, color: str, now: str) -> str:
        assert color == "blue"
        assert now
        return self.said


def test_watchdog_pages_once_while_both_colors_fail_and_rolls_back_when_only_one_does(
    record: ReleaseRecord, executions: FakeExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks every minute, and the rollback machine would move no traffic and page each time."""
    executions.running.add(DEPLOYMENT)
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    live = Live("new", "2222222", "green", at(2), replace(POINT, window_ends_at=None))
    record.begin_shifting(lease, live, Phase.SHIFTING, {}, at(3))
    monkeypatch.setattr(function, "old_color", Blue("6 of 100 requests failed"))
    for minute in range(10, 15):
        assert heard(monkeypatch, ERRORS, now=at(minute))
    assert len(executions.started) == 1
    heard(monkeypatch, replace(ERRORS, since=at(14)), now=at(16))
    assert len(executions.started) == 2, "it was off between, and is on again"

    monkeypatch.setattr(function, "old_color", Blue(""))
    for minute in (17, 18):
        heard(monkeypatch, ERRORS, now=at(minute))
    assert len(executions.started) == 4, "each of them moves traffic, if the one before could not"


@pytest.mark.usefixtures("promoted")
def test_watchdog_leaves_alarms_alone_when_the_window_is_over(
    executions: FakeExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert heard(monkeypatch, ERRORS, now="2026-03-01T10:30:00Z") == ""
    assert executions.started == {}


def test_alarm_starts_nothing_while_a_rollback_is_at_it(
    record: ReleaseRecord, executions: FakeExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    executions.running.add(ROLLBACK)
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    record.commit(lease, Live("new", "2222222", "green", at(2), POINT), at(3))
    work = Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new", progress_at=at(9))
    record.claim(record.read().work, work)
    assert heard(monkeypatch, ERRORS) == ""
    assert executions.started == {}
