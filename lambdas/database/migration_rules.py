"""What a release's migrations are told, how far they are, and what is left of them after a release. All pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from json import JSONDecodeError, loads
from typing import Any, Self

from lambdas.errors import MigrationsFailed
from lambdas.release.rules import Migrations, seconds_since

RELEASE_ID = "RUNBACK_RELEASE_ID"
"""The variable of a build that says which release it is for."""

_LONGEST_MESSAGE = 300
_MINUTE = 60


@dataclass(frozen=True)
class MigrationSettings:
    """What runs the migrations: a function of Lambda or a project of CodeBuild, of which one is empty."""

    function_arn: str
    project: str
    timeout_seconds: int

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read {"function_arn", "project", "timeout_minutes"}, of which the first or the second is null."""
        given = loads(text)
        return cls(given["function_arn"] or "", given["project"] or "", int(given["timeout_minutes"]) * _MINUTE)


class Status(StrEnum):
    """How far migrations are, as the record has it."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    NOT_BEGUN = "not-begun"
    """AWS has refused to begin them, so nothing is changed."""


@dataclass(frozen=True)
class Run:
    """
    The migrations of a release, as its history has them from the moment before they begin.

    `ends_by` is until when they may take; `build_id` is empty for a function, or as long as nobody has noted it.
    """

    migrations: Migrations
    status: Status
    ends_by: str
    build_id: str = ""

    @classmethod
    def of(cls, history: Mapping[str, Any]) -> Self | None:
        """Read it from a release's history; None when no migrations have begun."""
        found = history.get("migrations")
        if not found:
            return None
        return cls(Migrations(found["class"]), Status(found["status"]), found["ends_by"], found.get("build_id", ""))

    def as_record(self) -> dict[str, str]:
        """Return the form in which the history keeps it."""
        return {
            "class": self.migrations.value,
            "status": self.status.value,
            "ends_by": self.ends_by,
            "build_id": self.build_id,
        }


@dataclass(frozen=True)
class Asked:
    """What a hook is told: for which service, environment and release it migrates, to which version, and how far."""

    service: str
    environment: str
    release_id: str
    version: str
    migrations: Migrations

    def as_payload(self) -> dict[str, str]:
        """Return the payload of a function."""
        return {
            "service": self.service,
            "environment": self.environment,
            "release_id": self.release_id,
            "version": self.version,
            "migrations": self.migrations.value,
        }

    def as_variables(self) -> dict[str, str]:
        """Return the variables of a build."""
        return {f"RUNBACK_{name.upper()}": value for name, value in self.as_payload().items()}


def facts_of(run: Run, no_automatic_rollback: str) -> dict[str, Any]:
    """Return what a release's history says from the moment before its migrations begin."""
    facts: dict[str, Any] = {"migrations": run.as_record()}
    if run.migrations is Migrations.BREAKING:
        facts |= {"automatic_rollback": False, "no_automatic_rollback": no_automatic_rollback}
    return facts


def explain_answer(payload: str) -> str:
    """Return in words why a function failed, from what Lambda answers then: {"errorMessage", "errorType", …}."""
    try:
        told = loads(payload)
    except JSONDecodeError:
        told = None
    if not isinstance(told, dict) or not told.get("errorMessage"):
        return "it did not say why"
    return ": ".join(filter(None, [told.get("errorType", ""), str(told["errorMessage"])[:_LONGEST_MESSAGE]]))


def require_time(what: str, ready_by: str, now: str) -> None:
    """Raise MigrationsFailed when the time is up in which migrations have to come to their end."""
    if seconds_since(ready_by, now) >= 0:
        raise MigrationsFailed(
            f"{what} has not come to its end until {ready_by}, and may still run: Runback stops no migrations. See how"
            f" far it comes before the next release."
        )


@dataclass(frozen=True)
class Aftermath:
    """
    What a release that is given up before it received traffic has to know of its migrations.

    `running`: they may still change something, so nothing is undone yet. `pages`: the old version may not work with
    what they have done; `concern` says so in words.
    """

    running: bool = False
    pages: bool = False
    concern: str = ""


@dataclass(frozen=True)
class Found:
    """What migrations were found to be doing: whether they may still change something, and how a build ended."""

    running: bool = False
    words: str = ""


def judge_aftermath(run: Run | None, found: Found, now: str, *, version: str = "") -> Aftermath:
    """
    Say what is left of the migrations of a release that is given up.

    They are waited for only as long as they may take: an abort has to end, too. `version` is that which serves.
    """
    if run is None or run.status is Status.NOT_BEGUN:
        return Aftermath()
    if found.running and seconds_since(run.ends_by, now) < 0:
        return Aftermath(running=True)
    if run.migrations is not Migrations.BREAKING:
        return Aftermath()
    serving = f"Version {version}, which serves," if version else "The version that serves"
    return Aftermath(pages=True, concern=f"{_how_they_ended(run, found)} {serving} may not work with it.")


def _how_they_ended(run: Run, found: Found) -> str:
    if run.status is Status.DONE:
        return "Its breaking migrations have changed the schema of the database."
    if found.running:
        return "Its breaking migrations have begun, did not end in time, and may still change the database."
    ended = f" {found.words}" if found.words else ""
    return f"Its breaking migrations have begun, and may have changed the schema of the database.{ended}"


@dataclass(frozen=True)
class Answer:
    """What a function has answered. `failed`: it has raised an error, which `payload` names."""

    failed: bool
    payload: str = field(default="", repr=False)
