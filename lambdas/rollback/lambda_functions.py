"""Lambda functions: whether they can be called, and under which role they act."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lambdas.rollback.certificate_rules import FunctionState


@dataclass(frozen=True)
class LambdaFunctions:
    """`lambda_` is a boto3 client."""

    lambda_: Any

    def describe(self, version_arn: str) -> FunctionState | None:
        """Read a published version, and the concurrency that is reserved for its function; None where there is none."""
        arn, _, version = version_arn.rpartition(":")
        try:
            found = self.lambda_.get_function_configuration(FunctionName=arn, Qualifier=version)
            reserved = self._reserved(arn)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
        return FunctionState(found.get("State", ""), found["Role"], reserved)

    def _reserved(self, arn: str) -> int | None:
        reserved = self.lambda_.get_function_concurrency(FunctionName=arn).get("ReservedConcurrentExecutions")
        return None if reserved is None else int(reserved)
