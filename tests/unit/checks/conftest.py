from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from lambdas.checks.secrets import Secrets
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from tests.builders import DEPLOYMENT


@dataclass
class Vault:
    """An emulated Secrets Manager. It alone decides how an ARN ends."""

    client: Any

    @property
    def secrets(self) -> Secrets:
        """Return what functions read it with."""
        return Secrets(self.client)

    def keep(self, name: str, text: str) -> str:
        """Make a secret, and return its ARN."""
        return str(self.client.create_secret(Name=name, SecretString=text)["ARN"])


@pytest.fixture
def vault() -> Vault:
    return Vault(boto3.client("secretsmanager"))


@pytest.fixture
def lease(record: ReleaseRecord) -> Lease:
    """Return the lease of a deployment of release "new"."""
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
