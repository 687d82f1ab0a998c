"""What all rows of the plot need: how wide it is, where a moment is, and what a panel looks like. All pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from lambdas.reports.markup import element, number
from lambdas.reports.scales import TimeAxis, ValueScale, brief
from lambdas.reports.story import Decision, Story, Traffic

LINE = 20
"""Pixels from one line of text to the next."""

BASELINE = 4.5
"""Pixels from a text's middle down to where SVG wants it placed."""

_HEADING = 22
_COLORS = ("blue", "green")


@dataclass(frozen=True)
class Layout:
    """Sizes of the plot for readers of one width of screen, in pixels. Its name is a class of the style sheet."""

    name: str
    width: float
    left: float
    right: float
    text: float
    most_intervals: int
    label_lanes: int
    names_beside_lanes: bool


LAYOUTS = (
    Layout("wide", 1040, 84, 20, 12.5, 300, 4, names_beside_lanes=True),
    Layout("medium", 680, 76, 16, 12.5, 200, 4, names_beside_lanes=True),
    Layout("narrow", 368, 38, 12, 12, 110, 5, names_beside_lanes=False),
)


@dataclass(frozen=True)
class Row:
    """A part of the plot that is as wide as the plot, drawn from y = 0 on."""

    height: float
    elements: Sequence[Element]


@dataclass(frozen=True)
class Plan:
    """A story for one layout: where a moment is, and traffic and decisions in order, as fine as can be seen."""

    story: Story
    layout: Layout
    axis: TimeAxis
    traffic: Mapping[str, Sequence[Traffic]]
    decisions: Sequence[Decision]


def color_class(color: str) -> str:
    """Return the class of the style sheet for a color of a release, or for the load balancer."""
    return f"color-{color if color in _COLORS else 'other' if color else 'balancer'}"


def color_name(color: str) -> str:
    """Return how readers know a color: what belongs to none was answered by the load balancer itself."""
    return color or "load balancer"


def in_order(colors: Mapping[str, object]) -> list[str]:
    """Return colors, always in the same order: the load balancer comes last."""
    return sorted(colors, key=lambda color: (not color, color))


def clock(moment: datetime) -> str:
    """Write a time of day."""
    return f"{moment.astimezone(UTC):%H:%M:%S}"


def note(plan: Plan, text: str) -> Row:
    """Make a row of a single line."""
    return Row(_HEADING - 8, [_heading(plan, text)])


def _heading(plan: Plan, text: str) -> Element:
    return element("text", text, x=plan.layout.left, y=_HEADING - 8, class_="heading")


def panel(plan: Plan, heading: str, scale: ValueScale, drawn: Sequence[Element]) -> Row:
    """Draw a row with a heading, and values from bottom to top."""
    layout = plan.layout
    across = f"H{number(layout.width - layout.right)}"
    lines = [element("path", d=f"M{number(layout.left)} {number(scale.height)}{across}", class_="base")]
    names = []
    for tick in scale.ticks:
        y = scale.y(tick)
        if tick != scale.lowest:
            lines.insert(0, element("path", d=f"M{number(layout.left)} {number(y)}{across}", class_="grid"))
        names.append(element("text", brief(tick), x=layout.left - 8, y=y + BASELINE, text_anchor="end", class_="tick"))
    inner = element("g", *lines, *names, *drawn, transform=f"translate(0 {_HEADING})")
    return Row(_HEADING + scale.height, [_heading(plan, heading), inner])
