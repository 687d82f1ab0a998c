"""Executions of the state machines: whether one still runs, and how to stop and start one."""

from dataclasses import dataclass
from json import dumps
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


@dataclass(frozen=True)
class Executions:
    """`stepfunctions` is a boto3 client."""

    stepfunctions: "SFNClient"

    def runs(self, execution_arn: str) -> bool:
        """Say whether an execution still runs; one that AWS does not know any more does not."""
        try:
            status = self.stepfunctions.describe_execution(executionArn=execution_arn)["status"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return False
            raise
        return bool(status == "RUNNING")

    def stop(self, execution_arn: str, cause: str) -> None:
        """Stop an execution. One that has ended already, or is not known, is as good as stopped."""
        try:
            self.stepfunctions.stop_execution(executionArn=execution_arn, error="RolledBack", cause=cause)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise

    def start(self, machine_arn: str, name: str, given: dict[str, Any]) -> None:
        """Start an execution once: a second start under the same name is the same start."""
        try:
            self.stepfunctions.start_execution(stateMachineArn=machine_arn, name=name, input=dumps(given))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
