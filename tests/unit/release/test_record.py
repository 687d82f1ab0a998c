"""The record's promises, against DynamoDB's own conditions."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.errors import AwsCallFailed, EnvironmentBusy, LeaseLost
from lambdas.release.record import Orders, ReleaseRecord
from lambdas.release.rules import (
    Bake,
    HealthReading,
    Lease,
    Live,
    Order,
    OrderAction,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
)
from tests.builders import BLUE, DEPLOYMENT, ENVIRONMENT, GREEN, OPERATE, OTHER_DEPLOYMENT, ROLLBACK, TABLE, at
from tests.fakes import LosesAnswers

WORK = Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new", claimed_at=at(1), progress_at=at(1))
POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2)
LIVE = Live("new", "2222222", "green", since=at(2), rollback_point=POINT)


def test_empty_record_reads_as_nobody_and_nothing(record: ReleaseRecord) -> None:
    found = record.read()
    assert found.work == Work()
    assert found.live is None
    assert found.health is None


def test_claim_is_read_back_with_a_token_that_grows(record: ReleaseRecord) -> None:
    first = record.claim(Work(), WORK)
    assert record.read().work == replace(WORK, token=1)
    second = record.claim(record.read().work, replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    assert (first.token, second.token) == (1, 2)


def test_only_one_of_two_claims_from_the_same_view_wins(record: ReleaseRecord) -> None:
    seen = record.read().work
    record.claim(seen, WORK)
    with pytest.raises(EnvironmentBusy):
        record.claim(seen, replace(WORK, holder=OTHER_DEPLOYMENT))
    assert record.read().work.holder == DEPLOYMENT


def test_nobody_claims_over_a_release_that_has_shifted_since_he_looked(record: ReleaseRecord) -> None:
    """Seen as preparing it would be aborted, and the color scaled in that has a half of the traffic by now."""
    lease = record.claim(Work(), WORK)
    seen = record.read().work
    record.begin_shifting(lease, LIVE, Phase.SHIFTING, {"api": {GREEN: 50, BLUE: 50}}, at(3))
    with pytest.raises(EnvironmentBusy):
        record.claim(seen, replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    assert record.read().work.holder == DEPLOYMENT
    record.claim(record.read().work, replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    assert record.read().work.holder == ROLLBACK


def test_nobody_claims_without_the_newest_intent_of_the_loser(record: ReleaseRecord) -> None:
    """Settle would take the loser's late write for a human's, and leave it."""
    lease = record.claim(Work(), WORK)
    record.require_lease(lease, at(3), phase=Phase.SHIFTING, intents={"api": {GREEN: 10, BLUE: 90}})
    seen = record.read().work
    record.require_lease(lease, at(4), phase=Phase.SHIFTING, intents={"api": {GREEN: 50, BLUE: 50}})
    with pytest.raises(EnvironmentBusy):
        record.claim(seen, replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK))


def test_nobody_claims_over_a_holder_who_has_gone_since(record: ReleaseRecord) -> None:
    """What he would undo may have ended meanwhile, with the same token."""
    lease = record.claim(Work(), WORK)
    seen = record.read().work
    record.finish(lease, Phase.PREPARING, at(3), {})
    with pytest.raises(EnvironmentBusy):
        record.claim(seen, replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK))


def test_a_holder_that_only_works_on_is_claimed_over(record: ReleaseRecord) -> None:
    """Progress is written every few seconds; a rollback must not have to wait for a moment without."""
    lease = record.claim(Work(), WORK)
    seen = record.read().work
    record.require_lease(lease, at(3))
    record.claim(seen, replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    assert record.read().work.holder == ROLLBACK


def test_claim_whose_answer_was_lost_is_recognised(record: ReleaseRecord) -> None:
    forgetful = replace(record, dynamodb=LosesAnswers(record.dynamodb, "put_item"))
    assert forgetful.claim(Work(), WORK) == Lease(DEPLOYMENT, 1)


def test_live_item_changes_with_the_claim_or_not_at_all(record: ReleaseRecord) -> None:
    seen = record.read().work
    record.claim(seen, WORK, live=LIVE)
    found = record.read()
    assert (found.work, found.live) == (replace(WORK, token=1), LIVE)
    with pytest.raises(EnvironmentBusy):
        record.claim(seen, replace(WORK, holder=OTHER_DEPLOYMENT), live=replace(LIVE, color="blue"))
    assert record.read() == found


def test_claim_with_a_live_item_whose_answer_was_lost_is_recognised(record: ReleaseRecord) -> None:
    forgetful = replace(record, dynamodb=LosesAnswers(record.dynamodb, "transact_write_items"))
    assert forgetful.claim(Work(), WORK, live=LIVE) == Lease(DEPLOYMENT, 1)


def test_lease_proves_itself_and_leaves_its_intent(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), WORK)
    record.require_lease(lease, at(3), phase=Phase.SHIFTING, intents={"api": {GREEN: 10, BLUE: 90}})
    work = record.read().work
    assert work.phase is Phase.SHIFTING
    assert work.progress_at == at(3)
    assert work.intents == {"api": {GREEN: 10, BLUE: 90}}


@pytest.mark.parametrize("stale", [Lease(DEPLOYMENT, 0), Lease(OTHER_DEPLOYMENT, 1), Lease(DEPLOYMENT, 2)])
def test_neither_an_old_token_nor_another_holder_passes(record: ReleaseRecord, stale: Lease) -> None:
    """A redriven execution keeps its ARN, so the token decides."""
    record.claim(Work(), WORK)
    with pytest.raises(LeaseLost):
        record.require_lease(stale, at(3))
    assert record.read().work.progress_at == at(1)


def test_first_shift_changes_lease_and_live_release_together(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), WORK)
    record.begin_shifting(lease, LIVE, Phase.SHIFTING, {"api": {GREEN: 10, BLUE: 90}}, at(2))
    found = record.read()
    assert (found.work.phase, found.live) == (Phase.SHIFTING, LIVE)


def test_loser_cannot_make_its_release_live(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), WORK)
    record.claim(record.read().work, replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        record.begin_shifting(lease, LIVE, Phase.SHIFTING, {}, at(3))
    assert record.read().live is None


def test_expired_point_is_kept_for_the_history_only(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), WORK)
    record.begin_shifting(lease, LIVE, Phase.SHIFTING, {}, at(2))
    record.expire_rollback_point(lease, LIVE, at(3))
    live = record.read().live
    assert live is not None
    assert live.rollback_point == replace(POINT, status=PointStatus.EXPIRED)


def test_finish_frees_the_environment_and_keeps_the_token(record: ReleaseRecord) -> None:
    """A token that fell back to a used one would let an old execution pass."""
    lease = record.claim(Work(), WORK)
    record.finish(lease, Phase.ABORTED, at(9), {"new": {"outcome": "aborted"}})
    work = record.read().work
    assert (work.holder, work.token, work.phase) == (None, 1, Phase.ABORTED)
    assert (record.release("new")["outcome"], record.release("new")["ended_at"]) == ("aborted", at(9))


def test_finish_whose_answer_was_lost_is_finished(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), WORK)
    forgetful = replace(record, dynamodb=LosesAnswers(record.dynamodb, "update_item"))
    forgetful.finish(lease, Phase.ABORTED, at(9), {})
    assert record.read().work.phase is Phase.ABORTED


def test_loser_cannot_free_what_the_winner_holds(record: ReleaseRecord) -> None:
    """Nor say how its release ended: that a commit was rolled back decides later whether it may start again."""
    lease = record.claim(Work(), WORK)
    record.claim(record.read().work, replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        record.finish(lease, Phase.COMMITTED, at(9), {"new": {"outcome": "promoted"}})
    assert record.read().work.holder == ROLLBACK
    assert record.release("new").get("outcome") is None


def test_repeated_recording_keeps_the_first_rollback_point(record: ReleaseRecord) -> None:
    """A retry runs after changes were made, and would record the changed state as the way back."""
    record.note_release("new", {"step": "one"}, keep={"rollback_point": {"color": "blue"}})
    record.note_release("new", {"step": "two"}, keep={"rollback_point": {"color": "green"}})
    release = record.release("new")
    assert (release["step"], release["rollback_point"]) == ("two", {"color": "blue"})


def test_health_reading_is_read_back(record: ReleaseRecord) -> None:
    record.note_health(HealthReading("blue", 2, at(4)))
    assert record.read().health == HealthReading("blue", 2, at(4))


def test_commit_makes_the_release_live_with_its_window(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), WORK)
    committed = replace(LIVE, rollback_point=replace(POINT, window_ends_at=at(59)))
    record.commit(lease, committed, at(5))
    found = record.read()
    assert (found.work.phase, found.work.holder, found.live) == (Phase.COMMITTED, DEPLOYMENT, committed)


def test_other_failures_are_passed_on(record: ReleaseRecord) -> None:
    """Only a failed condition means that the lease is lost; a missing table does not."""
    nowhere = replace(record, table="missing")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        nowhere.require_lease(Lease(DEPLOYMENT, 1), at(3))


def test_a_part_of_the_record_is_never_taken_for_the_whole(
    record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB may answer a part when it is busy: without the live item, there would be nothing to roll back."""
    record.claim(Work(), WORK)
    keys = {TABLE: {"Keys": [{"environment": {"S": ENVIRONMENT}, "item": {"S": "live"}}]}}
    ask = record.dynamodb.batch_get_item
    monkeypatch.setattr(record.dynamodb, "batch_get_item", lambda **given: ask(**given) | {"UnprocessedKeys": keys})
    with pytest.raises(AwsCallFailed, match="a part of the record only"):
        record.read()


PAUSE = Order(OrderAction.PAUSE, at(3), "checkout looks slow", OPERATE, until=at(33))
RESUME = Order(OrderAction.RESUME, at(4), "it was the network", OPERATE)
NO_ORDERS = Orders("new", before=[], after=[{"action": "pause", "by": OPERATE}])


def test_renewed_lease_tells_bake_and_order(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), WORK)
    record.give_order(record.read().work, PAUSE, NO_ORDERS)
    bake = Bake(10, began_at=at(3), ends_at=at(8))
    work = record.renew_lease(lease, at(3), bake=bake)
    assert work == replace(WORK, token=1, progress_at=at(3), bake=bake, order=PAUSE)
    assert record.renew_lease(lease, at(4)) == replace(work, progress_at=at(4)) == record.read().work


def test_lost_lease_cannot_be_renewed(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), WORK)
    record.claim(record.read().work, replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        record.renew_lease(lease, at(3), bake=Bake(10, at(3), at(8)))
    assert record.read().work.bake is None


def test_whoever_claims_begins_without_orders(record: ReleaseRecord) -> None:
    """A pause of a release must not hold its rollback."""
    lease = record.claim(Work(), WORK)
    record.renew_lease(lease, at(3), bake=Bake(10, at(3), at(8)))
    record.give_order(record.read().work, PAUSE, NO_ORDERS)
    record.claim(record.read().work, replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    work = record.read().work
    assert (work.bake, work.order) == (None, None)


def test_orders_and_bake_go_with_the_holder(record: ReleaseRecord) -> None:
    """A free environment that looks paused would puzzle whoever reads the record."""
    lease = record.claim(Work(), WORK)
    record.renew_lease(lease, at(3), bake=Bake(10, at(3), at(8)))
    record.give_order(record.read().work, PAUSE, NO_ORDERS)
    record.finish(lease, Phase.ABORTED, at(9), {})
    work = record.read().work
    assert (work.bake, work.order) == (None, None)


def test_resume_takes_the_pause_away_and_history_keeps_both(record: ReleaseRecord) -> None:
    record.claim(Work(), WORK)
    record.give_order(record.read().work, PAUSE, NO_ORDERS)
    both = [*NO_ORDERS.after, {"action": "resume", "by": OPERATE}]
    record.give_order(record.read().work, RESUME, Orders("new", NO_ORDERS.after, both))
    assert record.read().work.order is None
    assert record.release("new")["orders"] == both


@pytest.mark.parametrize(
    "changed",
    [
        {"token": 2},
        {"holder": OTHER_DEPLOYMENT},
        {"phase": Phase.BAKING},
    ],
)
def test_order_for_what_was_not_observed_leaves_no_trace(record: ReleaseRecord, changed: dict[str, object]) -> None:
    record.claim(Work(), WORK)
    before = record.read()
    with pytest.raises(EnvironmentBusy):
        record.give_order(replace(before.work, **changed), PAUSE, NO_ORDERS)  # type: ignore[arg-type]
    assert record.read() == before
    assert record.release("new") == {}


def test_order_is_remembered_once(record: ReleaseRecord) -> None:
    """Also when two orders are given from the same view, or one is sent twice."""
    record.claim(Work(), WORK)
    seen = record.read().work
    record.give_order(seen, PAUSE, NO_ORDERS)
    with pytest.raises(EnvironmentBusy):
        record.give_order(seen, RESUME, NO_ORDERS)
    assert record.read().work.order == PAUSE
    assert record.release("new")["orders"] == NO_ORDERS.after


@pytest.fixture
def promoted(record: ReleaseRecord) -> Live:
    lease = record.claim(Work(), WORK)
    live = replace(LIVE, rollback_point=replace(POINT, window_ends_at=at(59)))
    record.commit(lease, live, at(5))
    record.finish(lease, Phase.COMMITTED, at(5), {})
    return live


def test_window_ends_with_a_line_in_history(record: ReleaseRecord, promoted: Live) -> None:
    record.end_window(record.read().work, promoted, NO_ORDERS)
    live = record.read().live
    assert live == replace(LIVE, rollback_point=replace(POINT, window_ends_at=at(59), status=PointStatus.EXPIRED))
    assert record.release("new")["orders"] == NO_ORDERS.after


def test_window_of_an_environment_that_is_held_again_stays_open(record: ReleaseRecord, promoted: Live) -> None:
    seen = record.read().work
    record.claim(seen, replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(EnvironmentBusy):
        record.end_window(seen, promoted, NO_ORDERS)
    with pytest.raises(EnvironmentBusy):
        record.end_window(record.read().work, promoted, NO_ORDERS)
    assert record.read().live == promoted
    assert "orders" not in record.release("new")


def test_window_of_an_environment_that_was_held_in_between_stays_open(record: ReleaseRecord, promoted: Live) -> None:
    """Free, but not as it was seen: whoever had it may have made something else of it."""
    seen = record.read().work
    lease = record.claim(seen, replace(WORK, holder=OTHER_DEPLOYMENT))
    record.finish(lease, Phase.ABORTED, at(6), {})
    with pytest.raises(EnvironmentBusy):
        record.end_window(seen, promoted, NO_ORDERS)
    assert record.read().live == promoted


@pytest.mark.parametrize(
    "other", [{"release_id": "another"}, {"rollback_point": replace(POINT, window_ends_at=at(58))}]
)
def test_window_of_another_release_stays_open(record: ReleaseRecord, promoted: Live, other: dict[str, object]) -> None:
    with pytest.raises(EnvironmentBusy):
        record.end_window(record.read().work, replace(promoted, **other), NO_ORDERS)  # type: ignore[arg-type]
    assert record.read().live == promoted


def test_executions_of_a_release_are_remembered_each_once(record: ReleaseRecord) -> None:
    record.note_release("new", {"version": "2222222"})
    assert record.note_execution("new", DEPLOYMENT, at(1))
    assert record.note_execution("new", ROLLBACK, at(5))
    assert record.note_execution("new", DEPLOYMENT, at(1))
    assert record.release("new")["executions"] == {DEPLOYMENT: at(1), ROLLBACK: at(5)}
    assert record.release("new")["version"] == "2222222"


def test_execution_of_no_release_makes_none(record: ReleaseRecord) -> None:
    assert not record.note_execution("never", DEPLOYMENT, at(1))
    assert record.release("never") == {}


def test_two_executions_that_are_noted_at_once_both_stay(record: ReleaseRecord) -> None:
    """The other one comes between the two writes of this one."""
    record.note_release("new", {"version": "2222222"})
    real, coming = record.dynamodb, [lambda: record.note_execution("new", ROLLBACK, at(5))]

    class Interrupted:
        def update_item(self, **request: Any) -> Any:
            answer = real.update_item(**request)
            if coming:
                coming.pop()()
            return answer

    assert replace(record, dynamodb=Interrupted()).note_execution("new", DEPLOYMENT, at(1))
    assert record.release("new")["executions"] == {DEPLOYMENT: at(1), ROLLBACK: at(5)}


def test_note_whose_answer_was_lost_is_one_note(record: ReleaseRecord) -> None:
    record.note_release("new", {"version": "2222222"})
    forgetful = replace(record, dynamodb=LosesAnswers(record.dynamodb, "update_item"))
    assert forgetful.note_execution("new", DEPLOYMENT, at(1))
    assert record.release("new")["executions"] == {DEPLOYMENT: at(1)}


def test_executions_without_number_do_not_make_the_history_too_large(record: ReleaseRecord) -> None:
    """A rollback that cannot be finished is started anew every minute; the release must still be able to end."""
    record.note_release("new", {"version": "2222222"})
    for number in range(25):
        assert record.note_execution("new", f"{ROLLBACK}-{number}", at(5))
    kept = record.release("new")["executions"]
    assert len(kept) == 20
    assert record.note_execution("new", f"{ROLLBACK}-0", at(5))
    assert record.release("new")["executions"] == kept


def test_note_that_fails_otherwise_is_an_error(record: ReleaseRecord) -> None:
    with pytest.raises(ClientError, match="ResourceNotFound"):
        replace(record, table="another").note_execution("new", DEPLOYMENT, at(1))
