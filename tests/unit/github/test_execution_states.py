"""How an execution stands, as Step Functions describes it."""

from typing import Any

import boto3
import pytest

from lambdas.github.execution_states import ExecutionStates
from lambdas.github.push_rules import Execution
from tests.builders import DEPLOYMENT


def states(answers: dict[str, Any]) -> ExecutionStates:
    """Return the states of executions in an account whose Step Functions answers so."""

    class Client:
        """What is asked, answered."""

        def describe_execution(self, **asked: Any) -> Any:
            assert asked == {"executionArn": DEPLOYMENT}
            return answers["describe"]

        def get_execution_history(self, **asked: Any) -> Any:
            assert asked["executionArn"] == DEPLOYMENT
            assert (asked["reverseOrder"], asked["includeExecutionData"]) == (True, False)
            return {"events": answers["history"]}

    client: Any = Client()
    return ExecutionStates(client)


def failed(error: str) -> dict[str, Any]:
    return {"type": "TaskFailed", "taskFailedEventDetails": {"resourceType": "lambda", "error": error}}


def test_the_errors_of_the_last_steps_are_read_of_what_has_failed_alone() -> None:
    answers = {
        "describe": {"status": "FAILED", "error": "ReleaseRefused"},
        "history": [{"type": "ExecutionFailed"}, failed("AwsCallFailed"), failed("EnvironmentBusy")],
    }
    told = frozenset({"AwsCallFailed", "EnvironmentBusy"})

    assert states(answers).with_failures(DEPLOYMENT) == Execution("FAILED", "ReleaseRefused", told)
    assert states(answers).of(DEPLOYMENT) == Execution("FAILED", "ReleaseRefused")
    assert states({"describe": {"status": "RUNNING"}}).with_failures(DEPLOYMENT) == Execution("RUNNING")


@pytest.mark.parametrize("arn", ["", DEPLOYMENT])
def test_what_aws_does_not_know_has_no_state(arn: str) -> None:
    found = ExecutionStates(boto3.client("stepfunctions")).with_failures(arn)

    assert found == Execution("")
    assert not found.is_running
