"""Freeing an environment: only from the dead, and only to a record that says what really serves."""

from dataclasses import replace
from typing import Any

import pytest

from lambdas.operate import free_environment as function
from lambdas.operate.rules import OrderRequest
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import (
    EnvironmentRecord,
    Lease,
    Live,
    OrderAction,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
)
from tests.builders import BLUE, DEPLOYMENT, GREEN, OPERATE, OTHER_OPERATE, OTHER_ROLLBACK, ROLLBACK, at
from tests.fakes import FakeExecutions, FakeParameters, LosesAnswers, ShownListener

POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2)
LIVE = Live("new", "2222222", "green", at(2), POINT)
ALL_BLUE, ALL_GREEN, DIVIDED = {BLUE: 100}, {GREEN: 100}, {BLUE: 90, GREEN: 10}


@pytest.fixture(autouse=True)
def listener(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> ShownListener:
    shown = ShownListener(ALL_GREEN)
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "load_balancer", shown)
    return shown


@pytest.fixture(autouse=True)
def executions(monkeypatch: pytest.MonkeyPatch) -> FakeExecutions:
    fake = FakeExecutions()
    monkeypatch.setattr(function, "executions", fake)
    return fake


@pytest.fixture(autouse=True)
def parameters(monkeypatch: pytest.MonkeyPatch) -> FakeParameters:
    fake = FakeParameters()
    monkeypatch.setattr(function, "parameters", fake)
    return fake


def hold(
    record: ReleaseRecord,
    phase: Phase,
    live: Live | None = LIVE,
    holder: str = DEPLOYMENT,
    release_id: str = "new",
    **more: Any,
) -> Lease:
    """Let a holder that is dead by now have come this far."""
    work = Work(holder=holder, phase=phase, release_id=release_id, claimed_at=at(1), progress_at=at(2), **more)
    return record.claim(record.read().work, work, live=live)


def free(
    execution: str = OPERATE, release_id: str = "", now: str = at(9), *, only_look: bool = False
) -> dict[str, Any]:
    request = OrderRequest(OrderAction.RELEASE_ENVIRONMENT, release_id, "its deployment is dead")
    return function.free_environment(request, execution, now, only_look=only_look)


@pytest.mark.parametrize(
    ("phase", "action", "ended", "outcome"),
    [
        (Phase.SHIFTING, None, Phase.ESCALATED, "escalated"),
        (Phase.BAKING, None, Phase.ESCALATED, "escalated"),
        (Phase.ESCALATED, None, Phase.ESCALATED, "escalated"),
        (Phase.COMMITTED, None, Phase.COMMITTED, "promoted"),
        (Phase.CLEANING_UP, None, Phase.COMMITTED, "promoted"),
        (Phase.ROLLING_BACK, "switch", Phase.ESCALATED, "escalated"),
        (Phase.ROLLING_BACK, "escalate", Phase.ESCALATED, "escalated"),
        (Phase.ROLLING_BACK, "abort", Phase.ABORTED, "aborted"),
        (Phase.ROLLING_BACK, "finish", Phase.COMMITTED, "promoted"),
        (Phase.ROLLING_BACK, "let_go", Phase.COMMITTED, "promoted"),
    ],
)
def test_traffic_where_the_record_has_it_frees_the_lease_alone(
    record: ReleaseRecord, parameters: FakeParameters, phase: Phase, action: str | None, ended: Phase, outcome: str
) -> None:
    lease = hold(record, phase, action=action)
    assert free()["verdict"] == "carried_out"
    found = record.read()
    assert (found.work.holder, found.work.token, found.work.phase) == (None, lease.token, ended)
    assert found.live == LIVE
    assert parameters == FakeParameters()
    history = record.release("new")
    assert (history["outcome"], history["ended_at"]) == (outcome, at(9))
    assert [(each["action"], each["by"]) for each in history["orders"]] == [("release-environment", OPERATE)]


@pytest.mark.parametrize("live", [LIVE, None])
def test_release_that_never_received_traffic_is_aborted(record: ReleaseRecord, live: Live | None) -> None:
    hold(record, Phase.PREPARING, live, release_id="next")
    answer = free()
    assert (answer["verdict"], answer["release_id"], answer["kind"]) == ("carried_out", "next", "environment_freed")
    assert record.release("next")["outcome"] == "aborted"
    assert record.read().live == live
    assert record.read().work.phase is Phase.ABORTED


@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.BAKING, Phase.COMMITTED, Phase.ROLLING_BACK])
def test_traffic_on_the_way_back_is_recorded_as_a_rollback_does(
    record: ReleaseRecord, listener: ShownListener, parameters: FakeParameters, phase: Phase
) -> None:
    listener.weights = ALL_BLUE
    hold(record, phase)
    assert free()["verdict"] == "carried_out"
    found = record.read()
    assert (found.work.holder, found.work.phase) == (None, Phase.ROLLED_BACK)
    assert found.live is not None
    assert (found.live.release_id, found.live.version, found.live.color) == ("old", "1111111", "blue")
    assert found.live.rollback_point is not None
    assert (found.live.rollback_point.status, found.live.rollback_point.release_id) == (PointStatus.CONSUMED, "new")
    assert (parameters.active, parameters.previous) == ("blue", "green")
    assert record.release("new")["outcome"] == "rolled_back"


@pytest.mark.parametrize(
    ("phase", "release_id", "loser"),
    [(Phase.PREPARING, "next", {}), (Phase.ROLLING_BACK, "new", {"holder": DEPLOYMENT, "release_id": "next"})],
)
def test_release_that_was_preempted_is_aborted_with_it(
    record: ReleaseRecord, listener: ShownListener, phase: Phase, release_id: str, loser: dict[str, Any]
) -> None:
    listener.weights = ALL_BLUE
    hold(record, phase, release_id=release_id, loser=loser)
    assert free()["verdict"] == "carried_out"
    assert (record.release("new")["outcome"], record.release("next")["outcome"]) == ("rolled_back", "aborted")


def refused(record: ReleaseRecord, **given: Any) -> str:
    """Order, find nothing changed, and return what was said."""
    before = record.read(), record.release("new")
    for only_look in (True, False):
        answer = free(only_look=only_look, **given)
        assert answer["verdict"] == "refused"
    assert before == (record.read(), record.release("new"))
    return str(answer["reason"])


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.SHIFTING, Phase.ROLLING_BACK, Phase.CLEANING_UP])
def test_nothing_is_taken_from_who_works(record: ReleaseRecord, executions: FakeExecutions, phase: Phase) -> None:
    executions.running.add(DEPLOYMENT)
    hold(record, phase)
    assert "still runs" in refused(record)
    assert "Order abort, or stop that execution first." in refused(record)


def test_who_has_escalated_works_no_more(record: ReleaseRecord, executions: FakeExecutions) -> None:
    executions.running.add(DEPLOYMENT)
    hold(record, Phase.ESCALATED)
    assert free()["verdict"] == "carried_out"


RUNNING = {"class": "breaking", "status": "running", "ends_by": at(20), "build_id": ""}


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"migrations": RUNNING}, "Migrations"),
        ({"infrastructure": {"ends_by": at(20)}}, "Terraform"),
        ({"infrastructure_rollback": {"ends_by": at(20)}}, "Terraform"),
    ],
)
def test_nothing_is_taken_while_something_of_the_dead_may_run(
    record: ReleaseRecord, facts: dict[str, Any], what: str
) -> None:
    hold(record, Phase.SHIFTING)
    record.note_release("new", facts)
    assert f"{what} of the dead release may run until {at(20)}" in refused(record)
    assert free(now=at(20))["verdict"] == "carried_out"


@pytest.mark.parametrize(
    "facts",
    [{"migrations": {**RUNNING, "status": "failed"}}, {"infrastructure": {"ends_by": at(20), "ended_at": at(3)}}],
)
def test_what_has_ended_is_not_waited_for(record: ReleaseRecord, facts: dict[str, Any]) -> None:
    hold(record, Phase.SHIFTING)
    record.note_release("new", facts)
    assert free()["verdict"] == "carried_out"


@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.ROLLING_BACK])
def test_divided_traffic_is_for_a_human(record: ReleaseRecord, listener: ShownListener, phase: Phase) -> None:
    listener.weights = DIVIDED
    hold(record, phase)
    assert "Move all traffic of every route to one color by hand, then give this order again." in refused(record)


@pytest.mark.parametrize("status", [PointStatus.EXPIRED, PointStatus.CONSUMED])
def test_color_that_is_no_way_back_any_more_is_not_made_live(
    record: ReleaseRecord, listener: ShownListener, status: PointStatus
) -> None:
    """Nobody knows which version is on it: the next release may be coming up there."""
    listener.weights = ALL_BLUE
    hold(record, Phase.PREPARING, replace(LIVE, rollback_point=replace(POINT, status=status)))
    assert "the record has release new on green" in refused(record)


def test_another_release_is_not_meant(record: ReleaseRecord) -> None:
    hold(record, Phase.SHIFTING)
    assert refused(record, release_id="older") == "The environment is not held for release older, but for new."


@pytest.mark.parametrize("only_look", [True, False])
def test_free_environment_is_so_already(record: ReleaseRecord, *, only_look: bool) -> None:
    assert free(only_look=only_look)["verdict"] == "already_so"
    assert record.read() == EnvironmentRecord()


def test_look_changes_nothing(record: ReleaseRecord) -> None:
    hold(record, Phase.SHIFTING)
    before = record.read(), record.release("new")
    assert free(only_look=True)["verdict"] == "free"
    assert before == (record.read(), record.release("new"))


@pytest.mark.parametrize("shown", [ALL_GREEN, ALL_BLUE])
def test_repeated_attempt_gives_the_same_answer(
    record: ReleaseRecord, listener: ShownListener, shown: dict[str, int]
) -> None:
    """The answer of the first one can be lost."""
    listener.weights = shown
    hold(record, Phase.BAKING)
    first = free()
    before = record.read()
    assert free() == first
    assert record.read() == before
    assert len(record.release("new")["orders"]) == 1
    assert free(OTHER_OPERATE)["verdict"] == "already_so"


def test_request_that_was_sent_twice_frees_once(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(record, Phase.BAKING)
    forgetful = replace(record, dynamodb=LosesAnswers(record.dynamodb, "transact_write_items"))
    monkeypatch.setattr(function, "record", forgetful)
    assert free()["verdict"] == "carried_out"
    assert record.read().work.holder is None
    assert len(record.release("new")["orders"]) == 1


@pytest.mark.parametrize("shown", [ALL_GREEN, ALL_BLUE])
@pytest.mark.parametrize("holder", [OTHER_ROLLBACK, DEPLOYMENT])
def test_who_claims_in_between_keeps_the_environment(
    record: ReleaseRecord,
    listener: ShownListener,
    parameters: FakeParameters,
    monkeypatch: pytest.MonkeyPatch,
    shown: dict[str, int],
    holder: str,
) -> None:
    """Also the same execution with another token: it was redriven, and works again."""

    class ClaimedInBetween(ReleaseRecord):
        def release(self, release_id: str) -> dict[str, Any]:
            work = super().read().work
            super().claim(work, replace(work, holder=holder, phase=Phase.ROLLING_BACK))
            return super().release(release_id)

    listener.weights = shown
    hold(record, Phase.SHIFTING, holder=ROLLBACK if holder != DEPLOYMENT else DEPLOYMENT)
    monkeypatch.setattr(function, "record", ClaimedInBetween(record.dynamodb, record.table, record.environment))
    answer = free()
    assert answer["verdict"] == "refused"
    assert "Somebody else has claimed the environment meanwhile" in answer["reason"]
    found = record.read()
    assert (found.work.holder, found.work.token, found.live) == (holder, 2, LIVE)
    assert parameters == FakeParameters()
    assert record.release("new") == {}
