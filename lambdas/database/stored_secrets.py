"""Secrets as Secrets Manager stores them: whether they can be read at all. What they say is for others to read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_NOT_FOUND = "ResourceNotFoundException"


@dataclass(frozen=True)
class StoredSecrets:
    """`secrets_manager` is a boto3 client."""

    secrets_manager: "SecretsManagerClient"

    def exists(self, arn: str) -> bool:
        """Say whether there is such a secret, and nobody has deleted it: for some days after that it is still shown."""
        try:
            return "DeletedDate" not in self.secrets_manager.describe_secret(SecretId=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] != _NOT_FOUND:
                raise
            return False
