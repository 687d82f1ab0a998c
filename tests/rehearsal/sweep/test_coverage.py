"""What counts as gone through: also in branches that run at the same time."""

from rehearsal.stage import Execution
from rehearsal.sweep.coverage import Edge, edges_of, read_machine

MACHINE = read_machine(
    "deploy",
    {
        "StartAt": "Ask",
        "States": {
            "Ask": {"Type": "Choice", "Choices": [{"Next": "Both"}], "Default": "Done"},
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    {"StartAt": "A", "States": {"A": {"Type": "Task", "Next": "B"}, "B": {"Type": "Pass"}}},
                    {"StartAt": "C", "States": {"C": {"Type": "Task", "Next": "D"}, "D": {"Type": "Pass"}}},
                ],
                "Catch": [{"Next": "Give up"}],
                "Next": "Done",
            },
            "Done": {"Type": "Succeed"},
            "Give up": {"Type": "Fail"},
        },
    },
)


def test_every_way_that_a_definition_has_is_an_edge() -> None:
    """By choice, by default, by catch, and into branches."""
    assert MACHINE.edges == {
        Edge("deploy", "", "Ask"),
        Edge("deploy", "Ask", "Both"),
        Edge("deploy", "Ask", "Done"),
        Edge("deploy", "Both", "Done"),
        Edge("deploy", "Both", "Give up"),
        Edge("deploy", "", "A"),
        Edge("deploy", "A", "B"),
        Edge("deploy", "", "C"),
        Edge("deploy", "C", "D"),
    }


def test_branches_that_take_turns_are_followed_each_by_itself() -> None:
    """B comes after A, whatever the other branch has done between."""
    execution = Execution("arn", "deploy", states=["Ask", "Both", "A", "C", "B", "D", "Done"])

    taken = edges_of({"deploy": MACHINE}, [execution])

    assert MACHINE.edges - taken == {Edge("deploy", "Ask", "Done"), Edge("deploy", "Both", "Give up")}


def test_an_execution_of_an_unknown_machine_counts_for_nothing() -> None:
    """Another environment's is none of ours."""
    assert edges_of({"deploy": MACHINE}, [Execution("arn", "other", states=["Ask"])]) == set()
