"""What a shift promises, seen at the listener and in the record."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lambdas.errors import LeaseLost, ListenerDrifted, TargetGroupUnhealthy
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import HealthReading, Lease, Live, Phase, Work
from lambdas.traffic.load_balancer import Action
from lambdas.traffic.rules import Route, Weights
from lambdas.traffic.switch_listener import Shift, shift_forward, switch_back
from tests.builders import DEPLOYMENT, ROLLBACK, at
from tests.unit.traffic.conftest import Account, JudgedLoadBalancer


def forward(lease: Lease, percent: int, before: int) -> Shift:
    return Shift(lease, "new", "green", percent, before, wanted_healthy=2, now=at(3), back=False)


def back(lease: Lease, reading: HealthReading | None = None) -> Shift:
    return Shift(lease, "new", "blue", 100, 0, wanted_healthy=2, now=at(9), back=True, last_reading=reading)


def shift(account: Account, record: ReleaseRecord, wanted: Shift) -> dict[str, Any]:
    change = switch_back if wanted.back else shift_forward
    return change(wanted, account.routes, account.load_balancer, record)


@pytest.fixture
def rolling_back(record: ReleaseRecord, preparing: Lease, account: Account) -> Lease:
    """Return the lease of a rollback, with half of the traffic on green."""
    shift(account, record, forward(preparing, 50, 0))
    return record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))


def test_first_shift_moves_every_route_and_makes_the_release_the_live_one(
    record: ReleaseRecord, preparing: Lease, account: Account, live_new: Live
) -> None:
    assert shift(account, record, forward(preparing, 10, 0)) == {"changed": True, "concern": ""}
    assert account.shown() == account.wanted("green", 10)
    found = record.read()
    assert found.live == replace(live_new, since=at(3))
    assert found.work.phase is Phase.SHIFTING
    assert found.work.intents == {route.name: route.weights("green", 10) for route in account.routes}


def test_first_shift_after_breaking_migrations_holds_the_release(
    record: ReleaseRecord, preparing: Lease, account: Account, live_new: Live
) -> None:
    """From here on alarms are about it, and must find that it is not rolled back by itself."""
    held = {"automatic_rollback": False, "no_automatic_rollback": "the old version knows no currencies"}
    record.note_release("new", held)
    shift(account, record, forward(preparing, 100, 0))
    assert record.read().live == replace(live_new, since=at(3), no_automatic_rollback=held["no_automatic_rollback"])
    assert record.read().work.phase is Phase.BAKING


def test_repeating_a_finished_shift_changes_nothing(record: ReleaseRecord, preparing: Lease, account: Account) -> None:
    """Step Functions may deliver the same step twice."""
    shift(account, record, forward(preparing, 10, 0))
    assert shift(account, record, forward(preparing, 10, 0)) == {"changed": False, "concern": ""}
    assert account.shown() == account.wanted("green", 10)


def test_shift_that_stopped_between_two_routes_is_finished_by_its_repetition(
    record: ReleaseRecord, preparing: Lease, account: Account
) -> None:
    first = account.routes[0]
    actions = account.load_balancer.actions([first.arn])
    account.load_balancer.forward(first.arn, actions[first.arn], first.weights("green", 10))
    assert shift(account, record, forward(preparing, 10, 0))["changed"]
    assert account.shown() == account.wanted("green", 10)


def test_full_shift_keeps_the_old_color_under_health_checks(
    record: ReleaseRecord, preparing: Lease, account: Account
) -> None:
    """A group that no listener names is not checked, and the way back would be a guess."""
    shift(account, record, forward(preparing, 50, 0))
    shift(account, record, forward(preparing, 100, 50))
    assert account.shown() == account.wanted("green", 100)
    tests = account.load_balancer.forwards(route.test_arn for route in account.routes)
    assert [tests[route.test_arn] for route in account.routes] == account.wanted("blue", 100)
    assert record.read().work.phase is Phase.BAKING


def test_color_that_is_too_small_gets_nothing(record: ReleaseRecord, preparing: Lease, account: Account) -> None:
    account.judge("green", healthy=1)
    with pytest.raises(TargetGroupUnhealthy):
        shift(account, record, forward(preparing, 10, 0))
    assert account.shown() == account.wanted("blue", 100)
    assert record.read().work.phase is Phase.PREPARING


def test_listener_moved_by_a_human_is_left_alone(record: ReleaseRecord, preparing: Lease, account: Account) -> None:
    route = account.routes[1]
    actions = account.load_balancer.actions([route.arn])
    account.load_balancer.forward(route.arn, actions[route.arn], route.weights("green", 77))
    with pytest.raises(ListenerDrifted, match="'site'"):
        shift(account, record, forward(preparing, 10, 0))
    assert account.shown() == [account.wanted("blue", 100)[0], route.weights("green", 77)]


def test_loser_moves_nothing(record: ReleaseRecord, preparing: Lease, account: Account) -> None:
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))
    with pytest.raises(LeaseLost):
        shift(account, record, forward(preparing, 10, 0))
    assert account.shown() == account.wanted("blue", 100)


def test_rollback_takes_everything_back_at_once(record: ReleaseRecord, rolling_back: Lease, account: Account) -> None:
    assert shift(account, record, back(rolling_back)) == {"changed": True, "concern": ""}
    assert account.shown() == account.wanted("blue", 100)


def test_rollback_repeated_is_one_rollback(record: ReleaseRecord, rolling_back: Lease, account: Account) -> None:
    shift(account, record, back(rolling_back))
    assert not shift(account, record, back(rolling_back))["changed"]


def test_rollback_to_a_dead_color_moves_nothing(record: ReleaseRecord, rolling_back: Lease, account: Account) -> None:
    """Bad service is better than none."""
    account.judge("blue", healthy=0)
    with pytest.raises(TargetGroupUnhealthy, match="stays where it is"):
        shift(account, record, back(rolling_back))
    assert account.shown() == account.wanted("green", 50)


@pytest.mark.parametrize(
    ("healthy", "unknown", "concern"), [(1, 0, "only 1 of 2"), (0, 2, "without knowing the health")]
)
def test_rollback_to_a_doubtful_color_goes_on_and_says_so(
    record: ReleaseRecord, rolling_back: Lease, account: Account, healthy: int, unknown: int, concern: str
) -> None:
    account.judge("blue", healthy, unknown)
    assert concern in shift(account, record, back(rolling_back))["concern"]
    assert account.shown() == account.wanted("blue", 100)


def test_rollback_that_cannot_read_health_trusts_a_fresh_reading(
    record: ReleaseRecord, rolling_back: Lease, account: Account
) -> None:
    account.load_balancer.unreadable.update(route.blue for route in account.routes)
    dead = HealthReading("blue", healthy=0, at=at(8))
    with pytest.raises(TargetGroupUnhealthy):
        shift(account, record, back(rolling_back, dead))
    alive = HealthReading("blue", healthy=2, at=at(8))
    assert "could not be read" in shift(account, record, back(rolling_back, alive))["concern"]
    assert account.shown() == account.wanted("blue", 100)


def test_rollback_that_lost_to_another_one_moves_nothing(
    record: ReleaseRecord, rolling_back: Lease, account: Account
) -> None:
    record.claim(record.read().work, Work(holder=DEPLOYMENT, phase=Phase.ROLLING_BACK, release_id="new"))
    with pytest.raises(LeaseLost):
        shift(account, record, back(rolling_back))
    assert account.shown() == account.wanted("green", 50)


def test_what_stands_before_the_forward_is_kept(record: ReleaseRecord, preparing: Lease, account: Account) -> None:
    """ModifyListener replaces the whole list of actions; a lost log-in would open the application to everybody."""
    route = account.routes[0]
    login = {
        "Type": "authenticate-oidc",
        "Order": 1,
        "AuthenticateOidcConfig": {
            "Issuer": "https://id",
            "AuthorizationEndpoint": "https://id/a",
            "TokenEndpoint": "https://id/t",
            "UserInfoEndpoint": "https://id/u",
            "ClientId": "receipts",
        },
    }
    forwarding = {"Type": "forward", "TargetGroupArn": route.blue, "Order": 2}
    account.load_balancer.elbv2.modify_listener(ListenerArn=route.arn, DefaultActions=[login, forwarding])
    shift(account, record, forward(preparing, 10, 0))
    actions = account.load_balancer.actions([route.arn])[route.arn]
    assert [action["Type"] for action in actions] == ["authenticate-oidc", "forward"]
    assert account.shown() == account.wanted("green", 10)


@dataclass(frozen=True)
class WatchedLoadBalancer(JudgedLoadBalancer):
    """Looks after every change whether both colors are still named, so that both stay health-checked."""

    routes: tuple[Route, ...] = ()
    unnamed: list[str] = field(default_factory=list)

    def forward(self, arn: str, actions: list[Action], weights: Weights) -> None:
        super().forward(arn, actions, weights)
        places = self.forwards(place for route in self.routes for place in (route.arn, route.test_arn))
        named = {group for weights in places.values() for group in weights}
        self.unnamed.extend(group for route in self.routes for group in (route.blue, route.green) if group not in named)


def test_shift_of_everything_at_once_never_leaves_a_color_without_health_checks(
    record: ReleaseRecord, preparing: Lease, account: Account
) -> None:
    """Staging has one step: the test listener must not let go of the new color before a live route has it."""
    watched = WatchedLoadBalancer(account.load_balancer.elbv2, routes=account.routes)
    shift_forward(forward(preparing, 100, 0), account.routes, watched, record)
    assert account.shown() == account.wanted("green", 100)
    assert watched.unnamed == []


def test_shift_of_everything_that_stopped_half_way_is_finished_by_its_repetition(
    record: ReleaseRecord, preparing: Lease, account: Account
) -> None:
    route = account.routes[0]
    actions = account.load_balancer.actions([route.arn])
    account.load_balancer.forward(route.arn, actions[route.arn], {route.green: 100, route.blue: 0})
    assert shift(account, record, forward(preparing, 100, 0))["changed"]
    assert account.shown() == account.wanted("green", 100)
