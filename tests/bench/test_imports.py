"""What is computed from raw measurements of imports, and what is asked of functions for them."""

from typing import Any

from bench.imports import FIRST_EVENTS, findings
from rehearsal.report import CRITICAL_PATH

BARE, SAME_CLIENTS = "bare boto3, one client", "bare boto3, clients: dynamodb, elbv2"


def run(seconds: float, first_call: float | None = None) -> dict[str, float]:
    return {"import": seconds, "processor": seconds / 2} | ({} if first_call is None else {"first_call": first_call})


RAW: dict[str, Any] = {
    "clients": {"claim-rollback": ["dynamodb", "elbv2"], "switch-listener": ["dynamodb", "elbv2"], "notify": ["sns"]},
    "critical": {
        BARE: [run(0.2, 0.01), run(0.2, 0.01)],
        SAME_CLIENTS: [run(0.24), run(0.24)],
        "claim-rollback": [run(0.28, 0.02), run(0.28, 0.02)],
        "switch-listener": [run(0.3, 0.01), run(0.3, 0.01)],
    },
    "every": {
        BARE: [run(0.4)],
        "claim-rollback": [run(0.5)],
        "notify": [run(0.44)],
        "switch-listener": [run(0.6)],
    },
}


def test_functions_are_compared_with_bare_boto3_of_the_same_rounds() -> None:
    critical, calls, every = findings(RAW).tables

    assert {BARE: "1.00", SAME_CLIENTS: "1.20", "claim-rollback": "1.40", "switch-listener": "1.50"} == {
        row[0]: row[4] for row in critical.rows
    }
    assert {BARE: "1.00", "claim-rollback": "2.00", "switch-listener": "1.00"} == {row[0]: row[4] for row in calls.rows}
    assert [BARE, "notify", "claim-rollback", "switch-listener"] == [row[0] for row in every.rows]


def test_a_goal_is_met_up_to_its_figure() -> None:
    assert [("1.40 times", True), ("1.50 times", False)] == [(goal.found, goal.met) for goal in findings(RAW).goals]


def test_what_is_no_client_of_aws_is_told() -> None:
    assert "80.0 ms more than bare boto3 with one client, and 40.0 ms more" in findings(RAW).notes[0]


def test_the_first_event_of_every_critical_function_is_known() -> None:
    """Another function on that path would otherwise be left out in silence."""
    assert set(CRITICAL_PATH) == set(FIRST_EVENTS)
