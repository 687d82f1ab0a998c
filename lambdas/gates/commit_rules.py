"""What the checks of a commit, its artifact and its validation elsewhere mean for a release. All pure."""

from collections.abc import Mapping, Sequence
from re import search
from typing import Any, Protocol

from lambdas.gates.gate_rules import APPROVAL, Found, GateSettings, error, failed, passed, pending
from lambdas.release.request_rules import GateStatus
from lambdas.release.rules import parse_moment

_GOOD = frozenset({"success", "neutral"})
"""A check that was skipped has checked nothing."""
_COMPLETED = "completed"
_EVERYTHING_PERCENT = 100


class Check(Protocol):
    """What GitHub says of one check of a commit."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def status(self) -> str:
        """Whether it is "completed"."""

    @property
    def conclusion(self) -> str:
        """How it ended; "" while it has not."""

    @property
    def summary(self) -> str:
        """What it says of its result."""


def look_at_check(name: str, checks: Sequence[Check]) -> Found:
    """Say whether the checks of a name have ended well: all of them, because several workflows can use one name."""
    ours = [check for check in checks if check.name == name]
    if not ours:
        return pending(f"GitHub knows no check {name!r} of this commit yet.")
    bad = next((check for check in ours if check.status == _COMPLETED and check.conclusion not in _GOOD), None)
    if bad:
        return failed(f"GitHub's check {name!r} ended as {bad.conclusion or 'nothing known'}.")
    if any(check.status != _COMPLETED for check in ours):
        return pending(f"GitHub's check {name!r} has not ended yet.")
    return passed(f"GitHub's check {name!r} ended as {ours[0].conclusion}.")


def look_at_coverage(settings: GateSettings, checks: Sequence[Check]) -> Found:
    """Say whether the check that measures coverage ended well, and its summary has a number that is large enough."""
    name, wanted = settings.coverage_check, settings.coverage_percent
    check = look_at_check(name, checks)
    if check.status is not GateStatus.PASSED:
        return check
    summaries = [each.summary for each in checks if each.name == name]
    match = next((found for each in summaries if (found := search(settings.coverage_pattern, each))), None)
    if match is None:
        return error(f"The summary of GitHub's check {name!r} has nothing that gates.coverage_pattern finds.")
    try:
        percent = float(match.group(1))
    except ValueError:
        percent = -1
    if not 0 <= percent <= _EVERYTHING_PERCENT:
        return error(f"gates.coverage_pattern finds {match.group(1)[:20]!r} in check {name!r}, which is no percentage.")
    said = f"Coverage is {percent:g} %"
    return passed(f"{said}.") if percent >= wanted else failed(f"{said}, and has to be {wanted:g} % at least.")


def look_at_artifact(location: str, *, exists: bool) -> Found:
    """Say whether what is to be released was built."""
    return passed(f"{location} exists.") if exists else failed(f"{location} does not exist: build this version first.")


def is_version(recorded: str, version: str) -> bool:
    """Say whether two names of commits are of the same one; either may be shortened."""
    shorter, longer = sorted((recorded, version), key=len)
    return bool(shorter) and longer.startswith(shorter)


def look_at_validation(where: str, releases: Sequence[Mapping[str, Any]], version: str) -> Found:
    """
    Say whether another environment has a promoted release of this version that was not rolled back since.

    `releases` is their histories in its record. The latest release of the version counts.
    """
    ours = [each for each in releases if is_version(str(each.get("version", "")), version)]
    if not ours:
        return failed(f"{where} has never released this version: release it there first.")
    latest = max(ours, key=lambda each: parse_moment(each["requested_at"]))
    name = latest["item"].partition("#")[2]
    outcome = latest.get("outcome", "")
    if not outcome:
        return pending(f"{where} has not ended its release {name} of this version yet.")
    if outcome != "promoted":
        return failed(f"The latest release of this version in {where}, {name}, ended as {outcome}.")
    return passed(f"{where} has validated this version with release {name}.")


def look_at_plan(settings: GateSettings, checks: Sequence[Check], *, applies: bool, skips: Sequence[str]) -> Found:
    """
    Say whether somebody has reviewed what the release does to the infrastructure.

    `applies`: the release brings its infrastructure. It was reviewed where a check of the commit says so, or will be by
    whoever approves the release, who sees the plan, unless nobody does.
    """
    if not applies:
        return passed("The release leaves the infrastructure alone.")
    if settings.plan_check:
        return look_at_check(settings.plan_check, checks)
    if settings.approval_shows_plan and APPROVAL not in skips:
        return passed("Whoever approves the release sees what Terraform plans.")
    return failed("Nobody reviews the plan: no approval of this release will show it.")
