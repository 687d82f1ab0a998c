"""How a group was found before a freeze of traffic, and how large it has to stay until that is over. All pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from lambdas.fleet.rules import HELD_PROCESSES, Capacity

HELD_FACT = "held_capacity"
"""Where a release's history keeps it: {group: `Held.as_record()`}, and {} once all is given back."""


@dataclass(frozen=True)
class Held:
    """A group as it was found. `was_suspended`: its scheduled actions were, so that nobody may resume them for it."""

    capacity: Capacity
    was_suspended: bool = False

    @classmethod
    def found(cls, capacity: Capacity, suspended: Collection[str]) -> Self:
        """Take what was read of a group."""
        return cls(capacity, was_suspended=set(HELD_PROCESSES) <= set(suspended))

    @classmethod
    def from_record(cls, item: Mapping[str, Any]) -> Self:
        """Read it from a release's history."""
        return cls(Capacity.from_record(item), was_suspended=bool(item["was_suspended"]))

    def as_record(self) -> dict[str, Any]:
        """Return the form in which a release's history keeps it."""
        return {**self.capacity.as_record(), "was_suspended": self.was_suspended}


def frozen_size(before: Capacity, now: Capacity) -> Capacity:
    """
    Return the bounds of a group while no user comes: never smaller than when the last one came.

    Whoever has made room since then, as a human may while traffic is frozen for hours, keeps it.
    """
    return Capacity(
        minimum=max(before.desired, now.minimum),
        maximum=max(before.maximum, before.desired, now.maximum),
        desired=before.desired,
    )
