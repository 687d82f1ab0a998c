"""After a rollback has switched, only the loser's own late write is undone."""

import pytest

from lambdas.errors import LeaseLost, ListenerDrifted
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from lambdas.traffic.rules import SETTLE_SECONDS, WRITER_TIMEOUT_SECONDS
from lambdas.traffic.settle import Watch, settle
from tests.builders import DEPLOYMENT, ROLLBACK, at
from tests.unit.traffic.conftest import Account


@pytest.fixture
def lease(record: ReleaseRecord, account: Account) -> Lease:
    """Return the lease of a rollback that beat a deployment on its way to 50 %."""
    intents = {route.name: route.weights("green", 50) for route in account.routes}
    loser = {"holder": DEPLOYMENT, "release_id": "new", "intents": intents}
    return record.claim(Work(), Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new", loser=loser))


def move(account: Account, color: str, percent: int) -> None:
    for route in account.routes:
        actions = account.load_balancer.actions([route.arn])
        account.load_balancer.forward(route.arn, actions[route.arn], route.weights(color, percent))


def settled(account: Account, record: ReleaseRecord, lease: Lease, now: str) -> bool:
    return settle(Watch(lease, "blue", at(5), now), account.routes, account.load_balancer, record)


def test_settling_lasts_longer_than_any_writer_can_live() -> None:
    assert SETTLE_SECONDS > WRITER_TIMEOUT_SECONDS


def test_late_write_of_the_loser_is_undone(record: ReleaseRecord, lease: Lease, account: Account) -> None:
    move(account, "green", 50)
    assert not settled(account, record, lease, at(5, 5))
    assert account.shown() == account.wanted("blue", 100)


def test_change_by_a_human_is_not_fought_over(record: ReleaseRecord, lease: Lease, account: Account) -> None:
    move(account, "green", 33)
    with pytest.raises(ListenerDrifted):
        settled(account, record, lease, at(5, 5))
    assert account.shown() == account.wanted("green", 33)


@pytest.mark.parametrize(("now", "done"), [(at(5, 14), False), (at(5, 15), True)])
def test_watch_ends_when_no_writer_can_be_alive(
    record: ReleaseRecord, lease: Lease, account: Account, now: str, *, done: bool
) -> None:
    assert settled(account, record, lease, now) is done


def test_rollback_that_was_taken_over_leaves_the_listener_to_the_other(
    record: ReleaseRecord, lease: Lease, account: Account
) -> None:
    record.claim(record.read().work, Work(holder=DEPLOYMENT, phase=Phase.ROLLING_BACK))
    move(account, "green", 50)
    with pytest.raises(LeaseLost):
        settled(account, record, lease, at(5, 5))
    assert account.shown() == account.wanted("green", 50)
