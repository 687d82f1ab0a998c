"""Look how far the application is restarted: all that serves or works was launched since its database was swapped."""

from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.instances import Instances
from lambdas.fleet.rules import Color, Restart, check_restarted
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]
    colors: dict[str, Color]
    worker_groups: tuple[str, ...]


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
    Color.all_from_json(environ["COLORS"]),
    tuple(loads(environ["RESTORE"])["worker_groups"]),
)
load_balancer = LoadBalancer(client("elbv2"))
auto_scaling = AutoScaling(client("autoscaling"))
instances = Instances(client("ec2"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Check:
    """The color's refresh, when the database was swapped, and until when the application has to be back."""

    lease: Lease
    release_id: str
    color: str
    refresh_id: str
    swapped_at: str
    ready_by: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "color", "refresh_id", "swapped_at", "ready_by", "now"}."""
        return cls(
            lease=Lease.from_event(event),
            release_id=event["release_id"],
            color=event["color"],
            refresh_id=event["refresh_id"],
            swapped_at=event["swapped_at"],
            ready_by=event["ready_by"],
            now=event["now"],
        )


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"restarted": bool, "percent": of the color's refresh, "healthy": targets}."""
    check = Check.from_event(event)
    restart = check_restart(check)
    return {
        "restarted": check_restarted(restart, check.ready_by, check.now),
        "percent": restart.refreshes[0].percent,
        "healthy": restart.healthy,
    }


def check_restart(check: Check) -> Restart:
    """Read refreshes, health and age of all that serves or works. The route with the fewest healthy targets counts."""
    group = settings.colors[check.color].auto_scaling_group
    noted = record.release(check.release_id).get("restart", {})
    refresh_ids = {group: check.refresh_id} | {each: noted[each]["refresh_id"] for each in settings.worker_groups}
    healthy = [load_balancer.healthy_instances(route.target_group(check.color)) for route in settings.routes]
    working = [auto_scaling.instances(each) for each in settings.worker_groups]
    launched_at = instances.launched_at(set().union(*healthy, *working))
    record.require_lease(check.lease, check.now)
    return Restart(
        refreshes=tuple(auto_scaling.refresh(each, refresh_id) for each, refresh_id in refresh_ids.items()),
        healthy=min(len(each) for each in healthy),
        wanted=auto_scaling.describe(group).capacity.desired,
        launched_at=launched_at,
        swapped_at=check.swapped_at,
    )
