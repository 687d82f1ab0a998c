"""Look whether the snapshot is complete. A release does not touch anything before it is."""

from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.rules import check_snapshot
from lambdas.database.snapshots import Snapshots
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    instance: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], loads(environ["DATABASE"])["instance"])
snapshots = Snapshots(client("rds"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "snapshot_id", "ready_by", "now"}; return {"available": bool, "percent"}."""
    record.require_lease(Lease.from_event(event), event["now"])
    snapshot = snapshots.describe(event["snapshot_id"])
    record.note_release(
        event["release_id"], {"snapshot_progress": {"status": snapshot.status, "percent": snapshot.percent}}
    )
    available = check_snapshot(snapshot, settings.instance, event["ready_by"], event["now"])
    return {"available": available, "percent": snapshot.percent}
