"""Point every route at another weighting of the two colors, and only while this execution holds the environment."""

from dataclasses import dataclass
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import TargetGroupUnhealthy
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import HealthReading, Lease, Live, Phase, PointStatus, RollbackPoint, other_color
from lambdas.traffic.load_balancer import Action, LoadBalancer, weights_of
from lambdas.traffic.rules import (
    Route,
    intents_of,
    judge_way_back,
    require_capacity,
    require_known,
)

_FULL = 100


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], Route.all_from_json(environ["ROUTES"]))
load_balancer = LoadBalancer(client("elbv2"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Shift:
    """`percent` of the traffic for `color`. `back` marks a rollback, which takes all traffic back at once."""

    lease: Lease
    release_id: str
    color: str
    percent: int
    before_percent: int
    wanted_healthy: int
    now: str
    back: bool
    last_reading: HealthReading | None = None

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """
        Read {"lease", "release_id", "color", "percent", "before_percent", "wanted_healthy", "now", "back"}.

        A rollback also carries {"last_healthy", "last_healthy_at"}, both empty when nobody has looked.
        """
        reading = None
        if event["back"] and event["last_healthy_at"]:
            reading = HealthReading(event["color"], int(event["last_healthy"]), event["last_healthy_at"])
        return cls(
            lease=Lease.from_event(event),
            release_id=event["release_id"],
            color=event["color"],
            percent=int(event["percent"]),
            before_percent=int(event["before_percent"]),
            wanted_healthy=int(event["wanted_healthy"]),
            now=event["now"],
            back=event["back"],
            last_reading=reading,
        )


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"changed": bool, "concern": text for a human or ""}."""
    shift = Shift.from_event(event)
    change = switch_back if shift.back else shift_forward
    return change(shift, settings.routes, load_balancer, record)


def shift_forward(
    shift: Shift, routes: tuple[Route, ...], load_balancer: LoadBalancer, record: ReleaseRecord
) -> dict[str, Any]:
    """
    Give the new color its share of every route.

    Safe to repeat: a shift already made is a no-op. Raises LeaseLost when another execution holds the environment,
    ListenerDrifted when a route shows what Runback did not write, TargetGroupUnhealthy when the new color is too small.
    """
    wanted = {route.name: route.weights(shift.color, shift.percent) for route in routes}
    actions = load_balancer.actions(_arns(routes, with_test=shift.percent == _FULL))
    for route in routes:
        before = _weights_before(route, shift)
        require_known(route, weights_of(route.arn, actions[route.arn]), (before, wanted[route.name]))
        require_capacity(
            shift.color, route, load_balancer.health(route.target_group(shift.color)), shift.wanted_healthy
        )
    _claim_shift(shift, wanted, record)
    if shift.percent == _FULL:
        _name_new_color(shift, routes, actions, load_balancer)
        _keep_old_color_checked(shift, routes, actions, load_balancer)
    changed = _forward_all(routes, actions, wanted, load_balancer)
    return {"changed": changed, "concern": ""}


def switch_back(
    shift: Shift, routes: tuple[Route, ...], load_balancer: LoadBalancer, record: ReleaseRecord
) -> dict[str, Any]:
    """
    Send all traffic to the old color's target groups alone, so that no stickiness cookie keeps a client on the bad one.

    Safe to repeat. Raises LeaseLost, and TargetGroupUnhealthy when the old color is known to have no healthy target.
    """
    wanted = {route.name: route.weights(shift.color, _FULL) for route in routes}
    actions = load_balancer.actions(_arns(routes, with_test=False))
    concerns = [_concern(shift, route, load_balancer) for route in routes]
    record.require_lease(shift.lease, shift.now, intents=intents_of(wanted))
    changed = _forward_all(routes, actions, wanted, load_balancer)
    return {"changed": changed, "concern": " ".join(filter(None, concerns))}


def _arns(routes: tuple[Route, ...], *, with_test: bool) -> list[str]:
    return [route.arn for route in routes] + ([route.test_arn for route in routes] if with_test else [])


def _weights_before(route: Route, shift: Shift) -> dict[str, int]:
    if shift.before_percent == 0:
        return route.weights(other_color(shift.color), _FULL)
    return route.weights(shift.color, shift.before_percent)


def _claim_shift(shift: Shift, wanted: dict[str, dict[str, int]], record: ReleaseRecord) -> None:
    """Write the intent under the lease. The first shift also makes this release the one that alarms are about."""
    phase = Phase.BAKING if shift.percent == _FULL else Phase.SHIFTING
    if record.read().work.phase is Phase.PREPARING:
        record.begin_shifting(shift.lease, _live_from_first_shift(shift, record), phase, intents_of(wanted), shift.now)
    else:
        record.require_lease(shift.lease, shift.now, phase=phase, intents=intents_of(wanted))


def _live_from_first_shift(shift: Shift, record: ReleaseRecord) -> Live:
    release = record.release(shift.release_id)
    point = release["rollback_point"]
    return Live(
        release_id=shift.release_id,
        version=release["version"],
        color=shift.color,
        since=shift.now,
        rollback_point=RollbackPoint(
            status=PointStatus.VALID,
            color=point["color"],
            version=point["version"],
            release_id=point["release_id"],
            target_groups=point["target_groups"],
            capacity=int(point["capacity"]["desired"]),
        ),
        no_automatic_rollback=release.get("no_automatic_rollback"),
    )


def _name_new_color(
    shift: Shift, routes: tuple[Route, ...], actions: dict[str, list[Action]], load_balancer: LoadBalancer
) -> None:
    """
    Before the test listener lets go of the new color, name it on every live route.

    A release that goes from nothing to everything would otherwise leave it unnamed for a moment: its targets would be
    unused, then initial, and all the traffic would meet targets whose health nobody knows.
    """
    for route in routes:
        new, old = route.target_group(shift.color), route.target_group(other_color(shift.color))
        if new not in weights_of(route.arn, actions[route.arn]):
            load_balancer.forward(route.arn, actions[route.arn], {new: _FULL, old: 0})


def _keep_old_color_checked(
    shift: Shift, routes: tuple[Route, ...], actions: dict[str, list[Action]], load_balancer: LoadBalancer
) -> None:
    """Point the test listener at the old color: a group that no listener names is never health-checked."""
    old = other_color(shift.color)
    for route in routes:
        wanted = route.weights(old, _FULL)
        if weights_of(route.test_arn, actions[route.test_arn]) != wanted:
            load_balancer.forward(route.test_arn, actions[route.test_arn], wanted)


def _forward_all(
    routes: tuple[Route, ...],
    actions: dict[str, list[Action]],
    wanted: dict[str, dict[str, int]],
    load_balancer: LoadBalancer,
) -> bool:
    changed = False
    for route in routes:
        if weights_of(route.arn, actions[route.arn]) != wanted[route.name]:
            load_balancer.forward(route.arn, actions[route.arn], wanted[route.name])
            changed = True
    return changed


def _concern(shift: Shift, route: Route, load_balancer: LoadBalancer) -> str:
    measured = load_balancer.readable_health(route.target_group(shift.color))
    verdict = judge_way_back(shift.color, measured, shift.last_reading, shift.wanted_healthy, shift.now)
    if not verdict.may_switch:
        raise TargetGroupUnhealthy(f"{verdict.concern} Traffic of route {route.name!r} stays where it is.")
    return verdict.concern
