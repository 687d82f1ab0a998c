"""What a benchmark found, as values; how it looks is the business of `report`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import Spread

_A_SECOND_IN_MILLISECONDS = 1000
_KIB = 1024

Raw = Mapping[str, Any]
"""Raw measurements, as JSON can hold them."""


@dataclass(frozen=True)
class Goal:
    """What was hoped for, what came out, and whether that is it."""

    wanted: str
    found: str
    met: bool


@dataclass(frozen=True)
class Table:
    """The first column names things, the others are figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Findings:
    """Figures that were computed from raw measurements."""

    tables: Sequence[Table]
    goals: Sequence[Goal]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """What is measured, and where. `folder` is the benchmark's own, for what it makes; `say` tells progress."""

    assembly: Path
    folder: Path
    rounds: int
    say: Callable[[str], None]


@dataclass(frozen=True)
class Benchmark:
    """`measure` may raise CannotMeasure; `findings` only computes. `how` says how it is measured."""

    name: str
    title: str
    how: str
    rounds: int
    measure: Callable[[Plan], Raw]
    findings: Callable[[Raw], Findings]


def in_seconds(seconds: float) -> str:
    """Write a duration with three figures that count: `63.0 ms`, `1.25 s`, `105 s`."""
    milliseconds = seconds * _A_SECOND_IN_MILLISECONDS
    if round(milliseconds) < _A_SECOND_IN_MILLISECONDS:
        return f"{_three_figures(milliseconds)} ms"
    return f"{_three_figures(seconds)} s"


def _three_figures(value: float) -> str:
    digits = len(str(abs(int(value))))
    return f"{value:.{max(0, 3 - digits)}f}"


def in_kilobytes(size: float) -> str:
    """Write a size in KB of 1024 bytes, as AWS does."""
    return f"{size / _KIB:,.0f} KB"


def timed(seconds: Sequence[float]) -> list[str]:
    """Return the columns that a row of durations has: median, smallest to largest, and how many."""
    spread = Spread.of(seconds)
    return [
        in_seconds(spread.median),
        f"{in_seconds(spread.lowest)} to {in_seconds(spread.highest)}",
        str(spread.count),
    ]


TIMED = ("median", "from … to", "measured")
"""The names of the columns of `timed`."""
