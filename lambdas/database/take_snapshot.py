"""Begin the snapshot of the database, before anything changes."""

from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.rules import snapshot_name
from lambdas.database.snapshots import Snapshots
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, later


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    service: str
    environment: str
    table: str
    instance: str
    snapshot_timeout_seconds: int


_database = loads(environ["DATABASE"])
settings = Settings(
    environ["SERVICE"],
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    _database["instance"],
    int(_database["snapshot_timeout_seconds"]),
)
snapshots = Snapshots(client("rds"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "now"}; return {"snapshot_id", "ready_by": moment}."""
    snapshot_id = take_snapshot(Lease.from_event(event), event["release_id"], event["now"])
    return {"snapshot_id": snapshot_id, "ready_by": later(event["now"], settings.snapshot_timeout_seconds)}


def take_snapshot(lease: Lease, release_id: str, now: str) -> str:
    """
    Begin the snapshot and return its name, which is in the record before the snapshot is in the account.

    Safe to repeat: the name comes from the release. Raises LeaseLost.
    """
    snapshot_id = snapshot_name(settings.service, settings.environment, release_id)
    record.require_lease(lease, now)
    record.note_release(release_id, {}, keep={"snapshot": {"id": snapshot_id, "instance": settings.instance}})
    tags = {"runback:release": release_id, "runback:environment": settings.environment}
    snapshots.take(settings.instance, snapshot_id, tags)
    return snapshot_id
