"""How things are timed so that they can be compared: side by side, several times, with the spread told."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

Measured = TypeVar("Measured")


class CannotMeasure(Exception):
    """Something could not be measured; the message says what, and what to do if that is known."""


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    lowest: float
    highest: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarise at least one measurement. Raises ValueError for none."""
        if not values:
            raise ValueError("nothing was measured")
        return cls(statistics.median(values), min(values), max(values), len(values))


def interleaved(
    sides: Mapping[str, Callable[[], Measured]], rounds: int, progress: Callable[[str], None]
) -> dict[str, list[Measured]]:
    """
    Measure every side once a round: A, B, C, then B, C, A, and so on.

    A slow minute of the machine so hits all sides, and none is always the one that comes after the slowest.
    """
    measured: dict[str, list[Measured]] = {name: [] for name in sides}
    for number, order in enumerate(_turned(list(sides), rounds), start=1):
        for name in order:
            progress(f"round {number} of {rounds}: {name}")
            measured[name].append(sides[name]())
    return measured


def _turned(names: Sequence[str], rounds: int) -> Iterator[list[str]]:
    for number in range(rounds):
        first = number % len(names)
        yield [*names[first:], *names[:first]]


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Return how many times the one median is the other."""
    return Spread.of(numerator).median / Spread.of(denominator).median
