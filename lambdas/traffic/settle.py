"""After a rollback has switched: make sure that no late write of the execution that lost the environment survives."""

from dataclasses import dataclass
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import ListenerDrifted
from lambdas.observability import logger, step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, seconds_since
from lambdas.traffic.load_balancer import LoadBalancer, weights_of
from lambdas.traffic.rules import SETTLE_SECONDS, Route, judge_settling


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
class Watch:
    """The color that must keep the traffic, and the moment of the claim from which the losers' time runs."""

    lease: Lease
    color: str
    claimed_at: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "color", "claimed_at", "now"}."""
        return cls(Lease.from_event(event), event["color"], event["claimed_at"], event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"settled": whether every function of the loser is dead by now}."""
    return {"settled": settle(Watch.from_event(event), settings.routes, load_balancer, record)}


def settle(watch: Watch, routes: tuple[Route, ...], load_balancer: LoadBalancer, record: ReleaseRecord) -> bool:
    """
    Undo a late write of the loser, and say whether no further one can come.

    Raises ListenerDrifted when a route shows what neither this rollback nor the loser meant to write: a human has
    moved it, and Runback does not fight humans. Raises LeaseLost when another rollback has taken over.
    """
    record.require_lease(watch.lease, watch.now)
    intents = record.read().work.loser.get("intents", {})
    actions = load_balancer.actions(route.arn for route in routes)
    for route in routes:
        wanted = route.weights(watch.color, 100)
        current = weights_of(route.arn, actions[route.arn])
        verdict = judge_settling(current, wanted, intents.get(route.name))
        if verdict.drifted:
            raise ListenerDrifted(f"Route {route.name!r} forwards {current} during a rollback to {watch.color}.")
        if verdict.undo:
            logger.warning("Undoing a late write of the execution that lost the environment", route=route.name)
            load_balancer.forward(route.arn, actions[route.arn], wanted)
    return seconds_since(watch.claimed_at, watch.now) >= SETTLE_SECONDS
