"""The secrets by which GitHub's webhooks are known, kept for a minute so that a flood of forged ones asks for none."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from lambdas.errors import AwsCallFailed
from lambdas.github.webhook_rules import LEAST_SECRET_BYTES

_KEPT = timedelta(minutes=1)


class Reads(Protocol):
    """Whoever reads a secret's text by its ARN, and raises AwsCallFailed when it cannot be read."""

    def text(self, arn: str) -> str:
        """Return the text."""
        ...


class WebhookSecrets:
    """One secret, or two while they are exchanged. Kept in the memory of the function alone."""

    def __init__(self, secrets: Reads, arns: Sequence[str]) -> None:
        self._secrets = secrets
        self._arns = arns
        self._known: tuple[bytes, ...] = ()
        self._until: datetime | None = None

    def current(self, now: datetime) -> tuple[tuple[bytes, ...], list[str]]:
        """
        Return the secrets that can be used, and what is wrong with others, in words without any secret.

        Raises AwsCallFailed if none can be used: who has signed can then not be told.
        """
        if self._until and self._until - _KEPT <= now < self._until:
            return self._known, []
        found, problems = [], []
        for arn in self._arns:
            try:
                secret = self._secrets.text(arn).encode()
            except AwsCallFailed as error:
                problems.append(str(error))
                continue
            if len(secret) < LEAST_SECRET_BYTES:
                problems.append(f"The secret {arn} has less than {LEAST_SECRET_BYTES} characters, and is not used.")
            else:
                found.append(secret)
        if not found:
            raise AwsCallFailed(" ".join(problems))
        if not problems:
            self._known, self._until = tuple(found), now + _KEPT
        return tuple(found), problems
