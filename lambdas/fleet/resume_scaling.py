"""Let the color that serves scale again as it did before the release."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.rules import Capacity, Color
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase


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
    """
    Read {"lease", "release_id", "color", "now"}, and perhaps "only_in_phase".

    Return {"resumed": whether there was anything to resume}.
    """
    phase = event.get("only_in_phase")
    if phase is not None and record.read().work.phase is not Phase(phase):
        return {"resumed": False}
    lease = Lease.from_event(event)
    return {"resumed": resume_scaling(lease, event["release_id"], event["color"], event["now"])}


def resume_scaling(lease: Lease, release_id: str, color: str, now: str) -> bool:
    """
    Give the color the bounds that the active color had before the release, and resume its scheduled actions.

    The present number of instances stays: what the traffic needs now is for the scaling policies to say. A release
    that ended before its rollback point was recorded has changed nothing.
    """
    point = record.release(release_id).get("rollback_point")
    if point is None:
        return False
    before = Capacity.from_record(point["capacity"])
    group = settings.colors[color].auto_scaling_group
    record.require_lease(lease, now)
    auto_scaling.bound(group, before.minimum, before.maximum)
    auto_scaling.resume(group)
    return True
