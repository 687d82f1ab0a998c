"""An execution starts, ends once, and is described as on AWS. Each test also shows that moto still needs the repair."""

import json
import re
import threading
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel.branch_worker import BranchWorker
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from rehearsal.engine.interpreter import FIXES
from tests.rehearsal.engine.state_machines import (
    PASS,
    ROLE_ARN,
    FunctionError,
    Gate,
    Json,
    StateMachines,
    repaired_and_stock,
    state_machines,
    task,
)
from tests.waiting import eventually

LONG_WAIT = {"Hold": {"Type": "Wait", "Seconds": 100_000, "End": True}}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def error_code(call: Callable[..., object], **parameters: Json) -> str | None:
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def test_an_unnamed_execution_gets_a_name_of_its_own() -> None:
    """EventBridge names no execution, and every event must start one."""

    def observe(account: StateMachines) -> list[str]:
        machine = account.create(LONG_WAIT)
        arns = [account.client.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(2)]
        return [arn.rpartition(":")[2] for arn in arns]

    repaired, stock = repaired_and_stock(observe)

    assert all(UUID.fullmatch(name) for name in repaired)
    assert len(set(repaired)) == 2
    assert stock == ["None", "None"]


@pytest.mark.parametrize(
    ("name", "code"), [("r 1", "InvalidName"), ("r/1", "InvalidName"), ("r" * 81, "ValidationException")]
)
def test_a_name_that_aws_refuses_is_refused(name: str, code: str) -> None:
    """The deploy machine derives the rollback's name from the release id."""

    def observe(account: StateMachines) -> str | None:
        return error_code(account.client.start_execution, stateMachineArn=account.create(LONG_WAIT), name=name)

    assert repaired_and_stock(observe) == (code, None)


def test_a_name_of_eighty_characters_is_accepted() -> None:
    """The limit is inclusive."""
    with state_machines() as account:
        arn = account.client.start_execution(stateMachineArn=account.create(LONG_WAIT), name="r" * 80)["executionArn"]

    assert arn.endswith(":" + "r" * 80)


def test_starting_again_with_the_same_name() -> None:
    """Step Functions delivers steps twice: the same start is the same execution, and only while that runs."""
    with state_machines() as account:
        client, machine = account.client, account.create(LONG_WAIT)
        first = client.start_execution(stateMachineArn=machine, name="r-1", input='{"a": 1}')["executionArn"]
        again = client.start_execution(stateMachineArn=machine, name="r-1", input='{"a": 1}')["executionArn"]
        other = error_code(client.start_execution, stateMachineArn=machine, name="r-1", input='{"a": 2}')
        account.stop(first)
        closed = error_code(client.start_execution, stateMachineArn=machine, name="r-1", input='{"a": 1}')
        executions = client.list_executions(stateMachineArn=machine)["executions"]

    assert again == first
    assert (other, closed) == ("ExecutionAlreadyExists", "ExecutionAlreadyExists")
    assert [execution["executionArn"] for execution in executions] == [first]


def test_starting_at_the_same_moment_with_the_same_name_makes_one_execution() -> None:
    """An event delivered twice must not start two rollbacks."""
    arns: set[str] = set()
    with state_machines() as account:
        machine = account.create(LONG_WAIT)

        def start() -> None:
            arns.add(account.client.start_execution(stateMachineArn=machine, name="r-1", input="{}")["executionArn"])

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        executions = account.client.list_executions(stateMachineArn=machine)["executions"]

    assert [execution["executionArn"] for execution in executions] == list(arns)


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], "text", 7, True])
def test_input_and_output_may_be_any_json(value: Json) -> None:
    """AWS accepts any JSON text as input, and gives the output as JSON text."""

    def observe(account: StateMachines) -> str:
        return account.run({"Only": PASS}, value)["output"]

    repaired, stock = repaired_and_stock(observe)

    assert repaired == json.dumps(value, separators=(",", ":"))
    if isinstance(value, str):
        assert stock == value


def test_errors_carry_their_code() -> None:
    """A caller that looks for the code must find it."""

    def observe(account: StateMachines) -> tuple[str | None, ...]:
        client = account.client
        return (
            error_code(client.start_execution, stateMachineArn=account.create(LONG_WAIT), input="{"),
            error_code(client.create_state_machine, name="bad", roleArn=ROLE_ARN, definition='{"StartAt": "Nowhere"}'),
        )

    assert repaired_and_stock(observe) == (("InvalidExecutionInput", "InvalidDefinition"), ("", ""))


def test_an_execution_can_be_stopped_as_soon_as_it_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback may stop a deployment that began a moment ago."""
    prepare = ExecutionWorker._get_evaluation_environment

    def observe(account: StateMachines) -> str:
        def prepare_slowly(worker: ExecutionWorker) -> object:
            account.clock.sleep(20)
            return prepare(worker)

        monkeypatch.setattr(ExecutionWorker, "_get_evaluation_environment", prepare_slowly)
        arn = account.start(LONG_WAIT)
        try:
            account.stop(arn)
        except AttributeError:
            return "crashed"
        return account.ended(arn)["status"]

    assert repaired_and_stock(observe) == ("ABORTED", "crashed")


@pytest.mark.parametrize("during", ["a Wait", "a Retry's pause", "a Task", "a Parallel branch"])
def test_stopping_works_at_once(during: str) -> None:
    """The rollback machine stops the deployment, and must not wait for what that one is busy with."""
    gate = Gate()
    retry = [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 20}]
    branch = {"StartAt": "Work", "States": {"Work": task("gate")}}
    machines = {
        "a Wait": LONG_WAIT,
        "a Retry's pause": {"Work": task("flaky", Retry=retry)},
        "a Task": {"Work": task("gate")},
        "a Parallel branch": {"Both": {"Type": "Parallel", "Branches": [branch], "End": True}},
    }
    last_event = {
        "a Wait": "WaitStateEntered",
        "a Retry's pause": "TaskFailed",
        "a Task": "TaskStarted",
        "a Parallel branch": "TaskStarted",
    }

    def flaky(_: Json) -> None:
        raise FunctionError("Flaky", "try again")

    def observe(account: StateMachines) -> tuple[Any, ...]:
        account.functions.update(gate=gate, flaky=flaky)
        arn = account.start(machines[during])
        account.until_last_event(last_event[during], arn)
        answer = account.stop(arn)
        described, event = account.describe(arn), account.history(arn)[-1]
        return (
            described["status"],
            described.get("error"),
            described.get("cause"),
            described.get("stopDate") is not None and described["stopDate"] == answer.get("stopDate"),
            event.get("executionAbortedEventDetails"),
        )

    repaired, stock = repaired_and_stock(observe)
    gate.release()

    given = {"error": "Superseded", "cause": "a rollback took over"}
    assert repaired == ("ABORTED", "Superseded", "a rollback took over", True, given)
    assert stock != repaired


def test_a_branch_does_not_begin_once_its_execution_is_stopped() -> None:
    """Its thread would die of an error; whoever waits for it hears that it is over all the same."""
    stopped = SimpleNamespace(is_running=lambda: False)

    def observe(_: StateMachines) -> tuple[str, list[object]]:
        begun, over = list[object](), list[object]()
        worker = BranchWorker(
            cast("BranchWorker.BranchWorkerComm", SimpleNamespace(on_terminated=lambda *, env: over.append(env))),
            cast("Program", SimpleNamespace(eval=begun.append)),
            cast("Environment", stopped),
        )
        worker._worker_thread = threading.current_thread()
        worker._thread_routine()
        return "begun" if begun else "not begun", over

    assert repaired_and_stock(observe) == (("not begun", [stopped]), ("begun", [stopped]))


def test_stopping_without_error_and_cause() -> None:
    """Both are optional."""
    with state_machines() as account:
        arn = account.start(LONG_WAIT)
        account.client.stop_execution(executionArn=arn)
        described, event = account.describe(arn), account.history(arn)[-1]

    assert described["status"] == "ABORTED"
    assert "error" not in described
    assert "cause" not in described
    assert event["executionAbortedEventDetails"] == {}


def test_stopping_what_has_ended_changes_nothing() -> None:
    """The deployment may end a moment before the rollback stops it."""
    with state_machines() as account:
        arn = account.start({"Only": PASS})
        before = account.ended(arn)
        answer = account.stop(arn)
        after = account.describe(arn)

    assert after["status"] == "SUCCEEDED"
    assert after["stopDate"] == before["stopDate"] == answer["stopDate"]


def test_a_task_that_fails_after_the_stop_changes_nothing() -> None:
    """Its handler goes on, as on AWS, but the execution has ended."""

    def observe(account: StateMachines) -> tuple[str, str]:
        gate = account.functions["gate"] = Gate(FunctionError("TooLate", "nobody asks any more"))
        before = set(threading.enumerate())
        arn = account.start({"Work": task("gate")})
        gate.until_entered()
        account.stop(arn)
        gate.release()
        eventually(lambda: set(threading.enumerate()) <= before)
        return account.describe(arn)["status"], type(account.environment(arn).program_state()).__name__

    assert repaired_and_stock(observe) == (("ABORTED", "ProgramStopped"), ("FAILED", "ProgramError"))


def test_a_machine_time_out_ends_the_execution_while_its_task_still_runs() -> None:
    """The status event must go out at the time-out, not when a hanging handler gives up."""

    def observe(account: StateMachines) -> tuple[Any, ...]:
        gate = account.functions["gate"] = Gate()
        before = set(threading.enumerate())
        arn = account.start({"Work": task("gate")}, TimeoutSeconds=1)
        described = account.ended(arn)
        events_then = [event["type"] for event in account.history(arn)]
        gate.release()
        eventually(lambda: set(threading.enumerate()) <= before)
        events_later = [event["type"] for event in account.history(arn)]
        lasted = (described.get("stopDate", described["startDate"]) - described["startDate"]).total_seconds()
        return described["status"], lasted, events_then[-1], events_later == events_then

    (status, lasted, last_event, is_final), stock = repaired_and_stock(observe)

    assert (status, last_event, is_final) == ("TIMED_OUT", "ExecutionTimedOut", True)
    assert 1 <= lasted < 5
    assert stock == ("TIMED_OUT", 0, "TaskStarted", False)


def test_a_list_of_executions_says_when_each_one_stopped() -> None:
    """The watchdog and the report read it."""

    def observe(account: StateMachines) -> list[tuple[str, bool]]:
        machine = account.create(LONG_WAIT, TimeoutSeconds=60)
        start = account.client.start_execution
        stopped = start(stateMachineArn=machine, name="stopped")["executionArn"]
        account.until_last_event("WaitStateEntered", stopped)
        account.stop(stopped)
        timed_out = start(stateMachineArn=machine, name="timed-out")["executionArn"]
        account.ended(timed_out)
        with account.clock.at_real_speed():  # or it may be over before anybody looks
            start(stateMachineArn=machine, name="running")
            listed = account.client.list_executions(stateMachineArn=machine)["executions"]
        return sorted((execution["status"], "stopDate" in execution) for execution in listed)

    repaired, stock = repaired_and_stock(observe)

    assert repaired == [("ABORTED", True), ("RUNNING", False), ("TIMED_OUT", True)]
    assert ("TIMED_OUT", False) in stock


def test_a_retry_waits_simulated_seconds() -> None:
    """Back-off is 1 s and 2 s here: on the clock, not on the wall."""
    retry = [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 10, "BackoffRate": 2.0, "MaxAttempts": 2}]
    called_at: list[float] = []

    with state_machines() as account:

        def flaky(_: Json) -> None:
            called_at.append(account.clock.seconds())
            raise FunctionError("Flaky", "try again")

        account.functions["flaky"] = flaky
        ended = account.run({"Work": task("flaky", Retry=retry)})

    pauses = [later - earlier for earlier, later in pairwise(called_at)]
    assert ended["error"] == "Flaky"
    assert [10 <= pauses[0] < 20, 20 <= pauses[1] < 30] == [True, True]


def test_every_fix_says_what_aws_and_moto_do() -> None:
    """Whoever upgrades moto reads them."""
    for fix in FIXES:
        documentation = fix.__doc__ or ""
        assert "AWS: " in documentation, fix
        assert "moto: " in documentation, fix


def test_moto_is_left_as_it_was_found() -> None:
    """Tests of other parts use moto in the same process."""
    from moto.stepfunctions.parser import models  # noqa: PLC0415
    from moto.stepfunctions.parser.asl.eval import environment  # noqa: PLC0415

    def found() -> tuple[object, ...]:
        return (
            models.datetime,
            environment.threading,
            ExecutionWorker.start,
            models.StepFunctionsParserBackend.start_execution,
        )

    before = found()
    with state_machines():
        assert all(now is not then for now, then in zip(found(), before, strict=True))

    assert found() == before
