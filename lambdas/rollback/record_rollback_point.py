"""Before anything changes: write down what to go back to."""

from dataclasses import dataclass
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.launch_templates import LaunchTemplates
from lambdas.fleet.rules import Capacity, Color, resting_size
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import HealthReading, Lease, Live, last_user_of_idle_color, other_color
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route


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
launch_templates = LaunchTemplates(client("ec2"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Recording:
    """The release whose way back is recorded, and the color that is active before it."""

    lease: Lease
    release_id: str
    active: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "active", "now"}."""
        return cls(Lease.from_event(event), event["release_id"], event["active"], event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"version": the one to go back to, "capacity": instances}."""
    recording = Recording.from_event(event)
    point = record_rollback_point(recording)
    return {"version": point["version"], "capacity": point["capacity"]["desired"]}


def record_rollback_point(recording: Recording) -> dict[str, Any]:
    """
    Record target groups, version, size and template of the active color, and the idle one's to leave it as found.

    Changes nothing outside the record. A repeated step keeps what the first one recorded.
    """
    record.require_lease(recording.lease, recording.now)
    live = record.read().live
    point = _point(recording.active, live)
    idle = _idle(other_color(recording.active), live)
    healthy = min(load_balancer.health(route.target_group(recording.active)).healthy for route in settings.routes)
    record.note_release(recording.release_id, {}, keep={"rollback_point": point, "idle": idle})
    record.note_health(HealthReading(recording.active, healthy, recording.now))
    kept: dict[str, Any] = record.release(recording.release_id)["rollback_point"]
    return kept | {"capacity": {name: int(size) for name, size in kept["capacity"].items()}}


def _point(active: str, live: Live | None) -> dict[str, Any]:
    group = _group(active)
    template_id = settings.colors[active].launch_template_id
    return group | {
        "version": live.version if live else launch_templates.version_of(template_id, group["template_version"]),
        "release_id": live.release_id if live else "before-runback",
        "target_groups": {route.name: route.target_group(active) for route in settings.routes},
    }


def _idle(color: str, live: Live | None) -> dict[str, Any]:
    group = _group(color)
    last = last_user_of_idle_color(live)
    resting = resting_size(Capacity.from_record(group["capacity"]), record.release(last) if last else {})
    return group | {"resting": resting.as_record()}


def _group(color: str) -> dict[str, Any]:
    state = auto_scaling.describe(settings.colors[color].auto_scaling_group)
    return {"color": color, "capacity": state.capacity.as_record(), "template_version": state.template_version}
