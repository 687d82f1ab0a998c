"""Give the old color the size that an idle color has, once nobody can go back to it any more."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.rules import Capacity, Color, resting_capacity
from lambdas.observability import step
from lambdas.release.parameters import Parameters
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, other_color
from lambdas.rollback.way_back import manual_commands
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
parameters = Parameters.from_json(client("ssm"), environ["PARAMETERS"], environ["ROUTES"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "color": the old one, "now"}; return {"instances": what the color keeps}."""
    lease = Lease.from_event(event)
    return {"instances": scale_in_old_color(lease, event["release_id"], event["color"], event["now"])}


def scale_in_old_color(lease: Lease, release_id: str, color: str, now: str) -> int:
    """
    Scale the color in to what the idle color had before the release, and resume its scheduled actions.

    The commands for humans in SSM must not name it any more: they then name the color that serves, and change nothing.
    Its launch template stays, so that the next release and a human find the version that it ran. Safe to repeat.
    Raises LeaseLost, and ListenerDrifted when the color receives traffic; nothing was scaled then.
    """
    release = record.release(release_id)
    old = Capacity.from_record(release["rollback_point"]["capacity"])
    resting = resting_capacity(old, Capacity.from_record(release["idle"]["resting"]))
    require_unused(color, settings.routes, load_balancer.forwards(route.arn for route in settings.routes))
    group = settings.colors[color].auto_scaling_group
    record.require_lease(lease, now)
    parameters.write(parameters.way_back, manual_commands(settings.routes, other_color(color)))
    auto_scaling.scale(group, resting)
    auto_scaling.resume(group)
    record.note_release(release_id, {}, keep={"cleaned_up_at": now})
    return resting.desired
