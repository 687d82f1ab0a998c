"""The synthesized definitions, and an account to run production's in."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.statemachines.definitions import MACHINES, SHIPPED, Definition, read_definition
from tests.statemachines.machines import Machines, machines


@pytest.fixture(scope="session")
def definitions(templates: Mapping[str, dict[str, Any]]) -> Mapping[tuple[str, str], Definition]:
    """Return what is synthesized, by environment and machine."""
    return {
        (environment, machine): read_definition(templates[environment]["Resources"], machine)
        for environment, machine in SHIPPED
    }


@pytest.fixture(scope="module")
def account(definitions: Mapping[tuple[str, str], Definition]) -> Iterator[Machines]:
    """
    Return an account with production's machines.

    A test runs its executions to their end and leaves nothing behind but their names, so a file's tests can share one.
    """
    with machines({machine: definitions["production", machine] for machine in MACHINES}) as opened:
        yield opened
