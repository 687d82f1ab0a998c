"""What machines do about infrastructure: nothing unplanned, nothing under anybody's feet, and traffic always first."""

from typing import Any

import pytest

from cdk.assembly import SETTINGS_FOLDER
from cdk.gate_settings import skippable_gates
from cdk.settings import load_settings
from lambdas.errors import InfrastructureFailed, PlanRefused
from lambdas.release.rules import read_request
from tests.statemachines.machines import LOOKS_AT_GATES, UNFORESEEN, VERSION, Machines, Run, claimed, left, plan_checked
from tests.statemachines.roads import error

APPLYING = {"ready": False}
BACK_TOO = {**claimed(), "infrastructure": True}
ALONE = {**claimed("infrastructure"), "infrastructure": True}


def kinds(run: Run) -> list[Any]:
    return [call.given["kind"] for call in run.calls if "kind" in call.given]


# Release


def test_plan_is_refused_before_the_environment_is_claimed(account: Machines) -> None:
    """Others release meanwhile, and there is nothing to give back."""
    run = account.run("deploy", {"Check plan": error(PlanRefused, "The plan changes aws_lb_listener.https.")})

    called = [each for each in run.called if each not in LOOKS_AT_GATES]
    assert called == ["Validate request", "Plan infrastructure", "Check plan", "Tell about the plan"]
    assert run.ending[:2] == ("FAILED", "ReleaseRefused")
    assert "aws_lb_listener.https" in str(run.ending[2])
    assert kinds(run) == ["plan_refused"]


def test_what_is_applied_is_what_was_inspected(account: Machines) -> None:
    run = account.run("deploy")

    given = run.given("Apply infrastructure")
    assert (given["digest"], given["inspected"]) == (plan_checked()["digest"], plan_checked()["inspected"])
    assert (given["version"], given["purpose"]) == (VERSION, "release")
    assert given["lease"]


def test_infrastructure_is_changed_after_the_database_is_saved_and_before_the_version_comes_up(
    account: Machines,
) -> None:
    called = account.run("deploy").called

    order = ["Plan infrastructure", "Claim environment", "Check snapshot", "Apply infrastructure", "Prepare idle color"]
    assert sorted(order, key=called.index) == order


@pytest.mark.parametrize(
    ("answers", "given"),
    [({"Check plan": plan_checked(0)}, None), ({}, {"version": VERSION, "infrastructure": False})],
    ids=["nothing to change", "not asked for"],
)
def test_nothing_is_applied_that_was_not_planned(account: Machines, answers: Any, given: Any) -> None:
    run = account.run("deploy", answers, given)

    assert run.entered[-1] == "Release is live"
    assert "Apply infrastructure" not in run.called
    assert ("Plan infrastructure" in run.called) == (given is None)


def test_abort_undoes_nothing_while_something_is_applied_and_pages_the_way_back(account: Machines) -> None:
    """The Task may have failed while the build goes on."""
    looks = [left(over=False), left(over=False), left()]
    run = account.run("deploy", {"Check infrastructure": UNFORESEEN, "Look at applies": looks})

    assert len(run.calls_of("Look at applies")) == 3
    called = run.called
    assert called.index("Scale idle color back") > called.index("Look at applies") + 2
    assert run.entered[-1] == "Release aborted"
    assert kinds(run) == ["infrastructure_changed", "aborted"]
    assert run.given("Page about the infrastructure")["reason"] == left()["reason"]


def test_abort_before_anything_was_applied_pages_nobody(account: Machines) -> None:
    run = account.run("deploy", {"Check current health": UNFORESEEN})

    assert kinds(run) == ["aborted"]


def test_failed_apply_ends_the_release_with_its_reason(account: Machines) -> None:
    run = account.run(
        "deploy",
        {"Check infrastructure": error(InfrastructureFailed, "ended FAILED"), "Look at applies": left()},
    )

    assert run.ending[1] == "ReleaseAborted"
    assert "InfrastructureFailed: ended FAILED" in str(run.ending[2])
    assert "Prepare idle color" not in run.called


# Rollback


def test_traffic_is_safe_and_verified_before_infrastructure_is_touched(account: Machines) -> None:
    run = account.run("rollback", {"Claim rollback": {**BACK_TOO, "release_id": "release-complete"}})

    order = [
        *("Switch listener back", "Settle listener", "Smoke check old version", "Look at applies"),
        *("Plan old infrastructure", "Apply old infrastructure", "Check old infrastructure"),
        *("Record rollback", "Tell about the rollback", "Start release of old version"),
    ]
    assert [each for each in run.called if each in order] == order
    assert run.given("Plan old infrastructure")["purpose"] == "rollback"
    assert run.given("Plan old infrastructure")["version"] == "aaaaaaa"
    started = account.started("after-rollback-release-complete")
    assert (started["version"], started["infrastructure"]) == ("aaaaaaa", False)
    production = next(each for each in load_settings(SETTINGS_FOLDER) if each.environment == "production")
    again = read_request(started, "again", can_apply=True, skippable=skippable_gates(production))
    assert again.problem == ""  # what serves already has to pass no gate once more, and asks nobody
    assert again.skips_approval
    assert set(again.skip_gates) == set(skippable_gates(production))


def test_what_fails_with_the_infrastructure_never_undoes_the_traffic(account: Machines) -> None:
    """It is paged, and the rollback is written down as the one that it is."""
    run = account.run("rollback", {"Claim rollback": BACK_TOO, "Check old plan": error(PlanRefused)})

    assert run.entered[-1] == "Rolled back"
    assert kinds(run) == ["infrastructure_not_back", "rolled_back"]
    recorded = run.given("Record rollback without infrastructure")["reason"]
    assert recorded == "Release two goes back to one. Its infrastructure is not back: PlanRefused."
    assert "Start release of old version" not in run.called


def test_release_that_cannot_be_started_is_told(account: Machines) -> None:
    run = account.run("rollback", {"Claim rollback": BACK_TOO, "Start release of old version": UNFORESEEN})

    assert run.entered[-1] == "Rolled back"
    assert kinds(run) == ["infrastructure_back", "rolled_back", "not_released_again"]


def test_rollback_that_nobody_asked_for_more_of_leaves_the_infrastructure_and_pages_it(account: Machines) -> None:
    run = account.run("rollback", {"Look at applies": left()})

    assert run.entered[-1] == "Rolled back"
    assert "Plan old infrastructure" not in run.called
    assert kinds(run) == ["rolled_back", "infrastructure_changed"]


def test_infrastructure_alone_touches_no_traffic(account: Machines) -> None:
    run = account.run("rollback", {"Claim rollback": {**ALONE, "ended_as": "aborted"}})

    assert run.called == [
        *("Claim rollback", "Look at applies", "Plan old infrastructure", "Check old plan"),
        *("Apply old infrastructure", "Check old infrastructure"),
        *("Tell about the infrastructure", "Release environment after infrastructure"),
    ]
    assert run.given("Release environment after infrastructure")["phase"] == "aborted"
    assert run.ending[0] == "SUCCEEDED"


def test_infrastructure_alone_that_fails_ends_in_red_and_frees_the_environment(account: Machines) -> None:
    run = account.run("rollback", {"Claim rollback": ALONE, "Plan old infrastructure": UNFORESEEN})

    assert run.ending[:2] == ("FAILED", "InfrastructureNotBack")
    assert run.given("Release environment after failure")["phase"] == "rolled_back"
    assert kinds(run) == ["infrastructure_not_back"]


def test_abort_of_a_dead_deployment_waits_for_its_apply(account: Machines) -> None:
    run = account.run(
        "rollback",
        {"Claim rollback": claimed("abort"), "Look at applies after abort": [left(over=False), left()]},
    )

    assert run.called.count("Look at applies after abort") == 2
    assert run.called.index("Scale idle color back") > run.called.index("Look at applies after abort") + 1
    assert kinds(run) == ["infrastructure_changed", "aborted"]
