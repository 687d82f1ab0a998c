"""Look whether a dead execution has left an apply of the infrastructure behind: nothing is undone under its feet."""

from collections.abc import Mapping
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.infrastructure.builds import Build, Builds
from lambdas.infrastructure.rules import InfrastructureSettings, Purpose, apply_field, what_was_changed
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, seconds_since

settings = InfrastructureSettings.from_json(environ["INFRASTRUCTURE"])
builds = Builds(client("codebuild"))
record = ReleaseRecord(client("dynamodb"), environ["RECORD_TABLE"], environ["ENVIRONMENT"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "now"}; return {"over": bool, "changed": bool, "reason": in words, or ""}."""
    record.require_lease(Lease.from_event(event), event["now"])
    return check_unfinished_apply(event["release_id"], event["now"])


def check_unfinished_apply(release_id: str, now: str) -> dict[str, Any]:
    """Look after a release, and after one that was being prepared when the rollback of this one took over from it."""
    preempted = str(record.read().work.loser.get("release_id") or release_id)
    releases = sorted({release_id, preempted})
    is_over = all(settle(each, purpose, now) for each in releases for purpose in Purpose)
    left = [what_was_changed(record.release(each)) for each in releases]
    return {"over": is_over, "changed": any(left), "reason": " ".join(each for each in left if each)}


def settle(release_id: str, purpose: Purpose, now: str) -> bool:
    """
    Say whether no build applies for this release any more, and write down how the last one ended. Safe to repeat.

    An intent without a build is one whose step died in between: the newest build of the project is the one that it
    began, if any is. What was still unknown when its time was up is over, and stays unknown.
    """
    name = apply_field(purpose)
    noted = record.release(release_id).get(name, {})
    if not noted or "ended_at" in noted:
        return True
    build = _build_of(noted)
    if build is None:
        record.note_release(release_id, {name: {**noted, "status": "NOT_STARTED", "ended_at": now}})
        return True
    if build.is_running and seconds_since(noted["ends_by"], now) < 0:
        return False
    found = {**noted, "build_id": build.build_id, "status": build.status, "ended_at": now}
    changes = {"infrastructure_changed": True} if "build_id" not in noted else {}
    if purpose is Purpose.ROLLBACK and build.succeeded:
        changes = {"infrastructure_changed": False}
    record.note_release(release_id, {name: found, **changes})
    return True


def _build_of(noted: Mapping[str, Any]) -> Build | None:
    if "build_id" in noted:
        return builds.read(str(noted["build_id"]))
    newest = builds.latest(settings.apply_project)
    return newest if newest and newest.applies(str(noted["digest"])) else None
