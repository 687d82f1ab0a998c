"""Keys of KMS: whether what they have encrypted can be read again."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

_NOT_FOUND = "NotFoundException"


@dataclass(frozen=True)
class Keys:
    """`kms` is a boto3 client."""

    kms: Any

    def state(self, key: str) -> str:
        """Return "Enabled", "Disabled", "PendingDeletion" …, as AWS names it; "" when there is no such key."""
        try:
            return str(self.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"])
        except ClientError as error:
            if error.response["Error"]["Code"] != _NOT_FOUND:
                raise
            return ""
