"""Give up what an aborted release was bringing up, and leave the idle color as it was found."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.rules import Capacity, Color
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, other_color
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route, require_unused


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]
    colors: dict[str, Color]


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
    Color.all_from_json(environ["COLORS"]),
)
load_balancer = LoadBalancer(client("elbv2"))
auto_scaling = AutoScaling(client("autoscaling"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "now"}; return {"active": the color that serves, or "" if unknown}."""
    return {"active": scale_back_idle_color(Lease.from_event(event), event["release_id"], event["now"])}


def scale_back_idle_color(lease: Lease, release_id: str, now: str) -> str:
    """
    Cancel the refresh, and put size and launch template back. Without a rollback point nothing was changed yet.

    Safe to repeat. Raises LeaseLost, and ListenerDrifted where somebody else has sent users to the color, of whom the
    release itself has sent none there yet; nothing was scaled then.
    """
    idle = record.release(release_id).get("idle")
    if idle is None:
        return ""
    color = settings.colors[idle["color"]]
    require_unused(idle["color"], settings.routes, load_balancer.forwards(route.arn for route in settings.routes))
    record.require_lease(lease, now)
    auto_scaling.cancel_refresh(color.auto_scaling_group)
    auto_scaling.resize(
        color.auto_scaling_group,
        Capacity.from_record(idle["capacity"]),
        color.launch_template_id,
        idle["template_version"],
    )
    return other_color(idle["color"])
