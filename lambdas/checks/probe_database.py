"""Every minute, from inside the VPC, ask whether the database answers and how fast, and publish it."""

from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.postgres import Postgres
from lambdas.checks.rules import PROBE_NAMESPACE, DatabaseAddress
from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.database.login_rules import Credentials
from lambdas.errors import DataStoreUnreachable
from lambdas.observability import logger, publish, step

_FILES = Path(__file__).parents[2] / "environments" / "files"


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    service: str
    environment: str
    database: DatabaseAddress


settings = Settings(environ["SERVICE"], environ["ENVIRONMENT"], DatabaseAddress.from_json(environ["DATABASE"]))
postgres = Postgres(settings.database, _FILES)
secrets = Secrets(client("secretsmanager"))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read nothing of the event; return {"reachable": bool}. Raises AwsCallFailed when the secret cannot be read."""
    return {"reachable": probe_database()}


def probe_database() -> bool:
    """
    Run the query once, and publish "DatabaseReachable" (1 or 0), and "QueryMilliseconds" of the query alone.

    A database that does not answer is a measurement, and no failure of this function. A secret that cannot be read
    says nothing about the database, so nothing is published then, and the alarm on its silence comes on.
    """
    text = secrets.text(settings.database.secret_arn)
    try:
        seconds = postgres.answer(_credentials(text))
    except DataStoreUnreachable as error:
        logger.warning("The database is not reachable", problem=str(error))
        _publish({"DatabaseReachable": (MetricUnit.Count, 0)})
        return False
    _publish(
        {"DatabaseReachable": (MetricUnit.Count, 1), "QueryMilliseconds": (MetricUnit.Milliseconds, 1000 * seconds)}
    )
    return True


def _credentials(text: str) -> Credentials:
    try:
        return Credentials.from_secret(text)
    except ValueError as error:
        raise DataStoreUnreachable(str(error)) from None


def _publish(values: dict[str, tuple[MetricUnit, float]]) -> None:
    publish(PROBE_NAMESPACE, {"Service": settings.service, "Environment": settings.environment}, values)
