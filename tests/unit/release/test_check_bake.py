"""A look at a bake against the record itself: what it writes, and what it obeys."""

from dataclasses import replace

import pytest

from lambdas.errors import LeaseLost, PauseExpired
from lambdas.release import check_bake as function
from lambdas.release.bake_rules import Look
from lambdas.release.record import Orders, ReleaseRecord
from lambdas.release.rules import Bake, EnvironmentRecord, Lease, Order, OrderAction, Phase, Work
from tests.builders import DEPLOYMENT, OPERATE, ROLLBACK, at

PAUSE = Order(OrderAction.PAUSE, at(3), "checkout looks slow", OPERATE, until=at(20))
WORK = Work(holder=DEPLOYMENT, phase=Phase.SHIFTING, release_id="new", claimed_at=at(1), progress_at=at(1))


@pytest.fixture(autouse=True)
def lease(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Lease:
    monkeypatch.setattr(function, "record", record)
    return record.claim(Work(), WORK)


def give(record: ReleaseRecord, order: Order) -> None:
    before = record.release("new").get("orders", [])
    record.give_order(record.read().work, order, Orders("new", before, [*before, {"by": order.at}]))


def test_first_look_writes_down_when_the_bake_ends(record: ReleaseRecord, lease: Lease) -> None:
    look = function.check_bake(lease, 10, 300, at(2))
    assert look == Look(done=False, again_at="2026-03-01T10:02:09Z")
    work = record.read().work
    assert work.bake == Bake(10, began_at=at(2), ends_at="2026-03-01T10:07:00+00:00")
    assert work.progress_at == at(2)


def test_later_and_repeated_looks_keep_that(record: ReleaseRecord, lease: Lease) -> None:
    """Otherwise a bake that is looked at would never end."""
    function.check_bake(lease, 10, 300, at(2))
    first = record.read().work.bake
    assert not function.check_bake(lease, 10, 300, at(2)).done
    assert not function.check_bake(lease, 10, 300, at(6, 59)).done
    assert record.read().work.bake == first
    assert record.read().work.progress_at == at(6, 59)
    assert function.check_bake(lease, 10, 300, at(7)).done


def test_every_step_has_a_bake_of_its_own(record: ReleaseRecord, lease: Lease) -> None:
    assert function.check_bake(lease, 0, 0, at(2)).done
    assert not function.check_bake(lease, 10, 60, at(3)).done
    assert not function.check_bake(lease, 50, 60, at(10)).done
    bake = record.read().work.bake
    assert bake is not None
    assert (bake.percent, bake.began_at) == (50, at(10))


def test_pause_holds_a_release_before_its_first_shift(record: ReleaseRecord, lease: Lease) -> None:
    give(record, PAUSE)
    assert not function.check_bake(lease, 0, 0, at(4)).done
    give(record, replace(PAUSE, action=OrderAction.RESUME, at=at(5)))
    assert function.check_bake(lease, 0, 0, at(5)).done


def test_pause_holds_until_its_deadline(record: ReleaseRecord, lease: Lease) -> None:
    function.check_bake(lease, 10, 60, at(2))
    give(record, PAUSE)
    assert not function.check_bake(lease, 10, 60, at(19, 59)).done
    with pytest.raises(PauseExpired):
        function.check_bake(lease, 10, 60, at(20))


def test_promote_skips_the_bakes_of_all_steps(record: ReleaseRecord, lease: Lease) -> None:
    give(record, PAUSE)
    give(record, Order(OrderAction.PROMOTE, at(4), "it is urgent", OPERATE))
    assert function.check_bake(lease, 10, 1800, at(5)).done
    assert function.check_bake(lease, 100, 1800, at(5, 1)).done


def test_order_between_the_two_writes_of_a_first_look_is_obeyed(
    record: ReleaseRecord, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OrderedInBetween(ReleaseRecord):
        def renew_lease(self, lease: Lease, now: str, *, bake: Bake | None = None) -> Work:
            if bake:
                give(record, PAUSE)
            return super().renew_lease(lease, now, bake=bake)

    between = OrderedInBetween(record.dynamodb, record.table, record.environment)
    monkeypatch.setattr(function, "record", between)
    assert not function.check_bake(lease, 0, 0, at(4)).done


@pytest.mark.parametrize("percent", [0, 10])
def test_look_of_a_loser_changes_nothing(record: ReleaseRecord, lease: Lease, percent: int) -> None:
    taken = replace(WORK, holder=ROLLBACK, phase=Phase.ROLLING_BACK)
    record.claim(record.read().work, taken)
    with pytest.raises(LeaseLost):
        function.check_bake(lease, percent, 0, at(5))
    assert record.read() == EnvironmentRecord(work=replace(taken, token=2))
