"""Begin to make a new instance of what is to come back, with the settings of the one that serves. That one stays."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.instance_rules import (
    RESTORE_WITHIN_SECONDS,
    require_ours,
    require_restorable,
    restore_request,
)
from lambdas.database.instances import Instances
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, later


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
instances = Instances(client("rds", read_seconds=20))  # RDS takes its time to answer this request
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"lease", "restore_id", "release_id", "source", "forward_instance", "restored_instance", "now"}.

    Return {"instance": its name, "ready_by": moment}. Raises LeaseLost, RestoreFailed.
    """
    record.require_lease(Lease.from_event(event), event["now"])
    if event["source"]["kind"] != "undo":  # the instance that served before is still there
        restore_instance(event["source"], event["forward_instance"], event["restored_instance"], event["restore_id"])
    return {"instance": event["restored_instance"], "ready_by": later(event["now"], RESTORE_WITHIN_SECONDS)}


def restore_instance(source: dict[str, Any], forward_instance: str, restored_instance: str, restore_id: str) -> None:
    """
    Begin to restore a snapshot, or a moment.

    Safe to repeat: an instance that an earlier attempt at this restore began is taken for it, no other one is.
    Raises RestoreFailed.
    """
    forward = instances.describe(forward_instance)
    request = restore_request(forward, restore_id, settings.environment)
    if source["kind"] == "snapshot":
        require_restorable(instances.snapshot(source["snapshot_id"]), forward)
        began = instances.restore_snapshot(source["snapshot_id"], restored_instance, request)
    else:
        began = instances.restore_moment(forward_instance, source["at"], restored_instance, request)
    if not began:
        require_ours(instances.describe(restored_instance), restore_id, settings.environment)
