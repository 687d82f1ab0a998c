"""Stop the execution that lost the environment, so that it starts nothing new."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease
from lambdas.rollback.executions import Executions


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
executions = Executions(client("stepfunctions"))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "loser": execution ARN or "", "now"}; return {"stopped": bool}."""
    return {"stopped": stop_deployment(Lease.from_event(event), event["loser"], event["now"])}


def stop_deployment(lease: Lease, loser: str, now: str) -> bool:
    """
    Stop the loser if it still runs. Safe to repeat.

    A deployment that started this rollback itself is about to end on its own, and keeps the ending that says why.
    """
    record.require_lease(lease, now)
    if not loser or not executions.runs(loser):
        return False
    executions.stop(loser, cause=f"Rolled back by {lease.holder}")
    return True
