"""
Which gates a release passes before it begins, and what becomes of it when it does not pass one. All pure.

A gate is looked at and passes, fails, is pending, or could not be looked at, which proves as little as a failure. What
is pending or could not be looked at is looked at again for a while; what has failed refuses the release at once. All
results are kept, never only the first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from json import loads
from typing import Any, Self

from lambdas.release.request_rules import GateLevel, GateResult, GateStatus
from lambdas.release.rules import SKIPS_APPROVAL, as_timestamp, later, parse_moment

LOOK_AGAIN_SECONDS = 60
"""How long a release waits at a gate before it looks again, unless it knows when the gate can open."""

_TRY_ERRORS_SECONDS = 300
"""How long what could not be looked at is tried again: longer than a short outage, shorter than a human's patience."""

_LONGEST_DETAIL = 300
_LONGEST_REASON = 3000


class Gate(StrEnum):
    """What is looked at. The GitHub checks of a commit are one each: `commit_checks.<name>`."""

    COMMIT_CHECKS = "commit_checks"
    COVERAGE = "coverage"
    ARTIFACT = "artifact"
    VALIDATED = "validated"
    PLAN_REVIEWED = "plan_reviewed"
    BACKUP = "backup"
    ALARMS = "alarms"
    CERTIFICATE = "certificate"
    DNS = "dns"
    CDN = "cdn"
    CHANGE_WINDOW = "change_window"
    MAINTENANCE = "maintenance"
    ON_CALL = "on_call"


OF_COMMIT = (Gate.COVERAGE, Gate.ARTIFACT, Gate.VALIDATED, Gate.PLAN_REVIEWED)
OF_INFRASTRUCTURE = (Gate.BACKUP, Gate.ALARMS, Gate.CERTIFICATE, Gate.DNS, Gate.CDN)
OF_OPERATIONS = (Gate.CHANGE_WINDOW, Gate.MAINTENANCE, Gate.ON_CALL)
"""Which function looks at which gates; that of the commit looks at its checks, too."""

APPROVAL = SKIPS_APPROVAL
"""What an emergency may skip beside gates: the approval of the release by another human."""


@dataclass(frozen=True)
class DnsRecord:
    """A name that users ask for, and where it has to lead: to the load balancer, unless through a distribution."""

    zone_id: str
    name: str
    distribution: str = ""


@dataclass(frozen=True)
class Window:
    """On which days of the week (Monday is 0), and between which times of the local clock, releases may begin."""

    days: tuple[int, ...]
    begins: str
    ends: str


@dataclass(frozen=True)
class GateSettings:
    """
    What the environment's settings say of gates.

    `levels` has every gate by its name, in the order in which results are shown. `zone_rule` is how the time zone
    changes its clock, as POSIX writes it, because functions need not have a table of time zones.
    """

    levels: Mapping[str, GateLevel]
    wait_seconds: int
    coverage_check: str = ""
    coverage_pattern: str = ""
    coverage_percent: float = 0
    artifact: str = ""
    validated_in: str = ""
    validated_table: str = ""
    plan_check: str = ""
    approval_shows_plan: bool = False
    backup_hours: int = 0
    certificate_days: int = 0
    dns_records: tuple[DnsRecord, ...] = ()
    distributions: tuple[str, ...] = ()
    time_zone: str = "UTC"
    zone_rule: str = "UTC0"
    windows: tuple[Window, ...] = ()
    calendars: tuple[str, ...] = ()
    notification_targets: int = 1

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the environment variable GATES."""
        given = loads(text)
        return cls(
            **{
                **given,
                "levels": {gate: GateLevel(level) for gate, level in given["levels"].items()},
                "dns_records": tuple(DnsRecord(**each) for each in given.get("dns_records", ())),
                "distributions": tuple(given.get("distributions", ())),
                "windows": tuple(Window(**{**each, "days": tuple(each["days"])}) for each in given.get("windows", ())),
                "calendars": tuple(given.get("calendars", ())),
            }
        )

    @property
    def commit_checks(self) -> tuple[str, ...]:
        """Return the names of the GitHub checks that are gates."""
        prefix = commit_check("")
        return tuple(gate.removeprefix(prefix) for gate in self.levels if gate.startswith(prefix))

    def level(self, gate: str) -> GateLevel:
        """Return how strictly a gate is taken."""
        return self.levels.get(gate, GateLevel.OFF)


def commit_check(name: str) -> str:
    """Return the name of the gate that is one GitHub check of the commit."""
    return f"{Gate.COMMIT_CHECKS}.{name}"


def is_skipped(gate: str, skips: Iterable[str]) -> bool:
    """Say whether an emergency goes without a gate: it names the gate, or all checks of the commit at once."""
    return gate in skips or (gate.startswith(commit_check("")) and Gate.COMMIT_CHECKS in skips)


def skippable(levels: Iterable[str]) -> tuple[str, ...]:
    """Return what an emergency may name, in an environment with these gates."""
    names = tuple(levels)
    has_checks = any(name.startswith(commit_check("")) for name in names)
    return (*((Gate.COMMIT_CHECKS.value,) if has_checks else ()), *names)


@dataclass(frozen=True)
class Found:
    """What was found at a gate, before its level is known. `again_at` is when a pending one can have changed."""

    status: GateStatus
    detail: str
    again_at: str = ""

    def at(self, gate: str, level: GateLevel) -> GateResult:
        """Return the result of a gate."""
        detail = self.detail if len(self.detail) <= _LONGEST_DETAIL else f"{self.detail[: _LONGEST_DETAIL - 1]}…"
        return GateResult(gate, level, self.status, detail, self.again_at)


def passed(detail: str) -> Found:
    """Return that a gate lets the release pass."""
    return Found(GateStatus.PASSED, detail)


def failed(detail: str) -> Found:
    """Return that a gate does not let the release pass."""
    return Found(GateStatus.FAILED, detail)


def pending(detail: str, again_at: str = "") -> Found:
    """Return that a gate may let the release pass later."""
    return Found(GateStatus.PENDING, detail, again_at)


def error(detail: str) -> Found:
    """Return that a gate could not be looked at."""
    return Found(GateStatus.ERROR, detail)


def without_looking(gate: str, level: GateLevel, skips: Iterable[str]) -> GateResult | None:
    """Return the result of a gate at which nobody looks; None where somebody has to."""
    if level is GateLevel.OFF:
        return GateResult(gate, level, GateStatus.OFF, "")
    if is_skipped(gate, skips):
        return GateResult(gate, level, GateStatus.SKIPPED, "An emergency goes without it.")
    return None


class Verdict(StrEnum):
    """What becomes of a release at its gates."""

    GO = "go"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Look:
    """One look at all gates: who looks, since when, what an emergency skips, and what was found."""

    since: str
    now: str
    skips: tuple[str, ...]
    results: tuple[GateResult, ...]


@dataclass(frozen=True)
class Decision:
    """What becomes of the release, why in words, when to look again, and all results in words."""

    verdict: Verdict
    reason: str
    again_at: str
    summary: str
    results: tuple[GateResult, ...]

    @property
    def warnings(self) -> tuple[GateResult, ...]:
        """Return what a release goes on in spite of."""
        return tuple(each for each in self.results if _stands_in_the_way(each) and each.level is GateLevel.WARN)


def all_results(
    settings: GateSettings, found: Sequence[GateResult], problems: Sequence[str], skips: Sequence[str]
) -> tuple[GateResult, ...]:
    """
    Return a result for every gate of settings, in their order.

    A gate of which nobody has said anything could not be looked at: it is never taken for one that passed. The level is
    that of settings, whatever was said.
    """
    known = {result.gate: result for result in found}
    why = " ".join(problems) or "The function that looks at it said nothing of it."
    results = []
    for gate, level in settings.levels.items():
        silent = without_looking(gate, level, skips)
        said = known.get(gate)
        if silent:
            results.append(silent)
        elif said is None or said.status in (GateStatus.OFF, GateStatus.SKIPPED):
            results.append(error(f"It could not be looked at: {why}").at(gate, level))
        else:
            results.append(GateResult(gate, level, said.status, said.detail, said.again_at))
    return tuple(results)


def decide(look: Look, settings: GateSettings) -> Decision:
    """
    Decide what becomes of a release from one look at all gates.

    Only a gate that is required can hold it. Failed ones refuse at once; pending ones are waited for until the
    environment's patience ends, and what could not be looked at for some minutes, counted from the beginning.
    """
    holding = [each for each in look.results if each.level is GateLevel.REQUIRED and _stands_in_the_way(each)]
    summary = "\n".join(each.line for each in look.results if each.status is not GateStatus.OFF)
    if not holding:
        return Decision(Verdict.GO, "All required gates let the release pass.", "", summary, look.results)
    late = [each for each in holding if _is_too_late(each, look, settings)]
    if late or any(each.status is GateStatus.FAILED for each in holding):
        return Decision(Verdict.REFUSE, _refusal(holding, look), "", summary, look.results)
    again_at = min((_again_at(each, look) for each in holding), key=parse_moment)
    reason = f"The release waits for {', '.join(each.gate for each in holding)}."
    return Decision(Verdict.WAIT, reason, as_timestamp(again_at), summary, look.results)


def _stands_in_the_way(result: GateResult) -> bool:
    return result.status in (GateStatus.FAILED, GateStatus.ERROR, GateStatus.PENDING)


def _is_too_late(result: GateResult, look: Look, settings: GateSettings) -> bool:
    """Say whether nobody waits for a gate any longer, or it can only open when nobody does."""
    if result.status is GateStatus.FAILED:
        return True
    patience = settings.wait_seconds
    if result.status is GateStatus.ERROR:
        patience = min(patience, _TRY_ERRORS_SECONDS)
    deadline = parse_moment(later(look.since, patience))
    return parse_moment(_again_at(result, look)) > deadline


def _again_at(result: GateResult, look: Look) -> str:
    """Return when to look again: when the gate can open, but not before a minute has passed."""
    soon = later(look.now, LOOK_AGAIN_SECONDS)
    return max(result.again_at or soon, soon, key=parse_moment)


def _refusal(holding: Sequence[GateResult], look: Look) -> str:
    """Name every gate that holds the release, and what to do."""
    lines = "\n".join(f"- {each.line}" for each in holding)
    skipped = f" Gates that were skipped: {', '.join(look.skips)}." if look.skips else ""
    names = ", ".join(f'"{each.gate}"' for each in holding)
    return (
        f"The release does not pass its gates, and nothing was changed:\n{lines}\nRemove the reasons, then start again."
        f' In an emergency start with {{"version": "…", "emergency": "<reason>", "skip_gates": [{names}]}}.{skipped}'
    )[:_LONGEST_REASON]


def plain(decision: Decision) -> dict[str, Any]:
    """Return what the function that decides answers to its machine."""
    return {
        "verdict": decision.verdict.value,
        "reason": decision.reason,
        "again_at": decision.again_at,
        "summary": decision.summary,
    }
