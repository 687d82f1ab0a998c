"""Begin a snapshot of the database that serves, before another one takes its place: what it holds now must stay."""

from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.instance_rules import ENVIRONMENT_TAG, RESTORE_TAG
from lambdas.database.snapshots import Snapshots
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, later


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    snapshot_timeout_seconds: int


settings = Settings(
    environ["ENVIRONMENT"], environ["RECORD_TABLE"], int(loads(environ["DATABASE"])["snapshot_timeout_seconds"])
)
snapshots = Snapshots(client("rds"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"lease", "restore_id", "release_id", "instance", "snapshot_id", "now"}.

    Return {"snapshot_id", "ready_by": moment}. Safe to repeat: the name is the restore's. Raises LeaseLost.
    """
    record.require_lease(Lease.from_event(event), event["now"])
    tags = {RESTORE_TAG: event["restore_id"], ENVIRONMENT_TAG: settings.environment}
    snapshots.take(event["instance"], event["snapshot_id"], tags)
    return {
        "snapshot_id": event["snapshot_id"],
        "ready_by": later(event["now"], settings.snapshot_timeout_seconds),
    }
