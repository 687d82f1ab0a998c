"""Secrets, read by ARN when they are needed, and handed on to nobody but whom they are for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.errors import AwsCallFailed

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@dataclass(frozen=True)
class Secrets:
    """`secrets_manager` is a boto3 client."""

    secrets_manager: "SecretsManagerClient"

    def text(self, arn: str) -> str:
        """
        Return a secret's current text, without the line end that editors leave behind.

        Raises AwsCallFailed that names the secret, which Secrets Manager's own errors do not.
        """
        try:
            found = self.secrets_manager.get_secret_value(SecretId=arn)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise AwsCallFailed(f"The secret {arn} cannot be read: {code}.") from error
        if "SecretString" not in found:
            raise AwsCallFailed(f"The secret {arn} holds bytes, and should hold text.")
        return found["SecretString"].strip()
