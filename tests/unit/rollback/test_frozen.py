"""What a restore of the database has frozen stays frozen, whoever asks; and nobody but a human has data thrown away."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from lambdas.errors import EnvironmentBusy
from lambdas.judge.alarm_rules import Alarm, AlarmName, Effect
from lambdas.operate.rules import OrderRequest, Verdict, why_not_free
from lambdas.release.record import ReleaseRecord
from lambdas.release.release_environment import release_environment
from lambdas.release.rules import (
    CleanUp,
    CleanUpRequest,
    EnvironmentRecord,
    InWindow,
    Live,
    OrderAction,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    check_deploy_claim,
    decide_clean_up,
)
from lambdas.rollback import claim_rollback as claiming
from lambdas.rollback import watchdog
from lambdas.rollback.alarm_rules import AlarmEvent, CriticalAlarms, refuse_alarm
from lambdas.rollback.rules import (
    Action,
    RollbackRequest,
    Source,
    claimed_work,
    decide,
    read_rollback_request,
)
from lambdas.rollback.rules import (
    Verdict as RollbackVerdict,
)
from tests.builders import BLUE, DEPLOYMENT, OTHER_DEPLOYMENT, OTHER_ROLLBACK, RESTORING, ROLLBACK, at
from tests.fakes import FakeExecutions

NOW = at(30)
POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2, window_ends_at=at(59))
LIVE = Live("new", "2222222", "green", at(2), POINT)
UNDER_WAY = Work(3, RESTORING, Phase.RESTORING, "new", claimed_at=at(20), progress_at=at(25))
FROZEN = Work(4, None, Phase.FROZEN, "new", claimed_at=at(20), progress_at=at(25))
FOUND = Work(4, OTHER_ROLLBACK, Phase.ROLLING_BACK, "new", progress_at=at(29), action=Action.KEEP_FROZEN.value)
ENDED = RollbackRequest(Source.EXECUTION_STATUS, RESTORING)
ON_AGAIN = '{"release_id": "new", "reason": "…"}'


def decided(request: RollbackRequest, work: Work, *, holder_runs: bool = True) -> RollbackVerdict:
    return decide(request, EnvironmentRecord(work, LIVE), ROLLBACK, NOW, holder_runs=holder_runs)


@pytest.mark.parametrize("source", [Source.EXECUTION_STATUS, Source.WATCHDOG])
def test_a_dead_restore_is_told_and_nothing_is_moved(source: Source) -> None:
    """Half of the databases may be exchanged: neither a switch nor a thaw is safe."""
    verdict = decided(RollbackRequest(source, RESTORING), UNDER_WAY)

    assert verdict.action is Action.KEEP_FROZEN
    assert ON_AGAIN in verdict.reason
    assert '"undo": true' in verdict.reason


def test_it_stays_known_as_frozen_while_a_rollback_writes_that_down() -> None:
    record = EnvironmentRecord(UNDER_WAY, LIVE)
    work = claimed_work(record, decided(ENDED, UNDER_WAY), ROLLBACK, NOW)

    assert work.is_frozen
    assert work.claimed_at == UNDER_WAY.claimed_at  # since then users are shut out
    assert decided(RollbackRequest(Source.WATCHDOG, OTHER_ROLLBACK), FOUND).action is Action.KEEP_FROZEN


@pytest.mark.parametrize("work", [UNDER_WAY, FROZEN])
def test_an_operator_moves_nothing_under_a_freeze_and_is_told_why(work: Work) -> None:
    verdict = decided(RollbackRequest(), work)

    assert verdict.action is Action.IMPOSSIBLE
    assert "raffic is frozen" in verdict.reason


def test_late_events_about_others_change_nothing() -> None:
    for work in (UNDER_WAY, FROZEN, FOUND):
        assert decided(RollbackRequest(Source.EXECUTION_STATUS, DEPLOYMENT), work).action is Action.NOTHING


def test_an_alarm_pages_nobody_while_a_restore_keeps_users_away_as_planned() -> None:
    """The probe meets 503, so that some alarm turns on is sure."""
    refusal = refused(UNDER_WAY, since=at(22))

    assert refusal is not None
    assert not refusal.pages


def test_what_was_on_before_or_is_not_about_users_pages_also_then() -> None:
    for refusal in (refused(UNDER_WAY, since=at(19)), refused(UNDER_WAY, since=at(22), effect=Effect.PAGES)):
        assert refusal is not None
        assert refusal.pages


def test_an_alarm_that_outlasts_a_restore_is_told_once(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """During the freeze nobody was paged for it."""
    executions = FakeExecutions()
    monkeypatch.setattr(watchdog, "record", record)
    monkeypatch.setattr(watchdog, "executions", executions)
    of_freeze, of_later = (
        Alarm(AlarmName(Effect.ROLLS_BACK, "probe-login", ""), is_on=True, since=since) for since in (at(22), at(36))
    )
    monkeypatch.setattr(watchdog, "alarms", Described((of_freeze, of_later)))
    lease = record.claim(Work(), replace(UNDER_WAY, token=0))
    record.finish(lease, Phase.RESTORED, at(30), {})

    told = [watchdog.watch(at(minute))["alarm"] for minute in range(31, 45)]

    assert told == [""] * 4 + [of_freeze.name.full("receipts-test")] * 5 + [""] * 5
    (given,) = executions.started.values()
    assert given["changed_at"] == at(22)
    refusal = refused(record.read().work, since=at(22))
    assert refusal is not None
    assert refusal.pages


@pytest.mark.parametrize("work", [FROZEN, FOUND])
def test_an_alarm_under_a_freeze_that_nobody_ends_pages(work: Work) -> None:
    refusal = refused(work, since=at(22))

    assert refusal is not None
    assert refusal.pages
    assert "raffic is frozen" in refusal.reason


@pytest.mark.parametrize("phase", [Phase.RESTORED, Phase.RESTORE_FAILED])
@pytest.mark.parametrize(("since", "is_of_freeze"), [(at(19), False), (at(22), True), (at(29), True), (at(31), False)])
def test_an_alarm_that_came_with_the_freeze_takes_no_release_back(phase: Phase, since: str, is_of_freeze: bool) -> None:  # noqa: FBT001
    refusal = refused(replace(FROZEN, phase=phase), since)

    assert (refusal is not None) == is_of_freeze


@dataclass(frozen=True)
class Described:
    """Critical alarms as CloudWatch describes them."""

    alarms: tuple[Alarm, ...]

    def that_roll_back(self) -> tuple[Alarm, ...]:
        return self.alarms


def refused(work: Work, since: str, effect: Effect = Effect.ROLLS_BACK) -> Any:
    name = AlarmName(effect, "probe-login", "")
    alarms = CriticalAlarms("receipts-test", [Alarm(name, is_on=True, since=since)])
    event = AlarmEvent(name.full("receipts-test"), "OK", since)
    return refuse_alarm(event, alarms, EnvironmentRecord(work, LIVE), at(35))


@pytest.mark.parametrize("work", [UNDER_WAY, FROZEN, FOUND])
def test_nothing_begins_under_a_freeze(work: Work) -> None:
    record = EnvironmentRecord(work, replace(LIVE, rollback_point=replace(POINT, window_ends_at=at(3))))

    with pytest.raises(EnvironmentBusy, match="raffic is frozen"):
        check_deploy_claim(record, OTHER_DEPLOYMENT, NOW, in_window=InWindow.REFUSE)
    assert decide_clean_up(CleanUpRequest(), record, "arn:of:a:clean-up", NOW).action is CleanUp.WAIT
    refusal = why_not_free(OrderRequest(OrderAction.RELEASE_ENVIRONMENT, reason="x"), work)
    assert refusal is not None
    assert refusal.verdict is Verdict.REFUSED


def test_that_traffic_is_frozen_says_nothing_of_how_the_release_ended(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), replace(UNDER_WAY, token=0))
    record.note_release("new", {"outcome": "rolled_back"})

    for _ in range(2):
        release_environment(lease, "new", Phase.FROZEN, "TrafficFrozen", NOW)

    assert record.release("new")["outcome"] == "rolled_back"
    assert record.read().work.is_frozen


def test_the_watchdog_starts_a_rollback_for_a_dead_restore_alone(
    record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a rollback has written it down nobody holds the environment, and nobody is paged every minute."""
    executions = FakeExecutions()
    monkeypatch.setattr(watchdog, "record", record)
    monkeypatch.setattr(watchdog, "executions", executions)
    lease = record.claim(Work(), replace(UNDER_WAY, token=0))

    assert watchdog.watch(NOW)["recovering"] == RESTORING
    record.finish(lease, Phase.FROZEN, NOW, {})
    assert watchdog.watch(at(31)) == {"recovering": "", "alarm": ""}


# A rollback that is followed by a restore


def test_only_a_human_asks_for_a_restore() -> None:
    request = read_rollback_request({"database": True, "reason": "receipts are garbled"})
    assert (request.database, request.problem) == (True, "")

    for source in sorted(set(Source) - {Source.OPERATOR}):
        given = {"database": True, "source": source.value, "execution_arn": "x", "alarm": "x", "changed_at": at(1)}
        assert "'database' is for a human to set" in read_rollback_request(given).problem
    assert "'database' must be true or false" in read_rollback_request({"database": "yes"}).problem


@pytest.fixture
def found(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> ReleaseRecord:
    monkeypatch.setattr(claiming, "record", record)
    monkeypatch.setattr(claiming, "executions", FakeExecutions())
    return record


@pytest.mark.usefixtures("found")
def test_whoever_asks_for_a_restore_where_nothing_is_rolled_back_learns_how_to_get_one() -> None:
    answer = claiming.claim_rollback(read_rollback_request({"database": True}), ROLLBACK, NOW)

    assert answer["action"] == "nothing"
    assert answer["reason"].endswith("start the restore-database machine.")


@pytest.mark.usefixtures("found")
def test_an_environment_that_cannot_restore_says_so_before_it_moves_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claiming, "settings", replace(claiming.settings, restore_machine=""))

    answer = claiming.claim_rollback(read_rollback_request({"database": True}), ROLLBACK, NOW)

    assert answer["action"] == "invalid"
    assert "add the table [restore]" in answer["reason"]
