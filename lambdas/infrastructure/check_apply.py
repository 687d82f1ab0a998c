"""Look whether the plan is applied."""

from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import InfrastructureFailed
from lambdas.infrastructure.builds import Build, Builds
from lambdas.infrastructure.rules import Purpose, apply_field
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, seconds_since

builds = Builds(client("codebuild"))
record = ReleaseRecord(client("dynamodb"), environ["RECORD_TABLE"], environ["ENVIRONMENT"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "purpose", "build_id", "ready_by", "now"}; return {"ready": bool}."""
    record.require_lease(Lease.from_event(event), event["now"])
    build = builds.read(event["build_id"])
    if not build.is_running:
        note_end(event["release_id"], Purpose(event["purpose"]), build, event["now"])
    return {"ready": is_applied(build, event["ready_by"], event["now"])}


def is_applied(build: Build, ready_by: str, now: str) -> bool:
    """Say whether it was applied. Raises InfrastructureFailed when it was not, or when nobody knows in time."""
    if build.is_running:
        if seconds_since(ready_by, now) > 0:
            raise InfrastructureFailed(f"Build {build.build_id} did not end until {ready_by}. Look at it.")
        return False
    if not build.succeeded:
        raise InfrastructureFailed(
            f"The infrastructure was not applied, or only a part of it. {build.describe()} Bring it to a state that you"
            f" know with Terraform by hand."
        )
    return True


def note_end(release_id: str, purpose: Purpose, build: Build, now: str) -> None:
    """Write down how it ended. After a rollback that worked the infrastructure is as it was. Safe to repeat."""
    name = apply_field(purpose)
    noted = record.release(release_id).get(name, {})
    if "ended_at" in noted:
        return
    facts = {name: {**noted, "status": build.status, "ended_at": now}}
    is_back = purpose is Purpose.ROLLBACK and build.succeeded
    record.note_release(release_id, {**facts, **({"infrastructure_changed": False} if is_back else {})})
