"""Look whether the restored instance is there, and make it like the one that serves in what a restore cannot set."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.instance_rules import Look, look, require_ours, undone
from lambdas.database.instances import Instances
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
instances = Instances(client("rds", read_seconds=20))  # RDS takes its time to answer ModifyDBInstance
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"lease", "restore_id", "release_id", "source", "forward_instance", "restored_instance", "ready_by", "now"}.

    Return {"available": bool, "host", "port", "settings": "restoring" | "modifying" | "equal"}; host and port are ""
    and 0 as long as RDS has not given them. Raises LeaseLost, RestoreFailed.
    """
    record.require_lease(Lease.from_event(event), event["now"])
    found = instances.describe(event["restored_instance"])
    if event["source"]["kind"] == "undo":
        seen = undone(found, event["ready_by"], event["now"])
    else:
        require_ours(found, event["restore_id"], settings.environment)
        seen = look(instances.describe(event["forward_instance"]), found, event["ready_by"], event["now"])
        adjust(event["restored_instance"], seen)
    endpoint = found.get("Endpoint", {})
    return {
        "available": seen.available,
        "host": endpoint.get("Address", ""),
        "port": endpoint.get("Port", 0),
        "settings": seen.settings,
    }


def adjust(instance: str, seen: Look) -> None:
    """Tell RDS what is missing. Safe to repeat: what is equal by then is not missing any more."""
    if seen.change:
        instances.modify(instance, seen.change)
    for role_arn, feature in seen.roles:
        instances.add_role(instance, role_arn, feature)
