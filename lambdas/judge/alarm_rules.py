"""
How the environment's alarms are called, and what their names say about them. All pure.

`receipt-vault-production-rolls-back-error-rate-api-green` is about the error rate of route api on green; on a release
that green belongs to, it rolls back. Functions, rules and humans can tell that from the name alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from json import loads
from typing import Self

from lambdas.release.rules import COLORS


class Effect(StrEnum):
    """What an alarm leads to. The first two are critical."""

    ROLLS_BACK = "rolls-back"
    """It may take a release back, and otherwise pages."""
    PAGES = "pages"
    """It is critical, but no release is taken back for it: a human decides."""
    WARNS = "warns"
    """People are told."""


CRITICAL = (Effect.ROLLS_BACK, Effect.PAGES)


@dataclass(frozen=True)
class AlarmName:
    """`subject` is the metric, with the route, load balancer or check that it is of. `color` is "" for all traffic."""

    effect: Effect
    subject: str
    color: str = ""

    def full(self, prefix: str) -> str:
        """Return the name in AWS; `prefix` is what all names of the environment begin with."""
        return f"{prefix}-{self.effect}-{self.subject}" + (f"-{self.color}" if self.color else "-all")

    @classmethod
    def read(cls, name: str, prefix: str) -> Self | None:
        """Read what `full` wrote; None for an alarm that is not one of these."""
        for effect in Effect:
            subject, _, last = name.removeprefix(f"{prefix}-{effect}-").rpartition("-")
            if name.startswith(f"{prefix}-{effect}-") and subject and last in (*COLORS, "all"):
                return cls(effect, subject, last if last in COLORS else "")
        return None


@dataclass(frozen=True)
class Alarm:
    """An alarm as CloudWatch describes it. `since` is when it came into its state."""

    name: AlarmName
    is_on: bool
    since: str
    reason: str = ""


@dataclass(frozen=True)
class AlarmState:
    """
    How well an alarm can do its work: its state, how it treats missing data, and whether its actions work.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html
    """

    state: str
    missing: str
    acts: bool


@dataclass(frozen=True)
class AlarmSettings:
    """How to find the critical alarms, and how many there must be: one that is gone would never be on."""

    prefix: str
    critical: int

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the environment variable ALARMS."""
        return cls(**loads(text))

    def name_prefixes(self) -> Sequence[str]:
        """Return with what the names of critical alarms begin."""
        return [f"{self.prefix}-{effect}-" for effect in CRITICAL]
