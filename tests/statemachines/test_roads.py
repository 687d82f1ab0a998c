"""Every ending of both machines is reached, and on the way there every state and every branch."""

from collections.abc import Mapping
from itertools import pairwise

import pytest

from tests.statemachines.definitions import MACHINES, Definition, branches
from tests.statemachines.machines import Machines, Run
from tests.statemachines.roads import ROADS, Road

Runs = Mapping[str, list[Run]]


@pytest.fixture(scope="module")
def runs(account: Machines) -> Runs:
    """Take every road of both machines once."""
    return {machine: [account.run(machine, road.answers, road.given) for road in ROADS[machine]] for machine in ROADS}


@pytest.mark.parametrize(
    ("machine", "number", "road"),
    [
        pytest.param(machine, number, road, id=f"{machine}: {road.to}")
        for machine in MACHINES
        for number, road in enumerate(ROADS[machine])
    ],
)
def test_an_execution_ends_as_its_last_state_says(
    machine: str, number: int, road: Road, runs: Runs, definitions: Mapping[tuple[str, str], Definition]
) -> None:
    run, last = runs[machine][number], definitions["production", machine]["States"][road.to]

    status, error, _ = run.ending

    assert run.entered[-1] == road.to
    assert (status, error) == ({"Succeed": "SUCCEEDED", "Fail": "FAILED"}[last["Type"]], last.get("Error"))


@pytest.mark.parametrize("machine", MACHINES)
def test_the_roads_enter_every_state(
    machine: str, runs: Runs, definitions: Mapping[tuple[str, str], Definition]
) -> None:
    """A state that no road enters needs a road, or a failure on one of them: see test_catches.py."""
    entered = {state for run in runs[machine] for state in run.entered}

    assert set(definitions["production", machine]["States"]) == entered


@pytest.mark.parametrize("machine", MACHINES)
def test_the_roads_take_every_branch(
    machine: str, runs: Runs, definitions: Mapping[tuple[str, str], Definition]
) -> None:
    taken = {step for run in runs[machine] for step in pairwise(run.entered)}

    assert branches(definitions["production", machine]) <= taken
