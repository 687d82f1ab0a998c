"""Let CodeBuild apply exactly the plan that was inspected, with rights to change."""

from dataclasses import dataclass
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.infrastructure.builds import Builds
from lambdas.infrastructure.rules import InfrastructureSettings, Purpose, apply_field, plan_key, require_commit
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, later

settings = InfrastructureSettings.from_json(environ["INFRASTRUCTURE"])
builds = Builds(client("codebuild"))
record = ReleaseRecord(client("dynamodb"), environ["RECORD_TABLE"], environ["ENVIRONMENT"])


@dataclass(frozen=True)
class Applying:
    """Which plan is to be applied: `digest` of its file, `inspected` of the JSON that was found harmless."""

    lease: Lease
    release_id: str
    version: str
    purpose: Purpose
    digest: str
    inspected: str
    summary: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "version", "purpose", "digest", "inspected", "summary", "now"}."""
        return cls(
            Lease.from_event(event),
            event["release_id"],
            event["version"],
            Purpose(event["purpose"]),
            event["digest"],
            event["inspected"],
            event["summary"],
            event["now"],
        )


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"build_id", "ready_by"}."""
    applying = Applying.from_event(event)
    return {"build_id": start_apply(applying), "ready_by": later(applying.now, settings.longest_build_seconds)}


def start_apply(applying: Applying) -> str:
    """
    Write down what is about to be applied, and then begin; return the build's id.

    Safe to repeat, however late: a plan is applied by one build, which is in the record, or the newest of its project
    if its id did not get there. Raises LeaseLost.
    """
    name = apply_field(applying.purpose)
    noted = record.release(applying.release_id).get(name, {})
    repeated = noted.get("digest") == applying.digest
    if repeated and noted.get("build_id"):
        return str(noted["build_id"])
    record.require_lease(applying.lease, applying.now)
    intent = {
        "version": applying.version,
        "digest": applying.digest,
        "summary": applying.summary,
        "began_at": applying.now,
        "ends_by": later(applying.now, settings.longest_build_seconds),
    }
    record.note_release(applying.release_id, {name: intent})
    build_id = (_newest_with(applying.digest) if repeated else "") or _start(applying)
    record.note_release(applying.release_id, {name: {**intent, "build_id": build_id}, "infrastructure_changed": True})
    return build_id


def _newest_with(digest: str) -> str:
    newest = builds.latest(settings.apply_project)
    return newest.build_id if newest and newest.applies(digest) else ""


def _start(applying: Applying) -> str:
    variables = {
        "RUNBACK_PLAN_KEY": plan_key(applying.release_id, applying.purpose),
        "RUNBACK_TARGETS": settings.targets(applying.purpose),
        "RUNBACK_PLAN_DIGEST": applying.digest,
        "RUNBACK_INSPECTED_DIGEST": applying.inspected,
    }
    return builds.start(settings.apply_project, applying.digest, require_commit(applying.version), variables)
