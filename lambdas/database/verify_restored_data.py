"""Make sure that the application can go on with the restored database, before anybody is sent to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.database.data_rules import DataSettings
from lambdas.database.login_rules import Credentials, Server, credentials
from lambdas.database.postgres import Session, session
from lambdas.database.queries import Queries
from lambdas.database.restored_rules import advanced, require_right
from lambdas.database.roles import Roles
from lambdas.database.sequences import Sequences
from lambdas.database.unmanaged import Surroundings, unmanaged
from lambdas.errors import LoginRefused
from lambdas.observability import logger, step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease

_QUERY_SECONDS = 120
"""A restored volume is read from S3 the first time."""


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    data: DataSettings


@dataclass(frozen=True)
class Users:
    """Whom this function logs in as."""

    application: Credentials
    administrator: Credentials


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], DataSettings.from_json(environ["RESTORE"]))
secrets = Secrets(client("secretsmanager"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Verify, advance and warm.

    Read {"lease", "release_id", "forward_host", "restored_host", "now"}; return {"checked": [names of check queries],
    "sequences": how many were advanced, "warmed": how many warm queries ran to their end, "password_reset": bool,
    "unmanaged": [sentences]}.
    """
    lease, data = Lease.from_event(event), settings.data
    record.require_lease(lease, event["now"])
    users = Users(
        credentials(secrets.text(data.application_secret_arn), "application"),
        credentials(secrets.text(data.administrator_secret_arn), "administrator"),
    )
    restored = data.server(event["restored_host"])
    is_reset = let_application_in(restored, users)
    with session(restored, users.application, seconds=_QUERY_SECONDS, alike=False) as asked:
        queries = Queries(asked)
        checked = check(queries)
        warmed = [query for query in data.warm_queries if queries.warm(query)]
    with _as_administrator(event["forward_host"], users) as forward, _as_administrator(restored.host, users) as own:
        findings = unmanaged(Surroundings(forward), Surroundings(own))
        with session(restored, users.application) as asked:
            record.require_lease(lease, event["now"])
            count = advance_sequences(forward, own, asked)
    answer = {"checked": checked, "sequences": count, "warmed": len(warmed), "password_reset": is_reset}
    logger.info("Verified the restored database", verified=answer)
    return {**answer, "unmanaged": [*_unlike(is_reset, users), *findings]}


def let_application_in(restored: Server, users: Users) -> bool:
    """
    Log in as the application, giving it its present password first where the restored one is older; say if that was so.

    Raises LoginRefused when it is not let in even then.
    """
    try:
        with session(restored, users.application):
            return False
    except LoginRefused as refused:
        with session(restored, users.administrator) as asked:
            roles = Roles(asked)
            if users.application.username in roles.closed():
                roles.open()  # the snapshot was taken behind a fence
            if not roles.able_to_log_in([users.application.username]):
                raise LoginRefused(f"{refused} There it has no role of this name that may log in.") from None
            roles.set_password(users.application)
    with session(restored, users.application):
        return True


def check(queries: Queries) -> list[str]:
    """Run the check queries of settings, and return their names. Raises RestoredDataWrong that names what failed."""
    require_right([queries.problem(query) for query in settings.data.check_queries])
    return [query.name for query in settings.data.check_queries]


def advance_sequences(forward: Session, restored: Session, application: Session) -> int:
    """
    Let every sequence go on behind the forward server's last value, and return how many had to; safe to repeat.

    Whoever may, sets it: the application, whose most are, or the administrator. One that the restored server does not
    have was made by a release since.
    """
    before, count = Sequences(restored).read(), 0
    for name, state in Sequences(forward).read().items():
        place = advanced(state, before[name]) if name in before else None
        if place:
            last, is_called = place
            owner = Sequences(application)
            (owner if owner.may_set(name) else Sequences(restored)).set(name, last, is_called=is_called)
            count += 1
    return count


@contextmanager
def _as_administrator(host: str, users: Users) -> Iterator[Session]:
    with session(settings.data.server(host), users.administrator, seconds=_QUERY_SECONDS) as asked:
        yield asked


def _unlike(is_reset: bool, users: Users) -> Iterator[str]:  # noqa: FBT001
    """Say what of the roles is not as it was on the forward server."""
    name = users.application.username
    if is_reset:
        yield f"The password of {name} was older on the restored instance, and was set to the one of the secret."
    others = [role for role in settings.data.application_roles if role != name]
    if others:
        yield f"The restored instance has the passwords of its recovery point for {', '.join(others)}: compare them."
