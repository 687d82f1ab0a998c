"""The push machine: what waits is released when it may be, one after the other, and nobody waits in vain."""

from itertools import pairwise

import pytest

from lambdas.errors import AwsCallFailed, EnvironmentBusy, ListenerDrifted, RollbackWindowOpen
from lambdas.github.execution_states import ExecutionStates
from lambdas.github.push_rules import Push, Source, Started, ending_of
from lambdas.release.rules import EnvironmentRecord
from tests.rehearsal.engine.state_machines import step_functions_client
from tests.statemachines.definitions import golden, holds_lease, tasks
from tests.statemachines.machines import PUSHED, UNFORESEEN, Answers, Json, Machines, begun, taken
from tests.statemachines.roads import ONE_AFTER_WAITING, RELEASE_ENDED, STILL_RUNS, error


def test_one_release_follows_the_other(account: Machines) -> None:
    answers = {"Start release": [begun(), begun(), begun("nothing")], "Check release": RELEASE_ENDED}
    run = account.run("push", answers)

    assert run.called == ["Take push", *["Start release", "Check release"] * 2, "Start release"]
    assert run.ending == ("SUCCEEDED", None, None)


def test_every_step_knows_for_whom_it_works(account: Machines) -> None:
    """Who takes care of pushes is an execution; another one could otherwise go on with its work."""
    run = account.run("push", {"Start release": [begun(), begun("nothing")]})

    assert run.given("Take push") == {"input": PUSHED, "execution": run.arn}
    assert [call.given for call in run.calls_of("Start release")] == [{"execution": run.arn}] * 2
    assert run.given("Check release") == {"execution": run.arn}


def test_a_push_waits_for_the_environment_and_looks_again(account: Machines) -> None:
    run = account.run("push", {"Start release": ONE_AFTER_WAITING})

    assert run.entered.count("Wait for the environment") == 1
    assert run.called.count("Start release") == 3


def test_it_is_looked_every_minute_whether_a_release_has_ended(account: Machines) -> None:
    answers = {"Start release": [begun(), begun("nothing")], "Check release": [STILL_RUNS, STILL_RUNS, RELEASE_ENDED]}
    run = account.run("push", answers, speed=2000)

    moments = [call.seconds for call in run.calls_of("Check release")]
    assert all(after - before >= 60 for before, after in pairwise(moments))


@pytest.mark.parametrize("action", ["queued", "nothing", "refused", "invalid"])
def test_what_is_not_taken_care_of_here_starts_nothing(action: str, account: Machines) -> None:
    run = account.run("push", {"Take push": taken(action, "as the test says")})

    assert run.called == ["Take push"]
    ends_well = action in {"queued", "nothing"}
    assert run.ending[0] == ("SUCCEEDED" if ends_well else "FAILED")
    assert run.ending[2] == (None if ends_well else "as the test says")


@pytest.mark.parametrize("given", [[], "push", 7, None, {"commit": []}], ids=str)
def test_any_input_reaches_the_function_that_judges_it(given: Json, account: Machines) -> None:
    run = account.run("push", {"Take push": taken("invalid", "no")}, given if given is not None else {})

    assert run.given("Take push")["input"] == (given if given is not None else {})
    assert run.ending[:2] == ("FAILED", "InvalidRequest")


@pytest.mark.parametrize("state", ["Take push", "Start release", "Check release"])
def test_people_hear_when_pushes_are_not_released(state: str, account: Machines) -> None:
    """Nothing else would say it: what serves is all right, and GitHub is green."""
    run = account.run("push", {"Start release": begun(), "Check release": RELEASE_ENDED, state: UNFORESEEN})

    told = run.given("Tell about the failure")
    assert (told["kind"], told["release_id"]) == ("push_failed", "")
    assert told["failure"]["Error"] == "KeyError"
    assert run.ending[:2] == ("FAILED", "PushFailed")
    assert "KeyError" in str(run.ending[2])


def test_a_short_trouble_is_outlasted(account: Machines) -> None:
    """Twenty pushes at once cross each other when they are written down."""
    run = account.run("push", {"Take push": [error(AwsCallFailed)] * 4 + [taken("queued")]})

    assert run.called == ["Take push"] * 5
    assert run.ending[0] == "SUCCEEDED"


def test_an_execution_lasts_longer_than_it_takes_pushes() -> None:
    """It hands over by itself after twelve hours; its time-out is for one that hangs."""
    assert golden("push")["TimeoutSeconds"] == 13 * 3600
    assert not any(holds_lease(task) for task in tasks(golden("push")).values())


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"Claim environment": error(EnvironmentBusy)}, "busy"),
        ({"Claim environment": error(RollbackWindowOpen)}, "busy"),
        ({"Claim environment": error(EnvironmentBusy), "Tell about the refusal": error(AwsCallFailed)}, "busy"),
        ({"Claim environment": error(ListenerDrifted)}, "refused"),
        ({"Validate request": UNFORESEEN}, "no_answer"),
    ],
)
def test_a_release_that_could_not_begin_says_in_its_history_whether_it_may_later(
    answers: Answers, expected: str, account: Machines
) -> None:
    """The error of the execution is the same for all that a claim refuses."""
    run = account.run("deploy", answers)
    found = ExecutionStates(step_functions_client()).with_failures(run.arn)
    started = Started(Push("2" * 40, "", Source.GITHUB), "push", run.arn, "")

    ending = ending_of(started, found, {}, "", EnvironmentRecord())
    assert ending is not None
    assert ending.outcome == expected
