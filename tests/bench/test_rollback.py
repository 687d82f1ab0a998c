"""What is computed from raw measurements of rollbacks."""

from bench.rollback import BARE, COLD, COLD_BY_CLI, RUNBOOK, WARM, findings

RAW = {
    "legs": {
        BARE: [[0.01], [0.01]],
        WARM: [[0.01, 0.02, 0.01, 0.06], [0.01, 0.02, 0.01, 0.06]],
        COLD: [[0.5, 0.02, 0.42, 0.06], [0.5, 0.02, 0.42, 0.06]],
        COLD_BY_CLI: [[0.5, 0.5, 0.02, 0.42, 0.06]] * 2,
        RUNBOOK: [[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]],
    }
}


def test_each_way_is_compared_with_the_runbook() -> None:
    (until_back, _, _) = findings(RAW).tables

    assert {BARE: "200.0", WARM: "20.0", COLD: "2.0", COLD_BY_CLI: "1.3", RUNBOOK: "1.0"} == {
        row[0]: row[-1] for row in until_back.rows
    }


def test_a_goal_is_told_for_warm_and_for_cold_functions() -> None:
    """Only one of them would be half the truth."""
    assert [("20.0 times", True), ("2.0 times", False)] == [(goal.found, goal.met) for goal in findings(RAW).goals]


def test_the_time_of_a_rollback_is_told_by_its_parts() -> None:
    (_, parts, commands) = findings(RAW).tables

    assert [("10.0 ms", "500 ms"), ("20.0 ms", "20.0 ms"), ("10.0 ms", "420 ms"), ("60.0 ms", "60.0 ms")] == [
        tuple(row[1:]) for row in parts.rows
    ]
    assert ["500 ms"] * 4 == [row[1] for row in commands.rows]
