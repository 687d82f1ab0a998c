"""A scenario sees what an operator sees, and is told when it waits in vain."""

import json
import threading
from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rehearsal.account import Account
from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.people import Person, people_of
from rehearsal.packaged import Packaged
from rehearsal.scenarios import NEW_VERSION
from rehearsal.stage import Execution, Stage, Stuck
from rehearsal.staging import Speeds
from rehearsal.world.traffic import Traffic
from tests.rehearsal.conftest import Quiet
from tests.waiting import eventually

MACHINES = "arn:aws:states:eu-west-1:111122223333:stateMachine:receipt-vault-production"


class PacedClock(TwoSpeedClock):
    """Remembers which speeds it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.paces: list[float] = []

    def pace(self, speed: float) -> None:
        self.paces.append(speed)


class Console:
    """Stands for the account: whatever an execution does in it, the test says."""

    def __init__(self) -> None:
        self.interpreter = self.stack = self
        self.clock = PacedClock()
        self.calls = SimpleNamespace(lock=nullcontext())
        self.settings = SimpleNamespace(
            account="111122223333", region="eu-west-1", environment="production", prefix="receipt-vault-production"
        )
        self.beside: dict[str, Console] = {}
        self.paces = self.clock.paces
        self.events = SimpleNamespace(deliveries=[])
        self.rules: list[dict[str, Any]] = []
        self.history: list[str] = []
        self.executions: dict[str, SimpleNamespace] = {}
        self.people = people_of("111122223333", "arn:aws:iam::111122223333:role/approver")
        self.acts_as: list[Person | None] = []

    def client(self, _: str, person: Person | None = None) -> "Console":
        self.acts_as.append(person)
        return self

    def table(self) -> str:
        return "record"

    def state_machine(self, name: str) -> str:
        return f"{MACHINES}-{name}"

    def on_state_entered(self, callback: Any) -> None:
        self._tell_state = callback

    def on_status_change(self, callback: Any) -> None:
        self._tell_status = callback

    def start_execution(self, **given: Any) -> dict[str, str]:
        machine = given["stateMachineArn"].replace(":stateMachine:", ":execution:")
        arn = f"{machine}:{len(self.executions) + 1}"
        self.executions[arn] = SimpleNamespace(exec_arn=arn)
        return {"executionArn": arn}

    def list_rules(self) -> dict[str, list[dict[str, Any]]]:
        return {"Rules": self.rules}

    def states_entered(self, _: str) -> list[str]:
        return self.history.copy()

    def enter(self, execution: Execution, state: str) -> None:
        self.history.append(state)
        self._tell_state(execution.arn, state, "Task", datetime.now(UTC))

    def end(self, arn: str, status: str, error: str | None = None) -> None:
        self._tell_status({"executionArn": arn, "status": status, "error": error, "cause": None})


def rule(name: str, machines: list[str], statuses: list[str], state: str = "ENABLED") -> dict[str, Any]:
    detail = {"stateMachineArn": [f"{MACHINES}-{machine}" for machine in machines], "status": statuses}
    return {"Name": name, "State": state, "EventPattern": json.dumps({"detail": detail})}


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def stage(console: Console) -> Stage:
    return Stage(
        cast("Account", console), cast("Traffic", None), Packaged(Speeds(waiting=60, judging=30, baking=120, idle=1200))
    )


def test_an_execution_is_started_by_the_operator_unless_somebody_is_named(console: Console, stage: Stage) -> None:
    """CloudTrail tells who it was."""
    stage.start_rollback({})
    stage.start("operate", {"action": "approve"}, console.people.approver)

    assert [console.people.operator, console.people.approver] == console.acts_as


def test_bakes_have_a_speed_of_their_own(console: Console, stage: Stage) -> None:
    """There traffic is what is waited for, and it is as slow as it is: a part of it more so than all of it."""
    deployment = stage.start_deployment({})
    for state in ("Shift 10 % of traffic", "Bake at 10 %", "Shift 50 % of traffic", "Bake at 100 %"):
        console.enter(deployment, state)

    assert [60, 30, 60, 120] == console.paces


def test_only_the_end_of_a_scenario_hurries_through_the_window(console: Console, stage: Stage) -> None:
    """Before, the clock would run away from what a scenario is about to do."""
    clean_up = stage.start_clean_up({})
    console.enter(clean_up, "Wait until it is time")
    assert [60] == console.paces
    end = threading.Thread(target=stage.until_all_ended)
    end.start()
    eventually(lambda: console.paces[-1] == 1200)
    console.enter(clean_up, "Claim clean-up")
    assert 60 == console.paces[-1]
    console.end(clean_up.arn, "SUCCEEDED")
    end.join()


def test_a_bake_is_a_bake_whatever_tells_of_others_meanwhile(console: Console, stage: Stage) -> None:
    """The report of an older release is written while the next one is judged by its traffic."""
    deployment, report = stage.start_deployment({}), stage.start("report", {})
    console.enter(deployment, "Bake at 10 %")
    console.enter(report, "Write report")
    console.enter(report, "Wait for metrics")

    assert {30} == set(console.paces)


def test_the_metrics_of_a_report_are_not_waited_for_as_users_are(console: Console, stage: Stage) -> None:
    clean_up, report = stage.start_clean_up({}), stage.start("report", {})
    console.enter(clean_up, "Wait until it is time")
    console.enter(report, "Write report")
    end = threading.Thread(target=stage.until_all_ended)
    end.start()
    console.enter(report, "Wait for metrics")
    assert 1200 == console.paces[-1]
    console.enter(report, "Write report again")
    assert 60 == console.paces[-1]
    for execution in (report, clean_up):
        console.end(execution.arn, "SUCCEEDED")
    end.join()


def test_what_another_environment_executes_is_not_waited_for(console: Console, stage: Stage) -> None:
    """Nor is the end of its executions, where a rule of this environment is made for that."""
    console.rules = [rule("validated", ["deploy"], ["SUCCEEDED"])]
    pattern = json.loads(console.rules[0]["EventPattern"])
    pattern["detail"]["stateMachineArn"] = [f"{MACHINES.replace('-production', '-staging')}-deploy"]
    console.rules[0]["EventPattern"] = json.dumps(pattern)
    theirs = f"{MACHINES.replace('-production', '-staging')}-deploy:1".replace(":stateMachine:", ":execution:")
    console.executions[theirs] = SimpleNamespace(exec_arn=theirs)
    console.enter(Execution(theirs, "deploy"), "Bake at 100 %")
    deployment = stage.start_deployment({})
    console.end(theirs, "RUNNING")
    console.end(deployment.arn, "SUCCEEDED")

    stage.until_all_ended()

    assert [deployment] == list(stage.executions.values())
    assert [] == [step for step in stage.steps if step.execution == theirs]


def test_nothing_is_over_before_every_rule_has_delivered_every_end_that_it_is_for(console: Console) -> None:
    """What it delivers starts something. One that was disabled delivers nothing."""
    stage = Stage(cast("Account", console), cast("Traffic", None), Packaged(patience_seconds=0.1))
    console.rules = [
        rule("unfinished-execution", ["deploy", "rollback"], ["FAILED", "ABORTED"]),
        rule("report", ["deploy", "rollback"], ["FAILED", "SUCCEEDED"]),
        rule("disabled", ["deploy"], ["FAILED"], state="DISABLED"),
    ]
    deployment, rollback, order = stage.start_deployment({}), stage.start_rollback({}), stage.start("operate", {})
    console.end(deployment.arn, "FAILED")
    for execution in (rollback, order):
        console.end(execution.arn, "SUCCEEDED")

    for name, execution in (("report", deployment), ("report", rollback), ("unfinished-execution", deployment)):
        with pytest.raises(Stuck, match=f"ends are not delivered: .*{execution.arn} by {name}"):
            stage.until_all_ended()
        console.events.deliveries.append(SimpleNamespace(rule=name, event={"detail": {"executionArn": execution.arn}}))
    stage.until_all_ended()


def test_nothing_is_hurried_through_while_something_else_runs(console: Console, stage: Stage) -> None:
    deployment, clean_up = stage.start_deployment({}), stage.start_clean_up({})
    console.enter(clean_up, "Wait until it is time")
    end = threading.Thread(target=stage.until_all_ended)
    end.start()
    console.enter(deployment, "Tell about the release")
    assert 1200 not in console.paces
    console.end(deployment.arn, "SUCCEEDED")
    assert 1200 == console.paces[-1]
    console.end(clean_up.arn, "SUCCEEDED")
    end.join()


def test_a_machine_is_called_as_in_the_console_without_service_and_environment(stage: Stage) -> None:
    assert "clean-up" == stage.start_clean_up({}).machine


def test_waiting_in_vain_ends_and_says_for_what(console: Console) -> None:
    stage = Stage(cast("Account", console), cast("Traffic", None), Packaged(patience_seconds=0.1))
    with pytest.raises(Stuck, match="Godot did not come"):
        stage.until(lambda: False, "Godot did not come")


def test_waiting_for_a_state_ends_with_the_execution(console: Console, stage: Stage) -> None:
    """Or a scenario would wait for minutes for what cannot come any more."""
    deployment = stage.start_deployment({})
    console.enter(deployment, "Validate request")
    console.end(deployment.arn, "FAILED")

    with pytest.raises(Stuck, match="deploy ended as FAILED without reaching 'Promote release'"):
        stage.until_entered(deployment, "Promote release")


def test_a_rollback_that_somebody_else_starts_is_waited_for(console: Console, stage: Stage) -> None:
    arn = f"{MACHINES}-rollback:by-the-rule".replace(":stateMachine:", ":execution:")
    rule = threading.Thread(target=lambda: [console.end(arn, status) for status in ("RUNNING", "SUCCEEDED")])
    rule.start()

    assert Execution(arn, "rollback", "SUCCEEDED") == stage.until_rollback_ended()
    rule.join()


def test_what_an_execution_did_is_taken_from_its_history(console: Console, stage: Stage) -> None:
    """What is told while it runs may come late, even after its end."""
    deployment = stage.start_deployment({})
    console.enter(deployment, "Validate request")
    console.history.append("Reject request")
    console.end(deployment.arn, "FAILED", error="InvalidRequest")
    console.enter(deployment, "Reject request")

    assert "InvalidRequest" == deployment.error
    assert ["Validate request", "Reject request"] == deployment.states


@pytest.mark.rehearsed
def test_a_stop_shows_as_in_the_console_and_is_dealt_with_by_the_rule(quiet: Quiet) -> None:
    """On the pretend account. Before the first shift there is nothing to roll back, only to give up."""
    deployment = quiet.stage.start_deployment({"version": NEW_VERSION})
    quiet.stage.until_entered(deployment, "Wait for idle color")
    quiet.stage.stop(deployment)
    quiet.until_dealt_with(deployment)
    quiet.stage.until_all_ended()  # the watchdog may have come, too, and have been faster

    assert ("ABORTED", "Operator", "Stopped by hand") == (deployment.status, deployment.error, deployment.cause)
    assert "Wait for idle color" == deployment.states[-1]
    assert "Aborted" in [rollback.states[-1] for rollback in quiet.stage.of_machine("rollback")]
    assert "aborted" == quiet.stage.record.lease["phase"]
    assert "holder" not in quiet.stage.record.lease
    assert [] == quiet.invariants.violations
