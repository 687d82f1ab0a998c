"""The definitions as they were reviewed: what a change of the code does to a machine shows as a diff of JSON."""

import json
import os
from collections.abc import Mapping

import pytest

from tests.statemachines.definitions import GOLDEN, SHIPPED, Definition, golden_file


@pytest.mark.parametrize(("environment", "machine"), SHIPPED)
def test_a_machine_is_what_was_reviewed(
    environment: str, machine: str, definitions: Mapping[tuple[str, str], Definition]
) -> None:
    """
    ARNs are replaced by names, and everything else is as it ships.

    After a change that is meant: UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/statemachines/test_golden.py
    and read the diff.
    """
    text = json.dumps(definitions[environment, machine], indent=2, ensure_ascii=False) + "\n"
    file = golden_file(environment, machine)
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")

    assert file.read_text(encoding="utf-8") == text


def test_no_copy_is_left_of_a_machine_that_is_gone() -> None:
    expected = {golden_file(environment, machine) for environment, machine in SHIPPED}
    assert expected == set(GOLDEN.iterdir())
