"""What a route should forward to, what it forwards to, and what the difference means. All pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from json import loads
from typing import Any, Self

from lambdas.errors import ListenerDrifted, TargetGroupUnhealthy
from lambdas.release.rules import COLORS, HealthReading, Live, other_color, seconds_since

Weights = Mapping[str, int]
"""Target group ARN → percent of the traffic. A single target group has 100."""

READING_GOOD_FOR_SECONDS = 300
"""For how long a rollback trusts the last health reading when it cannot take a new one."""

WRITER_TIMEOUT_SECONDS = 10
"""Time-out of every function that writes a listener: after it, a function that lost the environment is dead."""

SETTLE_SECONDS = 15
"""How long a rollback watches the listener after its claim: the longest writer, and a request still under way."""


@dataclass(frozen=True)
class Route:
    """
    One place of the load balancer where traffic is divided between the colors.

    `arn` is a listener, whose default action forwards, or a listener rule; `test_arn` likewise, for the idle color.
    """

    name: str
    arn: str
    test_arn: str
    blue: str
    green: str

    @classmethod
    def all_from_json(cls, text: str) -> tuple[Self, ...]:
        """Read the ROUTES variable of a function."""
        return tuple(
            cls(
                name=route["name"],
                arn=route["listener_arn"] or route["rule_arn"],
                test_arn=route["test_listener_arn"] or route["test_rule_arn"],
                blue=route["blue"],
                green=route["green"],
            )
            for route in loads(text)
        )

    def target_group(self, color: str) -> str:
        """Return the target group ARN of a color on this route."""
        return self.blue if color == "blue" else self.green

    def weights(self, color: str, percent: int) -> dict[str, int]:
        """Return the weights that give `color` its share; all of it means a forward to that single target group."""
        if percent == 100:  # noqa: PLR2004  a hundred percent
            return {self.target_group(color): 100}
        return {self.target_group(color): percent, self.target_group(other_color(color)): 100 - percent}


@dataclass(frozen=True)
class TargetHealth:
    """How many targets of a group are healthy, and how many have not been judged yet."""

    healthy: int
    unknown: int


def is_rule(arn: str) -> bool:
    """Say whether an ARN names a listener rule rather than a listener."""
    return ":listener-rule/" in arn


def active_color(routes: Sequence[Route], forwards: Mapping[str, Weights]) -> str:
    """
    Return the color that receives all traffic of every route. `forwards` is by ARN of listener or rule.

    Raises ListenerDrifted when the traffic is divided, when routes disagree, or when one forwards to a target group
    that settings do not know.
    """
    colors = {route.name: _sole_color(route, forwards[route.arn]) for route in routes}
    if len(set(colors.values())) != 1:
        raise ListenerDrifted(f"The routes do not agree on the active color: {colors}.")
    return next(iter(colors.values()))


def require_live(routes: Sequence[Route], forwards: Mapping[str, Weights], live: Live | None) -> str:
    """
    Return the active color; the record has a say only in whether that is a surprise.

    Raises ListenerDrifted as `active_color` does, and when all traffic is on another color than the live release.
    """
    active = active_color(routes, forwards)
    if live and live.color != active:
        raise ListenerDrifted(
            f"All traffic is on {active}, but release {live.release_id} went live on {live.color}."
            f" Put the listener back by hand, or start a rollback."
        )
    return active


def require_unused(color: str, routes: Sequence[Route], forwards: Mapping[str, Weights]) -> None:
    """Raise ListenerDrifted, unless users are on the other color alone: what they use must not be scaled in."""
    if active_color(routes, forwards) == color:
        raise ListenerDrifted(f"All traffic is on {color}, which was to be scaled in. Nothing was scaled.")


def _sole_color(route: Route, weights: Weights) -> str:
    receiving = {group for group, weight in weights.items() if weight > 0}
    for color in COLORS:
        if receiving == {route.target_group(color)}:
            return color
    raise ListenerDrifted(f"Route {route.name!r} should send all traffic to one color, but forwards {dict(weights)}.")


def same_shares(one: Weights, other: Weights) -> bool:
    """Say whether two forwards divide the traffic alike; a color with weight 0 receives nothing."""
    return {group: weight for group, weight in one.items() if weight} == {
        group: weight for group, weight in other.items() if weight
    }


def require_known(route: Route, now_forwards: Weights, allowed: Iterable[Weights]) -> None:
    """Refuse to move a listener that somebody else has moved: only what Runback wrote itself is its to change."""
    if not any(same_shares(now_forwards, weights) for weights in allowed):
        raise ListenerDrifted(
            f"Route {route.name!r} forwards {dict(now_forwards)}, which Runback did not write."
            f" Put it back by hand, or start a rollback."
        )


def require_capacity(color: str, route: Route, health: TargetHealth, wanted: int) -> None:
    """Let a color receive traffic only with the number of healthy targets that carried the traffic before."""
    if health.healthy < wanted:
        raise TargetGroupUnhealthy(
            f"Color {color} has {health.healthy} healthy targets on route {route.name!r}, and {wanted} are needed."
        )


@dataclass(frozen=True)
class WayBackHealth:
    """Whether a rollback may switch, and what a human has to hear about it."""

    may_switch: bool
    concern: str = ""


def judge_way_back(
    color: str, measured: TargetHealth | None, last: HealthReading | None, wanted: int, now: str
) -> WayBackHealth:
    """
    Decide whether the old color can take the traffic back.

    One healthy target is enough, because the traffic is on a color that is known to be bad. `unused` and `initial`
    targets, like a reading that failed, mean unknown: then the last reading decides while it is fresh, and without one
    the rollback switches all the same, and says so.
    """
    if measured is not None and measured.healthy > 0:
        shortfall = measured.healthy < wanted
        return WayBackHealth(
            may_switch=True,
            concern=f"Color {color} has only {measured.healthy} of {wanted} healthy targets." if shortfall else "",
        )
    if measured is not None and measured.unknown == 0:
        return WayBackHealth(may_switch=False, concern=f"Color {color} has no healthy target.")
    if last is not None and last.color == color and seconds_since(last.at, now) < READING_GOOD_FOR_SECONDS:
        seen = f"The health of color {color} could not be read; at {last.at} it had {last.healthy} healthy targets."
        return WayBackHealth(may_switch=last.healthy > 0, concern=seen)
    return WayBackHealth(may_switch=True, concern=f"Switched without knowing the health of color {color}.")


@dataclass(frozen=True)
class Settling:
    """What settle found on one route: nothing to do, the loser's late write to undo, or a human's change."""

    undo: bool = False
    drifted: bool = False


def judge_settling(now_forwards: Weights, wanted: Weights, loser_intent: Weights | None) -> Settling:
    """
    Undo only what the execution that lost the environment was about to write; everything else is a human's.

    What is wanted is a single target group: the same with the other color at weight 0 would keep its sticky clients.
    """
    if set(now_forwards) != set(wanted) and same_shares(now_forwards, wanted):
        return Settling(undo=True)
    if dict(now_forwards) == dict(wanted):
        return Settling()
    if loser_intent is not None and same_shares(now_forwards, loser_intent):
        return Settling(undo=True)
    return Settling(drifted=True)


def weights_for_tests(route: Route, color: str, live: Weights) -> dict[str, int]:
    """
    Return what the test listener forwards when tests shall meet a color, given what users meet.

    A color that users do not meet is named by nobody else. If tests leave it for the color that serves, it stays named,
    with weight 0: a group that no listener names is not health-checked, and it may be the way back.
    """
    other = route.target_group(other_color(color))
    if live.get(other, 0) > 0:
        return route.weights(color, 100)
    return {route.target_group(color): 100, other: 0}


def intents_of(wanted: Mapping[str, Weights]) -> dict[str, dict[str, Any]]:
    """Copy planned weights, by route name, into the form in which the record keeps them."""
    return {route: dict(weights) for route, weights in wanted.items()}
