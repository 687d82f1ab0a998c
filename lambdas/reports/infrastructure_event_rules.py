"""What was planned and applied of the infrastructure, in the sentences that an operator would use. All pure."""

from collections.abc import Callable, Mapping

from lambdas.reports.history_rules import Visit

INFRASTRUCTURE_PARTS: Mapping[str, str] = {
    "Wait for plan": "Plan infrastructure",
    "Check plan": "Plan infrastructure",
    "Wait for infrastructure": "Apply infrastructure",
    "Check infrastructure": "Apply infrastructure",
    "Wait for its end": "Look at applies",
    "Wait for its end after abort": "Look at applies after abort",
    "Wait for old plan": "Plan old infrastructure",
    "Check old plan": "Plan old infrastructure",
    "Wait for old infrastructure": "Apply old infrastructure",
    "Check old infrastructure": "Apply old infrastructure",
}
"""The states that an operator takes for a part of another one: those that wait and look again."""


def _inspected(visit: Visit) -> str:
    if not visit.answer["ready"]:
        return ""
    return f"The plan of the infrastructure was inspected, and may be applied. {visit.answer['summary']}"


def _applied(visit: Visit) -> str:
    return "The plan was applied." if visit.answer["ready"] else ""


def _left(visit: Visit) -> str:
    if not visit.answer["over"]:
        return "Terraform applies something still, and is waited for."
    return str(visit.answer["reason"]) or "Terraform applies nothing for this release, and has left nothing changed."


INFRASTRUCTURE_SENTENCES: Mapping[str, Callable[[Visit], str]] = {
    "start-plan": lambda visit: f"Terraform plans the infrastructure of {visit.given['version']}.",
    "check-plan": _inspected,
    "start-apply": lambda _: "Terraform applies exactly that plan.",
    "check-apply": _applied,
    "check-unfinished-apply": _left,
}
"""Empty for what nobody wants to hear of."""
