"""Look whether the copy of a shared snapshot is complete. Nobody is kept out of the application before it is."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.rules import check_copy
from lambdas.database.snapshots import Snapshots
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.restores import Restores


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
snapshots = Snapshots(client("rds"))
restores = Restores(ReleaseRecord(client("dynamodb"), settings.table, settings.environment))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"restore_id", "release_id", "snapshot_id", "ready_by", "now"}; return {"available": bool, "percent"}.

    Raises EnvironmentBusy when the restore is not the approved one any more, SnapshotFailed.
    """
    restores.require_approved(event["restore_id"])
    snapshot = snapshots.describe(event["snapshot_id"])
    return {"available": check_copy(snapshot, event["ready_by"], event["now"]), "percent": snapshot.percent}
