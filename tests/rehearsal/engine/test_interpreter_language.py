"""States Language as AWS reads it. Each test also shows that moto still needs the repair."""

import json
import re
import time
from datetime import timedelta
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from tests.rehearsal.engine.state_machines import (
    PASS,
    FunctionError,
    Handler,
    Json,
    StateMachines,
    repaired_and_stock,
    state_machines,
    task,
)

WAIT = {"Type": "Wait", "TimestampPath": "$.at", "End": True}


def failing(name: str) -> Handler:
    def handler(_: Json) -> None:
        raise FunctionError(name, "as told")

    return handler


def question(choices: list[dict[str, Any]], default: str | None = None) -> dict[str, Any]:
    return {"Type": "Choice", "Choices": choices, **({"Default": default} if default else {})}


@pytest.mark.parametrize(
    ("path", "value"),
    [("$.targets[0].health", "healthy"), ("$.targets[1]['health']", "draining"), ("$.targets[0].tags[1]", "b")],
)
def test_paths_through_a_list_give_one_value(path: str, value: str) -> None:
    """Otherwise a Choice on it silently takes its Default."""
    targets = [{"health": "healthy", "tags": ["a", "b"]}, {"health": "draining"}]

    def observe(account: StateMachines) -> Json:
        return account.output({"Pick": {**PASS, "Parameters": {"value.$": path}}}, {"targets": targets})

    repaired, stock = repaired_and_stock(observe)

    assert repaired == {"value": value}
    if not path.endswith("]"):
        assert stock == {"value": [value]}


def test_a_wait_ends_at_its_timestamp_and_not_before() -> None:
    """A machine that asks a second too early what it waits for would ask again and again."""

    def observe(account: StateMachines) -> tuple[str, bool]:
        moment = account.clock.now() + timedelta(seconds=1.9)
        ended = account.run({"Wait": WAIT}, {"at": moment.isoformat(timespec="milliseconds")})
        return ended["status"], ended["stopDate"] >= moment - timedelta(milliseconds=1)

    repaired, stock = repaired_and_stock(observe)

    assert repaired == ("SUCCEEDED", True)
    assert stock[0] == "FAILED"  # it does not read "+00:00"


@pytest.mark.parametrize("timestamp", ["2020-01-01T00:00:00Z", "2020-01-01T02:00:00.5+02:00"])
def test_a_timestamp_that_is_over_is_not_waited_for(timestamp: str) -> None:
    with state_machines() as account:
        before = account.clock.seconds()
        assert account.run({"Wait": WAIT}, {"at": timestamp})["status"] == "SUCCEEDED"
        assert account.clock.seconds() - before < 600


@pytest.mark.parametrize("timestamp", ["tomorrow", "2020-13-01T00:00:00Z", "2020-01-01T00:00:00"])
def test_what_is_no_timestamp_ends_the_execution(timestamp: str) -> None:
    """As on AWS, past every Catch."""
    with state_machines() as account:
        ended = account.run({"Wait": WAIT}, {"at": timestamp})

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


def test_paths_that_can_name_several_values_stay_lists() -> None:
    """The repair is for single nodes only."""
    paths = {"all.$": "$.targets[*].port", "first.$": "$.targets[0:1].port", "some.$": "$.targets[?(@.port > 80)].port"}
    with state_machines() as account:
        output = account.output({"Pick": {**PASS, "Parameters": paths}}, {"targets": [{"port": 80}, {"port": 443}]})

    assert output == {"all": [80, 443], "first": [80], "some": [443]}


def test_a_path_to_nothing_is_an_error() -> None:
    """A misspelt path must not become an empty value."""
    with state_machines() as account:
        ended = account.run({"Pick": {**PASS, "Parameters": {"value.$": "$.targets[0].port"}}}, {"targets": []})

    assert ended["error"] == "States.Runtime"
    assert "$.targets[0].port" in ended["cause"]


@pytest.mark.parametrize("wildcard", ["States.ALL", "States.TaskFailed"])
@pytest.mark.parametrize("error", ["States.Runtime", "States.DataLimitExceeded"])
def test_wildcards_do_not_catch_what_ends_an_execution_on_aws(wildcard: str, error: str) -> None:
    """A rehearsal must not show a rollback that AWS would never start."""
    faults = {"States.Runtime": {"ResultSelector": {"value.$": "$.Payload.missing"}}, "States.DataLimitExceeded": {}}
    states = {
        "Work": task("work", Catch=[{"ErrorEquals": [wildcard], "Next": "Roll back"}], **faults[error]),
        "Roll back": PASS,
    }

    def observe(account: StateMachines) -> str:
        account.functions["work"] = lambda _: {"large": "x" * 300_000} if error == "States.DataLimitExceeded" else {}
        return account.run(states).get("error", "caught")

    repaired, stock = repaired_and_stock(observe)

    assert repaired == error
    assert stock == ("caught" if wildcard == "States.ALL" else error)


@pytest.mark.parametrize(
    ("wildcard", "caught"),
    [("States.ALL", True), ("States.TaskFailed", False)],
)
def test_a_task_time_out_is_caught_by_all_but_is_no_task_failure(wildcard: str, *, caught: bool) -> None:
    """States.TaskFailed matches any error but States.Timeout."""
    states = {
        "Work": task("work", TimeoutSeconds=1, Catch=[{"ErrorEquals": [wildcard], "Next": "Roll back"}]),
        "Roll back": PASS,
    }
    with state_machines() as account:
        account.functions["work"] = lambda _: account.clock.sleep(60)
        ended = account.run(states)

    assert (ended["status"], ended.get("error")) == (("SUCCEEDED", None) if caught else ("FAILED", "States.Timeout"))


def test_task_failed_catches_errors_of_the_states_family() -> None:
    """States.Permissions out of a branch is a task failure like any other."""
    branch = {"StartAt": "Refuse", "States": {"Refuse": {"Type": "Fail", "Error": "States.Permissions", "Cause": "no"}}}
    states = {
        "Both": {
            "Type": "Parallel",
            "Branches": [branch],
            "Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": "Roll back"}],
            "End": True,
        },
        "Roll back": PASS,
    }

    repaired, stock = repaired_and_stock(lambda account: account.run(states)["status"])

    assert (repaired, stock) == ("SUCCEEDED", "FAILED")


@pytest.mark.parametrize("catcher", ["States.ALL", "States.TaskFailed", "TargetGroupUnhealthy"])
def test_a_function_error_is_caught_by_name_and_by_wildcard(catcher: str) -> None:
    """The catcher gets error and cause of the function."""
    states = {
        "Work": task("work", Catch=[{"ErrorEquals": [catcher], "ResultPath": "$.failure", "Next": "Roll back"}]),
        "Roll back": PASS,
    }
    with state_machines() as account:
        account.functions["work"] = failing("TargetGroupUnhealthy")
        failure = account.output(states)["failure"]

    assert failure["Error"] == "TargetGroupUnhealthy"
    assert json.loads(failure["Cause"])["errorMessage"] == "as told"


def test_a_time_out_inside_a_branch_keeps_its_name() -> None:
    """The Parallel state's Catch must see States.Timeout, not an unrelated States.Runtime."""
    branch = {"StartAt": "Work", "States": {"Work": task("work", TimeoutSeconds=1)}}
    catch = [{"ErrorEquals": ["States.Timeout"], "ResultPath": "$.failure", "Next": "Roll back"}]
    states = {
        "Both": {"Type": "Parallel", "Branches": [branch], "Catch": catch, "End": True},
        "Roll back": PASS,
    }

    def observe(account: StateMachines) -> str | None:
        account.functions["work"] = lambda _: account.clock.sleep(60)
        ended = account.run(states)
        return ended.get("error") or json.loads(ended["output"])["failure"]["Error"]

    repaired, stock = repaired_and_stock(observe)

    assert (repaired, stock) == ("States.Timeout", "States.Runtime")


def test_a_fail_state_can_pass_on_a_states_error() -> None:
    """A cleaned-up failure ends in Fail with the error that it began with."""
    states = {"Give up": {"Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause"}}

    def observe(account: StateMachines) -> tuple[str, str]:
        ended = account.run(states, {"Error": "States.Timeout", "Cause": "too slow"})
        return ended["error"], ended["cause"]

    repaired, stock = repaired_and_stock(observe)

    assert repaired == ("States.Timeout", "too slow")
    assert stock[0] == "States.Runtime"


def test_a_choice_without_a_match_says_so() -> None:
    """An operator who reads States.Runtime would look for a broken machine, not for an unexpected answer."""
    rule = {"Variable": "$.status", "StringEquals": "available", "Next": "Go on"}
    states = {"Is the snapshot available?": question([rule]), "Go on": PASS}

    def observe(account: StateMachines) -> tuple[str, str]:
        ended = account.run(states, {"status": "creating"})
        return ended["error"], ended["cause"]

    repaired, stock = repaired_and_stock(observe)

    assert repaired[0] == "States.NoChoiceMatched"
    assert "Is the snapshot available?" in repaired[1]
    assert stock[0] == "States.Runtime"


def test_comparing_what_is_not_there_fails() -> None:
    """A misspelt path must not lead to Default."""
    rule = {"Variable": "$.statsu", "StringEquals": "available", "Next": "Go on"}
    states = {"Is the snapshot available?": question([rule], default="Go on"), "Go on": PASS}

    def observe(account: StateMachines) -> tuple[str, str | None]:
        ended = account.run(states, {"status": "available"})
        return ended["status"], ended.get("cause")

    repaired, stock = repaired_and_stock(observe)

    assert repaired[0] == "FAILED"
    assert "Invalid path '$.statsu'" in str(repaired[1])
    assert stock == ("SUCCEEDED", None)


@pytest.mark.parametrize(
    ("payload", "destination"), [({"release_id": "r-1"}, "named"), ({"release_id": "r-2"}, "other"), ({}, "other")]
)
def test_a_choice_can_ask_the_context_object(payload: dict[str, str], destination: str) -> None:
    """Sound in moto as it comes, and the machines rely on it: presence first, then the comparison."""
    variable = "$$.Execution.Input.release_id"
    present, equal = {"Variable": variable, "IsPresent": True}, {"Variable": variable, "StringEquals": "r-1"}
    states = {
        "Is it ours?": question([{"And": [present, equal], "Next": "Yes"}], default="No"),
        "Yes": {**PASS, "Result": "named"},
        "No": {**PASS, "Result": "other"},
    }
    with state_machines() as account:
        assert account.output(states, payload) == destination


@pytest.mark.parametrize("path", ["$$.State.EnteredTime", "$$.Execution.StartTime"])
def test_times_are_written_as_on_aws(path: str) -> None:
    """Functions take `now` from there and parse it."""
    on_aws = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

    def observe(account: StateMachines) -> str:
        return str(account.output({"Look": {**PASS, "Parameters": {"now.$": path}}})["now"])

    with state_machines() as account:
        assert on_aws.fullmatch(observe(account))
    with state_machines(fixes=()) as stock:
        if path == "$$.Execution.StartTime":
            with pytest.raises(TypeError):
                observe(stock)
        else:
            assert not on_aws.fullmatch(observe(stock))


def test_entered_time_is_simulated_time() -> None:
    """A rule that compares `now` with a deadline must see the bake time pass."""
    states = {
        "Bake": {"Type": "Wait", "Seconds": 3600, "Next": "Look"},
        "Look": {**PASS, "Parameters": {"start.$": "$$.Execution.StartTime", "now.$": "$$.State.EnteredTime"}},
    }
    with state_machines(speed=50_000) as account:
        output = account.output(states)

    start, now = (time.strptime(output[key][:19], "%Y-%m-%dT%H:%M:%S") for key in ("start", "now"))
    assert time.mktime(now) - time.mktime(start) >= 3599


def test_definitions_are_parsed_once() -> None:
    """A watchdog starts an execution every simulated minute."""
    definition = json.dumps({"StartAt": "Only", "States": {"Only": PASS}})

    repaired, stock = repaired_and_stock(
        lambda _: AmazonStateLanguageParser.parse(definition) is AmazonStateLanguageParser.parse(definition)
    )

    assert (repaired, stock) == (True, False)


def test_executions_that_share_a_parsed_definition_do_not_mix() -> None:
    """Retries, choices and results belong to one execution each."""
    states = {
        "Work": task("work", Retry=[{"ErrorEquals": ["Flaky"], "MaxAttempts": 2, "IntervalSeconds": 1}], Next="Even?"),
        "Even?": question([{"Variable": "$.Payload.even", "BooleanEquals": True, "Next": "Even"}], default="Odd"),
        "Even": {**PASS, "Parameters": {"even.$": "$.Payload.number"}},
        "Odd": {**PASS, "Parameters": {"odd.$": "$.Payload.number"}},
    }
    attempts: dict[int, int] = {}

    def work(payload: dict[str, int]) -> dict[str, Any]:
        number = payload["number"]
        attempts[number] = attempts.get(number, 0) + 1
        if attempts[number] <= 2:
            raise FunctionError("Flaky", "try again")
        return {"number": number, "even": number % 2 == 0}

    with state_machines() as account:
        account.functions["work"] = work
        machine = account.create(states)
        arns = [
            account.client.start_execution(stateMachineArn=machine, input=json.dumps({"number": number}))[
                "executionArn"
            ]
            for number in range(8)
        ]
        outputs = [json.loads(account.ended(arn)["output"]) for arn in arns]

    assert outputs == [{"even" if number % 2 == 0 else "odd": number} for number in range(8)]
