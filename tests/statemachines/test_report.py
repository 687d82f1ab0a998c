"""The report machine: it writes twice, asks nobody to wait, and whatever fails in it fails alone."""

import json

import pytest

from lambdas.errors import AwsCallFailed
from tests.rehearsal.engine.state_machines import FunctionError
from tests.statemachines.definitions import golden, holds_lease, tasks
from tests.statemachines.machines import ENDED, UNFORESEEN, Json, Machines, reported
from tests.statemachines.roads import error

EXECUTION = ENDED["execution_arn"]


def test_a_report_is_written_at_once_and_again_when_all_metrics_are_there(account: Machines) -> None:
    """A human reads the first one while the last minutes are not in it yet."""
    run = account.run("report", speed=2000)

    first, second = run.calls_of("Write report"), run.calls_of("Write report again")
    assert [call.given for call in (*first, *second)] == [ENDED, ENDED]
    assert second[0].seconds - first[0].seconds >= 180
    assert run.ending == ("SUCCEEDED", None, None)


def test_what_belongs_to_no_release_has_no_report_and_is_not_waited_for(account: Machines) -> None:
    run = account.run("report", {"Write report": reported(written=False)})

    assert run.called == ["Write report"]
    assert run.entered[-1] == "Nothing to report"
    assert run.ending[0] == "SUCCEEDED"


@pytest.mark.parametrize(
    "given",
    [
        {},
        [],
        "report",
        7,
        True,
        [EXECUTION],
        EXECUTION,
        {"execution_arn": None},
        {"execution_arn": 7},
        {"execution_arn": [EXECUTION]},
        {"execution_arn": {"execution_arn": EXECUTION}},
        {"execution_arn": ""},
        {"execution_arn": "receipt-vault-production-deploy:one"},
        {"execution_arn": EXECUTION.replace(":execution:", ":stateMachine:")},
        {"execution_arn": EXECUTION.replace(":execution:", ":express:")},
        {"execution_arn": EXECUTION.rpartition(":")[0]},
        {"arn": EXECUTION},
        {"report": {"written": True}},
    ],
    ids=str,
)
def test_an_input_without_an_execution_is_refused_with_an_example(given: Json, account: Machines) -> None:
    """Nothing of it reaches the function."""
    run = account.run("report", given=given)

    assert run.entered == ["Is an execution named?", "Reject request"]
    assert run.called == []
    assert run.ending[:2] == ("FAILED", "InvalidRequest")
    assert str(run.ending[2]).startswith("execution_arn must be ")


def test_the_example_is_an_input_that_the_machine_understands(account: Machines) -> None:
    cause = golden("report")["States"]["Reject request"]["Cause"]
    example = json.loads(cause[cause.index("{") : cause.index("}") + 1])

    assert account.run("report", given=example).given("Write report") == example


@pytest.mark.parametrize("more", [{"now": "yesterday"}, {"report": "forged"}, {"failure": {"Error": "forged"}}])
def test_the_function_is_given_the_execution_alone(more: dict[str, Json], account: Machines) -> None:
    run = account.run("report", given=ENDED | more)

    assert run.given("Write report") == ENDED
    assert run.given("Write report again") == ENDED


def test_a_report_that_cannot_be_written_says_why(account: Machines) -> None:
    run = account.run("report", {"Write report": FunctionError("AccessDenied", "s3:PutObject")})

    assert run.after("Write report") == ["Report not written"]
    assert run.ending == (
        "FAILED",
        "ReportNotWritten",
        'AccessDenied: {"errorType":"AccessDenied","errorMessage":"s3:PutObject"}',
    )


def test_a_report_without_its_last_minutes_is_not_taken_for_a_whole_one(account: Machines) -> None:
    run = account.run("report", {"Write report again": UNFORESEEN})

    assert run.after("Write report again") == ["Report not written"]
    assert run.ending[:2] == ("FAILED", "ReportNotWritten")


def test_an_error_that_passes_delays_a_report_and_loses_none(account: Machines) -> None:
    failing = [error(AwsCallFailed)] * 4
    run = account.run("report", {"Write report": [*failing, reported()], "Write report again": [*failing, reported()]})

    assert run.called == ["Write report"] * 5 + ["Write report again"] * 5
    assert run.entered[-1] == "Report written"


def test_it_holds_no_lease_and_tells_nobody() -> None:
    """No release waits for its report, and no human is woken for one."""
    called = tasks(golden("report")).values()

    assert not any(holds_lease(task) for task in called)
    assert {task["Parameters"]["FunctionName"] for task in called} == {"write-report"}


def test_all_attempts_and_the_wait_end_before_the_machine_is_ended() -> None:
    """Timed out, it would not say what failed."""
    definition = golden("report")
    longest = 0
    for state in definition["States"].values():
        longest += state.get("Seconds", 0)
        for retry in state.get("Retry", []):
            pauses = [retry["IntervalSeconds"] * retry["BackoffRate"] ** n for n in range(retry["MaxAttempts"])]
            longest += state["TimeoutSeconds"] * (1 + len(pauses)) + sum(pauses)

    assert longest < definition["TimeoutSeconds"]
