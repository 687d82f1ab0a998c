"""How many releases can be rehearsed in virtual time in a minute: `python -m bench.releases production 20`."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.findings import Benchmark, Findings, Goal, Plan, Raw, Table
from bench.measure import CannotMeasure, Spread, interleaved
from rehearsal.copies import Lost, Original, built
from rehearsal.engine.template import UnsupportedTemplate
from rehearsal.scenarios import SCENARIOS, Scenario
from rehearsal.settings import Settings

HOW = """
Each measurement is a process of its own that builds the pretend account of an environment as shipped, plays the
scenario `good-release` in two copies of it that are not measured, and then in 24 copies with other seeds, two at a
time. Every copy has to keep the scenario's promises. Measured is the wall time of the 24, without that of building
the account, which a user of the copies pays once.
""".strip()

ENVIRONMENTS = ("production", "staging")
_SCENARIO = "good-release"
_COPIES = 24
_AT_MOST = 2
_A_MINUTE = 60.0
_WANTED_A_MINUTE = 100.0


def measure(plan: Plan) -> Raw:
    """Play on each environment in turn."""
    sides: Mapping[str, Callable[[], dict[str, Any]]] = {
        name: partial(_in_own_process, name, plan) for name in ENVIRONMENTS
    }
    return {"copies": _COPIES, "rounds": interleaved(sides, plan.rounds, plan.say)}


def _in_own_process(environment: str, plan: Plan) -> dict[str, Any]:
    """A process can hold one pretend account, and is to be copied while it has no other threads."""
    command = (sys.executable, "-m", "bench.releases", environment, str(_COPIES), str(plan.assembly), str(plan.folder))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"{_SCENARIO} on {environment} could not be played:\n{done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def play(environment: str, copies: int, assembly: Path, folder: Path) -> dict[str, Any]:
    """Return wall and CPU seconds of as many releases. Raises CannotMeasure when one did not keep its promises."""
    scenario = next(each for each in SCENARIOS if each.name == _SCENARIO)
    with built(scenario, Settings.read(environment), assembly, folder / environment) as original:
        _played(original, scenario, range(_AT_MOST))
        began = time.monotonic()
        of_each = _played(original, scenario, range(_AT_MOST, _AT_MOST + copies))
        return {"wall": time.monotonic() - began, "cpu_of_each": of_each}


def _played(original: Original, scenario: Scenario, seeds: range) -> list[float]:
    cpu_seconds = []
    for copy in original.rehearse(scenario, seeds, at_most=_AT_MOST):
        if isinstance(copy, Lost):
            raise CannotMeasure(f"The copy with seed {copy.seed} was lost:\n{copy.reason}")
        if copy.broken_promises:
            raise CannotMeasure(f"With seed {copy.seed} promises were broken: {'; '.join(copy.broken_promises)}")
        cpu_seconds.append(copy.cpu_seconds)
    return cpu_seconds


def findings(raw: Raw) -> Findings:
    """Count releases by the minute."""
    rounds: Mapping[str, Sequence[Mapping[str, Any]]] = raw["rounds"]
    speeds = {
        name: Spread.of([_A_MINUTE * raw["copies"] / each["wall"] for each in runs]) for name, runs in rounds.items()
    }
    cpu = {name: Spread.of([each for run in runs for each in run["cpu_of_each"]]) for name, runs in rounds.items()}
    production = speeds["production"].median
    return Findings(
        tables=[
            Table(
                "Releases a minute",
                ("environment", "median", "from … to", "measured", "CPU of one release"),
                [
                    [
                        name,
                        f"{speed.median:.0f}",
                        f"{speed.lowest:.0f} to {speed.highest:.0f}",
                        str(speed.count),
                        f"{cpu[name].median:.2f} s",
                    ]
                    for name, speed in speeds.items()
                ],
            )
        ],
        goals=[
            Goal(
                f"at least {_WANTED_A_MINUTE:.0f} releases a minute on production",
                f"{production:.0f}",
                production >= _WANTED_A_MINUTE,
            )
        ],
    )


BENCHMARK = Benchmark("releases", "Releases in virtual time", HOW, rounds=3, measure=measure, findings=findings)


def _main(environment: str, copies: str, assembly: str, folder: str) -> int:
    try:
        answer = play(environment, int(copies), Path(assembly), Path(folder))
    except (CannotMeasure, UnsupportedTemplate) as why:
        sys.stderr.write(f"{why}\n")
        return os.EX_SOFTWARE
    sys.stdout.write(f"{json.dumps(answer)}\n")
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
