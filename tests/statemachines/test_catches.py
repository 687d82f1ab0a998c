"""Every failure of every step leads where the definition says: each case makes one step fail in one way."""

from collections.abc import Mapping

import pytest

from tests.rehearsal.engine.state_machines import FunctionError
from tests.statemachines.definitions import (
    ANY_ERROR,
    LEASE_LOST,
    MACHINES,
    Catch,
    Definition,
    catches,
    function_of,
    golden,
    holds_lease,
    tasks,
)
from tests.statemachines.machines import UNFORESEEN, Machines, Run
from tests.statemachines.roads import ROADS, Road

Roads = Mapping[tuple[str, str], tuple[Road, Run]]

CASES = [catch for machine in MACHINES for catch in catches(machine, golden(machine))]
UNDER_LEASE = [
    (machine, name) for machine in MACHINES for name, task in tasks(golden(machine)).items() if holds_lease(task)
]
TELLING = [
    (machine, name)
    for machine in MACHINES
    for name, task in tasks(golden(machine)).items()
    if function_of(task) == "notify"
]


@pytest.fixture(scope="module")
def roads(account: Machines) -> Roads:
    """Return, for each machine and state, a road that enters it, and how it went."""
    leading: dict[tuple[str, str], tuple[Road, Run]] = {}
    for machine in MACHINES:
        for road in ROADS[machine]:
            run = account.run(machine, road.answers, road.given)
            for state in run.entered:
                leading.setdefault((machine, state), (road, run))
    return leading


def failing(account: Machines, roads: Roads, machine: str, state: str, error: FunctionError) -> Run:
    road, _ = roads[machine, state]
    return account.run(machine, {**road.answers, state: error}, road.given)


@pytest.mark.parametrize("catch", CASES, ids=str)
def test_a_failure_leads_where_the_catch_says(catch: Catch, account: Machines, roads: Roads) -> None:
    """Whatever comes after, the data that it needs is there: no execution ends on a path that leads nowhere."""
    error = UNFORESEEN if catch.error == ANY_ERROR else FunctionError(catch.error, "as the test says")

    run = failing(account, roads, catch.machine, catch.state, error)

    assert run.after(catch.state)[0] == catch.next
    assert run.ending[0] in {"SUCCEEDED", "FAILED"}
    assert run.ending[1] != "States.Runtime"


@pytest.mark.parametrize("machine", MACHINES)
def test_no_catch_is_left_out(machine: str, definitions: Mapping[tuple[str, str], Definition]) -> None:
    """The cases are made of the reviewed copy; what ships has the same failure edges."""
    expected = list(catches(machine, definitions["production", machine]))
    assert expected == [catch for catch in CASES if catch.machine == machine]


@pytest.mark.parametrize(("machine", "state"), UNDER_LEASE)
def test_who_has_lost_the_lease_does_nothing_more(machine: str, state: str, account: Machines, roads: Roads) -> None:
    """The winner cleans up; anything done now would be done against it."""
    run = failing(account, roads, machine, state, FunctionError("LeaseLost", "the token is 9, not 7"))

    assert run.ending[:2] == ("FAILED", "LeaseLost")
    assert run.after(state) == [LEASE_LOST]
    assert run.called[-1] == state


@pytest.mark.parametrize(("machine", "state"), TELLING)
def test_a_message_that_cannot_be_sent_changes_no_ending(
    machine: str, state: str, account: Machines, roads: Roads
) -> None:
    """What was done stays done, and what failed stays failed."""
    _, told = roads[machine, state]

    untold = failing(account, roads, machine, state, UNFORESEEN)

    assert told.ending == untold.ending
    assert told.entered == untold.entered
