"""Bring the release's version up on the idle color: its own launch template version, the full size, a refresh."""

from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.launch_templates import LaunchTemplates
from lambdas.fleet.rules import Capacity, Color, idle_capacity
from lambdas.observability import step
from lambdas.release.parameters import Parameters
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, PointStatus, later, other_color
from lambdas.rollback.way_back import manual_commands
from lambdas.traffic.load_balancer import LoadBalancer, weights_of
from lambdas.traffic.rules import Route


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]
    colors: dict[str, Color]
    prepare_timeout_seconds: int


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
    Color.all_from_json(environ["COLORS"]),
    int(loads(environ["RELEASE"])["prepare_timeout_seconds"]),
)
load_balancer = LoadBalancer(client("elbv2"))
auto_scaling = AutoScaling(client("autoscaling"))
launch_templates = LaunchTemplates(client("ec2"))
parameters = Parameters.from_json(client("ssm"), environ["PARAMETERS"], environ["ROUTES"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Preparing:
    """Which version to bring up on which color."""

    lease: Lease
    release_id: str
    version: str
    color: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "version", "color", "now"}."""
        return cls(Lease.from_event(event), event["release_id"], event["version"], event["color"], event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"refresh_id", "wanted_healthy", "ready_by"}."""
    preparing = Preparing.from_event(event)
    refresh_id, wanted = prepare_idle_color(preparing)
    return {
        "refresh_id": refresh_id,
        "wanted_healthy": wanted,
        "ready_by": later(preparing.now, settings.prepare_timeout_seconds),
    }


def prepare_idle_color(preparing: Preparing) -> tuple[str, int]:
    """
    Start bringing the version up, and return the refresh's id and the number of targets that have to become healthy.

    Safe to repeat: the launch template version is made once for a release, and a refresh to it that is already going
    on, or over, is adopted. From the first change on, the color is no way back any more, so its rollback point is
    expired first, and its commands for humans in SSM are replaced by those to the color that serves.

    Raises LeaseLost, and RefreshFailed when somebody else's refresh is in the way.
    """
    live = record.read().live
    if live and live.rollback_point and live.rollback_point.status is PointStatus.VALID:
        record.expire_rollback_point(preparing.lease, live, preparing.now)
    record.require_lease(preparing.lease, preparing.now)
    parameters.write(parameters.way_back, manual_commands(settings.routes, other_color(preparing.color)))
    release = record.release(preparing.release_id)
    color = settings.colors[preparing.color]
    active = Capacity.from_record(release["rollback_point"]["capacity"])
    idle = Capacity.from_record(release["idle"]["capacity"])
    wanted = idle_capacity(active, idle)

    record.require_lease(preparing.lease, preparing.now)
    _point_test_listener(preparing.color)
    template_version = launch_templates.add_version(
        color.launch_template_id, release["idle"]["template_version"], preparing.version, preparing.release_id
    )
    record.require_lease(preparing.lease, preparing.now)
    auto_scaling.resize(color.auto_scaling_group, wanted, color.launch_template_id, template_version)
    record.require_lease(preparing.lease, preparing.now)
    refresh_id = _refresh_to(color, template_version)
    record.note_release(
        preparing.release_id,
        {"template_version": template_version, "refresh": {"id": refresh_id, "status": "Pending", "percent": 0}},
    )
    return refresh_id, wanted.desired


def _point_test_listener(color: str) -> None:
    """Let the load balancer health-check the idle color: a group that no listener names is never checked."""
    actions = load_balancer.actions(route.test_arn for route in settings.routes)
    for route in settings.routes:
        wanted = route.weights(color, 100)
        if weights_of(route.test_arn, actions[route.test_arn]) != wanted:
            load_balancer.forward(route.test_arn, actions[route.test_arn], wanted)


def _refresh_to(color: Color, template_version: str) -> str:
    latest = auto_scaling.latest_refresh(color.auto_scaling_group)
    if latest and latest.template_version == template_version:
        return latest.refresh_id
    return auto_scaling.start_refresh(color.auto_scaling_group, color.launch_template_id, template_version)
