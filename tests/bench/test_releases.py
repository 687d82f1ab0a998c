import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.releases import ENVIRONMENTS, findings


def rounds(*seconds: float) -> list[dict[str, Any]]:
    return [{"wall": each, "cpu_of_each": [0.5] * 24} for each in seconds]


def test_releases_are_counted_by_the_minute_of_the_median_round() -> None:
    found = findings({"copies": 24, "rounds": {"production": rounds(14.4, 12.0, 24.0), "staging": rounds(7.2)}})

    assert [
        ["production", "100", "60 to 120", "3", "0.50 s"],
        ["staging", "200", "200 to 200", "1", "0.50 s"],
    ] == list(found.tables[0].rows)
    assert [("100", True)] == [(goal.found, goal.met) for goal in found.goals]


def test_the_goal_is_one_of_production() -> None:
    found = findings({"copies": 24, "rounds": {"production": rounds(28.8), "staging": rounds(7.2)}})

    assert [("50", False)] == [(goal.found, goal.met) for goal in found.goals]


@pytest.mark.rehearsed
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_release_that_is_measured_keeps_its_promises(environment: str, assembly: Path, tmp_path: Path) -> None:
    """In each environment, however many steps its settings have; it could not be measured otherwise."""
    command = (sys.executable, "-m", "bench.releases", environment, "1", str(assembly), str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "" == done.stderr
    assert 1 == len(json.loads(done.stdout.splitlines()[-1])["cpu_of_each"])
