"""What lets an execution go on that waits for a human."""

from dataclasses import dataclass
from json import dumps
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_WAITS_NO_MORE = frozenset({"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"})


@dataclass(frozen=True)
class TaskTokens:
    """`stepfunctions` is a boto3 client."""

    stepfunctions: "SFNClient"

    def succeed(self, task_token: str, output: dict[str, Any]) -> bool:
        """Let the waiting step succeed with this output; return False when it does not wait any more."""
        try:
            self.stepfunctions.send_task_success(taskToken=task_token, output=dumps(output))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _WAITS_NO_MORE:
                raise
            return False
        return True
