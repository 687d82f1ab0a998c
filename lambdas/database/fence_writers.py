"""Shut out of the database whoever writes to it, and prove that nobody does any more."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.database.data_rules import DataSettings
from lambdas.database.fence_rules import MEASURED_SECONDS, still_writing
from lambdas.database.login_rules import credentials
from lambdas.database.postgres import session
from lambdas.database.roles import Roles
from lambdas.observability import logger, step
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
    """
    Read {"lease", "release_id", "host", "now"}; return {"fenced": bool, "still_writing": text, "fenced_at"}.

    `still_writing` names roles, applications and addresses, and never what they do; it is empty, and `fenced_at` a
    moment, when nobody writes.
    """
    writing = fence_writers(Lease.from_event(event), event["host"], event["now"])
    return {"fenced": not writing, "still_writing": writing, "fenced_at": "" if writing else event["now"]}


def fence_writers(lease: Lease, host: str, now: str) -> str:
    """
    Close the application's roles, end their sessions, and return who could write still.

    Safe to repeat, and to be repeated until nobody is left: whoever was logging in while the roles were closed is ended
    the next time. Raises LeaseLost, and WritersNotFenced when the administrator cannot do this at all.
    """
    roles = settings.data.application_roles
    administrator = credentials(secrets.text(settings.data.administrator_secret_arn), "administrator")
    with session(settings.data.server(host), administrator) as asked:
        record.require_lease(lease, now)
        adapter = Roles(asked)
        adapter.close(roles)
        ended = adapter.end_sessions(roles)
        before, after = adapter.read_twice(MEASURED_SECONDS)
    writing = still_writing(before, after, roles, settings.data.database["name"])
    logger.info("Closed the application's roles", ended_sessions=ended, still_writing=writing)
    return writing
