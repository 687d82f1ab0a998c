"""Point the test listener at a color, so that checks can ask it while no user can."""

from dataclasses import dataclass
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease
from lambdas.traffic.load_balancer import LoadBalancer, weights_of
from lambdas.traffic.rules import Route, weights_for_tests


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
class Pointing:
    """Which color tests shall meet."""

    lease: Lease
    color: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "color", "now"}."""
        return cls(Lease.from_event(event), event["color"], event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"changed": bool}."""
    return {"changed": point_test_listener(Pointing.from_event(event), settings.routes)}


def point_test_listener(pointing: Pointing, routes: tuple[Route, ...]) -> bool:
    """
    Send tests of every route to a color, and say whether anything had to change. Live routes are only read.

    To the color that serves, or back to the idle one, where a release leaves it: what that takes, `weights_for_tests`
    says. Safe to repeat. Raises LeaseLost.
    """
    actions = load_balancer.actions(arn for route in routes for arn in (route.arn, route.test_arn))
    record.require_lease(pointing.lease, pointing.now)
    changed = False
    for route in routes:
        wanted = weights_for_tests(route, pointing.color, weights_of(route.arn, actions[route.arn]))
        if weights_of(route.test_arn, actions[route.test_arn]) != wanted:
            load_balancer.forward(route.test_arn, actions[route.test_arn], wanted)
            changed = True
    return changed
