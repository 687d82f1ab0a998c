"""Rules that we rely on and that Step Functions does not check. They hold for every machine of every environment."""

from collections.abc import Mapping
from typing import Any

import pytest

from lambdas.notices.rules import Kind
from lambdas.release.rules import Phase
from tests.infrastructure.template import of_type
from tests.statemachines.definitions import (
    ANY_ERROR,
    LEASE_LOST,
    SHIPPED,
    Definition,
    following,
    function_of,
    golden,
    holds_lease,
    payload_of,
    states,
    tasks,
)

IN_A_HURRY = {
    "Claim rollback",
    "Switch listener back",
    "Stop deployment",
    "Stop preparation",
    "Settle listener",
    "Smoke check old version",
    "Check error rate of old version",
}
"""The steps of the way back, until it is known whether it was one: two attempts, one second apart."""
AT_GATES = {"Check commit", "Check foundations", "Check operations"}
"""The steps that look at gates: what fails twice is a result, and the machine comes back to it."""
OF_DATA = dict.fromkeys(("Verify restored data", "Count lost writes", "Run migrations"), 915)
"""The steps that read or change whole tables, each as long as a function of Lambda may take."""
OF_HUMANS = {"Wait for approval": 14400}
"""The steps that wait for somebody, in seconds of production's settings."""


@pytest.fixture(params=[" ".join(each) for each in SHIPPED])
def definition(request: pytest.FixtureRequest, definitions: Mapping[tuple[str, str], Definition]) -> Definition:
    """Return each synthesized definition."""
    environment, machine = request.param.split()
    return definitions[environment, machine]


def test_every_task_has_a_time_out_a_retry_and_a_last_resort(definition: Definition) -> None:
    """Without them a lost answer is waited for in vain, or ends the execution past every decision."""
    for name, task in tasks(definition).items():
        assert task["TimeoutSeconds"] <= {**OF_DATA, **OF_HUMANS}.get(name, 65), name
        assert task["Retry"], name
        assert task["Catch"][-1]["ErrorEquals"] == [ANY_ERROR], name


def test_the_last_resort_is_alone_and_last(definition: Definition) -> None:
    """Step Functions refuses anything else, but only when the stack is deployed."""
    for name, state in states(definition).items():
        for handlers in (state.get("Retry", []), state.get("Catch", [])):
            for handler in handlers[:-1]:
                assert ANY_ERROR not in handler["ErrorEquals"], name
            for handler in handlers[-1:]:
                assert ANY_ERROR not in handler["ErrorEquals"] or len(handler["ErrorEquals"]) == 1, name


def test_a_function_ends_before_its_task_gives_up(
    definitions: Mapping[tuple[str, str], Definition], templates: Mapping[str, dict[str, Any]]
) -> None:
    """A task that gives up first calls the function a second time while the first call still works."""
    for (environment, _), definition in definitions.items():
        functions = of_type(templates[environment]["Resources"], "AWS::Lambda::Function").values()
        longest = {each["FunctionName"].partition(f"-{environment}-")[2]: each["Timeout"] for each in functions}
        for name, task in tasks(definition).items():
            assert longest.get(function_of(task), 0) < task["TimeoutSeconds"], name


def test_a_retry_is_one_of_the_policies(definition: Definition) -> None:
    """
    Going forward outlasts a short throttling; the way back tries twice, and the watchdog starts anew.

    But for a claim that failed there is no watchdog: once a human was told, it is tried for ten minutes.
    """
    for name, task in tasks(definition).items():
        policy = {key: task["Retry"][-1][key] for key in ("IntervalSeconds", "MaxAttempts", "BackoffRate")}
        if name == "Claim rollback at last":
            assert policy == {"IntervalSeconds": 15, "MaxAttempts": 40, "BackoffRate": 1}, name
        elif name in IN_A_HURRY or name.removesuffix(" after approval") in AT_GATES:
            assert policy == {"IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 2}, name
        elif name in OF_DATA:
            assert policy == {"IntervalSeconds": 2, "MaxAttempts": 2, "BackoffRate": 2}, name
        elif function_of(task):
            assert policy == {"IntervalSeconds": 2, "MaxAttempts": 4, "BackoffRate": 2}, name


def test_whoever_works_under_the_lease_stops_as_soon_as_it_is_lost(definition: Definition) -> None:
    for name, task in tasks(definition).items():
        if holds_lease(task):
            first = task["Catch"][0]
            assert (first["ErrorEquals"], first["Next"]) == (["LeaseLost"], LEASE_LOST), name


def test_every_function_is_told_the_time(definition: Definition) -> None:
    """A function that reads a clock of its own cannot be rehearsed, nor repeated with the same result."""
    for name, task in tasks(definition).items():
        if function_of(task):
            assert payload_of(task)["now.$"] == "$$.State.EnteredTime", name


def test_every_state_says_what_it_is_for(definition: Definition) -> None:
    """The operator reads the machine in the console, perhaps at night."""
    for name, state in states(definition).items():
        assert state["Comment"].endswith((".", "?")), name


def test_names_are_short_and_only_choices_are_questions(definition: Definition) -> None:
    """Step Functions allows 80 characters."""
    for name, state in states(definition).items():
        assert len(name) <= 80, name
        assert name.endswith("?") == (state["Type"] == "Choice"), name


def test_a_failure_has_a_name_that_does_not_depend_on_data_and_a_cause(definition: Definition) -> None:
    """Alarms, rules and people tell endings apart by the name."""
    for name, state in states(definition).items():
        if state["Type"] == "Fail":
            assert state["Error"].isalpha(), name
            assert ("Cause" in state) != ("CausePath" in state), name


def test_every_choice_has_a_default(definition: Definition) -> None:
    """Without one, an unexpected answer ends the execution past every Catch."""
    for name, state in states(definition).items():
        assert ("Default" in state) == (state["Type"] == "Choice"), name


def test_every_state_can_be_reached(definition: Definition) -> None:
    reached: set[str] = set()
    found = {definition["StartAt"]}
    while found:
        reached |= found
        found = set().union(*(following(states(definition)[name]) for name in found)) - reached

    assert set(states(definition)) == reached


def test_whatever_happens_is_told_and_recorded_in_known_words(definition: Definition) -> None:
    """A kind or phase that the function does not know would fail when it matters."""
    payloads = [payload_of(task) for task in tasks(definition).values()]

    assert {payload["kind"] for payload in payloads if "kind" in payload} <= set(Kind)
    assert {payload["phase"] for payload in payloads if "phase" in payload} <= set(Phase)


def test_two_steps_stand_between_an_event_and_safe_traffic() -> None:
    """Even when both are tried twice and hang every time, it is known after a minute."""
    there = golden("rollback")["States"]
    claim, switch = there["Claim rollback"], there["Switch listener back"]
    (decided,) = [rule for rule in there[claim["Next"]]["Choices"] if rule["StringEquals"] == "switch"]

    assert golden("rollback")["StartAt"] == "Claim rollback"
    assert decided["Next"] == "Switch listener back"
    assert 2 * (claim["TimeoutSeconds"] + switch["TimeoutSeconds"] + 1) <= 60


def test_an_abort_waits_until_no_step_of_the_deployment_can_still_work() -> None:
    """
    Stopping an execution does not stop the function that it has called.

    One of them may take far longer than all others: that is looked for in the record, until it has ended.
    """
    deploy, rollback = golden("deploy"), golden("rollback")

    others = {name: task for name, task in tasks(deploy).items() if name not in {"Run migrations", *OF_HUMANS}}
    longest = max(task["TimeoutSeconds"] for task in others.values())

    states = rollback["States"]
    assert states["Wait for its last step"]["Seconds"] >= longest
    before = [
        name for name, each in states.items() if "Scale idle color back" in (each.get("Next"), each.get("Default"))
    ]
    assert before == ["Do migrations still run?"]
    assert states["Do migrations still run?"]["Choices"][0]["Next"] == "Wait for their end"


def test_the_lease_of_a_dead_clean_up_is_kept_until_no_step_of_it_can_still_work() -> None:
    """It could scale in a color that the next release already brings up."""
    longest = max(task["TimeoutSeconds"] for task in tasks(golden("clean-up")).values())

    states = golden("rollback")["States"]
    (decided,) = [
        rule for rule in states["What is there to roll back?"]["Choices"] if rule.get("StringEquals") == "let_go"
    ]
    assert states[decided["Next"]]["Type"] == "Wait"
    assert states[decided["Next"]]["Seconds"] >= longest
