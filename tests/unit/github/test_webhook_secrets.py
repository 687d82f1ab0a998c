"""Which secrets count, while one of them is exchanged, is missing, or is none."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from lambdas.errors import AwsCallFailed
from lambdas.github.webhook_secrets import WebhookSecrets
from tests.unit.github.webhooks import NEXT_SECRET, NOW, SECRET


@dataclass
class Vault:
    """Secrets by ARN, and how often they were read."""

    texts: dict[str, str] = field(default_factory=dict)
    reads: int = 0

    def text(self, arn: str) -> str:
        self.reads += 1
        if arn not in self.texts:
            raise AwsCallFailed(f"The secret {arn} cannot be read: ResourceNotFoundException.")
        return self.texts[arn]


@pytest.fixture
def vault() -> Vault:
    return Vault({"one": SECRET.decode()})


def test_secrets_are_read_once_a_minute(vault: Vault) -> None:
    secrets = WebhookSecrets(vault, ["one"])
    for seconds in (0, 30, 59):
        assert secrets.current(NOW + timedelta(seconds=seconds)) == ((SECRET,), [])
    assert vault.reads == 1

    vault.texts["one"] = NEXT_SECRET.decode()
    assert secrets.current(NOW + timedelta(seconds=60)) == ((NEXT_SECRET,), [])


def test_an_event_of_before_is_no_reason_to_keep_a_secret(vault: Vault) -> None:
    """Time comes with the events, and they may come in any order."""
    secrets = WebhookSecrets(vault, ["one"])
    secrets.current(NOW)
    vault.texts["one"] = NEXT_SECRET.decode()
    assert secrets.current(NOW - timedelta(hours=1)) == ((NEXT_SECRET,), [])


def test_a_secret_that_is_missing_is_told_and_the_other_counts(vault: Vault) -> None:
    secrets = WebhookSecrets(vault, ["one", "two"])
    found, (problem,) = secrets.current(NOW)
    assert found == (SECRET,)
    assert problem == "The secret two cannot be read: ResourceNotFoundException."
    vault.texts["two"] = NEXT_SECRET.decode()
    assert secrets.current(NOW) == ((SECRET, NEXT_SECRET), [])


@pytest.mark.parametrize("weak", ["", "fifteen letters"])
def test_a_secret_that_can_be_guessed_is_told_and_not_used(vault: Vault, weak: str) -> None:
    vault.texts["two"] = weak
    found, (problem,) = WebhookSecrets(vault, ["one", "two"]).current(NOW)
    assert found == (SECRET,)
    assert problem == "The secret two has less than 16 characters, and is not used."


def test_without_any_secret_nobody_can_be_told_from_github(vault: Vault) -> None:
    vault.texts["one"] = ""
    with pytest.raises(AwsCallFailed, match="The secret one has less than 16 characters"):
        WebhookSecrets(vault, ["one"]).current(NOW)
