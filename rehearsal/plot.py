"""A release's plot for people without a browser: the rows of the report's, as characters."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lambdas.reports.story import Story, Traffic

WIDEST = 120
_LABEL, _SCALE = 12, 8
_TICK_EVERY = 16
_LEVELS, _PLAIN_LEVELS = "▁▂▃▄▅▆▇█", ".:-=+*%#"
_BUSY, _PLAIN_BUSY = "▬", "="
_COLORS = ("blue", "green")

Count = Callable[[Traffic], int]


@dataclass(frozen=True)
class _Axis:
    """Divides the time of a story into columns."""

    began: datetime
    ended: datetime
    columns: int

    def column(self, at: datetime) -> int:
        """Return the column of a moment; what lies outside is put at the border."""
        share = (at - self.began) / max(self.ended - self.began, timedelta(seconds=1))
        return min(max(int(share * self.columns), 0), self.columns - 1)

    def moment(self, column: int) -> datetime:
        """Return when a column begins."""
        return self.began + (self.ended - self.began) * column / self.columns

    def row(self, label: str, content: str, scale: str = "") -> str:
        """Return a line of the plot; `scale` tells what the highest level stands for."""
        return f"{label:<{_LABEL}}{content:<{self.columns}}{scale:>{_SCALE}}".rstrip()

    def covered(self, began: datetime, ended: datetime) -> range:
        """Return the columns between two moments; never none, so that nothing short gets lost."""
        return range(self.column(began), self.column(ended) + 1)

    def columns_of(self, part: Traffic) -> range:
        """Return the columns that a part of the traffic lies in; where it ends, the next one begins."""
        return self.covered(part.at, part.at + timedelta(seconds=part.seconds, microseconds=-1))


def plot(story: Story, width: int, *, unicode: bool = True) -> Iterator[str]:
    """Yield the lines of the plot, none longer than `width` columns. Without `unicode` they are ASCII."""
    axis = _Axis(story.began, story.ended, min(width, WIDEST) - _LABEL - _SCALE)
    levels, busy = (_LEVELS, _BUSY) if unicode else (_PLAIN_LEVELS, _PLAIN_BUSY)
    yield axis.row("", _ticks(axis))
    for machine in dict.fromkeys(stretch.machine for stretch in story.stretches):
        worked = {
            n for each in story.stretches if each.machine == machine for n in axis.covered(each.began, each.ended)
        }
        yield axis.row(machine, "".join(busy if n in worked else " " for n in range(axis.columns)))
    for color in _COLORS:
        yield axis.row(f"{color} %", _line(_weights(story, axis, color), 100.0, levels), "100")
    yield from _traffic_rows(story, axis, levels)
    yield from _flags(story, axis, min(width, WIDEST))


def _traffic_rows(story: Story, axis: _Axis, levels: str) -> Iterator[str]:
    users = {color: parts for color in _COLORS if (parts := story.traffic.get(color))}
    requests = {color: _rates(parts, axis, lambda each: each.requests) for color, parts in users.items()}
    yield from _rows("req/s", requests, axis, levels)
    everybody = [each for parts in story.traffic.values() for each in parts]
    if everybody:
        yield from _rows("errors/s", {"": _rates(everybody, axis, lambda each: each.errors)}, axis, levels)
    slowest = {color: _slowest(parts, axis) for color, parts in users.items()}
    if any(value for values in slowest.values() for value in values.values()):
        yield from _rows("p99 ms", slowest, axis, levels)


def _rows(what: str, rows: Mapping[str, Mapping[int, float]], axis: _Axis, levels: str) -> Iterator[str]:
    """Yield a row for each color, all on the same scale."""
    top = max((value for values in rows.values() for value in values.values()), default=0.0)
    for color, values in rows.items():
        yield axis.row(f"{color} {what}".strip(), _line(values, top, levels), _short(top))


def _ticks(axis: _Axis) -> str:
    long = axis.ended - axis.began >= timedelta(minutes=10)
    text = ""
    for column in range(0, axis.columns - 7, _TICK_EVERY):
        text = text.ljust(column) + axis.moment(column).strftime("%H:%M" if long else "%H:%M:%S")
    return text.ljust(axis.columns)


def _line(values: Mapping[int, float], top: float, levels: str) -> str:
    columns = max(values, default=0) + 1
    return "".join(_level(values[n], top, levels) if n in values else " " for n in range(columns))


def _level(value: float, top: float, levels: str) -> str:
    """Show the least value that is not zero, too: one failed request among thousands matters."""
    if value <= 0 or top <= 0:
        return " "
    return levels[min(int(value / top * len(levels)), len(levels) - 1)]


def _weights(story: Story, axis: _Axis, color: str) -> dict[int, float]:
    shares: dict[int, float] = {}
    for change in sorted(story.weights, key=lambda each: each.at):
        for column in axis.covered(change.at, axis.ended):
            shares[column] = float(change.percent.get(color, 0))
    return shares


def _rates(parts: Iterable[Traffic], axis: _Axis, counted: Count) -> dict[int, float]:
    """Return by column what was counted per second of the users' time. A part is spread over all its columns."""
    counts: dict[int, float] = {}
    seconds: dict[int, dict[datetime, float]] = {}
    for each in parts:
        columns = axis.columns_of(each)
        for column in columns:
            counts[column] = counts.get(column, 0.0) + counted(each) / len(columns)
            seconds.setdefault(column, {})[each.at] = each.sent_seconds / len(columns)  # colors share a part's seconds
    return {column: count / sum(seconds[column].values()) for column, count in counts.items()}


def _slowest(parts: Iterable[Traffic], axis: _Axis) -> dict[int, float]:
    slowest: dict[int, float] = {}
    for each in parts:
        for column in axis.columns_of(each) if each.p99 is not None else ():
            slowest[column] = max(slowest.get(column, 0.0), each.p99 or 0.0)
    return slowest


def _short(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 10 else f"{value:.0f}"  # noqa: PLR2004  two digits are enough


def _flags(story: Story, axis: _Axis, width: int) -> Iterator[str]:
    """Mark decisions on one line, where there is room, and say below when each was made."""
    marks = ""
    for number, decision in enumerate(story.decisions, start=1):
        column = axis.column(decision.at)
        marks = marks.ljust(column) + str(number) if len(marks) <= column else marks
    if story.decisions:
        yield axis.row("decisions", marks)
    said = "   ".join(f"{number} {each.at:%H:%M:%S} {each.label}" for number, each in enumerate(story.decisions, 1))
    yield from textwrap.wrap(said, width, initial_indent=" " * _LABEL, subsequent_indent=" " * _LABEL)
