"""Which states and edges of the machines' definitions executions went through."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rehearsal.account import Account
from rehearsal.stage import Execution


class Edge(NamedTuple):
    """A step from one state of a machine to the next; `before` is empty for the state in which it begins."""

    machine: str
    before: str
    after: str


@dataclass(frozen=True)
class Machine:
    """A definition: the edges that it has, and for each state the branch that it is in."""

    edges: frozenset[Edge]
    branches: Mapping[str, str]


def machines_of(account: Account) -> dict[str, Machine]:
    """Read the environment's machines where Step Functions keeps them, by their names without the environment's."""
    states = account.client("stepfunctions")
    prefix = f"{account.settings.prefix}-"
    found = {}
    for each in states.list_state_machines()["stateMachines"]:
        if each["name"].startswith(prefix):
            described = states.describe_state_machine(stateMachineArn=each["stateMachineArn"])
            name = each["name"].removeprefix(prefix)
            found[name] = read_machine(name, json.loads(described["definition"]))
    return found


def read_machine(name: str, definition: Mapping[str, Any]) -> Machine:
    """Read a definition in States Language, with its branches."""
    branches: dict[str, str] = {}
    edges: set[Edge] = set()
    for place, part in _parts("", definition):
        edges.add(Edge(name, "", part["StartAt"]))
        for state, content in part["States"].items():
            branches[state] = place
            edges |= {Edge(name, state, after) for after in _following(content)}
    return Machine(frozenset(edges), branches)


def _parts(place: str, definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield place, definition
    for name, state in definition["States"].items():
        inner = [*state.get("Branches", []), *(state[key] for key in ("ItemProcessor", "Iterator") if key in state)]
        for number, branch in enumerate(inner):
            yield from _parts(f"{place}/{name} {number}", branch)


def _following(state: Mapping[str, Any]) -> Iterator[str]:
    for each in (state, *state.get("Catch", ()), *state.get("Choices", ())):
        if "Next" in each:
            yield each["Next"]
    if "Default" in state:
        yield state["Default"]


def edges_of(machines: Mapping[str, Machine], executions: Sequence[Execution]) -> frozenset[Edge]:
    """Return the edges that executions went through. Branches run at the same time, so each is followed by itself."""
    taken: set[Edge] = set()
    for execution in executions:
        machine = machines.get(execution.machine)
        if machine is None:
            continue
        last: dict[str, str] = {}
        for state in execution.states:
            branch = machine.branches.get(state, "")
            taken |= {
                Edge(execution.machine, last.get(branch, ""), state),
                Edge(execution.machine, "", state),
            } & machine.edges
            last[branch] = state
    return frozenset(taken)
