"""
Make small mistakes in every `rules.py` of lambdas/, one by one, and count those that the unit tests notice.

mutmut makes them, in functions and methods but not in properties: another operator, number, text or argument. Each is
tried on the tests of rules in the same room alone, where decisions are values: that a handler's test stumbles over it
is no proof. What nobody notices is a survivor: either a test is missing, or the code says more than it means.
"""

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import asdict, dataclass
from functools import reduce
from importlib.metadata import version
from operator import add
from pathlib import Path
from typing import Any

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build/mutation"
RESULT = ROOT / "build/mutation.json"
PAGE = ROOT / "docs/mutation.md"
WANTED_PERCENT = 90.0
ENOUGH, TOO_FEW, BROKEN = 0, 1, 2

_NOTICED = ("killed", "timeout")
_STARTED_WITH = {
    "POWERTOOLS_SERVICE_NAME": "receipts-test",
    "POWERTOOLS_METRICS_NAMESPACE": "Runback",
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
}
"""What tests/conftest.py sets: it is left out, because it loads the CDK, which a thousand forks would have to carry."""

_USED_BY_TESTS = ("cdk", "environments", "rehearsal", "statemachines")
_SAMPLING = (
    "test_rules.py::test_comparison_keeps_its_promise_at_its_bound_with_counted_shares",
    "test_sequential_rules.py::test_false_alarms_are_promised_for_a_comparison_as_well",
    "test_sequential_rules.py::test_false_alarms_of_all_looks_together_are_as_rare_as_promised",
)
_NOT_TRIED = tuple(f"--deselect=tests/unit/judge/{name}" for name in _SAMPLING)
"""They play thousands of looks, which takes seconds for every mistake, and are about formulas."""


class CannotMutate(Exception):
    """The tests of a room do not pass as they are, or mutmut could not begin; the message ends with what it said."""


@dataclass(frozen=True)
class Survivor:
    """A mistake that no test noticed: where it begins, and how the line would read. `name` is what mutmut calls it."""

    file: str
    line: int
    name: str
    diff: str


@dataclass(frozen=True)
class Score:
    """How many mistakes were made in a file, and how many of them some test noticed."""

    made: int
    noticed: int

    @property
    def percent(self) -> float:
        """Return the mutation score, in percent."""
        return 100 * self.noticed / self.made if self.made else 100.0

    def __add__(self, other: "Score") -> "Score":
        return Score(self.made + other.made, self.noticed + other.noticed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when enough mistakes were noticed, 1 when too few were, 2 when it could not be measured."""
    options = _parser().parse_args(arguments)
    files = sorted(ROOT.glob(f"lambdas/{options.only or '*'}/rules.py"))
    if not files:
        print(f"There is no lambdas/{options.only}/rules.py")
        return BROKEN
    began = time.monotonic()
    scores: dict[str, Score] = {}
    survivors: list[Survivor] = []
    for file in files:
        try:
            survived, scores[_named(file)] = _mutate(file, options.processes, again=options.again)
        except CannotMutate as problem:
            print(problem)
            return BROKEN
        survivors += survived
        print(f"{_line(_named(file), scores[_named(file)])}   after {time.monotonic() - began:.0f} s", flush=True)
    for survivor in survivors:
        print(f"\n{survivor.file}:{survivor.line}   {survivor.name}\n{survivor.diff}")
    print(f"\n{_line('all together', reduce(add, scores.values()))}; wanted of each: {WANTED_PERCENT:.0f} %")
    if not options.only:
        _keep(scores, survivors)
    return ENOUGH if all(score.percent >= WANTED_PERCENT for score in scores.values()) else TOO_FEW


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/mutation.py", description=__doc__)
    parser.add_argument(
        "--only", metavar="ROOM", help=f"mutate that room's rules alone, and leave {PAGE.name} as it is"
    )
    parser.add_argument(
        "--again", action="store_true", help="try only what survived the last time, on the tests of now"
    )
    parser.add_argument("--processes", type=int, default=2, metavar="NUMBER", help="at once; default: %(default)s")
    return parser


def _mutate(file: Path, processes: int, *, again: bool) -> tuple[list[Survivor], Score]:
    """Return what survived of a file's mutants, and the file's score."""
    workplace = FOLDER / file.parent.name
    mutants = _results_of(workplace, file) if again and _is_kept(workplace, file) else {}
    if mutants:
        # which test reaches what is found out anew, and no test stays that was deleted
        (workplace / "mutants/mutmut-stats.json").unlink(missing_ok=True)
        shutil.rmtree(workplace / "mutants/tests")
    else:
        _set_up(workplace, file)
    chosen = [name for name, status in mutants.items() if status not in _NOTICED]
    if chosen or not mutants:
        _run(workplace, processes, chosen)
        mutants = _results_of(workplace, file)
    counted = Counter(status in _NOTICED for status in mutants.values())
    survivors = [_survivor(workplace, file, name) for name, status in mutants.items() if status not in _NOTICED]
    return sorted(survivors, key=lambda each: each.line), Score(counted.total(), counted[True])


def _set_up(workplace: Path, file: Path) -> None:
    """Make the folder that mutmut works in: our own files behind links, of which it makes copies."""
    shutil.rmtree(workplace, ignore_errors=True)
    workplace.mkdir(parents=True)
    for name in ("lambdas", "tests", *_USED_BY_TESTS):
        (workplace / name).symlink_to(ROOT / name)
    tests = sorted((ROOT / "tests/unit" / file.parent.name).glob("test_*rules.py"))
    settings = {
        "source_paths": ["lambdas"],
        "only_mutate": [_named(file)],
        "also_copy": _USED_BY_TESTS,
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "--confcutdir=tests/unit", *_NOT_TRIED],
        "pytest_add_cli_args_test_selection": [_named(each) for each in tests],
    }
    table = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    ours = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (workplace / "pyproject.toml").write_text(
        f"{ours}\n[tool.mutmut]\nuse_git_change_detection = false\n{table}\n", encoding="utf-8"
    )


def _run(workplace: Path, processes: int, chosen: Sequence[str]) -> None:
    """Have mutmut try the chosen mutants, or all of them where none is chosen."""
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(processes), *chosen]
    log = workplace / "log.txt"
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            command, cwd=workplace, env=os.environ | _STARTED_WITH, stdout=output, stderr=output, check=False
        )
    if done.returncode:
        # mutmut draws its progress, and says its trouble after that
        said = [line for line in log.read_text(encoding="utf-8").splitlines() if line.isascii()]
        raise CannotMutate(f"{log}:\n" + "\n".join(said[-40:]))


def _kept(workplace: Path, file: Path) -> Path:
    return workplace / f"mutants/{_named(file)}.meta"


def _is_kept(workplace: Path, file: Path) -> bool:
    """Say whether the results of the last time are about the file as it is now."""
    kept = _kept(workplace, file)
    return kept.exists() and kept.stat().st_mtime > file.stat().st_mtime


def _results_of(workplace: Path, file: Path) -> Mapping[str, str]:
    """Return what became of each mutant, by mutmut's name of it."""
    kept = json.loads(_kept(workplace, file).read_text(encoding="utf-8"))
    return {name: status_by_exit_code[code] for name, code in kept["exit_code_by_key"].items()}


def _survivor(workplace: Path, file: Path, name: str) -> Survivor:
    with chdir(workplace):
        changed = get_diff_for_mutant(name, path=_named(file)).splitlines()[2:]
    removed = next((line[1:].strip() for line in changed if line.startswith("-")), "")
    shown = "\n".join(line for line in changed if line.startswith(("-", "+")))
    return Survivor(_named(file), line_of(file.read_text(encoding="utf-8"), name, removed), name, shown)


def line_of(source: str, name: str, removed: str) -> int:
    """
    Return in which line of a source a mutant begins.

    `name` is "lambdas.room.rules.x_function__mutmut_7", or "….xǁClassǁmethod__mutmut_7". `removed` is the line that it
    replaces, which mutmut knows only within its function; where a function has it twice, this is the first one.
    """
    *_, mangled = name.rpartition("__mutmut_")[0].split(".")
    names = mangled.removeprefix("xǁ").split("ǁ") if "ǁ" in mangled else [mangled.removeprefix("x_")]
    node: Any = ast.parse(source)
    for each in names:
        node = next(child for child in node.body if getattr(child, "name", "") == each)
    lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
    return node.lineno + next((at for at, line in enumerate(lines) if line.strip() == removed), 0)


def _keep(scores: Mapping[str, Score], survivors: Sequence[Survivor]) -> None:
    files = {name: asdict(score) | {"percent": round(score.percent, 1)} for name, score in scores.items()}
    kept = {"files": files, "survivors": [asdict(survivor) for survivor in survivors]}
    RESULT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(scores), encoding="utf-8")


def page(scores: Mapping[str, Score]) -> str:
    """Return what the documents say of it."""
    named = [(f"`{name}`", score) for name, score in scores.items()]
    rows = "\n".join(
        f"| {name} | {score.made} | {score.noticed} | {score.percent:.1f} % |"
        for name, score in [*named, ("all together", reduce(add, scores.values()))]
    )
    return f"""# Mistakes that unit tests notice

Made by `make mutation`, which writes this page anew.

mutmut {version("mutmut")} makes small mistakes in every `rules.py` below `lambdas/`, one at a time: another operator,
number, text or argument. It makes them in functions and methods, but not in properties and constants. For each, a test
of the rules of the same room (`tests/unit/<room>/test_*rules.py`) has to fail. What none notices is listed by `make
mutation`, which fails itself when fewer than {WANTED_PERCENT:.0f} % are noticed in any file.

| file | mistakes | noticed | score |
| --- | ---: | ---: | ---: |
{rows}
"""


def _named(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def _line(name: str, score: Score) -> str:
    return f"{name:<34} {score.noticed:>5} of {score.made:>5} noticed, {score.percent:5.1f} %"


if __name__ == "__main__":
    sys.exit(main())
