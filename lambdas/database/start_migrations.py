"""Let the customer's migrations run on the database, once the new version is up and before anything is asked of it."""

from dataclasses import dataclass, replace
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.migration_function import MigrationFunction
from lambdas.database.migration_rules import (
    Asked,
    MigrationSettings,
    Run,
    Status,
    explain_answer,
    facts_of,
)
from lambdas.errors import AwsCallFailed, MigrationsFailed
from lambdas.infrastructure.builds import Builds
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Migrations, later


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    service: str
    environment: str
    table: str
    migrations: MigrationSettings


settings = Settings(
    environ["SERVICE"],
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    MigrationSettings.from_json(environ["MIGRATIONS"]),
)
builds = Builds(client("codebuild"))
function = MigrationFunction(
    client("lambda", read_seconds=settings.migrations.timeout_seconds, attempts=1), settings.migrations.function_arn
)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Migrating:
    """The release whose migrations are to run. `no_automatic_rollback` is why they may be breaking."""

    lease: Lease
    release_id: str
    version: str
    migrations: Migrations
    no_automatic_rollback: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "version", "migrations", "no_automatic_rollback", "now"}."""
        return cls(
            Lease.from_event(event),
            event["release_id"],
            event["version"],
            Migrations(event["migrations"]),
            event["no_automatic_rollback"],
            event["now"],
        )


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"build_id": "" for a function, which has ended by then, "ready_by": moment}."""
    run = start_migrations(Migrating.from_event(event))
    return {"build_id": run.build_id, "ready_by": run.ends_by}


def start_migrations(migrating: Migrating) -> Run:
    """
    Begin a build, or call a function and wait for its end.

    That they begin is in the record before, and with breaking ones that the release is not rolled back by itself. Safe
    to repeat, as far as the customer's migrations are: a build is begun once, and a function that has ended well is not
    called again. Raises LeaseLost, and MigrationsFailed when a function fails or does not end in time.
    """
    record.require_lease(migrating.lease, migrating.now)
    before = Run.of(record.release(migrating.release_id))
    if before and (before.build_id or before.status is Status.DONE):
        return before
    run = Run(migrating.migrations, Status.RUNNING, later(migrating.now, settings.migrations.timeout_seconds))
    record.note_release(migrating.release_id, facts_of(run, migrating.no_automatic_rollback))
    asked = Asked(settings.service, settings.environment, migrating.release_id, migrating.version, migrating.migrations)
    run = _begin_build(asked, run) if settings.migrations.project else _call_function(asked, run)
    return _noted(migrating.release_id, run)


def _begin_build(asked: Asked, run: Run) -> Run:
    """Use the release's own id as the token: a repeated request gets the same build."""
    token = f"migrations-{asked.release_id}"
    return replace(run, build_id=builds.start(settings.migrations.project, token, asked.version, asked.as_variables()))


def _call_function(asked: Asked, run: Run) -> Run:
    try:
        answer = function.call(asked.as_payload())
    except AwsCallFailed:
        _noted(asked.release_id, replace(run, status=Status.NOT_BEGUN))
        raise
    name = settings.migrations.function_arn.rpartition(":")[2]
    if answer is None:
        raise MigrationsFailed(
            f"Function {name} did not answer within {settings.migrations.timeout_seconds // 60} minutes, and may still"
            f" run. See in its log how far it comes, before the next release."
        )
    if answer.failed:
        _noted(asked.release_id, replace(run, status=Status.FAILED))
        raise MigrationsFailed(f"Function {name} has failed: {explain_answer(answer.payload)}. Its log says more.")
    return replace(run, status=Status.DONE)


def _noted(release_id: str, run: Run) -> Run:
    record.note_release(release_id, {"migrations": run.as_record()})
    return run
