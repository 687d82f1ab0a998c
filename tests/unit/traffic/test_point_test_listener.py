"""Tests are sent to the color that serves and back, and the way back stays under health checks meanwhile."""

import pytest

from lambdas.errors import LeaseLost
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from lambdas.traffic import point_test_listener as function
from tests.builders import DEPLOYMENT, ROLLBACK, at
from tests.unit.traffic.conftest import Account


@pytest.fixture
def lease(record: ReleaseRecord, account: Account, monkeypatch: pytest.MonkeyPatch) -> Lease:
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "load_balancer", account.load_balancer)
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))


def point(account: Account, lease: Lease, color: str) -> bool:
    return function.point_test_listener(function.Pointing(lease, color, at(3)), account.routes)


def met_by_tests(account: Account) -> list[dict[str, int]]:
    shown = account.load_balancer.forwards(route.test_arn for route in account.routes)
    return [shown[route.test_arn] for route in account.routes]


def test_tests_meet_the_color_that_serves_and_the_idle_one_stays_named(account: Account, lease: Lease) -> None:
    """A group that no listener names is not health-checked, and the idle color may be the way back."""
    assert point(account, lease, "blue")
    assert met_by_tests(account) == [{route.blue: 100, route.green: 0} for route in account.routes]
    assert account.shown() == account.wanted("blue", 100)


def test_tests_are_sent_back_to_where_a_release_leaves_them(account: Account, lease: Lease) -> None:
    before = met_by_tests(account)
    point(account, lease, "blue")
    assert point(account, lease, "green")
    assert met_by_tests(account) == before


def test_repeating_it_changes_nothing(account: Account, lease: Lease) -> None:
    point(account, lease, "blue")
    assert not point(account, lease, "blue")


def test_who_has_lost_the_environment_points_at_nothing(record: ReleaseRecord, account: Account, lease: Lease) -> None:
    before = met_by_tests(account)
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        point(account, lease, "blue")
    assert met_by_tests(account) == before
