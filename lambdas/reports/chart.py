"""The plot of a release: machines, weights and what users got, over one time axis, as SVG. All pure."""

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from xml.etree.ElementTree import Element

from lambdas.reports.chart_labels import labels
from lambdas.reports.chart_plan import LAYOUTS, LINE, Layout, Plan, clock, color_name, in_order
from lambdas.reports.chart_rows import rows
from lambdas.reports.markup import element, number
from lambdas.reports.scales import TimeAxis, end_of, merged, text_width
from lambdas.reports.story import Story

_GAP = 18
"""Pixels between rows."""


def has_plot(story: Story) -> bool:
    """Say whether there is something that took time. Decisions alone are moments, which the events tell, too."""
    return bool(story.stretches or story.weights or any(story.traffic.values()))


def plots(story: Story) -> list[Element]:
    """Draw the plot once for each layout. The style sheet shows one of them."""
    return [_plot(story, layout) for layout in LAYOUTS]


def _plot(story: Story, layout: Layout) -> Element:
    plan = _plan(story, layout)
    above, below = labels(plan), rows(plan)
    tops = list(accumulate((row.height + _GAP for row in below), initial=above.height))
    bottom = tops[-1] - _GAP + 4
    days = _days(plan, bottom + 2 * LINE - 4)
    drawing = element(
        "svg",
        element("desc", _description(plan), id=f"plot-{layout.name}"),
        _hatching(layout),
        *_time_grid(plan, above.height, bottom),
        *days,
        *_decision_lines(plan, above.line_tops, bottom),
        *(
            element("g", *row.elements, transform=f"translate(0 {number(top)})")
            for row, top in zip(below, tops, strict=False)
        ),
        *above.elements,
        viewBox=f"0 0 {number(layout.width)} {number(bottom + LINE * (2 if days else 1))}",
        font_size=layout.text,
        role="img",
        aria_labelledby="over-time",
        aria_describedby=f"plot-{layout.name}",
    )
    return element("div", drawing, above.key, class_=f"plot {layout.name}")


def _plan(story: Story, layout: Layout) -> Plan:
    axis = TimeAxis.over(_moments(story), layout.left, layout.width - layout.right)
    known = [color for color in in_order(story.traffic) if story.traffic[color]]
    traffic = {color: merged(story.traffic[color], axis, layout.most_intervals) for color in known}
    return Plan(story, layout, axis, traffic, sorted(story.decisions, key=lambda each: each.at))


def _moments(story: Story) -> list[datetime]:
    stretched = [moment for each in story.stretches for moment in (each.began, each.ended)]
    measured = [moment for each in story.traffic.values() for one in each for moment in (one.at, end_of(one))]
    weighted, decided = [each.at for each in story.weights], [each.at for each in story.decisions]
    return [story.began, story.ended, *stretched, *measured, *weighted, *decided]


def _description(plan: Plan) -> str:
    began, ended = (f"{moment:%Y-%m-%d %H:%M}" for moment in (plan.axis.began, plan.axis.ended))
    totals = [
        f"{color_name(color)}: {sum(one.requests for one in traffic)} requests,"
        f" {sum(one.errors for one in traffic)} errors."
        for color, traffic in plan.traffic.items()
    ]
    decisions = [f"{clock(each.at)} {each.label}." for each in plan.decisions]
    return " ".join([f"From {began} to {ended} UTC.", *totals, *decisions])


def _hatching(layout: Layout) -> Element:
    """Tell green areas from blue ones without color."""
    stripe = element("path", d="M0 0V6", class_="color-green stripe")
    pattern = element(
        "pattern",
        stripe,
        id=f"hatching-{layout.name}",
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    return element("defs", pattern)


def _decision_lines(plan: Plan, tops: Sequence[float], bottom: float) -> list[Element]:
    return [
        element(
            "path",
            element("title", each.label),
            d=f"M{number(plan.axis.x(each.at))} {number(top)}V{number(bottom)}",
            class_=f"decision {each.tone}",
        )
        for each, top in zip(plan.decisions, tops, strict=True)
    ]


def _ticks(plan: Plan) -> list[datetime]:
    axis, size = plan.axis, plan.layout.text
    ticks = axis.ticks(text_width("00:00", size) * 1.8)
    return axis.ticks(text_width("00:00:00", size) * 1.5) if any(tick.second for tick in ticks) else ticks


def _time_grid(plan: Plan, top: float, bottom: float) -> list[Element]:
    """Draw the ticks of time through all rows, with seconds where they do not fall on full minutes."""
    ticks = _ticks(plan)
    pattern = "%H:%M:%S" if any(tick.second for tick in ticks) else "%H:%M"
    drawn: list[Element] = []
    for tick in ticks:
        x = plan.axis.x(tick)
        drawn.append(element("path", d=f"M{number(x)} {number(top)}V{number(bottom)}", class_="grid"))
        drawn.append(_centered(f"{tick:{pattern}}", x, bottom + LINE - 4, plan.layout))
    return drawn


def _days(plan: Plan, y: float) -> list[Element]:
    """Write the day below the first tick and below each midnight, if there is one and as far as there is room."""
    if plan.axis.began.date() == plan.axis.ended.date():
        return []
    firsts = {tick.date(): tick for tick in reversed(_ticks(plan))}
    room = text_width("0000-00-00", plan.layout.text) + 8
    drawn: list[Element] = []
    free_until = plan.layout.width + room / 2
    # from the end: a day of which only the last minutes are shown matters least
    for day, tick in firsts.items():
        x = min(max(plan.axis.x(tick), room / 2), plan.layout.width - room / 2)
        if x + room / 2 <= free_until:
            drawn.append(_centered(f"{day}", x, y, plan.layout))
            free_until = x - room / 2
    return drawn


def _centered(text: str, x: float, y: float, layout: Layout) -> Element:
    """Write below a moment, but never beyond an edge."""
    half = text_width(text, layout.text) / 2
    return element("text", text, x=min(max(x, half), layout.width - half), y=y, text_anchor="middle", class_="tick")
