"""The decisions of a release above its plot: labels where they fit, else numbers that a list explains. All pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from lambdas.reports.chart_plan import BASELINE, LINE, Plan, clock
from lambdas.reports.markup import element, number, sign
from lambdas.reports.scales import Span, clusters, descending_lanes, text_width
from lambdas.reports.story import Decision, Tone

_MARK = 6
"""Half the width of the head of a line, with some air, in pixels."""

_SHAPES = {
    Tone.PLAIN: "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    Tone.GOOD: "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    Tone.WARNING: "m0-5l5.5 9.5h-11z",
    Tone.BAD: "m-4-4h8v8h-8z",
}
"""The head of a line by tone: a ring, which the style sheet fills if it is good, a triangle, a square."""


@dataclass(frozen=True)
class Labels:
    """What stands above all rows, and how far up each line goes. `key` explains numbers, if there are any."""

    height: float
    elements: Sequence[Element]
    line_tops: Sequence[float]
    key: Element | None = None


def labels(plan: Plan) -> Labels:
    """Write the labels of a story's decisions so that none covers another."""
    if not plan.decisions:
        return Labels(0, [], [])
    spans = [_span(plan, each) for each in plan.decisions]
    lanes = descending_lanes(spans)
    fits = all(span.left >= 0 and span.right - span.left <= plan.layout.width / 2 for span in spans)
    if not fits or max(lanes) >= plan.layout.label_lanes:
        return _numbered(plan)
    middles = [(lane + 0.5) * LINE for lane in lanes]
    drawn = [_label(plan, each, y) for each, y in zip(plan.decisions, middles, strict=True)]
    return Labels((max(lanes) + 1) * LINE + 10, drawn, middles)


def _span(plan: Plan, decision: Decision) -> Span:
    x, width = plan.axis.x(decision.at), _width(plan, decision)
    return Span(x - width, x + _MARK) if _is_left(plan, decision) else Span(x - _MARK, x + width)


def _width(plan: Plan, decision: Decision) -> float:
    return text_width(decision.label, plan.layout.text) + 20


def _is_left(plan: Plan, decision: Decision) -> bool:
    """Say whether a label has to be left of its line, because the plot ends to its right."""
    return plan.axis.x(decision.at) + _width(plan, decision) > plan.layout.width


def _label(plan: Plan, decision: Decision, y: float) -> Element:
    x, is_left = plan.axis.x(decision.at), _is_left(plan, decision)
    return element(
        "g",
        element("title", decision.label),
        element("path", d=f"M{number(x)} {number(y)}{_SHAPES[decision.tone]}", class_=f"mark {decision.tone}"),
        element(
            "text",
            decision.label,
            x=x - 10 if is_left else x + 10,
            y=y + BASELINE,
            text_anchor="end" if is_left else None,
        ),
        class_=f"label {decision.tone}",
    )


def _numbered(plan: Plan) -> Labels:
    """Number the decisions. Those that are too close to each other share a flag: 3-7."""
    groups = clusters(len(plan.decisions), lambda first, last: _flag_span(plan, first, last))
    return Labels(
        LINE + 10,
        [_flag(plan, first, last) for first, last in groups],
        [LINE - 1] * len(plan.decisions),
        element("ol", *(_explained(each) for each in plan.decisions), class_="key"),
    )


def _flag_text(first: int, last: int) -> str:
    return str(first + 1) if first == last else f"{first + 1}\N{EN DASH}{last + 1}"


def _flag_span(plan: Plan, first: int, last: int) -> Span:
    places = [plan.axis.x(each.at) for each in plan.decisions[first : last + 1]]
    half = text_width(_flag_text(first, last), plan.layout.text) / 2 + 6
    middle = min(max(sum(places) / len(places), half), plan.layout.width - half)
    return Span(middle - half, middle + half)


def _flag(plan: Plan, first: int, last: int) -> Element:
    span, meant = _flag_span(plan, first, last), plan.decisions[first : last + 1]
    left, right = span.left + 1, span.right - 1
    return element(
        "g",
        element("title", "; ".join(each.label for each in meant)),
        element("rect", x=left, y=1, width=right - left, height=LINE - 2, rx=4, class_="flag"),
        element("text", _flag_text(first, last), x=(left + right) / 2, y=LINE / 2 + BASELINE, text_anchor="middle"),
        class_=f"label {_worst([each.tone for each in meant])}",
    )


def _worst(tones: Sequence[Tone]) -> Tone:
    return next((tone for tone in (Tone.BAD, Tone.WARNING, Tone.GOOD) if tone in tones), Tone.PLAIN)


def _explained(decision: Decision) -> Element:
    return element("li", element("span", clock(decision.at)), " ", sign(decision.tone), decision.label)
