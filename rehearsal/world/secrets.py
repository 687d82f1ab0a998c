"""Secrets under the ARNs that the settings name."""

import re
from typing import Any

from moto.secretsmanager.models import secretsmanager_backends


def create_secret(secrets_manager: Any, arn: str, text: str) -> None:
    """Create a secret, through a boto3 client, with exactly this ARN."""
    name = arn.split(":", 6)[6].rpartition("-")[0]
    secrets_manager.create_secret(Name=name, SecretString=text)
    adopt_secret(name, arn)


def adopt_secret(created: str, wanted_arn: str) -> None:
    """
    Give a new secret, by name or ARN, the ARN that the settings name.

    Secret ARNs end in six random characters, so that moto can't create the one wanted. Raises KeyError for a secret
    that does not exist, ValueError when the wanted ARN is not one that a secret of this name could have.
    """
    region, account, _, name = wanted_arn.split(":", 6)[3:]
    secret = secretsmanager_backends[account][region].secrets[created]
    if not re.fullmatch(re.escape(secret.name) + r"-[A-Za-z0-9]{6}", name):
        raise ValueError(f"{wanted_arn} is not the ARN of a secret called {secret.name}")
    secret.arn = wanted_arn
