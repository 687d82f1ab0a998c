"""Secrets under the ARNs that the settings name, whose versions wear their labels as AWS's do."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend, secretsmanager_backends

from rehearsal.world.overlay import Overlay

_CURRENT = "AWSCURRENT"


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


@contextmanager
def moving_labels() -> Iterator[None]:
    """
    Let applications read the version that AWSCURRENT was moved to.

    Moto moves the label, but goes on answering GetSecretValue without a label, and counting what was the previous
    version, by the version that was current before.
    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
    """
    overlay = Overlay()
    overlay.wrap(SecretsManagerBackend, "update_secret_version_stage", _move_label)
    try:
        yield
    finally:
        overlay.uninstall()


def _move_label(
    original: Callable[..., tuple[str, str]],
    backend: SecretsManagerBackend,
    secret_id: str,
    version_stage: str,
    remove_from_version_id: str,
    move_to_version_id: str,
) -> tuple[str, str]:
    moved = original(backend, secret_id, version_stage, remove_from_version_id, move_to_version_id)
    if version_stage == _CURRENT and move_to_version_id:
        secret = backend.secrets[secret_id]
        assert isinstance(secret, FakeSecret), "moto moves no label of a replica"
        secret.default_version_id = move_to_version_id
    return moved
