"""Look whether the migrations of the database have come to their end. Nothing is asked of the new version before."""

from dataclasses import dataclass, replace
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.migration_rules import Run, Status, require_time
from lambdas.errors import MigrationsFailed
from lambdas.infrastructure.builds import Builds
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
builds = Builds(client("codebuild"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "build_id", "ready_by", "now"}; return {"ready": bool}."""
    lease = Lease.from_event(event)
    return {"ready": check_migrations(lease, event["release_id"], event["build_id"], event["ready_by"], event["now"])}


def check_migrations(lease: Lease, release_id: str, build_id: str, ready_by: str, now: str) -> bool:
    """
    Say whether a build has ended well; without one, migrations were a function's, which has ended before.

    How it ended is written down, for who looks after the release when it is given up. Raises LeaseLost, and
    MigrationsFailed when it ended otherwise or has not ended in time.
    """
    record.require_lease(lease, now)
    if not build_id:
        return True
    build = builds.read(build_id)
    if build.is_running:
        require_time(f"Build {build_id}", ready_by, now)
        return False
    _note(release_id, Status.DONE if build.succeeded else Status.FAILED)
    if not build.succeeded:
        raise MigrationsFailed(build.describe())
    return True


def _note(release_id: str, status: Status) -> None:
    run = Run.of(record.release(release_id))
    if run:
        record.note_release(release_id, {"migrations": replace(run, status=status).as_record()})
