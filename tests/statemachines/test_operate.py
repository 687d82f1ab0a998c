"""The operate machine: one order, told once, and never the environment in its own hands."""

import pytest

from lambdas.operate.rules import KINDS, Verdict
from lambdas.release.rules import OrderAction
from lambdas.rollback.rules import Source, read_rollback_request
from tests.rehearsal.engine.state_machines import FunctionError
from tests.statemachines.definitions import golden, holds_lease, tasks
from tests.statemachines.machines import ORDER, UNFORESEEN, Machines, looked_at, ordered
from tests.statemachines.roads import FREEING

ENDINGS = {
    Verdict.CARRIED_OUT: ("Order carried out", "SUCCEEDED", None),
    Verdict.ALREADY_SO: ("Already so", "SUCCEEDED", None),
    Verdict.ABORT: ("Order carried out", "SUCCEEDED", None),
    Verdict.ANSWER: ("Order carried out", "SUCCEEDED", None),
    Verdict.FREE: ("Order carried out", "SUCCEEDED", None),
    Verdict.REFUSED: ("Order refused", "FAILED", "OrderRefused"),
    Verdict.INVALID: ("Reject request", "FAILED", "InvalidRequest"),
}
ABORT = ordered("abort", "abort", "abort_ordered")


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_its_ending(verdict: Verdict, account: Machines) -> None:
    run = account.run("operate", {"Give order": ordered(verdict.value)})

    assert ENDINGS[verdict] == (run.entered[-1], *run.ending[:2])


@pytest.mark.parametrize("given", [ORDER, {}, [], "pause", {"order": {"verdict": "carried_out"}}])
def test_the_order_is_judged_as_it_was_given(given: object, account: Machines) -> None:
    """Whatever the input is, nothing in it gets past the function."""
    run = account.run("operate", {"Give order": ordered("refused")}, given)

    assert run.given("Give order") == {"input": given, "execution": run.arn}
    assert run.ending == ("FAILED", "OrderRefused", "Release release-two holds.")


@pytest.mark.parametrize("verdict", [Verdict.ALREADY_SO, Verdict.REFUSED, Verdict.INVALID])
def test_what_changes_nothing_is_told_to_nobody(verdict: Verdict, account: Machines) -> None:
    assert account.run("operate", {"Give order": ordered(verdict.value)}).called == ["Give order"]


def test_who_ordered_what_and_why_is_told_with_the_consequence(account: Machines) -> None:
    run = account.run("operate")

    assert run.given("Tell about the order") == {
        "kind": "paused",
        "release_id": "release-two",
        "reason": "checkout looks slow\n\nRelease release-two holds.",
        "failure": {},
        "execution": run.arn,
    }


def test_every_order_has_a_message_of_its_own() -> None:
    assert set(KINDS) == set(OrderAction)
    assert len(set(KINDS.values())) == len(KINDS)


def test_an_abort_starts_the_rollback_machine_as_an_operator_does(account: Machines) -> None:
    """By hand, and about this release: the rollback machine decides from the record what that takes."""
    run = account.run("operate", {"Give order": ABORT | {"start_as": "abort-one"}})

    given = account.started("abort-one")
    request = read_rollback_request(given)
    assert given == {"release_id": "release-two", "reason": "checkout looks slow"}
    assert (request.problem, request.source, request.release_id) == ("", Source.OPERATOR, "release-two")
    assert run.called == ["Give order", "Start rollback", "Tell about the order"]


def test_a_rollback_that_was_started_already_is_as_good(account: Machines) -> None:
    """An earlier attempt worked, and only its answer was lost."""
    account.start("abort-two")

    run = account.run("operate", {"Give order": ABORT | {"start_as": "abort-two"}})

    assert run.entered[-1] == "Order carried out"


def test_an_abort_whose_rollback_cannot_be_started_has_failed(account: Machines) -> None:
    """Told as done, nobody would look; given again, the order is followed again."""
    refused = FunctionError("StepFunctions.AccessDeniedException", "not allowed")

    run = account.run("operate", {"Give order": ABORT, "Start rollback": refused})

    assert run.ending[:2] == ("FAILED", "OrderFailed")
    assert "not allowed" in str(run.ending[2])


def test_an_order_of_unknown_outcome_has_failed(account: Machines) -> None:
    run = account.run("operate", {"Give order": UNFORESEEN})

    assert run.ending == (
        "FAILED",
        "OrderFailed",
        'KeyError: {"errorType":"KeyError","errorMessage":"\'DBInstances\'"}',
    )


def test_an_environment_is_looked_at_before_and_freed_after_the_wait(account: Machines) -> None:
    """So that a refusal comes at once, and what is freed is looked at once more."""
    run = account.run("operate", {"Give order": FREEING}, speed=2000)

    look, free = run.given("Look at the environment"), run.given("Free environment")
    asked = {"release_id": "release-two", "asked": "checkout looks slow", "execution": run.arn}
    assert look == {**asked, "only_look": True}
    assert free == {**asked, "asked": "its deployment is dead", "only_look": False}
    (before,), (after,) = run.calls_of("Look at the environment"), run.calls_of("Free environment")
    assert after.seconds - before.seconds >= 65


def test_nothing_is_freed_that_must_not_be(account: Machines) -> None:
    run = account.run("operate", {"Give order": FREEING, "Look at the environment": looked_at("refused")})

    assert run.called == ["Give order", "Look at the environment"]
    assert run.ending == ("FAILED", "OrderRefused", "The environment is free.")


def test_no_lease_is_in_this_machine() -> None:
    """It could not be held by an execution whose end nobody watches."""
    assert not any(holds_lease(task) for task in tasks(golden("operate")).values())


def test_the_lease_of_a_dead_holder_is_taken_when_no_step_of_it_can_still_work() -> None:
    longest = max(
        task["TimeoutSeconds"]
        for name in ("deploy", "rollback", "clean-up")
        for state, task in tasks(golden(name)).items()
        if state not in ("Run migrations", "Wait for approval")  # for whose end the order waits, and without a lease
    )
    assert golden("operate")["States"]["Wait for its last step"]["Seconds"] >= longest
