"""Let those log in again whom the fence has shut out of the database."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.database.data_rules import DataSettings
from lambdas.database.login_rules import credentials
from lambdas.database.postgres import session
from lambdas.database.roles import Roles
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    data: DataSettings


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], DataSettings.from_json(environ["RESTORE"]))
secrets = Secrets(client("secretsmanager"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "host", "now"}; return {"lifted": true, "roles": [names that were closed]}."""
    return {"lifted": True, "roles": lift_fence(Lease.from_event(event), event["host"], event["now"])}


def lift_fence(lease: Lease, host: str, now: str) -> list[str]:
    """
    Open exactly the roles that a fence has closed, as the server itself remembers them, and return their names.

    Safe to repeat, and on a server without a fence. It is also how an instance is opened that was restored from a
    snapshot taken behind the fence. Raises LeaseLost.
    """
    administrator = credentials(secrets.text(settings.data.administrator_secret_arn), "administrator")
    with session(settings.data.server(host), administrator) as asked:
        record.require_lease(lease, now)
        return Roles(asked).open()
