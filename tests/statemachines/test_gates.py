"""A release comes to its gates before it holds anything, and once more after a human has taken his time."""

import pytest

from lambdas.release.rules import explain_failure
from tests.rehearsal.engine.state_machines import FunctionError
from tests.statemachines.definitions import golden, in_branches
from tests.statemachines.machines import REQUEST, UNANSWERED, UNFORESEEN, Machines, gated, looked

LOOKS = ("Check commit", "Check foundations", "Check operations")
EMERGENCY = {**REQUEST, "emergency": "nobody can log in", "skip_gates": ["change_window"]}


def test_gates_are_passed_before_anything_is_held_or_planned(account: Machines) -> None:
    run = account.run("deploy")
    order = [run.called.index(each) for each in ("Decide gates", "Plan infrastructure", "Wait for approval")]
    order += [run.called.index(each) for each in ("Decide gates after approval", "Claim environment")]
    assert order == sorted(order)
    assert run.ending[0] == "SUCCEEDED"


@pytest.mark.parametrize("again", ["", " after approval"])
def test_decision_is_given_what_all_three_have_found(account: Machines, again: str) -> None:
    given = account.run("deploy").given(f"Decide gates{again}")
    assert given["looks"] == [{"look": looked()}] * 3
    assert given["since"]
    assert given["emergency_skips"] == []


@pytest.mark.parametrize("again", ["", " after approval"])
@pytest.mark.parametrize("number", range(3))
def test_look_that_fails_is_a_result_and_keeps_nobody_from_looking(account: Machines, number: int, again: str) -> None:
    """A gate that nobody could look at is decided as such; the machine goes on to that decision."""
    name = f"{LOOKS[number]}{again}"
    run = account.run("deploy", {name: FunctionError("Sandbox.Timedout", "after 25 s")})
    given = run.given(f"Decide gates{again}")["looks"]
    failure = given[number]["look"]["failure"]
    assert explain_failure(failure) == "Sandbox.Timedout: after 25 s"
    assert [each for each in given if each == {"look": looked()}] == [{"look": looked()}] * 2
    assert len(run.calls_of(name)) == 2


def test_nothing_leaves_the_branches_but_a_result() -> None:
    """A Parallel with a branch that fails would stop the others, and hide what they have found."""
    for inner in in_branches(golden("deploy")).values():
        there = dict(inner)
        for name, task in there.items():
            if task["Type"] == "Task":
                (catch,) = task["Catch"]
                assert catch["ErrorEquals"] == ["States.ALL"]
                assert there[catch["Next"]]["Type"] == "Pass"
                assert there[catch["Next"]]["End"]
                assert task["TimeoutSeconds"] <= 30, name


def test_all_gates_are_looked_at_again_while_the_release_waits(account: Machines) -> None:
    """Without the beginning of the wait moving along: patience has an end."""
    waits = gated("wait", again_at="2026-03-01T10:00:00Z")
    run = account.run("deploy", {"Decide gates": [waits, waits, gated()]})
    assert all(run.called.count(each) == 3 for each in LOOKS)
    assert len({call.given["since"] for call in run.calls_of("Decide gates")}) == 1
    assert run.ending[0] == "SUCCEEDED"


def test_patience_begins_anew_after_an_approval(account: Machines) -> None:
    run = account.run("deploy")
    assert run.given("Decide gates")["since"] < run.given("Decide gates after approval")["since"]


@pytest.mark.parametrize("state", ["Decide gates", "Decide gates after approval"])
def test_refused_release_holds_nothing_and_is_told(account: Machines, state: str) -> None:
    run = account.run("deploy", {state: gated("refuse")})
    assert run.ending == ("FAILED", "GatesFailed", "The release waits for its tests.")
    assert "Claim environment" not in run.called
    assert run.given("Tell about the gates")["kind"] == "gates_failed"


def test_release_that_cannot_be_decided_holds_nothing_and_is_told(account: Machines) -> None:
    run = account.run("deploy", {"Decide gates": UNFORESEEN})
    assert run.ending[:2] == ("FAILED", "GatesFailed")
    assert "Claim environment" not in run.called
    assert run.given("Tell that no gate is decided")["failure"]["Error"] == "KeyError"


def test_emergency_is_told_with_its_reason_before_anything_is_held(account: Machines) -> None:
    run = account.run("deploy", given=EMERGENCY)
    given = run.given("Tell about the emergency")
    assert given["kind"] == "emergency"
    assert "nobody can log in" in given["reason"]
    assert "backup (required): passed" in given["reason"]
    assert run.called.index("Tell about the emergency") < run.called.index("Claim environment")


def test_emergency_skips_its_gates_everywhere_and_says_so_to_everybody(account: Machines) -> None:
    run = account.run("deploy", given=EMERGENCY)
    for name in ("Decide gates", *LOOKS):
        for again in ("", " after approval"):
            assert run.given(f"{name}{again}")["emergency_skips"] == ["change_window"]


def test_emergency_can_go_without_an_approval_but_not_without_being_told(account: Machines) -> None:
    run = account.run("deploy", {"Wait for approval": UNANSWERED}, {**EMERGENCY, "skip_gates": ["approval"]})
    assert run.ending[0] == "SUCCEEDED"
    assert "Wait for approval" not in run.called
    assert "Tell about the emergency" in run.called


def test_warnings_are_told_and_nothing_is_told_without(account: Machines) -> None:
    run = account.run("deploy", {"Decide gates": gated(warnings="cdn (warn): failed")})
    assert run.given("Tell about the warnings")["reason"] == "cdn (warn): failed"
    called = account.run("deploy").called
    assert not {"Tell about the warnings", "Tell about the emergency", "Tell about the gates"} & set(called)


def test_who_pushed_the_commit_is_handed_on(account: Machines) -> None:
    assert account.run("deploy", given={**REQUEST, "pushed_by": "zoe"}).given("Decide gates")["pushed_by"] == "zoe"
