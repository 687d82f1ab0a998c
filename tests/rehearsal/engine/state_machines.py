"""A pretend account that holds state machines only, and a way to compare it with moto as it comes."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar
from unittest import mock

import boto3
from botocore.client import BaseClient
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.interpreter import FIXES, Fix, Interpreter, install
from tests.waiting import eventually

ROLE_ARN = "arn:aws:iam::111122223333:role/machines"
FAST = 200.0

Json = Any
States = dict[str, dict[str, Json]]
Handler = Callable[[Json], Json]
Observed = TypeVar("Observed")

PASS = {"Type": "Pass", "End": True}


@cache
def step_functions_client() -> BaseClient:
    """One for all tests: making it takes half as long as a whole test. moto answers whatever account is pretended."""
    keys = dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "pretended")
    return boto3.Session(region_name="eu-west-1", **keys).client("stepfunctions")


class FunctionError(Exception):
    """What a handler raises: its error type and message."""


class StateMachines:
    """Machines, their executions, and the functions that they call."""

    def __init__(self, clock: TwoSpeedClock, interpreter: Interpreter) -> None:
        self.clock = clock
        self.interpreter = interpreter
        self.client = step_functions_client()
        self.functions: dict[str, Handler] = {}
        self._machines_made = 0

    def create(self, states: States, **machine: Json) -> str:
        """Make a machine of these states, the first one first."""
        self._machines_made += 1
        definition = json.dumps({"StartAt": next(iter(states)), "States": states, **machine})
        name = f"machine-{self._machines_made}"
        return self.client.create_state_machine(name=name, roleArn=ROLE_ARN, definition=definition)["stateMachineArn"]

    def start(self, states: States, payload: Json = None, **machine: Json) -> str:
        """Start an execution named "run" of a new machine, and give its ARN."""
        arn = self.create(states, **machine)
        execution_input = json.dumps({} if payload is None else payload)
        return self.client.start_execution(stateMachineArn=arn, name="run", input=execution_input)["executionArn"]

    def describe(self, execution_arn: str) -> dict[str, Any]:
        """Call DescribeExecution."""
        return self.client.describe_execution(executionArn=execution_arn)

    def ended(self, execution_arn: str) -> dict[str, Any]:
        """Describe the execution, once it has ended."""
        eventually(lambda: self.describe(execution_arn)["status"] != "RUNNING")
        return self.describe(execution_arn)

    def run(self, states: States, payload: Json = None, **machine: Json) -> dict[str, Any]:
        """Run a new machine to its end, and describe the execution."""
        return self.ended(self.start(states, payload, **machine))

    def output(self, states: States, payload: Json = None) -> Json:
        """Run a new machine to its end, and give its output."""
        return json.loads(self.run(states, payload)["output"])

    def history(self, execution_arn: str) -> list[dict[str, Any]]:
        """Call GetExecutionHistory."""
        return self.client.get_execution_history(executionArn=execution_arn)["events"]

    def environment(self, execution_arn: str) -> Environment:
        """Look into moto for what the execution runs in."""
        backend: Any = stepfunctions_parser_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"]
        return backend.describe_execution(execution_arn).exec_worker.env

    def until_last_event(self, event_type: str, execution_arn: str) -> None:
        """Wait until the history ends with such an event."""

        def has_come() -> bool:
            return [event["type"] for event in self.history(execution_arn)][-1:] == [event_type]

        eventually(has_come)

    def stop(self, execution_arn: str) -> dict[str, Any]:
        """Call StopExecution with an error and a cause."""
        return self.client.stop_execution(executionArn=execution_arn, error="Superseded", cause="a rollback took over")

    def invoke(self, parameters: dict[str, Any], **_: object) -> dict[str, Any]:
        """Stand in for lambda:Invoke."""
        try:
            answer = self.functions[parameters["FunctionName"]](json.loads(parameters["Payload"]))
        except FunctionError as error:
            name, message = error.args
            failure = {"errorType": name, "errorMessage": message}
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": failure}
        return {"StatusCode": 200, "ExecutedVersion": "1", "Payload": answer}


@contextmanager
def state_machines(fixes: Sequence[Fix] = FIXES, speed: float = FAST) -> Iterator[StateMachines]:
    clock = TwoSpeedClock(speed)
    configuration: Any = {"stepfunctions": {"execute_state_machine": True}}
    with mock_aws(config=configuration), install(clock, fixes) as interpreter:
        account = StateMachines(clock, interpreter)
        with mock.patch.object(lambda_eval_utils, "_invoke_lambda_function", account.invoke):
            yield account


def repaired_and_stock(observe: Callable[[StateMachines], Observed]) -> tuple[Observed, Observed]:
    """What is observed with all fixes, and on moto as it comes."""
    with state_machines() as repaired:
        as_on_aws = observe(repaired)
    with state_machines(fixes=()) as stock:
        return as_on_aws, observe(stock)


def task(function: str, **fields: Json) -> dict[str, Any]:
    parameters = {"FunctionName": function, "Payload.$": "$"}
    state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters, **fields}
    return state if "Next" in state else {**state, "End": True}


class Gate:
    """A handler that takes until it is let go, and then answers or fails."""

    def __init__(self, error: FunctionError | None = None) -> None:
        self._error = error
        self._is_entered = threading.Event()
        self._may_leave = threading.Event()

    def __call__(self, _: Json) -> dict[str, Any]:
        """Handle an invocation."""
        self._is_entered.set()
        assert self._may_leave.wait(60)
        if self._error:
            raise self._error
        return {}

    def until_entered(self) -> None:
        """Wait until the handler runs."""
        assert self._is_entered.wait(60)

    def release(self) -> None:
        """Let the handler end."""
        self._may_leave.set()
