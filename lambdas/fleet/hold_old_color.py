"""Keep the old color as large as it is, for as long as it is the way back."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.rules import Capacity, Color, held_capacity
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    colors: dict[str, Color]


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], Color.all_from_json(environ["COLORS"]))
auto_scaling = AutoScaling(client("autoscaling"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "color", "now"}; return {"held": instances}."""
    lease = Lease.from_event(event)
    return {"held": hold_old_color(lease, event["release_id"], event["color"], event["now"])}


def hold_old_color(lease: Lease, release_id: str, color: str, now: str) -> int:
    """
    Make the recorded capacity the minimum, and suspend what could lower it.

    Half the traffic would otherwise scale the old color in, just when it may have to take everything back.
    """
    group = settings.colors[color].auto_scaling_group
    held = held_capacity(Capacity.from_record(record.release(release_id)["rollback_point"]["capacity"]))
    record.require_lease(lease, now)
    auto_scaling.hold(group)
    auto_scaling.bound(group, held.minimum, held.maximum)
    return held.minimum
