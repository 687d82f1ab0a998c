"""Where things go on a plot: ticks that people would choose, traffic merged to what can be seen, labels that fit."""

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

from lambdas.reports.story import Traffic

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_TIME_STEPS = (
    *(10, 15, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY),
)

_UNITS = (("M", 1_000_000), ("k", 1000))

_LOG_FROM = 50
"""Latencies that differ by more than this factor are drawn on a logarithmic scale."""

_ALMOST = 1 - 1e-9
"""Floats that ought to be equal are."""


@dataclass(frozen=True)
class TimeAxis:
    """Moments from left to right. It is never shorter than a minute, so that a story without length has a plot, too."""

    began: datetime
    ended: datetime
    left: float
    right: float

    @classmethod
    def over(cls, moments: Iterable[datetime], left: float, right: float) -> "TimeAxis":
        """Make the axis that shows all of some moments."""
        known = [moment.astimezone(UTC) for moment in moments]
        began = min(known)
        return cls(began, max(*known, began + timedelta(minutes=1)), left, right)

    @property
    def seconds(self) -> float:
        """How much time it shows."""
        return (self.ended - self.began).total_seconds()

    def x(self, moment: datetime) -> float:
        """Return where a moment is."""
        return self.left + (moment - self.began).total_seconds() / self.seconds * (self.right - self.left)

    def ticks(self, label_width: float) -> list[datetime]:
        """Choose full minutes, hours and the like, far enough from each other for labels of some width in pixels."""
        least = self.seconds * label_width / (self.right - self.left)
        step = next((step for step in _TIME_STEPS if step >= least), math.ceil(least / _DAY) * _DAY)
        first = math.ceil(self.began.timestamp() / step) * step
        return [datetime.fromtimestamp(at, UTC) for at in range(first, math.floor(self.ended.timestamp()) + 1, step)]


@dataclass(frozen=True)
class ValueScale:
    """Values from bottom (y = height) to top (y = 0), with the ticks that it should have."""

    lowest: float
    highest: float
    height: float
    ticks: Sequence[float]
    is_logarithmic: bool = False

    def y(self, value: float) -> float:
        """Return where a value is. What is below the lowest one is at the bottom."""
        value = max(value, self.lowest)
        if self.is_logarithmic:
            share = math.log(value / self.lowest) / math.log(self.highest / self.lowest)
        else:
            share = (value - self.lowest) / (self.highest - self.lowest)
        return self.height * (1 - share)


def _tidy_above(value: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten, from below."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value * _ALMOST)


def _tidy_below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (5, 2, 1, 0.5) if factor * power * _ALMOST <= value)


def linear_scale(top: float, height: float, most_ticks: int) -> ValueScale:
    """Make a scale from 0 to a tidy number that is not below `top`."""
    top = top if top > 0 else 1.0
    step = _tidy_above(top / most_ticks)
    count = math.ceil(top / step * _ALMOST)
    return ValueScale(0, count * step, height, [each * step for each in range(count + 1)])


def latency_scale(values: Sequence[float], height: float, most_ticks: int) -> ValueScale:
    """Make a scale from 0, or a logarithmic one with powers of ten where a linear one would hide the small values."""
    positive = [value for value in values if value > 0]
    if not positive or max(positive) <= _LOG_FROM * min(positive):
        return linear_scale(max(values, default=0), height, most_ticks)
    lowest, highest = _tidy_below(min(positive)), _tidy_above(max(positive))
    powers = range(math.ceil(math.log10(lowest)), math.floor(math.log10(highest)) + 1)
    step = math.ceil(len(powers) / most_ticks)
    return ValueScale(lowest, highest, height, [10.0**power for power in powers[::step]], is_logarithmic=True)


def brief(value: float) -> str:
    """Write a tick's value in at most five characters: 0.02, 250, 1.5k, 12k, 2M."""
    unit, size = next(((unit, size) for unit, size in _UNITS if value >= size), ("", 1))
    return f"{value / size:.4g}{unit}"


def end_of(traffic: Traffic) -> datetime:
    """Return when the interval of some traffic ended."""
    return traffic.at + timedelta(seconds=traffic.seconds)


def merged(traffic: Sequence[Traffic], axis: TimeAxis, most: int) -> list[Traffic]:
    """
    Return traffic in order, in at most about so many intervals: more cannot be seen.

    Counts add up. Of percentiles the highest stays: they cannot be added, and what was slow must not be hidden.
    """
    ordered = sorted(traffic, key=lambda each: each.at)
    if len(ordered) <= most:
        return ordered
    width = axis.seconds / most
    return [
        _as_one(list(group))
        for _, group in groupby(ordered, lambda each: (each.at - axis.began).total_seconds() // width)
    ]


def _as_one(traffic: Sequence[Traffic]) -> Traffic:
    ended = max(end_of(each) for each in traffic)
    return replace(
        traffic[0],
        seconds=(ended - traffic[0].at).total_seconds(),
        requests=sum(each.requests for each in traffic),
        errors=sum(each.errors for each in traffic),
        p50=_highest(each.p50 for each in traffic),
        p95=_highest(each.p95 for each in traffic),
        p99=_highest(each.p99 for each in traffic),
        users_seconds=None if traffic[0].users_seconds is None else sum(each.sent_seconds for each in traffic),
    )


def _highest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def runs(traffic: Sequence[Traffic], value: Callable[[Traffic], float | None]) -> list[list[tuple[Traffic, float]]]:
    """Divide traffic where it has a gap: a value that is unknown, or time that no interval covers."""
    found: list[list[tuple[Traffic, float]]] = []
    for each in traffic:
        known = value(each)
        if known is None:
            continue
        if not found or _is_apart(found[-1][-1][0], each):
            found.append([])
        found[-1].append((each, known))
    return found


def _is_apart(before: Traffic, after: Traffic) -> bool:
    """Say whether an interval is missing. Clocks and rounding may take away half of one."""
    return (after.at - end_of(before)).total_seconds() > min(after.seconds, before.seconds) / 2


def text_width(text: str, size: float) -> float:
    """Estimate a text's width from above: which font a reader has is not known."""
    return size * sum(_width(character) for character in text)


def _width(character: str) -> float:
    if unicodedata.combining(character):
        return 0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    if character in " ijlI.,:;|!'()[]ft/-":
        return 0.4
    return 0.9 if character in "mwMW@%—" else 0.72 if character.isupper() else 0.62


def shortened(text: str, size: float, room: float) -> str:
    """Cut a text so that it fits a width."""
    if text_width(text, size) <= room:
        return text
    while text and text_width(text + "…", size) > room:
        text = text[:-1]
    return text + "…"


@dataclass(frozen=True)
class Span:
    """A part of a horizontal line."""

    left: float
    right: float


def descending_lanes(spans: Sequence[Span]) -> list[int]:
    """
    Give each span, from left to right, a lane in which it covers no other.

    One that begins over an earlier one goes below it, so that what hangs down from its own beginning crosses none.
    """
    lanes: list[int] = []
    for span in spans:
        covered = [lane for lane, other in zip(lanes, spans, strict=False) if _touch(other, span)]
        lanes.append(max(covered, default=-1) + 1)
    return lanes


def first_free_lanes(spans: Sequence[Span]) -> list[int]:
    """Give each span, in order of their beginnings, the first lane that is free again."""
    lanes: list[int] = []
    ends: list[float] = []
    for span in spans:
        lane = next((lane for lane, end in enumerate(ends) if end <= span.left), len(ends))
        ends[lane:] = [span.right, *ends[lane + 1 :]]
        lanes.append(lane)
    return lanes


def clusters(count: int, span_of: Callable[[int, int], Span]) -> list[tuple[int, int]]:
    """Join neighbors, from first to last of each, until the spans that `span_of` gives the groups do not touch."""
    found: list[tuple[int, int]] = []
    for index in range(count):
        group = (index, index)
        while found and _touch(span_of(*found[-1]), span_of(*group)):
            group = (found.pop()[0], group[1])
        found.append(group)
    return found


def _touch(one: Span, other: Span) -> bool:
    return one.left < other.right and other.left < one.right
