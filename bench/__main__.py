"""Measure Runback on this machine, and write docs/benchmarks.md: `python -m bench --help`."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import imports, judge, pushes, releases, rollback, sizes, synth, webhooks
from bench.findings import Benchmark, Findings, Plan
from bench.machine import Machine
from bench.measure import CannotMeasure
from bench.report import page, show

MEASURED, NOT_MEASURED, USAGE, INTERRUPTED = 0, 1, 2, 130

BENCHMARKS = (
    rollback.BENCHMARK,
    judge.BENCHMARK,
    webhooks.BENCHMARK,
    pushes.BENCHMARK,
    imports.BENCHMARK,
    sizes.BENCHMARK,
    synth.BENCHMARK,
    releases.BENCHMARK,
)
ASSEMBLY = Path("cdk.out")
FOLDER = Path("build/bench")
PAGE = Path("docs/benchmarks.md")
_COLUMNS = 140


@dataclass(frozen=True)
class Measurements:
    """What a benchmark left in its file: raw measurements, and the machine that they are of."""

    benchmark: Benchmark
    machine: Machine
    findings: Findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when all was measured, whatever the goals; 1 when something could not be; 2 for wrong options."""
    options = _parser().parse_args(arguments)
    chosen = [each for each in BENCHMARKS if options.only in (None, each.name)]
    if not chosen:
        _tell(f"There is no benchmark {options.only!r}; there are: {', '.join(each.name for each in BENCHMARKS)}")
        return USAGE
    try:
        failed = [] if options.again else _measure(chosen, Machine.at_hand(), options.rounds)
        return _report(chosen, failed, writes_page=options.only is None)
    except KeyboardInterrupt:
        _tell("Interrupted. Nothing was written.")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ", ".join(each.name for each in BENCHMARKS)
    parser.add_argument("--only", metavar="NAME", help=f"one of {names}; then {PAGE} is left as it is")
    parser.add_argument(
        "--rounds", type=_positive, metavar="NUMBER", help="measure so many times; default: as documented"
    )
    parser.add_argument("--again", action="store_true", help=f"measure nothing: compute from what is left in {FOLDER}")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds: 1 or more")
    return int(text)


def _measure(chosen: Iterable[Benchmark], machine: Machine, rounds: int | None) -> list[str]:
    """Leave raw measurements in a file for each benchmark; return the names of those that could not be taken."""
    failed = []
    for benchmark in chosen:
        folder = FOLDER / benchmark.name
        folder.mkdir(parents=True, exist_ok=True)
        file = _file(benchmark)
        file.unlink(missing_ok=True)
        began = time.monotonic()

        def say(what: str, name: str = benchmark.name, began: float = began) -> None:
            _tell(f"{time.monotonic() - began:5.0f} s  {name}: {what}")

        try:
            raw = benchmark.measure(Plan(ASSEMBLY, folder, rounds or benchmark.rounds, say))
        except CannotMeasure as why:
            _tell(f"{benchmark.name} could not be measured. {why}")
            failed.append(benchmark.name)
        else:
            file.write_text(json.dumps({"machine": machine.as_json(), "raw": raw}, indent=1) + "\n", encoding="utf-8")
    return failed


def _report(chosen: Iterable[Benchmark], failed: Sequence[str], *, writes_page: bool) -> int:
    """Compute everything from the files."""
    try:
        measured = [_read(each) for each in chosen if each.name not in failed]
    except CannotMeasure as why:
        _tell(str(why))
        return NOT_MEASURED
    if measured:
        show([(each.benchmark, each.findings) for each in measured], measured[0].machine, _console())
    if failed:
        _tell(f"Not measured: {', '.join(failed)}; the reason is above. {PAGE} is left as it was.")
        return NOT_MEASURED
    if writes_page:
        return _write(measured)
    return MEASURED


def _console() -> Console:
    """Return the terminal, or a page of as many columns as tables need."""
    return Console() if sys.stdout.isatty() else Console(width=_COLUMNS)


def _write(measured: Sequence[Measurements]) -> int:
    machine = measured[0].machine
    others = [each.benchmark.name for each in measured if each.machine != machine]
    if others:
        _tell(f"{', '.join(others)}: measured in another run than the rest. `make bench` measures all in one.")
        return NOT_MEASURED
    unfinished = PAGE.with_suffix(".unfinished")
    unfinished.write_text(page([(each.benchmark, each.findings) for each in measured], machine), encoding="utf-8")
    unfinished.replace(PAGE)
    _tell(f"Written: {PAGE}; the raw measurements are in {FOLDER}{os.sep}*.json.")
    return MEASURED


def _read(benchmark: Benchmark) -> Measurements:
    try:
        left: dict[str, Any] = json.loads(_file(benchmark).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CannotMeasure(f"{_file(benchmark)} is missing: {benchmark.name} was not measured yet.") from None
    return Measurements(benchmark, Machine.from_json(left["machine"]), benchmark.findings(left["raw"]))


def _file(benchmark: Benchmark) -> Path:
    return FOLDER / f"{benchmark.name}.json"


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
