"""Builds of CodeBuild: begun once, looked at until they end, and found again when nobody remembers them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_RUNNING = frozenset({"IN_PROGRESS", "NOT_FOUND"})
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Build:
    """
    How far a build is.

    `status` and `phase` are CodeBuild's words: IN_PROGRESS, SUCCEEDED, FAILED, FAULT, TIMED_OUT or STOPPED; and
    QUEUED to COMPLETED. The status NOT_FOUND is ours: a build may be read a moment before CodeBuild knows of it.
    `link` opens its log, and `reason` says what a failed phase said; both may be empty. `variables` are its own.
    """

    build_id: str
    status: str
    phase: str = ""
    link: str = ""
    reason: str = ""
    variables: Mapping[str, str] | None = None

    @property
    def is_running(self) -> bool:
        """Say whether it may still change something. What cannot be found counts as running, until its deadline."""
        return self.status in _RUNNING

    @property
    def succeeded(self) -> bool:
        """Say whether it did all that it should."""
        return self.status == "SUCCEEDED"

    def applies(self, digest: str) -> bool:
        """Say whether it applies the plan with this digest."""
        return (self.variables or {}).get("RUNBACK_PLAN_DIGEST") == digest

    def describe(self) -> str:
        """Say in a line how it ended, for a message: which build, how, in which phase, why, and where its log is."""
        where = f" in phase {self.phase}" if self.phase and self.phase != "COMPLETED" else ""
        why = f": {self.reason}" if self.reason else ""
        log = f" Its log: {self.link}" if self.link else ""
        return f"Build {self.build_id} ended {self.status}{where}{why}.{log}"


@dataclass(frozen=True)
class Builds:
    """`codebuild` is a boto3 client."""

    codebuild: Any

    def start(self, project: str, token: str, source_version: str, variables: Mapping[str, str]) -> str:
        """
        Begin a build of a project and return its id.

        CodeBuild answers a repeated request with the same token, for five minutes, with the same build; who may come
        later keeps the id in the record, and asks `latest` when it is not there. An empty `source_version` leaves the
        project's own.
        https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
        """
        request: dict[str, Any] = {
            "projectName": project,
            "idempotencyToken": token,
            "environmentVariablesOverride": [
                {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in sorted(variables.items())
            ],
        }
        if source_version:
            request["sourceVersion"] = source_version
        return str(self.codebuild.start_build(**request)["build"]["id"])

    def read(self, build_id: str) -> Build:
        """Read how far a build is."""
        found = self.codebuild.batch_get_builds(ids=[build_id])["builds"]
        return _build(found[0]) if found else Build(build_id, "NOT_FOUND")

    def latest(self, project: str) -> Build | None:
        """Read the newest build of a project; None before the first one."""
        newest = self.codebuild.list_builds_for_project(projectName=project, sortOrder="DESCENDING").get("ids")
        return self.read(newest[0]) if newest else None

    def stop(self, build_id: str) -> None:
        """Ask a build to end. One that has ended stays as it is."""
        self.codebuild.stop_build(id=build_id)


def _build(found: Mapping[str, Any]) -> Build:
    return Build(
        build_id=found["id"],
        status=found["buildStatus"],
        phase=_decisive_phase(found),
        link=found.get("logs", {}).get("deepLink", ""),
        reason=_reason(found),
        variables={
            each["name"]: each["value"] for each in found.get("environment", {}).get("environmentVariables", ())
        },
    )


def _decisive_phase(found: Mapping[str, Any]) -> str:
    """Return the phase that failed, or the one that it is in: a failed build itself says COMPLETED."""
    failed = _failed_phase(found)
    return str(failed["phaseType"]) if failed else str(found.get("currentPhase", ""))


def _reason(found: Mapping[str, Any]) -> str:
    failed = _failed_phase(found) or {}
    said = [f"{each.get('statusCode', '')} {each.get('message', '')}".strip() for each in failed.get("contexts", ())]
    return "; ".join(each for each in said if each)[:_LONGEST_REASON]


def _failed_phase(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    ended = {"SUCCEEDED", "IN_PROGRESS"}
    return next((each for each in found.get("phases", ()) if each.get("phaseStatus", "SUCCEEDED") not in ended), None)
