"""Look whether the safety snapshot is complete. No instance is restored before it is."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.instance_rules import ENVIRONMENT_TAG, RESTORE_TAG
from lambdas.database.rules import check_snapshot
from lambdas.database.snapshots import Snapshots
from lambdas.errors import SnapshotFailed
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, seconds_since


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
snapshots = Snapshots(client("rds"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"lease", "restore_id", "release_id", "instance", "snapshot_id", "ready_by", "now"}.

    Return {"available": bool, "percent"}. An instance that was busy when the snapshot was asked for, as with its daily
    backup, took none: then it is asked again. Raises LeaseLost, SnapshotFailed.
    """
    record.require_lease(Lease.from_event(event), event["now"])
    instance, snapshot_id = event["instance"], event["snapshot_id"]
    snapshot = snapshots.find(snapshot_id)
    if snapshot is not None:
        available = check_snapshot(snapshot, instance, event["ready_by"], event["now"])
        return {"available": available, "percent": snapshot.percent}
    if seconds_since(event["ready_by"], event["now"]) >= 0:
        raise SnapshotFailed(
            f"{instance} was too busy to begin snapshot {snapshot_id} by {event['ready_by']}. Look at what it is busy "
            f"with, and start again."
        )
    tags = {RESTORE_TAG: event["restore_id"], ENVIRONMENT_TAG: settings.environment}
    snapshots.take(instance, snapshot_id, tags)
    return {"available": False, "percent": 0}
