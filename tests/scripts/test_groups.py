"""How tests are handed out to workers: see tests/conftest.py."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALONE = "tests/scripts/test_groups.py::test_a_test_says_nothing_of_itself"


def test_a_test_says_nothing_of_itself() -> None:
    """It is there to be handed out by the other one."""
    assert Path(__file__).name in ALONE


def test_workers_get_what_belongs_together() -> None:
    """Where xdist finds no groups it says nothing, and every worker builds everything for itself."""
    command = [sys.executable, "-m", "pytest", "-n", "1", "--dist", "loadgroup", "-v", "-p", "no:cacheprovider", ALONE]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert f"PASSED {ALONE}@tests/scripts/test_groups.py" in done.stdout
