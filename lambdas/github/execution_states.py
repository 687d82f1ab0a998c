"""Executions of the state machines: whether one runs, or how it has ended."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.github.push_rules import Execution

_LAST_EVENTS = 100
"""More than what follows a claim that was refused, even if the message about it is tried as often as it may be."""

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


@dataclass(frozen=True)
class ExecutionStates:
    """`stepfunctions` is a boto3 client."""

    stepfunctions: "SFNClient"

    def of(self, execution_arn: str) -> Execution:
        """Read an execution's state. AWS may not know one that has just begun, nor one that ended months ago."""
        if not execution_arn:
            return Execution(status="")
        try:
            found = self.stepfunctions.describe_execution(executionArn=execution_arn)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return Execution(status="")
            raise
        return Execution(found["status"], found.get("error", ""))

    def with_failures(self, execution_arn: str) -> Execution:
        """
        Read an execution's state, and if it has failed the errors of the steps that failed near its end.

        One of those has ended it; the others, such as that of a message that could not be sent, came after.
        """
        found = self.of(execution_arn)
        if found.status != "FAILED":
            return found
        history = self.stepfunctions.get_execution_history(
            executionArn=execution_arn, reverseOrder=True, maxResults=_LAST_EVENTS, includeExecutionData=False
        )
        details = (each.get("taskFailedEventDetails", {}) for each in history["events"])
        return replace(found, failures=frozenset(error for each in details if (error := each.get("error"))))
