"""Orders against the record itself: what they leave there, also when repeated, late or beaten."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lambdas.errors import EnvironmentBusy
from lambdas.operate import give_order as function
from lambdas.operate.rules import read_order
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
from tests.builders import BLUE, DEPLOYMENT, GREEN, OPERATE, OTHER_DEPLOYMENT, OTHER_OPERATE, ROLLBACK, at
from tests.fakes import LosesAnswers

PREPARING = Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new", claimed_at=at(1), progress_at=at(1))
POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2)
LIVE = Live("new", "2222222", "green", at(2), POINT)
COMMITTED = replace(LIVE, rollback_point=replace(POINT, window_ends_at=at(30)))


@pytest.fixture(autouse=True)
def table(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "record", record)


@pytest.fixture
def shifting(record: ReleaseRecord) -> Lease:
    """Return the lease of a deployment that has 10 % of the traffic on green."""
    lease = record.claim(Work(), PREPARING)
    record.begin_shifting(lease, LIVE, Phase.SHIFTING, {"api": {GREEN: 10, BLUE: 90}}, at(2))
    return lease


@pytest.fixture
def promoted(record: ReleaseRecord, shifting: Lease) -> None:
    """Let release "new" be live, within its window."""
    record.commit(shifting, COMMITTED, at(4))
    record.finish(shifting, Phase.COMMITTED, at(4), {})


def order(action: str, execution: str = OPERATE, now: str = at(5), **given: Any) -> dict[str, Any]:
    request = read_order({"action": action, "reason": "because", **given}, 3600)
    return function.give_order(request, execution, now)


def orders(record: ReleaseRecord) -> list[tuple[str, str]]:
    return [(each["action"], each["by"]) for each in record.release("new").get("orders", [])]


@pytest.mark.usefixtures("shifting")
def test_orders_stand_in_the_lease_and_in_history(record: ReleaseRecord) -> None:
    before = record.read().work
    paused = order("pause", minutes=10)
    assert (paused["verdict"], paused["kind"], paused["release_id"]) == ("carried_out", "paused", "new")
    work = record.read().work
    assert work.order is not None
    assert (work.order.action, work.order.reason, work.order.by) == (OrderAction.PAUSE, "because", OPERATE)
    assert work.order.until == "2026-03-01T10:15:00Z"
    assert replace(work, order=None) == before
    order("promote", OTHER_OPERATE)
    promoting = record.read().work.order
    assert promoting is not None
    assert promoting.action is OrderAction.PROMOTE
    assert orders(record) == [("pause", OPERATE), ("promote", OTHER_OPERATE)]


@pytest.mark.usefixtures("shifting")
def test_resume_takes_the_pause_away(record: ReleaseRecord) -> None:
    order("pause")
    assert order("resume", OTHER_OPERATE)["kind"] == "resumed"
    assert record.read().work.order is None
    assert orders(record) == [("pause", OPERATE), ("resume", OTHER_OPERATE)]


@pytest.mark.usefixtures("shifting")
def test_abort_is_recorded_and_leaves_a_pause_in_force(record: ReleaseRecord) -> None:
    """Or the release would go on until the rollback has claimed the environment."""
    order("pause")
    before = record.read()
    answer = order("abort", OTHER_OPERATE)
    assert (answer["verdict"], answer["kind"]) == ("abort", "abort_ordered")
    assert answer["start_as"].startswith("abort-new-")
    assert record.read() == before
    assert orders(record) == [("pause", OPERATE), ("abort", OTHER_OPERATE)]


@pytest.mark.usefixtures("promoted")
def test_end_of_window_gives_the_way_back_up(record: ReleaseRecord) -> None:
    assert order("end-window")["verdict"] == "carried_out"
    point = replace(POINT, window_ends_at=at(30), status=PointStatus.EXPIRED)
    assert record.read().live == replace(LIVE, rollback_point=point)
    assert record.read().work.holder is None
    assert orders(record) == [("end-window", OPERATE)]


def test_end_of_window_keeps_a_held_release_that_was_never_promoted(record: ReleaseRecord) -> None:
    """Nothing else would let the release come that mends it."""
    lease = record.claim(Work(), PREPARING)
    held = replace(LIVE, no_automatic_rollback="the old version knows no currencies")
    record.begin_shifting(lease, held, Phase.BAKING, {"api": {GREEN: 100, BLUE: 0}}, at(2))
    record.finish(lease, Phase.ESCALATED, at(4), {})
    assert order("end-window")["verdict"] == "carried_out"
    assert record.read().live == replace(held, rollback_point=replace(POINT, status=PointStatus.EXPIRED))


@pytest.mark.usefixtures("promoted")
@pytest.mark.parametrize(
    ("action", "given", "verdict"),
    [
        ("pause", {}, "refused"),
        ("abort", {"release_id": "new"}, "refused"),
        ("end-window", {"release_id": "older"}, "refused"),
        ("pause", {"force": True}, "invalid"),
        ("release-environment", {}, "free"),
    ],
)
def test_what_is_not_carried_out_leaves_no_trace(
    record: ReleaseRecord, action: str, given: dict[str, Any], verdict: str
) -> None:
    before = record.read(), record.release("new")
    assert order(action, **given)["verdict"] == verdict
    assert before == (record.read(), record.release("new"))


def test_empty_record_refuses_every_order_to_a_release(record: ReleaseRecord) -> None:
    for action in ("pause", "resume", "promote", "abort", "end-window"):
        assert order(action)["verdict"] == "refused"
    assert record.read() == EnvironmentRecord()


@pytest.mark.usefixtures("shifting")
@pytest.mark.parametrize("action", ["pause", "promote", "abort"])
def test_repeated_attempt_gives_the_same_answer_and_one_order(record: ReleaseRecord, action: str) -> None:
    """The answer of the first one can be lost, and the order has to be told all the same."""
    first = order(action)
    before = record.read()
    assert order(action, now=at(5, 30)) == first
    assert record.read() == before
    assert orders(record) == [(action, OPERATE)]


@pytest.mark.usefixtures("shifting")
def test_repeated_resume_is_carried_out_still(record: ReleaseRecord) -> None:
    order("pause")
    first = order("resume", OTHER_OPERATE)
    assert order("resume", OTHER_OPERATE) == first
    assert record.read().work.order is None
    assert order("resume", "another")["verdict"] == "already_so"


@pytest.mark.usefixtures("promoted")
def test_repeated_end_of_window_is_carried_out_still(record: ReleaseRecord) -> None:
    first = order("end-window")
    assert order("end-window") == first
    assert order("end-window", OTHER_OPERATE)["verdict"] == "already_so"
    assert orders(record) == [("end-window", OPERATE)]


@pytest.mark.parametrize("action", ["pause", "promote", "abort", "end-window"])
def test_order_whose_request_was_sent_twice_is_carried_out_once(
    record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, action: str
) -> None:
    request.getfixturevalue("promoted" if action == "end-window" else "shifting")
    forgetful = replace(record, dynamodb=LosesAnswers(record.dynamodb, "transact_write_items"))
    monkeypatch.setattr(function, "record", forgetful)
    assert order(action)["verdict"] in {"carried_out", "abort"}
    assert orders(record) == [(action, OPERATE)]


# Races


class Meanwhile(ReleaseRecord):
    """A record in which something happens right after the history was read for the first time."""

    happens: Callable[[], None] | None = None

    def release(self, release_id: str) -> dict[str, Any]:
        found = super().release(release_id)
        happens, type(self).happens = type(self).happens, None
        if happens:
            happens()
        return found


@pytest.fixture
def meanwhile(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Return what arranges for something to happen between reading and writing."""
    monkeypatch.setattr(function, "record", Meanwhile(record.dynamodb, record.table, record.environment))

    def arrange(happens: Callable[[], object]) -> None:
        monkeypatch.setattr(Meanwhile, "happens", staticmethod(happens))

    return arrange


@pytest.mark.usefixtures("shifting")
@pytest.mark.parametrize("action", ["pause", "promote"])
def test_order_to_a_release_that_a_rollback_has_taken_meanwhile_is_refused(
    record: ReleaseRecord, meanwhile: Callable[[Callable[[], object]], None], action: str
) -> None:
    rollback = Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new", progress_at=at(5))
    meanwhile(lambda: record.claim(record.read().work, rollback))
    answer = order(action)
    assert answer["verdict"] == "refused"
    assert f"rolling_back under execution {ROLLBACK}" in answer["reason"]
    assert record.read().work == replace(rollback, token=2)
    assert orders(record) == []


@pytest.mark.usefixtures("shifting")
def test_abort_of_a_release_that_a_rollback_has_taken_meanwhile_is_so_already(
    record: ReleaseRecord, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    rollback = Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new", progress_at=at(5))
    meanwhile(lambda: record.claim(record.read().work, rollback))
    assert order("abort")["verdict"] == "already_so"
    assert orders(record) == []


@pytest.mark.parametrize("action", ["pause", "promote", "abort"])
def test_order_to_a_release_that_is_committed_meanwhile_is_refused(
    record: ReleaseRecord, shifting: Lease, meanwhile: Callable[[Callable[[], object]], None], action: str
) -> None:
    """Holder and token are the same: only the phase tells."""
    meanwhile(lambda: record.commit(shifting, COMMITTED, at(5)))
    answer = order(action)
    assert answer["verdict"] == "refused"
    assert "accepted already: to go back, start the rollback machine with {}" in answer["reason"]
    assert record.read().work.order is None
    assert orders(record) == []


@pytest.mark.usefixtures("shifting")
def test_order_that_another_one_was_faster_than_is_decided_anew(
    record: ReleaseRecord, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    meanwhile(lambda: order("pause", OTHER_OPERATE))
    assert order("pause")["verdict"] == "already_so"
    assert orders(record) == [("pause", OTHER_OPERATE)]


@pytest.mark.usefixtures("promoted")
def test_window_of_an_environment_that_is_claimed_meanwhile_stays_open(
    record: ReleaseRecord, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """A rollback that has claimed it needs the way back."""
    rollback = Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new", progress_at=at(5))
    meanwhile(lambda: record.claim(record.read().work, rollback))
    assert order("end-window")["verdict"] == "refused"
    assert record.read().live == COMMITTED
    assert orders(record) == []


@pytest.mark.usefixtures("shifting")
def test_order_that_is_beaten_every_time_is_refused(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    class NeverStill(ReleaseRecord):
        def read(self) -> EnvironmentRecord:
            found = super().read()
            super().claim(found.work, replace(found.work, holder=OTHER_DEPLOYMENT))
            return found

    monkeypatch.setattr(function, "record", NeverStill(record.dynamodb, record.table, record.environment))
    answer = order("pause")
    assert answer["verdict"] == "refused"
    assert "give it again" in answer["reason"]
    assert orders(record) == []


class ClaimedOnceRead(ReleaseRecord):
    """A record of which somebody claims the environment as soon as it was seen to be free."""

    def read(self) -> EnvironmentRecord:
        found = super().read()
        if found.work.holder is None:
            self.claim(found.work, PREPARING)
        return found


def test_maintenance_does_not_begin_over_a_release_that_has_begun_meanwhile(
    record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would lose its automatic rollback."""
    claimed_once_read = ClaimedOnceRead(record.dynamodb, record.table, record.environment)
    monkeypatch.setattr(function, "record", claimed_once_read)
    refused = order("begin-maintenance")
    assert (refused["verdict"], record.read().maintained(at(6))) == ("refused", None)
    assert "A release is under way." in refused["reason"]


@pytest.mark.parametrize("released_before", [False, True])
def test_release_that_has_not_seen_maintenance_does_not_claim(record: ReleaseRecord, *, released_before: bool) -> None:
    if released_before:
        before = record.claim(Work(), replace(PREPARING, holder=OTHER_DEPLOYMENT, release_id="old"))
        record.finish(before, Phase.ABORTED, at(2), {})
    seen = record.read().work
    order("begin-maintenance")
    with pytest.raises(EnvironmentBusy, match="Maintenance"):
        record.claim(seen, PREPARING)
    assert record.read().work.holder is None


def test_maintenance_takes_the_environment_from_nobody(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), replace(PREPARING, phase=Phase.CLEANING_UP))
    assert order("begin-maintenance")["verdict"] == "carried_out"
    record.require_lease(lease, at(6))


def test_maintenance_stands_in_the_record_until_it_is_ended(record: ReleaseRecord) -> None:
    begun = order("begin-maintenance", minutes=30)
    assert (begun["verdict"], begun["kind"], begun["release_id"]) == ("carried_out", "maintenance_begun", "")
    maintenance = record.read().maintained(at(6))
    assert maintenance is not None
    assert (maintenance.until, maintenance.reason) == ("2026-03-01T10:35:00Z", "because")
    assert order("begin-maintenance", minutes=30) == begun
    assert order("end-maintenance", OTHER_OPERATE, at(7))["kind"] == "maintenance_ended"
    assert record.read().maintained(at(7)) is None
