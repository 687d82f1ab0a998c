"""What the interpreter tells: the source of "Step Functions Execution Status Change", and of the live screen."""

import json
import threading
from datetime import datetime
from typing import Any

import pytest

from tests.rehearsal.engine.state_machines import PASS, FunctionError, Gate, Json, state_machines, task
from tests.waiting import eventually

LONG_WAIT = {"Hold": {"Type": "Wait", "Seconds": 100_000, "End": True}}


def test_a_success_is_told_as_on_aws() -> None:
    """The rule's input transformer reads these fields."""
    told: list[dict[str, Any]] = []
    with state_machines() as account:
        account.interpreter.on_status_change(told.append)
        arn = account.start({"Only": {**PASS, "Result": {"outcome": "live"}}}, {"release_id": "r-1"})
        described = account.ended(arn)
        eventually(lambda: len(told) == 2)

    common = {
        "executionArn": arn,
        "stateMachineArn": described["stateMachineArn"],
        "name": "run",
        "startDate": told[0]["startDate"],
        "input": '{"release_id": "r-1"}',
        "inputDetails": {"included": True},
        "error": None,
        "cause": None,
    }
    running = {"status": "RUNNING", "stopDate": None, "output": None, "outputDetails": None}
    succeeded = {"status": "SUCCEEDED", "output": '{"outcome":"live"}', "outputDetails": {"included": True}}
    assert told == [{**common, **running}, {**common, **succeeded, "stopDate": told[1]["stopDate"]}]
    assert told[0]["startDate"] == round(described["startDate"].timestamp() * 1000)
    assert told[1]["stopDate"] == round(described["stopDate"].timestamp() * 1000)
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_each_end_is_told_once(status: str) -> None:
    """These start the rollback machine: one too few leaves traffic on a bad version."""
    told: list[tuple[Any, ...]] = []
    gate = Gate(FunctionError("TooLate", "nobody asks any more"))

    def fail(_: Json) -> None:
        raise FunctionError("RefreshFailed", "no capacity")

    with state_machines() as account:
        account.functions.update(gate=gate, fail=fail)
        before = set(threading.enumerate())
        account.interpreter.on_status_change(lambda detail: told.append((detail["status"], detail["error"])))
        if status == "FAILED":
            account.ended(account.start({"Work": task("fail")}))
        elif status == "TIMED_OUT":
            account.ended(account.start({"Work": task("gate")}, TimeoutSeconds=1))
        else:
            arn = account.start({"Work": task("gate")})
            gate.until_entered()
            account.stop(arn)
            account.stop(arn)
        gate.release()
    eventually(lambda: set(threading.enumerate()) <= before)

    errors = {"FAILED": "RefreshFailed", "TIMED_OUT": None, "ABORTED": "Superseded"}
    assert told == [("RUNNING", None), (status, errors[status])]


def test_a_slow_listener_delays_neither_the_interpreter_nor_another_listener() -> None:
    """Delivery to a target may take as long as that target does."""
    gate = Gate()
    told: list[str] = []
    with state_machines() as account:
        account.interpreter.on_status_change(gate)
        account.interpreter.on_status_change(lambda detail: told.append(detail["status"]))
        status = account.run({"Only": PASS})["status"]
        eventually(lambda: len(told) == 2)
        gate.release()

    assert status == "SUCCEEDED"
    assert told == ["RUNNING", "SUCCEEDED"]


def test_a_listener_that_fails_is_reported_and_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed delivery must neither vanish nor swallow the next."""
    reported: list[type[BaseException]] = []
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: reported.append(arguments.exc_type))

    def listen(detail: dict[str, Any]) -> None:
        told.append(detail["status"])
        raise ConnectionError

    with state_machines() as account:
        account.interpreter.on_status_change(listen)
        account.run({"Only": PASS})
        eventually(lambda: len(reported) == 2)

    assert told == ["RUNNING", "SUCCEEDED"]
    assert reported == [ConnectionError, ConnectionError]


def test_who_listens_late_is_told_of_what_has_begun_before() -> None:
    """Who waits for the end of all executions must know of all."""
    told: list[tuple[str, str]] = []
    with state_machines() as account:
        ended, running = account.run({"Only": PASS})["executionArn"], account.start(LONG_WAIT)
        account.interpreter.on_status_change(lambda detail: told.append((detail["executionArn"], detail["status"])))
        eventually(lambda: len(told) == 2)

    assert told == [(ended, "SUCCEEDED"), (running, "RUNNING")]


def test_what_still_runs_at_the_end_is_abandoned_in_silence() -> None:
    """The account is gone: a late event would reach the next rehearsal."""
    told: list[str] = []
    before = set(threading.enumerate())
    with state_machines() as account:
        account.interpreter.on_status_change(lambda detail: told.append(detail["status"]))
        account.start(LONG_WAIT)
        eventually(lambda: told)
    eventually(lambda: set(threading.enumerate()) <= before)

    assert told == ["RUNNING"]


def test_an_execution_of_an_earlier_rehearsal_is_not_told() -> None:
    """A handler may outlive its rehearsal, and end when the next one has begun."""
    told: list[str] = []
    gate = Gate()
    with state_machines() as earlier:
        before = set(threading.enumerate())
        earlier.functions["gate"] = gate
        earlier.start({"Work": task("gate")})
        gate.until_entered()

    with state_machines() as account:
        account.interpreter.on_status_change(lambda detail: told.append(detail["status"]))
        listening = set(threading.enumerate()) - before
        gate.release()
        eventually(lambda: len(listening & set(threading.enumerate())) == 1)

    assert told == []


def test_a_state_that_an_execution_of_an_earlier_rehearsal_enters_is_not_told() -> None:
    """Nobody would ever hear of that execution's end, and wait for it."""
    told: list[str] = []
    with state_machines() as account:
        account.interpreter.on_state_entered(lambda arn, *_: told.append(arn))
        account.interpreter.state_entered("arn:aws:states:eu-west-1:111122223333:execution:earlier:1", "Late", "Task")
        own = account.run({"Only": PASS})["executionArn"]

    assert told == [own]


def test_every_state_entered_is_told_with_its_type_and_time() -> None:
    """The live screen shows where a release is."""
    entered: list[tuple[str, str, str, datetime]] = []
    branch = {"StartAt": "Warm up", "States": {"Warm up": PASS}}
    states = {
        "Bake": {"Type": "Wait", "Seconds": 30, "Next": "Both"},
        "Both": {"Type": "Parallel", "Branches": [branch], "Next": "Stop here"},
        "Stop here": {"Type": "Fail", "Error": "Enough"},
    }
    with state_machines() as account:
        account.interpreter.on_state_entered(lambda *entry: entered.append(entry))
        arn = account.start(states)
        account.ended(arn)
        eventually(lambda: len(entered) == 4)
        assert ["Bake", "Both", "Warm up", "Stop here"] == account.interpreter.states_entered(arn)

    assert [entry[:3] for entry in entered] == [
        (arn, "Bake", "Wait"),
        (arn, "Both", "Parallel"),
        (arn, "Warm up", "Pass"),
        (arn, "Stop here", "Fail"),
    ]
    assert (entered[1][3] - entered[0][3]).total_seconds() >= 30
