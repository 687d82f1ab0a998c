"""asl-validator has seen every machine, and the worst case of each stays below what Step Functions allows."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdk.assembly import SETTINGS_FOLDER
from cdk.settings import EnvironmentSettings, load_settings
from lambdas.gates.gate_rules import LOOK_AGAIN_SECONDS
from lambdas.release.bake_rules import look_at_bake
from lambdas.release.rules import Bake, Order, OrderAction, later, seconds_since
from statemachines.plan import CHECK_EVERY_SECONDS, MOST_EVENTS, LongestRelease
from tests.statemachines.definitions import SHIPPED, Definition, following, read_definition, tasks

ROOT = Path(__file__).parents[2]
VALIDATOR = ROOT / "node_modules/asl-validator/dist/bin/asl-validator.js"


@pytest.fixture(scope="session")
def definitions(templates: Mapping[str, dict[str, Any]]) -> dict[str, Definition]:
    """Return every synthesized definition, by environment and machine."""
    return {
        f"{environment} {machine}": read_definition(templates[environment]["Resources"], machine)
        for environment, machine in SHIPPED
    }


def validate(definition: Definition, folder: Path) -> str:
    """Return what asl-validator has to say against a definition; empty if nothing."""
    path = folder / "machine.json"
    path.write_text(json.dumps(definition), encoding="utf-8")
    node = os.environ.get("JSII_NODE") or "node"
    done = subprocess.run(
        # our definitions have names where deployed ones have ARNs
        [node, VALIDATOR, "--no-arn-check", "--json-path", path],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("name", [" ".join(each) for each in SHIPPED])
def test_a_machine_is_valid(definitions: dict[str, Definition], name: str, tmp_path: Path) -> None:
    assert not validate(definitions[name], tmp_path)


def test_the_validator_sees_a_state_that_does_not_exist(definitions: dict[str, Definition], tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    broken = deepcopy(definitions["production deploy"])
    broken["States"]["Promote release"]["Next"] = "Nowhere"
    assert "Nowhere" in validate(broken, tmp_path)


@pytest.mark.parametrize("name", [" ".join(each) for each in SHIPPED if each[1] != "deploy"])
def test_the_longest_execution_fits_into_its_history(definitions: dict[str, Definition], name: str) -> None:
    """The fastest loop is gone round until the machine's time is up, and every Task is tried as often as it may be."""
    assert worst_case_events(definitions[name]) < MOST_EVENTS


@pytest.mark.parametrize("settings", load_settings(SETTINGS_FOLDER), ids=lambda each: each.environment)
def test_the_longest_release_fits_into_its_history(
    definitions: dict[str, Definition], settings: EnvironmentSettings
) -> None:
    """Its loops come one after the other, each for as long as settings say."""
    assert not list(uncounted_loops(definitions[f"{settings.environment} deploy"]))
    assert settings.longest_release.events < MOST_EVENTS


def uncounted_loops(release: Definition) -> Iterator[set[str]]:
    """Yield each loop of a release that is faster, or makes more events, than settings count for one of its kind."""
    nothing = LongestRelease(0, 0, 0, (), 0)
    a_look = replace(nothing, snapshot_seconds=CHECK_EVERY_SECONDS).events - nothing.events
    at_gates = replace(nothing, gates_seconds=LOOK_AGAIN_SECONDS).events - nothing.events
    for seconds, loop in _loops(release):
        gated = any(release["States"][each].get("TimestampPath") == "$.gated.again_at" for each in loop)
        pause, most = (LOOK_AGAIN_SECONDS, at_gates) if gated else (CHECK_EVERY_SECONDS, a_look)
        bakes = any(release["States"][each].get("TimestampPath") == "$.bake.again_at" for each in loop)
        if sum(_events(release["States"][each]) for each in loop) > most or (seconds < pause and not bakes):
            yield loop


def worst_case_events(definition: Definition) -> int:
    """
    Return how many events an execution may have: of each state once, and of loops as many as time allows.

    An execution is in one loop at a time, so all of them together have no more than the one that makes most events in
    a second would have in all the time there is. A loop that counts itself goes round as often as it says.
    """
    once = sum(_events(state, _attempts) for state in definition["States"].values())
    in_a_second = (
        sum(_events(definition["States"][each]) for each in loop) / seconds for seconds, loop in _loops(definition)
    )
    counted = sum(
        most * sum(_events(definition["States"][each]) for each in loop) for most, loop in _counted(definition)
    )
    return once + counted + int(definition["TimeoutSeconds"] * max(in_a_second, default=0))


def _events(state: dict[str, Any], attempts: Callable[[dict[str, Any]], int] = lambda _: 1) -> int:
    """
    Entered and exited; a Task is scheduled, started and ended in every attempt.

    A Parallel is started and ended, too, and has the events of all states in its branches.
    """
    if state["Type"] == "Parallel":
        inside = [each for branch in state["Branches"] for each in branch["States"].values()]
        return 4 + sum(_events(each, attempts) for each in inside)
    return 2 + (3 * attempts(state) if state["Type"] == "Task" else 0)


def _attempts(state: dict[str, Any]) -> int:
    return 1 + sum(retry["MaxAttempts"] for retry in state.get("Retry", []))


def _loops(definition: Definition) -> list[tuple[float, set[str]]]:
    """Return each loop as the seconds that its Wait takes, and its states."""
    waits = {name: state for name, state in definition["States"].items() if state["Type"] == "Wait"}
    found = []
    counted = set().union(*(loop for _, loop in _counted(definition)))
    for name, wait in waits.items():
        loop = _loop_of(definition, name)
        if loop and name not in counted:
            found.append((wait["Seconds"] if "Seconds" in wait else AWAITED_AGAIN_SECONDS[wait["TimestampPath"]], loop))
    return found


def _counted(definition: Definition) -> list[tuple[int, set[str]]]:
    """Return each loop that ends when it was gone round so often, and its states."""
    return [
        (rule["NumericGreaterThanEquals"], _loop_of(definition, name))
        for name, state in definition["States"].items()
        for rule in state.get("Choices", [])
        if "NumericGreaterThanEquals" in rule
    ]


def _loop_of(definition: Definition, name: str) -> set[str]:
    return {each for each in _reachable(definition, name) if name in _reachable(definition, each)}


AWAITED_AGAIN_SECONDS = {
    "$.release.again_at": 60,
    "$.claim.again_at": 60,
    "$.environment.again_at": 60,
    "$.bake.again_at": 10,
    "$.gated.again_at": LOOK_AGAIN_SECONDS,
}
"""
The shortest wait until a moment that a function names.

Of the window once, and then a minute ahead whenever somebody else works; of a bake, in its first minute.
"""


@pytest.mark.parametrize("pause_seconds", [0, 3600])
@pytest.mark.parametrize("bake_seconds", [0, 59, 60, 300, 600, 1800, 6 * 3600])
def test_settings_count_no_fewer_events_than_a_bake_makes(bake_seconds: int, pause_seconds: int) -> None:
    """Every look as the function itself times it: what settings allow must really fit."""
    began = "2026-03-01T10:00:00+00:00"
    bake, now, looks = Bake(100, began, later(began, bake_seconds)), began, 1
    until = later(began, pause_seconds)
    pause = Order(OrderAction.PAUSE, began, "it looks slow", "arn:of:the:order", later(until, 1))
    while not (look := look_at_bake(bake, pause if seconds_since(until, now) < 0 else None, now)).done:
        looks, now = looks + 1, look.again_at

    longest = LongestRelease(0, 0, 0, (bake_seconds,), pause_seconds)
    assert looks * 9 <= longest.events - LongestRelease(0, 0, 0, (), 0).events + 9


def test_a_release_of_all_waits_has_no_more_events_than_settings_count(definitions: dict[str, Definition]) -> None:
    """What is counted without loops, counted once more in what ships."""
    once = sum(_events(state, _attempts) for state in definitions["production deploy"]["States"].values())
    assert once <= LongestRelease(0, 0, 0, (), 0).events


def _reachable(definition: Definition, start: str) -> set[str]:
    """Return the states behind a state on roads without an error; branches are inside of their Parallel."""
    found: set[str] = set()
    left = [start]
    while left:
        state = definition["States"][left.pop()]
        elsewhere = {each["Next"] for each in state.get("Catch", [])}
        elsewhere |= {branch["StartAt"] for branch in state.get("Branches", [])}
        ahead = following(state) - elsewhere - found
        found |= ahead
        left += ahead
    return found


def test_a_loop_without_a_pause_would_be_noticed(definitions: dict[str, Definition]) -> None:
    hurried = deepcopy(definitions["production deploy"])
    hurried["States"]["Wait for snapshot"]["Seconds"] = 1
    assert list(uncounted_loops(hurried))
    hurried = deepcopy(definitions["production restore-database"])
    hurried["States"]["Wait for copy"]["Seconds"] = 1
    assert worst_case_events(hurried) > MOST_EVENTS


def test_a_loop_with_more_states_would_be_noticed(definitions: dict[str, Definition]) -> None:
    longer = deepcopy(definitions["production deploy"])
    longer["States"]["Wait for snapshot"]["Next"] = "One more"
    longer["States"]["One more"] = {"Type": "Pass", "Next": "Check snapshot"}
    assert list(uncounted_loops(longer))


def test_every_task_may_be_tried_again(definitions: dict[str, Definition]) -> None:
    """What `worst_case_events` counts is there to be counted."""
    assert all(_attempts(task) > 1 for task in tasks(definitions["production deploy"]).values())
