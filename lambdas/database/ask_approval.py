"""Keep what lets the waiting execution go on, until a human has approved or rejected its restore."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.restores import Restores


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
restores = Restores(ReleaseRecord(client("dynamodb"), settings.table, settings.environment))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"task_token", "restore_id", "release_id", "now"}.

    The machine waits for SendTaskSuccess with {"approved": bool, "by", "reason"}, which the operate machine sends; what
    is returned here is dropped. Safe to repeat: the last token is the one that the machine waits for. Raises
    EnvironmentBusy when the restore does not wait any more.
    """
    restores.keep_token(event["restore_id"], event["task_token"])
    return {"asked": True}
