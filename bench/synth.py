"""How long it takes to build the templates of many environments."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.findings import TIMED, Benchmark, Findings, Goal, Plan, Raw, Table, in_seconds, timed
from bench.measure import CannotMeasure, Spread, interleaved
from rehearsal.settings import FOLDER

HOW = """
Each measurement is one `python app.py`, from the start of the process to its end, in a folder of settings made from
the shipped `production.toml` under other names, into an empty folder. The layers are built already. A run takes a
fixed time to start and a time for each environment: from 1 to 10 environments says what one takes, and the fixed time
is what is left of the run with 1. Subtracted from the run with 50, it says what one of those takes.
""".strip()

FEW, SOME, MANY = 1, 10, 50
_MOST_TIMES_AS_LONG = 1.2
_SHIPPED = "production"


def write_environments(count: int, folder: Path, shipped: Path = FOLDER) -> None:
    """
    Write as many environments' settings as wanted: production's under other names, with the files that they name.

    Where production comes after another environment, each comes after the next one: that has to be there.
    """
    text = (shipped / f"{_SHIPPED}.toml").read_text(encoding="utf-8")
    for number in range(1, count + 1):
        name = f"bench-{number:02}"
        renamed, found = re.subn(r'(?m)^environment = ".*"$', f'environment = "{name}"', text)
        if found != 1:
            raise CannotMeasure(f"{shipped}/{_SHIPPED}.toml does not say `environment = …` once.")
        if count > 1:
            renamed = re.sub(r'(?m)^after = ".*"$', f'after = "bench-{number % count + 1:02}"', renamed)
        (folder / f"{name}.toml").write_text(renamed, encoding="utf-8")
    (folder / "files").symlink_to((shipped / "files").resolve())


def measure(plan: Plan) -> Raw:
    """Build 1, 10 and 50 environments in turn, after a first run that is not measured."""
    _synthesize(FEW)
    sides: Mapping[str, Callable[[], float]] = {str(count): _synthesis_of(count) for count in (FEW, SOME, MANY)}
    return {"seconds": interleaved(sides, plan.rounds, lambda what: plan.say(f"{what} environments"))}


def _synthesis_of(count: int) -> Callable[[], float]:
    return lambda: _synthesize(count)


def _synthesize(count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="bench-synth-") as name:
        settings, outdir = Path(name) / "environments", Path(name) / "cdk.out"
        settings.mkdir()
        write_environments(count, settings)
        environment = {**os.environ, "CDK_OUTDIR": str(outdir), "CDK_CONTEXT_JSON": f'{{"settings": "{settings}"}}'}
        began = time.monotonic()
        done = subprocess.run((sys.executable, "app.py"), env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
        if done.returncode:
            raise CannotMeasure(f"app.py failed for {count} environments:\n{done.stderr.strip()}")
        built = len(list(outdir.glob("*.template.json")))
        if built != count:
            raise CannotMeasure(f"app.py was to build {count} environments, and built {built}.")
        return seconds


def findings(raw: Raw) -> Findings:
    """Subtract the fixed start, and compare what one environment takes among 10 and among 50."""
    seconds: Mapping[str, Sequence[float]] = raw["seconds"]
    few, some, many = (Spread.of(seconds[str(count)]).median for count in (FEW, SOME, MANY))
    of_some = (some - few) / (SOME - FEW)
    start = few - of_some
    of_many = (many - start) / MANY
    times = round(of_many / of_some, 2)
    return Findings(
        tables=[
            Table("Templates", ("environments", *TIMED), [[count, *timed(each)] for count, each in seconds.items()]),
            Table(
                "Of that, by the medians",
                ("what", "seconds"),
                [
                    ["the fixed start", in_seconds(start)],
                    [f"one environment of {SOME}", in_seconds(of_some)],
                    [f"one environment of {MANY}", in_seconds(of_many)],
                ],
            ),
        ],
        goals=[
            Goal(
                f"an environment of {MANY} takes at most {_MOST_TIMES_AS_LONG} times one of {SOME}",
                f"{times:.2f} times",
                times <= _MOST_TIMES_AS_LONG,
            )
        ],
    )


BENCHMARK = Benchmark("synth", "Templates of many environments", HOW, rounds=3, measure=measure, findings=findings)
