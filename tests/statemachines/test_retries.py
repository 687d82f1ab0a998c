"""What is tried again, how often and when. Functions are safe to repeat, but only some errors deserve it."""

from itertools import pairwise

import pytest

from lambdas import errors
from lambdas.errors import AwsCallFailed, EnvironmentBusy, RunbackError
from tests.rehearsal.engine.state_machines import FunctionError
from tests.statemachines.definitions import MACHINES, function_of, golden, tasks
from tests.statemachines.machines import ANSWERS, UNFORESEEN, Answers, Machines
from tests.statemachines.roads import error

TRANSIENT = [
    "AwsCallFailed",
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
]
FINAL = [
    *(
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and kind not in (RunbackError, AwsCallFailed)
    ),
    "KeyError",
    "Lambda.ResourceNotFoundException",
    "Runtime.ImportModuleError",
]


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_transient_error_going_forward_is_tried_five_times(name: str, account: Machines) -> None:
    """Nothing is urgent then, and giving up a release for an error that passes is a pity."""
    run = account.run("deploy", {"Prepare idle color": FunctionError(name, "not now")})

    assert run.called.count("Prepare idle color") == 5
    assert run.ending == ("FAILED", "ReleaseAborted", f"{name}: not now")


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_transient_error_on_the_way_back_is_tried_twice(name: str, account: Machines) -> None:
    """A third attempt would come later than the watchdog's new start."""
    run = account.run("rollback", {"Switch listener back": FunctionError(name, "not now")})

    assert run.called.count("Switch listener back") == 2
    assert run.ending[:2] == ("FAILED", "Escalated")


@pytest.mark.parametrize(
    ("machine", "answers", "state", "pauses"),
    [
        ("deploy", {}, "Prepare idle color", [2, 4, 8, 16]),
        ("deploy", {}, "Shift 10 % of traffic", [2, 4, 8, 16]),
        ("deploy", {"Shift 10 % of traffic": UNFORESEEN}, "Start rollback", [1, 2, 4]),
        ("rollback", {}, "Switch listener back", [1]),
        ("rollback", {"Claim rollback": UNFORESEEN}, "Page the commands", [2, 4, 8, 16]),
    ],
)
def test_attempts_are_made_after_pauses_that_grow(
    machine: str, answers: Answers, state: str, pauses: list[int], account: Machines
) -> None:
    """Going forward they outlast a short throttling; on the way back every second counts."""
    run = account.run(machine, {**answers, state: error(AwsCallFailed)}, speed=100)

    attempts = [call.seconds for call in run.calls_of(state)]
    assert all(after - before >= pause for (before, after), pause in zip(pairwise(attempts), pauses, strict=True)), (
        attempts
    )


@pytest.mark.parametrize("name", FINAL)
@pytest.mark.parametrize(("machine", "state"), [("deploy", "Promote release"), ("rollback", "Switch listener back")])
def test_an_error_that_stays_is_not_tried_again(name: str, machine: str, state: str, account: Machines) -> None:
    """It would only cost time, and hide in the history what went wrong first."""
    run = account.run(machine, {state: FunctionError(name, "never")})

    assert run.called.count(state) == 1
    assert run.ending[0] == "FAILED"


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("deploy", "Release is live"),
        ("rollback", "Rolled back"),
        ("clean-up", "Cleaned up"),
        ("operate", "Order carried out"),
        ("report", "Report written"),
        ("push", "Nothing to release"),
        ("restore-database", "Database restored"),
    ],
    ids=MACHINES,
)
def test_an_execution_in_which_everything_fails_once_ends_well(machine: str, expected: str, account: Machines) -> None:
    """Lambda and the AWS APIs answer with an error once in a while, and nobody has to know."""
    functions = {name: function_of(task) for name, task in tasks(golden(machine)).items() if function_of(task)}
    once = {name: [error(AwsCallFailed), ANSWERS[function]] for name, function in functions.items()}

    run = account.run(machine, once)

    assert run.entered[-1] == expected
    assert all(run.called.count(state) == 2 for state in set(run.called) & set(functions))


def test_a_repeated_attempt_can_still_be_refused(account: Machines) -> None:
    """The attempts of a step need not fail alike."""
    run = account.run("deploy", {"Claim environment": [error(AwsCallFailed), error(EnvironmentBusy)]})

    assert run.called.count("Claim environment") == 2
    assert run.ending[1] == "ReleaseRefused"


def test_a_rollback_that_cannot_be_started_is_tried_four_times(account: Machines) -> None:
    """Nobody else starts it at once; after that a human is paged, and the rule on failed executions starts it."""
    run = account.run(
        "deploy",
        {
            "Promote release": UNFORESEEN,
            "Start rollback": FunctionError("StepFunctions.ServiceUnavailableException", "not now"),
        },
    )

    assert run.called.count("Start rollback") == 4
    assert run.ending[:2] == ("FAILED", "Escalated")
