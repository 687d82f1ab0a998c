"""Ask database and cache from inside the VPC. Touches nothing else but the secrets that they want."""

from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.cache import Cache
from lambdas.checks.postgres import Postgres
from lambdas.checks.rules import CacheAddress, DatabaseAddress
from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.database.login_rules import Credentials
from lambdas.errors import DataStoreUnreachable
from lambdas.observability import step

_FILES = Path(__file__).parents[2] / "environments" / "files"


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    database: DatabaseAddress
    cache: CacheAddress


settings = Settings(DatabaseAddress.from_json(environ["DATABASE"]), CacheAddress.from_json(environ["CACHE"]))
postgres = Postgres(settings.database, _FILES)
cache = Cache(settings.cache)
secrets = Secrets(client("secretsmanager"))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"release_id", "now"}; return {"answered": [names]}. Raises DataStoreUnreachable."""
    check_data_stores()
    return {"answered": ["database", "cache"]}


def check_data_stores() -> None:
    """Ask each once, `SELECT 1` and `PING`, with new connections and with the secrets as they are now."""
    try:
        credentials = Credentials.from_secret(secrets.text(settings.database.secret_arn))
    except ValueError as error:
        raise DataStoreUnreachable(str(error)) from None
    postgres.answer(credentials)
    cache.answer(secrets.text(settings.cache.secret_arn) if settings.cache.secret_arn else None)
