"""The function of the customer that migrates, called and waited for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from lambdas.database.migration_rules import Answer
from lambdas.errors import AwsCallFailed


@dataclass(frozen=True)
class MigrationFunction:
    """`lambda_` is a boto3 client that waits for as long as the function may take, and asks only once."""

    lambda_: Any
    arn: str

    def call(self, payload: Mapping[str, str]) -> Answer | None:
        """
        Let it migrate, and return what it has answered; None when it did not in time, and may still be at it.

        Raises AwsCallFailed when Lambda has not called it at all.
        """
        try:
            answer = self.lambda_.invoke(FunctionName=self.arn, Payload=json.dumps(payload).encode())
        except ReadTimeoutError:
            return None
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise AwsCallFailed(str(error)) from error
            raise
        return Answer("FunctionError" in answer, answer["Payload"].read().decode())
