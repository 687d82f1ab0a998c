"""Look what is left of the migrations of a release that is given up, before anything of it is undone."""

from dataclasses import asdict, dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.migration_rules import (
    RELEASE_ID,
    Aftermath,
    Found,
    MigrationSettings,
    Run,
    Status,
    judge_aftermath,
)
from lambdas.infrastructure.builds import Build, Builds
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    project: str


settings = Settings(
    environ["ENVIRONMENT"], environ["RECORD_TABLE"], MigrationSettings.from_json(environ["MIGRATIONS"]).project
)
builds = Builds(client("codebuild"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"lease", "release_id", "now"}.

    Return {"running": whether they may still change something, "pages": whether a human has to look at the schema,
    "concern": why, or ""}.
    """
    return asdict(look_at_migrations(Lease.from_event(event), event["release_id"], event["now"]))


def look_at_migrations(lease: Lease, release_id: str, now: str) -> Aftermath:
    """
    Say whether migrations still run, and what they may have left.

    Of a function whose caller was stopped only the record tells that it has ended: that caller writes it down, because
    to stop an execution stops none of its functions. Changes nothing. Raises LeaseLost.
    """
    record.require_lease(lease, now)
    history = record.release(release_id)
    run = Run.of(history)
    version = str(history.get("rollback_point", {}).get("version", ""))
    return judge_aftermath(run, _found(run, release_id), now, version=version)


def _found(run: Run | None, release_id: str) -> Found:
    if run is None or run.status is not Status.RUNNING:
        return Found()
    if not settings.project:
        return Found(running=True)
    build = builds.read(run.build_id) if run.build_id else _unnoted(release_id)
    if build is None or build.is_running:
        return Found(running=build is not None)
    return Found(words=build.describe())


def _unnoted(release_id: str) -> Build | None:
    """Find a build that was begun, and whose id nobody could write down any more."""
    newest = builds.latest(settings.project)
    return newest if newest and (newest.variables or {}).get(RELEASE_ID) == release_id else None
