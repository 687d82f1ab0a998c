"""Let what serves scale again as it did before a freeze, once its metrics show users again."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.held_rules import HELD_FACT, Held
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
auto_scaling = AutoScaling(client("autoscaling"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "restore_id", "release_id", "now"}; return {"given_back": names of groups}."""
    return {"given_back": give_capacity_back(Lease.from_event(event), event["release_id"], event["now"])}


def give_capacity_back(lease: Lease, release_id: str, now: str) -> list[str]:
    """
    Give each group the bounds back that it was found with, and resume what was suspended for the freeze.

    The present number of instances stays: what users need now is for the scaling policies to say. What somebody else
    had suspended before stays suspended. Safe to repeat: what is given back is not held any more. Raises LeaseLost.
    """
    noted = record.release(release_id).get(HELD_FACT, {})
    record.require_lease(lease, now)
    for group, item in noted.items():
        held = Held.from_record(item)
        auto_scaling.bound(group, held.capacity.minimum, held.capacity.maximum)
        if not held.was_suspended:
            auto_scaling.resume(group)
    if noted:
        record.note_release(release_id, {HELD_FACT: {}})
    return sorted(noted)
