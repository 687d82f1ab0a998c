"""
What a rehearsal could pretend, and the proof that it does not.

Each test takes one safeguard away, or makes one thing go wrong, and looks whether the rehearsal notices: a rehearsal
that cannot fail proves nothing. Everything runs in virtual time, on production as shipped, but for what a test changes.
"""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal.account import Account
from rehearsal.engine.calls import Call
from rehearsal.engine.template import UnsupportedTemplate
from rehearsal.fate import HeldCall, alarms_turned_on
from rehearsal.invariants import ONE_APPLY, ONE_HOLDER
from rehearsal.scenarios import NEW_VERSION
from rehearsal.scenarios.plays import bad, release, turn_bad
from rehearsal.settings import Settings
from rehearsal.stage import Execution, Stage, Stuck
from rehearsal.world.traffic import Traffic
from tests.rehearsal.assemblies import (
    Change,
    Template,
    certificate_only_warns,
    changed_assembly,
    policies_of,
    without_alarm_rule,
    without_settling,
    without_status_rule,
    without_waiting_for_applies,
    without_watchdog,
)
from tests.rehearsal.conftest import Rehearsal, Rehearse, quiet_account, scenario
from tests.waiting import eventually

pytestmark = pytest.mark.rehearsed

WATCHDOG_CLEARS_WITHIN_SECONDS = 120
NOBODY_COMES_FOR_SECONDS = 300

SETTINGS = Settings.read("production")
ROUTE = SETTINGS.routes[0]
STOPPED = scenario("stopped-deployment")


@pytest.mark.parametrize(
    ("without", "named"),
    [
        (without_status_rule, "unfinished-execution does not exist"),
        (without_alarm_rule, "critical-alarm does not exist"),
        (without_watchdog, "watchdog does not exist"),
        (without_settling, "does not call receipt-vault-production-settle"),
    ],
)
def test_without_a_safeguard_no_release_begins(assembly: Path, tmp_path: Path, without: Change, named: str) -> None:
    """All of the following tests let the certificate warn only: it finds every one of their changes."""
    changed = changed_assembly(assembly, tmp_path / "cdk.out", SETTINGS.stack_name, without)
    with quiet_account(changed, tmp_path, "production") as quiet:
        deployment = quiet.stage.until_ended(quiet.stage.start_deployment({"version": NEW_VERSION}))
        quiet.stage.until_all_ended()

    assert ("FAILED", "ReleaseAborted") == (deployment.status, deployment.error)
    assert named in str(deployment.cause)


def test_without_the_status_rule_the_watchdog_rolls_back(rehearse: Rehearse, assembly: Path, tmp_path: Path) -> None:
    """The rule and the watchdog are independent: each is enough, and neither is the rehearsal itself."""
    played = rehearse(
        replace(STOPPED, play=_stop_in_first_bake_and_wait_for_rollback),
        warned_assembly(assembly, tmp_path, without_status_rule),
    )

    assert [] == played.broken_promises
    assert all(_name(rollback).startswith("watchdog-") for rollback in played.stage.of_machine("rollback"))
    (stopped,) = _calls(played.stage.account, "StopExecution")
    back = _moves(played.stage.account)[-1]
    assert back.at - stopped.at <= WATCHDOG_CLEARS_WITHIN_SECONDS


def test_without_rule_and_watchdog_traffic_stays_divided(rehearse: Rehearse, assembly: Path, tmp_path: Path) -> None:
    """Whatever rolls back is in the template; the rehearsal must not help, and must say what is missing."""

    def stop_and_wait(stage: Stage) -> None:
        _stop_in_first_bake(stage)
        stage.account.clock.sleep(NOBODY_COMES_FOR_SECONDS)

    played = rehearse(
        replace(STOPPED, play=stop_and_wait),
        warned_assembly(assembly, tmp_path, without_status_rule, without_watchdog),
    )

    (deployment,) = [each for each in played.stage.executions.values() if each.machine != "report"]
    assert {"blue": 90, "green": 10} == played.report.weights
    assert deployment.arn == played.report.lease_holder
    assert "the release ended as unknown, not as rolled_back" in played.broken_promises
    assert f"the environment is still held by {deployment.arn}" in played.broken_promises
    assert "no rollback succeeded" in played.broken_promises


def test_without_alarm_rule_and_watchdog_a_live_release_stays_bad(
    rehearse: Rehearse, assembly: Path, tmp_path: Path
) -> None:
    """What hears an alarm is in the template as well; without the rule alone it is the watchdog: `lost-alarm-event`."""
    turned_on: list[dict[str, str]] = []

    def turn_bad_and_wait(stage: Stage) -> None:
        release(stage)
        turn_bad(stage, bad(0.5))
        stage.wait(NOBODY_COMES_FOR_SECONDS)
        turned_on.extend(alarms_turned_on(stage.account))

    played = rehearse(
        replace(scenario("lost-alarm-event"), play=turn_bad_and_wait),
        warned_assembly(assembly, tmp_path, without_alarm_rule, without_watchdog),
    )

    assert [] == played.stage.of_machine("rollback")
    assert {"blue": 0, "green": 100} == played.report.weights
    assert turned_on


def test_a_late_write_is_undone_by_settling(rehearse: Rehearse, assembly: Path) -> None:
    """A function that has passed its lease check cannot be called back; what it writes has to be corrected."""
    played, (first, back, late, correction) = _play_late_write(rehearse, assembly)

    switch, settle = (played.stage.account.stack.function(name) for name in ("switch-listener", "settle"))
    assert [switch, switch, switch, settle] == [call.caller for call in (first, back, late, correction)]
    assert [{"green": 10, "blue": 90}, {"blue": 100, "green": 0}, {"green": 50, "blue": 50}] == [
        _weights(call) for call in (first, back, late)
    ]
    assert _weights(back) == _weights(correction)
    assert {"blue": 100, "green": 0} == played.report.weights
    assert [] == played.report.invariants["violated"]
    assert "rolled_back" == played.report.outcome


def test_without_waiting_an_abort_under_an_apply_is_reported(
    rehearse: Rehearse, assembly: Path, tmp_path: Path
) -> None:
    """The environment would be free for the next release while the infrastructure of this one is half changed."""
    aborted = scenario("abort-during-apply")
    assert [] == rehearse(aborted, assembly).broken_promises
    played = rehearse(aborted, warned_assembly(assembly, tmp_path, without_waiting_for_applies))
    assert ONE_APPLY in {each["invariant"] for each in played.report.invariants["violated"]}
    assert "the rollback did not wait for the apply" in played.broken_promises


def test_without_settling_the_late_write_is_reported(rehearse: Rehearse, assembly: Path, tmp_path: Path) -> None:
    """The counterpart of the test before: waiting alone corrects nothing, and the rehearsal names the writer."""
    changed = warned_assembly(assembly, tmp_path, without_settling)
    played, (_, _, late) = _play_late_write(rehearse, changed)

    assert {"blue": 50, "green": 50} == played.report.weights
    (violation,) = played.report.invariants["violated"]
    assert ONE_HOLDER == violation["invariant"]
    assert f"{late.caller}: elbv2:ModifyListener (call {late.number})" == violation["call"]
    assert any(violation["call"] in broken for broken in played.broken_promises)


def test_dead_instances_are_felt_by_users(rehearse: Rehearse, assembly: Path) -> None:
    """That no request failed would be worth nothing if the load balancer or the users tried again."""
    green = SETTINGS.colors["green"].auto_scaling_group

    def kill_green(stage: Stage) -> None:
        deployment = stage.start_deployment({"version": NEW_VERSION})
        stage.until_entered(deployment, _first_bake(stage))
        for instance in stage.account.fleet.instances(green):
            instance.application.kill()
        stage.until_ended(deployment)
        stage.until(lambda: len(stage.of_machine("rollback")) >= 2, "not both the machine and the rule rolled back")

    played = rehearse(replace(scenario("good-release"), play=kill_green), assembly)

    failed = [sample for sample in played.report.samples if sample.failed]
    assert {502} == {sample.status for sample in failed}
    assert f"{len(failed)} requests failed" in played.broken_promises
    assert "the release ended as rolled_back, not as promoted" in played.broken_promises
    assert {"blue": 100, "green": 0} == played.report.weights


def test_users_who_are_gone_are_missed(rehearse: Rehearse, assembly: Path) -> None:
    """Nobody fails where nobody asks: a rehearsal without users is no rehearsal."""

    def lose_users(stage: Stage) -> None:
        stage.traffic.stop()

    with pytest.raises(Stuck, match="users were gone"):
        rehearse(replace(STOPPED, play=lose_users), assembly)


def test_real_users_that_were_killed_are_gone(tmp_path: Path) -> None:
    """Whoever asks whether they are still there is not told so by somebody who only meant to start them."""
    users = Traffic.start("http://127.0.0.1:9", 10, tmp_path / "samples.jsonl")
    assert users.is_running()
    os.kill(users.pid, signal.SIGKILL)
    eventually(lambda: not users.is_running())
    users.stop()


def _play_late_write(rehearse: Rehearse, assembly: Path) -> tuple[Rehearsal, list[Call]]:
    """
    Return the rehearsal, and every change of the live listener in order.

    Fate: the deployment's second switch has passed its lease check, and its write is under way until the rollback has
    switched.
    """

    def play(stage: Stage) -> None:
        account = stage.account
        deployment = stage.start_deployment({"version": NEW_VERSION})
        stage.until_entered(deployment, _first_bake(stage))
        late = HeldCall(account, "switch-listener", "ModifyListener")

        def let_go_after(call: Call) -> None:
            if call in _moves(account)[1:]:
                late.let_go()

        account.calls.add_observer(let_go_after)
        stage.until(lambda: late.is_held, "the second switch did not begin")
        stage.stop(deployment)
        stage.until_rollback_ended()

    played = rehearse(replace(STOPPED, play=play), assembly)
    return played, _moves(played.stage.account)


def test_a_permission_that_is_missing_in_the_template_breaks_the_scenario(
    rehearse: Rehearse, assembly: Path, tmp_path: Path
) -> None:
    """The emulator refuses nobody, so that everything else goes as if it were allowed."""
    action = "elasticloadbalancing:DescribeListeners"

    def without(template: Template) -> None:
        for statement in policies_of(template, "ClaimEnvironment"):
            statement["Action"] = [each for each in statement["Action"] if each != action]

    changed = changed_assembly(assembly, tmp_path / "cdk.out", SETTINGS.stack_name, without)
    (said,) = rehearse(scenario("drift"), changed).broken_promises
    assert said.startswith(
        f"denied on AWS: claim-environment: elbv2:DescribeListeners needs {action}, which its policy"
    )


def test_a_condition_that_nobody_knows_voids_the_rehearsal(rehearse: Rehearse, assembly: Path, tmp_path: Path) -> None:
    """Overlooked, it would allow what AWS refuses."""

    def conditioned(template: Template) -> None:
        for statement in policies_of(template, "ClaimEnvironment"):
            statement["Condition"] = {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}

    changed = changed_assembly(assembly, tmp_path / "cdk.out", SETTINGS.stack_name, conditioned)
    with pytest.raises(UnsupportedTemplate, match=r"ClaimEnvironment.* condition operator DateLessThan"):
        rehearse(scenario("drift"), changed)


def warned_assembly(assembly: Path, folder: Path, *changes: Change) -> Path:
    """Return production without a safeguard, and with a certificate that lets a release begin all the same."""
    return changed_assembly(assembly, folder / "cdk.out", SETTINGS.stack_name, certificate_only_warns, *changes)


def _stop_in_first_bake(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, _first_bake(stage))
    stage.stop(deployment)
    stage.until_ended(deployment)


def _stop_in_first_bake_and_wait_for_rollback(stage: Stage) -> None:
    _stop_in_first_bake(stage)
    stage.until_rollback_ended()


def _first_bake(stage: Stage) -> str:
    return next(name for name in stage.states_of("deploy") if name.startswith("Bake"))


def _calls(account: Account, action: str) -> list[Call]:
    return [call for call in account.calls.log if call.action == action]


def _moves(account: Account) -> list[Call]:
    return [call for call in _calls(account, "ModifyListener") if call.parameters["ListenerArn"] == ROUTE.arn]


def _weights(move: Call) -> dict[str, int]:
    (action,) = move.parameters["DefaultActions"]
    by_arn = {each["TargetGroupArn"]: each["Weight"] for each in action["ForwardConfig"]["TargetGroups"]}
    return {color: by_arn.get(ROUTE.target_group(color), 0) for color in ("blue", "green")}


def _name(execution: Execution) -> str:
    return execution.arn.split(":")[7]
