"""Look how far the idle color is: the refresh done, and as many healthy targets as carried the traffic before."""

from dataclasses import dataclass
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.rules import Color, Preparation, check_preparation
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


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
    Color.all_from_json(environ["COLORS"]),
)
load_balancer = LoadBalancer(client("elbv2"))
auto_scaling = AutoScaling(client("autoscaling"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Check:
    """The refresh to look at, the number of healthy targets to wait for, and until when."""

    lease: Lease
    release_id: str
    color: str
    refresh_id: str
    wanted_healthy: int
    ready_by: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "color", "refresh_id", "wanted_healthy", "ready_by", "now"}."""
        return cls(
            lease=Lease.from_event(event),
            release_id=event["release_id"],
            color=event["color"],
            refresh_id=event["refresh_id"],
            wanted_healthy=int(event["wanted_healthy"]),
            ready_by=event["ready_by"],
            now=event["now"],
        )


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"ready": bool, "percent": of the refresh, "healthy": targets}."""
    check = Check.from_event(event)
    preparation = check_idle_color(check)
    return {
        "ready": check_preparation(preparation, check.ready_by, check.now),
        "percent": preparation.refresh.percent,
        "healthy": preparation.healthy,
    }


def check_idle_color(check: Check) -> Preparation:
    """Read refresh and health, and write the progress down. The route with the fewest healthy targets counts."""
    refresh = auto_scaling.refresh(settings.colors[check.color].auto_scaling_group, check.refresh_id)
    healthy = min(load_balancer.health(route.target_group(check.color)).healthy for route in settings.routes)
    record.require_lease(check.lease, check.now)
    record.note_release(
        check.release_id,
        {
            "refresh": {"id": refresh.refresh_id, "status": refresh.status, "percent": refresh.percent},
            "healthy": healthy,
        },
    )
    return Preparation(refresh=refresh, healthy=healthy, wanted=check.wanted_healthy)
