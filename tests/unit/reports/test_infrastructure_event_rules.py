"""What an operator reads of the infrastructure: what was planned, that it was applied, and what is left of it."""

from typing import Any

from lambdas.reports.event_rules import events_of, stretches_of
from tests.builders import DEPLOYMENT
from tests.unit.reports.histories import Played

CHECKED: dict[str, Any] = {"ready": True, "summary": "Terraform adds aws_sqs_queue.thumbnails.", "changes": 1}


def planned() -> Played:
    played = Played(DEPLOYMENT, {"version": "2222222"})
    played.task("Plan infrastructure", "start-plan", {"version": "2222222"}, {"build_id": "plan:1"})
    played.task("Check plan", "check-plan", {}, {**CHECKED, "ready": False})
    return played.task("Check plan", "check-plan", {}, CHECKED)


def said(played: Played) -> list[str]:
    return [event.text for event in events_of(played.read())][1:]


def test_plan_is_told_once_with_what_it_does() -> None:
    assert said(planned()) == [
        "Terraform plans the infrastructure of 2222222.",
        "The plan of the infrastructure was inspected, and may be applied. Terraform adds aws_sqs_queue.thumbnails.",
    ]


def test_waiting_for_a_plan_is_a_part_of_planning() -> None:
    assert [each.name for each in stretches_of(planned().read())] == ["Plan infrastructure"]


def test_apply_that_outlives_its_release_is_told_with_what_it_left() -> None:
    played = planned()
    played.task("Apply infrastructure", "start-apply", {}, {"build_id": "apply:1"})
    played.task("Look at applies", "check-unfinished-apply", {}, {"over": False, "changed": True, "reason": ""})
    left = {"over": True, "changed": True, "reason": "The infrastructure of version 2222222 was applied whole."}
    played.task("Look at applies", "check-unfinished-apply", {}, left)

    assert said(played)[2:] == [
        "Terraform applies exactly that plan.",
        "Terraform applies something still, and is waited for.",
        "The infrastructure of version 2222222 was applied whole.",
    ]


def test_release_that_left_nothing_is_told_so() -> None:
    nothing = {"over": True, "changed": False, "reason": ""}

    (told,) = said(planned().task("Look at applies", "check-unfinished-apply", {}, nothing))[2:]
    assert "has left nothing changed" in told
