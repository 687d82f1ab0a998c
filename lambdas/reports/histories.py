"""The histories of executions, in Step Functions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from lambdas.reports.history_rules import Event

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import GetExecutionHistoryInputTypeDef

_PAGE = 1000
"""As many events as AWS gives at once."""


@dataclass(frozen=True)
class Histories:
    """`stepfunctions` is a boto3 client."""

    stepfunctions: "SFNClient"

    def events(self, execution_arn: str) -> Iterator[Event]:
        """
        Read the events of an execution, oldest first; none of one that AWS does not know, or has forgotten.

        It forgets an execution 90 days after its end:
        https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
        """
        request: GetExecutionHistoryInputTypeDef = {
            "executionArn": execution_arn,
            "maxResults": _PAGE,
            "includeExecutionData": True,
        }
        while True:
            try:
                page: Any = self.stepfunctions.get_execution_history(**request)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                    return
                raise
            yield from cast("list[Event]", page["events"])
            if "nextToken" not in page:
                return
            request["nextToken"] = page["nextToken"]
