"""Accept the release: it is live, its rollback window begins, and the runbook's parameters say so."""

from dataclasses import dataclass, replace
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.parameters import Parameters
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, later, other_color
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route, require_live


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]
    rollback_window_seconds: int


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
    int(loads(environ["RELEASE"])["rollback_window_seconds"]),
)
load_balancer = LoadBalancer(client("elbv2"))
parameters = Parameters.from_json(client("ssm"), environ["PARAMETERS"], environ["ROUTES"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "now"}; return {"window_ends_at": moment}."""
    return {"window_ends_at": promote(Lease.from_event(event), event["release_id"], event["now"])}


def promote(lease: Lease, release_id: str, now: str) -> str:
    """
    Commit the release, and return the end of its rollback window.

    Safe to repeat: the window is counted from the first promotion. Raises LeaseLost when a rollback was faster, and
    ListenerDrifted when somebody has moved the listener since the last shift.
    """
    record.require_lease(lease, now)
    live = record.read().live
    if live is None or live.release_id != release_id or live.rollback_point is None:
        message = f"Release {release_id} is not the one that receives the traffic"
        raise ValueError(message)
    require_live(settings.routes, load_balancer.forwards(route.arn for route in settings.routes), live)
    ends_at = live.rollback_point.window_ends_at or later(now, settings.rollback_window_seconds)
    committed = replace(live, rollback_point=replace(live.rollback_point, window_ends_at=ends_at))
    parameters.point_at(live.color, other_color(live.color))
    record.commit(lease, committed, now)
    return ends_at
