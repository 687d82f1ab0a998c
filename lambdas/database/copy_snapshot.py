"""Begin to copy a snapshot that another account shares: RDS restores only what is this account's own."""

from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.instance_rules import ENVIRONMENT_TAG, RESTORE_TAG
from lambdas.database.instances import Instances
from lambdas.database.shared_snapshot_rules import key_for_copy
from lambdas.database.snapshots import Snapshots
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.restores import Restores
from lambdas.release.rules import later


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    snapshot_timeout_seconds: int


settings = Settings(
    environ["ENVIRONMENT"], environ["RECORD_TABLE"], int(loads(environ["DATABASE"])["snapshot_timeout_seconds"])
)
rds = client("rds", read_seconds=20)  # RDS takes its time to answer CopyDBSnapshot
instances, snapshots = Instances(rds), Snapshots(rds)
restores = Restores(ReleaseRecord(client("dynamodb"), settings.table, settings.environment))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"restore_id", "release_id", "source", "forward_instance", "now"}; return {"snapshot_id", "ready_by"}."""
    snapshot_id = copy_snapshot(event["source"], event["forward_instance"], event["restore_id"])
    return {"snapshot_id": snapshot_id, "ready_by": later(event["now"], settings.snapshot_timeout_seconds)}


def copy_snapshot(source: dict[str, Any], forward_instance: str, restore_id: str) -> str:
    """
    Begin the copy, and return its name.

    Users are served meanwhile and nothing of theirs is touched, so the environment is not held; it is made only for a
    restore that a human has approved. Safe to repeat: the name is the restore's. Raises EnvironmentBusy when that
    restore is not the approved one any more, and RestoreFailed when no instance like the one that serves could be made.
    """
    restores.require_approved(restore_id)
    forward, snapshot = instances.describe(forward_instance), instances.snapshot(source["copied_from"])
    tags = {RESTORE_TAG: restore_id, ENVIRONMENT_TAG: settings.environment}
    snapshots.copy(snapshot.arn, source["snapshot_id"], key_for_copy(snapshot, forward), tags)
    return str(source["snapshot_id"])
