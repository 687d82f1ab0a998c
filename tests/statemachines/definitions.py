"""The machines' definitions as they are synthesized, and what can be read from them without running them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdk.assembly import SETTINGS_FOLDER
from cdk.settings import load_settings
from rehearsal.engine.intrinsics import Intrinsics
from tests.infrastructure.template import Resources, of_type

Definition = dict[str, Any]

ENVIRONMENTS = sorted(each.environment for each in load_settings(SETTINGS_FOLDER))
MACHINES = ("deploy", "rollback", "clean-up", "operate", "report", "push", "restore-database")
_RESTORING = {each.environment for each in load_settings(SETTINGS_FOLDER) if each.restore}
_PUSHING = {each.environment for each in load_settings(SETTINGS_FOLDER) if each.pushes}
SHIPPED = tuple(
    (environment, machine)
    for environment in ENVIRONMENTS
    for machine in MACHINES
    if (machine != "restore-database" or environment in _RESTORING) and (machine != "push" or environment in _PUSHING)
)
"""Which machines each environment has, as pairs: not each restores its database, nor releases pushes."""
GOLDEN = Path(__file__).parent / "golden"

ANY_ERROR = "States.ALL"
LEASE_LOST = "Lease lost"
"""Every machine ends in a state of this name when another execution has taken the environment over."""


def read_definition(resources: Resources, machine: str) -> Definition:
    """
    Return the definition of a template's machine, with all ARNs replaced by names.

    A name is that of a function or machine, without service and environment: `claim-rollback`, `rollback`.
    """
    (properties,) = [
        each
        for each in of_type(resources, "AWS::StepFunctions::StateMachine").values()
        if each["StateMachineName"].endswith(f"-{machine}")
    ]
    prefix = properties["StateMachineName"].removesuffix(machine)

    def name_of(logical_id: str) -> str:
        if logical_id == "AWS::Partition":
            return "aws"
        named = resources[logical_id]["Properties"]
        if resources[logical_id]["Type"] == "AWS::Lambda::Version":
            return name_of(named["FunctionName"]["Ref"])
        name: str = named.get("FunctionName") or named["StateMachineName"]
        return name.removeprefix(prefix)

    def no_attribute(logical_id: str, attribute: str) -> str:
        raise AssertionError(f"a definition needs no attribute, but this one names {logical_id}.{attribute}")

    text = Intrinsics(name_of, no_attribute, conditions={}, no_value=None).resolve(properties["DefinitionString"])
    definition: Definition = json.loads(text)
    return definition


def golden_file(environment: str, machine: str) -> Path:
    """Return where the reviewed copy of a definition is."""
    return GOLDEN / f"{environment}-{machine}.asl.json"


def golden(machine: str) -> Definition:
    """
    Return the reviewed copy of production's machine, from which cases are made when pytest collects.

    Synthesizing would take seconds then. test_golden.py makes sure that the copy is what is synthesized.
    """
    definition: Definition = json.loads(golden_file("production", machine).read_text(encoding="utf-8"))
    return definition


def states(definition: Definition) -> dict[str, dict[str, Any]]:
    """Return all states, by name, also those in the branches of a Parallel: names are unique in a whole machine."""
    return {
        **definition["States"],
        **{name: state for each in in_branches(definition).values() for name, state in each},
    }


def in_branches(definition: Definition) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Return the states in the branches of each Parallel, by the name of that one."""
    return {
        name: [(inner, each) for branch in state["Branches"] for inner, each in branch["States"].items()]
        for name, state in definition["States"].items()
        if state["Type"] == "Parallel"
    }


def tasks(definition: Definition) -> dict[str, dict[str, Any]]:
    """Return the Task states, by name."""
    return {name: state for name, state in states(definition).items() if state["Type"] == "Task"}


def function_of(task: dict[str, Any]) -> str:
    """Return the name of the function that a Task calls, or "" if it calls none."""
    name: str = task["Parameters"].get("FunctionName", "")
    return name


def payload_of(task: dict[str, Any]) -> dict[str, Any]:
    """Return what a Task's function is given; a name that ends in ".$" has a path for a value."""
    payload: dict[str, Any] = task["Parameters"].get("Payload", {})
    return payload


def holds_lease(task: dict[str, Any]) -> bool:
    """Say whether a Task works under the lease, and so may find out that it is lost."""
    return "lease.$" in payload_of(task)


@dataclass(frozen=True)
class Catch:
    """One error that leads from a state to another one. `States.ALL` stands for any that no earlier Catch takes."""

    machine: str
    state: str
    error: str
    next: str

    def __str__(self) -> str:
        return f"{self.machine}: {self.state} ({self.error})"


def catches(machine: str, definition: Definition) -> Iterator[Catch]:
    """Yield every state's every error of every Catch; what happens in a Parallel is a thing of its branches."""
    for name, state in definition["States"].items():
        for catch in state.get("Catch", []):
            for error in catch["ErrorEquals"]:
                yield Catch(machine, name, error, catch["Next"])


def branches(definition: Definition) -> set[tuple[str, str]]:
    """Return where each Choice may lead to, as pairs of state names."""
    choices = {name: state for name, state in definition["States"].items() if state["Type"] == "Choice"}
    return {(name, rule["Next"]) for name, choice in choices.items() for rule in choice["Choices"]} | {
        (name, choice["Default"]) for name, choice in choices.items()
    }


def following(state: dict[str, Any]) -> set[str]:
    """Return all states that may come directly after this one."""
    ways = [state, *state.get("Catch", []), *state.get("Choices", [])]
    into = {branch["StartAt"] for branch in state.get("Branches", [])}
    return into | {way["Next"] for way in ways if "Next" in way} | ({state["Default"]} if "Default" in state else set())
