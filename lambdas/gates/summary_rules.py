"""What somebody has to know who approves a release: what changes, what was found, and what it takes. All pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json import loads
from typing import Any, Self

from lambdas.github.github_rules import Comparison
from lambdas.release.request_rules import GateResult, GateStatus
from lambdas.release.rules import EnvironmentRecord, Live

_MINUTE = 60
_SHORT = 12
_LONGEST_SUBJECT = 100
MOST_COMMITS = 10
"""So many commits are named; the link has all of them."""


@dataclass(frozen=True)
class Duration:
    """How long a release takes: its bakes at least, and with all that it may wait for."""

    bakes_seconds: int
    longest_seconds: int

    @classmethod
    def from_json(cls, release: str, database: str) -> Self:
        """Read the environment variables RELEASE and DATABASE."""
        given = loads(release)
        bakes = sum(int(step["bake_seconds"]) for step in given["steps"])
        waits = int(given["prepare_timeout_seconds"]) + int(loads(database)["snapshot_timeout_seconds"])
        return cls(bakes, bakes + waits)

    @property
    def line(self) -> str:
        """Say it in minutes."""
        bakes, longest = -(-self.bakes_seconds // _MINUTE), -(-self.longest_seconds // _MINUTE)
        return (
            f"Expected duration: {bakes} min of observation, and before that a snapshot of the database and new"
            f" instances; at most {longest} min unless somebody pauses it."
        )


@dataclass(frozen=True)
class Asking:
    """
    A release for which an execution asks, as its machine tells of it.

    `pushed_by` and `emergency` are empty where nobody has, and `plan` where Terraform changes nothing.
    """

    release_id: str
    version: str
    execution: str
    pushed_by: str
    emergency: str
    skipped: tuple[str, ...]
    plan: str
    now: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read {"data": all that the machine knows, "execution", "now"}; not every machine plans or has gates."""
        data = event["data"]
        request = data["request"]
        return cls(
            release_id=request["release_id"],
            version=request["version"],
            execution=event["execution"],
            pushed_by=request.get("pushed_by", ""),
            emergency=request.get("emergency", ""),
            skipped=tuple(request.get("skip_gates", ())),
            plan=data.get("planned", {}).get("summary", ""),
            now=event["now"],
        )


def summarize(
    asking: Asking,
    found: EnvironmentRecord,
    changes: str,
    gates: Sequence[GateResult],
    duration: Duration,
    expires_at: str,
) -> str:
    """Return all of it in sentences, one fact after the other."""
    who = f"pushed by {asking.pushed_by}" if asking.pushed_by else "started by hand"
    parts = [
        f"Release {asking.release_id} of version {asking.version} waits until {expires_at} ({who}).",
        _emergency(asking),
        _live(found.live, asking.version),
        changes,
        _gates(gates),
        f"Infrastructure: {asking.plan}" if asking.plan else "",
        "Database: a snapshot is taken before anything changes. Nothing is restored by itself.",
        duration.line,
        _way_back(found.live, asking.now),
    ]
    return "\n".join(part for part in parts if part)


def _emergency(asking: Asking) -> str:
    if not asking.emergency:
        return ""
    return f"EMERGENCY: {asking.emergency} It goes without {', '.join(asking.skipped)}."


def _live(live: Live | None, version: str) -> str:
    if live is None:
        return "Live now: nothing that Runback has released."
    if live.version == version:
        return f"Live now: this very version, since {live.since}. It would be brought up anew."
    return f"Live now: version {live.version} of release {live.release_id}, since {live.since}."


def _way_back(live: Live | None, now: str) -> str:
    point = live.rollback_point if live else None
    if live is None or point is None or not point.in_window(now):
        return ""
    return (
        f"Release {live.release_id} can still be rolled back to version {point.version}, until"
        f" {point.window_ends_at or 'its promotion'}. That ends when this release begins."
    )


def _gates(gates: Sequence[GateResult]) -> str:
    shown = [f"- {each.line}" for each in gates if each.status is not GateStatus.OFF]
    return "\n".join(["Gates:", *shown]) if shown else ""


def tell_changes(comparison: Comparison) -> str:
    """Say what the new version has that the live one has not."""
    if comparison.status == "identical":
        return "Changes: none."
    if comparison.status == "behind":
        return f"Changes: the new version is OLDER than the live one, and takes changes back: {comparison.url}"
    number = f"{comparison.ahead_by} commit{'' if comparison.ahead_by == 1 else 's'}"
    away = " It lacks commits of the live one, too." if comparison.status == "diverged" else ""
    lines = [
        f"- {each.sha[:_SHORT]} {each.subject[:_LONGEST_SUBJECT]} ({each.author or 'unknown'})"
        for each in comparison.commits
    ]
    left = comparison.ahead_by - len(lines)
    more = [f"- and {left} more"] if lines and left else []
    return "\n".join([f"Changes: {number} since the live version, {comparison.url}{away}", *lines, *more])


def not_compared(why: str) -> str:
    """Say that nobody could tell the changes: the approver has to look himself."""
    return f"Changes: could not be read. {why}"
