"""The rows of the plot: machines, shares of the traffic, and what users got. All pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from xml.etree.ElementTree import Element

from lambdas.reports.chart_plan import BASELINE, LINE, Plan, Row, clock, color_class, color_name, in_order, note, panel
from lambdas.reports.markup import element, number
from lambdas.reports.scales import (
    Span,
    ValueScale,
    end_of,
    first_free_lanes,
    latency_scale,
    linear_scale,
    runs,
    shortened,
    text_width,
)
from lambdas.reports.story import Stretch, Tone, Traffic

_BAR = 24
_WEIGHTS_HEIGHT, _REQUESTS_HEIGHT, _ERRORS_HEIGHT, _LATENCY_HEIGHT = 56, 84, 36, 72
"""Pixels."""

_LEAST_NAMED_PERCENT = 30
"""A smaller share is not high enough for a text."""

_MOST_MILLISECONDS = 10_000
"""From here on latencies are in seconds."""

_PERCENTILES = ("p50", "p95", "p99")


def rows(plan: Plan) -> list[Row]:
    """Draw all rows from top to bottom. What is not known has none."""
    drawn = [_machines(plan), _weights(plan), _requests(plan), *_errors(plan), *_latencies(plan)]
    return [row for row in drawn if row.height]


def _machines(plan: Plan) -> Row:
    """Draw what each machine was doing. One that did several things at once has several lanes."""
    by_begin = sorted(plan.story.stretches, key=lambda each: each.began)
    drawn: list[Element] = []
    y = 0.0
    for machine in dict.fromkeys(each.machine for each in by_begin):
        own = [each for each in by_begin if each.machine == machine]
        lanes = first_free_lanes([Span(plan.axis.x(each.began), plan.axis.x(each.ended)) for each in own])
        drawn.append(_machine_name(plan, machine, y))
        y += 0 if plan.layout.names_beside_lanes else LINE
        for each, lane in zip(own, lanes, strict=True):
            drawn += _bar(plan, each, y + lane * (_BAR + 2))
        y += (max(lanes) + 1) * (_BAR + 2) + 6
    return Row(max(y - 8, 0), drawn)


def _machine_name(plan: Plan, machine: str, y: float) -> Element:
    layout = plan.layout
    room = layout.left - 14 if layout.names_beside_lanes else layout.width - layout.left - layout.right
    return element(
        "text",
        element("title", machine),
        shortened(machine, layout.text, room),
        x=layout.left - 10 if layout.names_beside_lanes else layout.left,
        y=y + (_BAR / 2 + BASELINE if layout.names_beside_lanes else 13),
        text_anchor="end" if layout.names_beside_lanes else None,
        class_="heading",
    )


def _bar(plan: Plan, stretch: Stretch, y: float) -> list[Element]:
    axis, size = plan.axis, plan.layout.text
    x = axis.x(stretch.began)
    width = max(axis.x(stretch.ended) - x - 1, 1.5)
    name = {Tone.BAD: "× ", Tone.WARNING: "! "}.get(stretch.tone, "") + stretch.name
    times = f"{clock(stretch.began)} to {clock(stretch.ended)}"
    drawn = [
        element(
            "rect",
            element("title", f"{stretch.machine}: {name}, {times} UTC"),
            x=x,
            y=y,
            width=width,
            height=_BAR,
            rx=min(3, width / 2),
            class_=f"bar {stretch.tone}",
        )
    ]
    if text_width(name, size) + 12 <= width:
        drawn.append(element("text", name, x=x + 6, y=y + _BAR / 2 + BASELINE, class_=f"bar-name {stretch.tone}"))
    return drawn


def _weights(plan: Plan) -> Row:
    """Draw the colors' shares on top of each other. Before the first known weights there is nothing."""
    weights = sorted(plan.story.weights, key=lambda each: each.at)
    if not weights:
        return Row(0, [])
    scale = ValueScale(0, 100, _WEIGHTS_HEIGHT, (0, 50, 100))
    ends = [*(each.at for each in weights[1:]), plan.axis.ended]
    parts = [
        (each.percent, plan.axis.x(each.at), plan.axis.x(ended)) for each, ended in zip(weights, ends, strict=True)
    ]
    drawn: list[Element] = []
    below = [0] * len(parts)
    for color in in_order(dict.fromkeys(color for percent, _, _ in parts for color in percent)):
        above = [under + percent.get(color, 0) for under, (percent, _, _) in zip(below, parts, strict=True)]
        boxes = [
            f"M{number(left)} {number(scale.y(high))}H{number(right)}V{number(scale.y(low))}H{number(left)}z"
            for (_, left, right), low, high in zip(parts, below, above, strict=True)
            if high > low
        ]
        drawn.append(element("path", d="".join(boxes), class_=f"share {color_class(color)}"))
        if color == "green":
            drawn.append(element("path", d="".join(boxes), fill=f"url(#hatching-{plan.layout.name})"))
        drawn += _share_names(
            plan, color, parts, [scale.y((low + high) / 2) for low, high in zip(below, above, strict=True)]
        )
        below = above
    return panel(plan, "Share of traffic, %", scale, drawn)


def _share_names(
    plan: Plan, color: str, parts: Sequence[tuple[Mapping[str, int], float, float]], middles: Sequence[float]
) -> list[Element]:
    """Write shares into their areas, where they have room."""
    size = plan.layout.text
    drawn: list[Element] = []
    written = ""
    for (percent, left, right), middle in zip(parts, middles, strict=True):
        share = percent.get(color, 0)
        texts = [text for text in (f"{color} {share} %", f"{share} %") if text_width(text, size) + 14 <= right - left]
        if share < _LEAST_NAMED_PERCENT or not texts or written == texts[0]:
            continue
        written = texts[0]
        drawn.append(element("text", texts[0], x=left + 7, y=middle + BASELINE, class_="share-name"))
    return drawn


def _per_second(count: int, traffic: Traffic) -> float:
    return count / (traffic.sent_seconds or 1)


def _requests_per_second(traffic: Traffic) -> float:
    return _per_second(traffic.requests, traffic)


def _errors_per_second(traffic: Traffic) -> float:
    return _per_second(traffic.errors, traffic)


def _served(plan: Plan) -> dict[str, Sequence[Traffic]]:
    """Return the traffic of versions. What the load balancer answered itself has no rate or latency of its own."""
    return {color: traffic for color, traffic in plan.traffic.items() if color}


def _requests(plan: Plan) -> Row:
    served = _served(plan)
    if not served:
        return Row(0, [])
    top = max(_requests_per_second(each) for traffic in served.values() for each in traffic)
    scale = linear_scale(top, _REQUESTS_HEIGHT, 4)
    drawn: list[Element] = []
    for color, traffic in served.items():
        found = runs(traffic, _requests_per_second)
        drawn.append(element("path", d=_area(plan, scale, found), class_=f"area {color_class(color)}"))
        drawn.append(element("path", d=_steps(plan, scale, found), class_=f"line requests {color_class(color)}"))
    return panel(plan, "Requests per second", scale, drawn)


def _errors(plan: Plan) -> list[Row]:
    """Give each color that had errors a panel of its own, so that none hides another's."""
    if not plan.traffic:
        return []
    failed = {color: traffic for color, traffic in plan.traffic.items() if any(each.errors for each in traffic)}
    if not failed:
        return [note(plan, "Errors per second: none")]
    top = max(_errors_per_second(each) for traffic in failed.values() for each in traffic)
    scale = linear_scale(top, _ERRORS_HEIGHT, 2)
    return [
        panel(
            plan,
            f"Errors per second, {color_name(color)}",
            scale,
            [element("path", d=_bars(plan, scale, traffic), class_=f"errors {color_class(color)}")],
        )
        for color, traffic in failed.items()
    ]


def _bars(plan: Plan, scale: ValueScale, traffic: Sequence[Traffic]) -> str:
    """Draw a bar wherever there was an error, however few and short: at least 2 by 4 pixels."""
    bars = []
    for each in traffic:
        if each.errors:
            left = plan.axis.x(each.at)
            width = max(plan.axis.x(end_of(each)) - left, 2)
            height = max(scale.height - scale.y(_errors_per_second(each)), 4)
            bars.append(f"M{number(left)} {number(scale.height)}v{number(-height)}h{number(width)}v{number(height)}z")
    return "".join(bars)


def _latencies(plan: Plan) -> list[Row]:
    """Give each color a panel with its percentiles. All have the same scale, to be compared."""
    answered = {
        color: traffic
        for color, traffic in _served(plan).items()
        if any(getattr(each, name) is not None for each in traffic for name in _PERCENTILES)
    }
    if not answered:
        return []
    values = [
        value
        for traffic in answered.values()
        for each in traffic
        for name in _PERCENTILES
        if (value := getattr(each, name)) is not None
    ]
    unit, divisor = ("s", 1000) if max(values) >= _MOST_MILLISECONDS else ("ms", 1)
    scale = latency_scale([value / divisor for value in values], _LATENCY_HEIGHT, 4)
    rows = []
    for color, traffic in answered.items():
        drawn = _percentile_key(plan, color)
        for name in _PERCENTILES:
            found = runs(traffic, lambda each, name=name: _scaled(getattr(each, name), divisor))  # type: ignore[misc]
            drawn.append(element("path", d=_steps(plan, scale, found), class_=f"line {name} {color_class(color)}"))
        rows.append(panel(plan, f"Latency of {color}, {unit}", scale, drawn))
    return rows


def _scaled(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _percentile_key(plan: Plan, color: str) -> list[Element]:
    """Say, at the right of a heading, which line is which percentile."""
    drawn: list[Element] = []
    x = plan.layout.width - plan.layout.right
    for name in reversed(_PERCENTILES):
        x -= text_width(name, plan.layout.text)
        drawn.append(element("text", name, x=x, y=-8, class_="tick"))
        drawn.append(element("path", d=f"M{number(x - 20)} -12.5h16", class_=f"line {name} {color_class(color)}"))
        x -= 32
    return drawn


def _points(plan: Plan, scale: ValueScale, run: Sequence[tuple[Traffic, float]]) -> list[tuple[float, float]]:
    """Return where each interval begins, and last where the run ends. A value as before needs no new point."""
    points = [(plan.axis.x(each.at), scale.y(value)) for each, value in run]
    changed = [points[0], *(after for before, after in pairwise(points) if number(after[1]) != number(before[1]))]
    return [*changed, (plan.axis.x(end_of(run[-1][0])), points[-1][1])]


def _steps(plan: Plan, scale: ValueScale, found: Sequence[Sequence[tuple[Traffic, float]]]) -> str:
    return "".join(_step(_points(plan, scale, run)) for run in found)


def _step(points: Sequence[tuple[float, float]]) -> str:
    steps = "".join(f"H{number(x)}V{number(y)}" for x, y in points[1:-1])
    return f"M{number(points[0][0])} {number(points[0][1])}{steps}H{number(points[-1][0])}"


def _area(plan: Plan, scale: ValueScale, found: Sequence[Sequence[tuple[Traffic, float]]]) -> str:
    areas = []
    for run in found:
        points = _points(plan, scale, run)
        areas.append(f"{_step(points)}V{number(scale.height)}H{number(points[0][0])}z")
    return "".join(areas)
