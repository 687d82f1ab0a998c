"""What the machines are built for: the part of the settings that shapes states rather than data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ShiftStep:
    """One step of a release: `weight` percent of the traffic for the new color, observed for `bake_seconds`."""

    weight: int
    bake_seconds: int


@dataclass(frozen=True)
class ReleasePlan:
    """The steps of a release, in order. The last one has weight 100."""

    steps: tuple[ShiftStep, ...]
