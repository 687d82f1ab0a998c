"""A seed says everything: who plays the same scenario with the same seed sees the same, in whatever process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.rehearsed

SCENARIO = "stopped-deployment"
"""Status rule and watchdog run for the same rollback: there is something for chance to decide."""

SEEDS = 20
AS_OTHERS_HASH = ("1", "2")
"""What an order of a set or a hash of a text decides is decided differently in these processes."""

PLAY_ALL = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from rehearsal.copies import built
from rehearsal.scenarios import SCENARIOS
from rehearsal.settings import Settings

name, assembly, folder, seeds = sys.argv[1:]
(scenario,) = [each for each in SCENARIOS if each.name == name]
with built(scenario, Settings.read("production"), Path(assembly), Path(folder)) as original:
    for played in original.rehearse(scenario, range(int(seeds)), at_most=1):
        print(json.dumps(asdict(played)), flush=True)
"""


def test_the_same_seed_gives_the_same_rehearsal(assembly: Path, tmp_path: Path) -> None:
    one, other = (_start(assembly, tmp_path / hashes, hashes) for hashes in AS_OTHERS_HASH)
    first, second = _played(one), _played(other)

    assert first == second
    assert list(range(SEEDS)) == [played["seed"] for played in first]
    assert [] == [played for played in first if played.get("broken_promises") != []]
    assert SEEDS == len({played["trace_digest"] for played in first})


def _start(assembly: Path, folder: Path, hashes: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PLAY_ALL, SCENARIO, assembly, folder, str(SEEDS)],
        env={**os.environ, "PYTHONHASHSEED": hashes},
        stdout=subprocess.PIPE,
        text=True,
    )


def _played(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Return all but the wall's time, which is nobody's choice."""
    told, _ = process.communicate()
    assert 0 == process.returncode
    played: list[dict[str, Any]] = [json.loads(line) for line in told.splitlines()]
    for each in played:
        each.pop("cpu_seconds", None)
    return played
