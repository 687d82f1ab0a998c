"""What is said of a commit, and what that means for its release."""

from dataclasses import replace

import pytest

from lambdas.gates.commit_rules import (
    is_version,
    look_at_artifact,
    look_at_check,
    look_at_coverage,
    look_at_plan,
    look_at_validation,
)
from lambdas.gates.gate_rules import GateSettings
from lambdas.github.github_rules import Check
from lambdas.release.request_rules import GateStatus
from tests.builders import at

PASSED, FAILED, PENDING, ERROR = GateStatus.PASSED, GateStatus.FAILED, GateStatus.PENDING, GateStatus.ERROR
COMMIT = "4f2c1e9a0b3d5c7e9f1a2b4c6d8e0f1a2b3c4d5e"
SETTINGS = GateSettings(
    {}, 0, coverage_check="coverage", coverage_pattern=r"(\d+(?:\.\d+)?) ?%", coverage_percent=80, plan_check="plan"
)


def check(name: str = "tests", conclusion: str = "success", summary: str = "", status: str = "completed") -> Check:
    return Check(name, status, conclusion, summary, "https://github.com/checks/1")


@pytest.mark.parametrize(
    ("conclusion", "status"),
    [
        ("success", PASSED),
        ("neutral", PASSED),
        ("failure", FAILED),
        ("cancelled", FAILED),
        ("skipped", FAILED),
        ("timed_out", FAILED),
        ("action_required", FAILED),
        ("stale", FAILED),
        ("", FAILED),
        ("something new", FAILED),
    ],
)
def test_only_what_ended_well_passes(conclusion: str, status: GateStatus) -> None:
    assert look_at_check("tests", [check(conclusion=conclusion)]).status is status


@pytest.mark.parametrize("status", ["queued", "in_progress", "waiting", "pending", "requested"])
def test_check_that_runs_is_waited_for(status: str) -> None:
    assert look_at_check("tests", [check(status=status, conclusion="")]).status is PENDING


def test_check_that_is_not_there_yet_is_waited_for() -> None:
    """GitHub knows the checks of a commit some time after the commit."""
    assert look_at_check("tests", [check("Tests"), check("tests-ui")]).status is PENDING


def test_all_checks_of_a_name_have_to_end_well() -> None:
    assert look_at_check("tests", [check(), check(conclusion="failure")]).status is FAILED
    assert look_at_check("tests", [check(), check(status="queued", conclusion="")]).status is PENDING
    assert look_at_check("tests", [check(status="queued"), check(conclusion="failure")]).status is FAILED


@pytest.mark.parametrize(
    ("summary", "status"),
    [
        ("Coverage: 80 %", PASSED),
        ("Lines 92.5%, branches 70%", PASSED),
        ("79.99 %", FAILED),
        ("0 %", FAILED),
        ("All good", ERROR),
        ("", ERROR),
        ("4711 %", ERROR),
    ],
)
def test_coverage_is_what_the_check_says(summary: str, status: GateStatus) -> None:
    assert look_at_coverage(SETTINGS, [check("coverage", summary=summary)]).status is status


def test_coverage_that_is_no_number_is_an_error() -> None:
    settings = replace(SETTINGS, coverage_pattern="is (.*)!")
    assert look_at_coverage(settings, [check("coverage", summary="It is great!")]).status is ERROR


def test_coverage_of_a_check_that_failed_or_runs_counts_for_nothing() -> None:
    good = "100 %"
    assert look_at_coverage(SETTINGS, [check("coverage", "failure", good)]).status is FAILED
    assert look_at_coverage(SETTINGS, [check("coverage", "", good, "in_progress")]).status is PENDING


def test_artifact_has_to_be_there() -> None:
    assert look_at_artifact("s3://releases/1.zip", exists=True).status is PASSED
    missing = look_at_artifact("s3://releases/1.zip", exists=False)
    assert missing.status is FAILED
    assert "s3://releases/1.zip" in missing.detail


def release(outcome: str = "promoted", minute: int = 0, version: str = COMMIT) -> dict[str, str]:
    item = {"item": f"release#{version[:12]}-{minute:08}", "version": version, "requested_at": at(minute)}
    return {**item, **({"outcome": outcome} if outcome else {})}


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("promoted", PASSED), ("rolled_back", FAILED), ("aborted", FAILED), ("escalated", FAILED), ("", PENDING)],
)
def test_version_is_validated_by_a_release_that_stays(outcome: str, status: GateStatus) -> None:
    assert look_at_validation("staging", [release(outcome)], COMMIT).status is status


def test_version_that_was_never_released_there_is_not_validated() -> None:
    assert look_at_validation("staging", [], COMMIT).status is FAILED


def test_version_that_was_rolled_back_since_is_not_validated_any_more() -> None:
    assert look_at_validation("staging", [release("rolled_back", 9), release("promoted", 3)], COMMIT).status is FAILED
    assert look_at_validation("staging", [release("rolled_back", 3), release("promoted", 9)], COMMIT).status is PASSED


def test_another_commit_with_the_same_beginning_proves_nothing() -> None:
    other = f"{COMMIT[:12]}{'0' * 28}"
    assert look_at_validation("staging", [release(version=other)], COMMIT).status is FAILED


def test_commits_can_be_shortened() -> None:
    assert is_version(COMMIT, COMMIT[:7])
    assert is_version(COMMIT[:7], COMMIT)
    assert not is_version(COMMIT, "1111111")
    assert not is_version("", COMMIT)


def test_release_that_leaves_the_infrastructure_alone_needs_no_review() -> None:
    assert look_at_plan(SETTINGS, (), applies=False, skips=()).status is PASSED


def test_plan_is_reviewed_where_a_check_says_so() -> None:
    assert look_at_plan(SETTINGS, [check("plan")], applies=True, skips=()).status is PASSED
    assert look_at_plan(SETTINGS, [check("plan", "failure")], applies=True, skips=()).status is FAILED
    assert look_at_plan(SETTINGS, (), applies=True, skips=()).status is PENDING


def test_plan_is_reviewed_by_who_approves_unless_nobody_does() -> None:
    shown = replace(SETTINGS, plan_check="", approval_shows_plan=True)
    assert look_at_plan(shown, (), applies=True, skips=("backup",)).status is PASSED
    assert look_at_plan(shown, (), applies=True, skips=("approval",)).status is FAILED
    assert look_at_plan(replace(shown, approval_shows_plan=False), (), applies=True, skips=()).status is FAILED
