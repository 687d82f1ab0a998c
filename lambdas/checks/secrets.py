"""Secrets, read by ARN when they are needed, and handed on to nobody but whom they are for."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Secrets:
    """`secrets_manager` is a boto3 client."""

    secrets_manager: Any

    def text(self, arn: str) -> str:
        """Return a secret's current text, without the line end that editors leave behind."""
        return str(self.secrets_manager.get_secret_value(SecretId=arn)["SecretString"]).strip()
