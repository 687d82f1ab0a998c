"""`python -m rehearsal.sweep`: every fault at every moment of every path, and more that proves the way back."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path as Folder

from rehearsal.copies import Original
from rehearsal.sweep import interleavings, mutants
from rehearsal.sweep.cases import PLANS, Case, cases_of, chosen, moments_of
from rehearsal.sweep.coverage import Edge, machines_of
from rehearsal.sweep.evidence import (
    EVIDENCE,
    Section,
    Swept,
    coverage_section,
    page,
    replay_command,
    sweep_section,
    violated,
    violations_section,
)
from rehearsal.sweep.faults import Fault
from rehearsal.sweep.paths import PATHS, Path, alike
from rehearsal.sweep.playing import account_for, play

HELD, VIOLATED, USAGE = 0, 1, 2
"""Exit codes."""

_TELL_EVERY_SECONDS = 10.0
_FAST_CASES, _FAST_CASES_ON_POSTGRES = 3, 1
"""Of each path, with --fast; a path that needs a real PostgreSQL takes thrice as long."""
_INTERLEAVING_SECONDS = {False: 300.0, True: 8.0}
"""By whether it is to be fast: how long interleavings are played."""
_INTERLEAVING = "interleavings/"
"""What the names of interleavings begin with."""


Edges = dict[str, frozenset[Edge]]
"""Of all machines, by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; return the exit code: 1 when anything did not hold."""
    given = _parser().parse_args(arguments)
    if given.command == "replay":
        return _replay(given.name)
    if given.command == "mutants":
        return _catch(given.names, given.jobs)
    return _sweep(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rehearsal.sweep", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="a sample of everything, in a minute and a half")
    parser.add_argument("--all", action="store_true", help="every case, where a full sweep plays a sample (hours)")
    parser.add_argument("--path", choices=sorted(PATHS), help="sweep this path only, and nothing but paths")
    parser.add_argument("--fault", choices=[each.value for each in Fault], help="let only this go wrong")
    parser.add_argument("--seed", type=int, default=0, help="of time, and of every sample (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="how many are played at a time (default: %(default)s)")
    commands = parser.add_subparsers(dest="command")
    replay = commands.add_parser("replay", help="play one case again, and tell what happens in it")
    replay.add_argument("name", help="as it was printed, such as deploy/call:promote.ssm.PutParameter#1/answer-lost@0")
    mistakes = commands.add_parser("mutants", help="build known mistakes in, one at a time, and see what catches them")
    mistakes.add_argument("names", nargs="*", metavar="name", help='such as "no settle" (default: all)')
    return parser


def _replay(name: str) -> int:
    if name.startswith(_INTERLEAVING):
        return VIOLATED if interleavings.replay(name) else HELD
    try:
        case = Case.parse(name)
        path = PATHS[case.path]
    except (ValueError, KeyError) as unknown:
        print(f"There is no case {name!r}: {unknown}", file=sys.stderr)
        return USAGE
    with tempfile.TemporaryDirectory() as folder, account_for(path, Folder(folder)) as original:
        (result,) = play(original, [case], at_most=1, traced=True)
    for line in result.trace:
        print(line)
    print(f"{case}: {result.ending}" + ("" if result.struck else ", and the fault's moment never came"))
    for problem in result.problems:
        print(f"VIOLATED: {problem}")
    return VIOLATED if result.problems else HELD


def _catch(names: Sequence[str], jobs: int) -> int:
    if unknown := [name for name in names if name not in mutants.MUTANTS]:
        print(f"There is no mistake {unknown[0]!r}, only: {', '.join(mutants.MUTANTS)}", file=sys.stderr)
        return USAGE
    with tempfile.TemporaryDirectory() as folder:
        caught = mutants.run(names, Folder(folder), _say, at_most=jobs)
    wrong = _not_caught(caught)
    for each in wrong:
        print(f"VIOLATED: {each}")
    return VIOLATED if wrong else HELD


def _not_caught(caught: mutants.MutantResult) -> list[str]:
    return [
        *(f"nobody noticed {each.mutant}" for each in caught.survivors),
        *(f"{each.play}, on what ships: {'; '.join(each.problems)}" for each in caught.unclean),
    ]


def _sweep(given: argparse.Namespace) -> int:
    began = time.monotonic()
    everything = given.path is None and given.fault is None
    defined: Edges = {}
    with tempfile.TemporaryDirectory() as folder:
        names = [given.path] if given.path else list(PATHS)
        swept = [each for paths in alike(names) for each in _sweep_alike(paths, given, Folder(folder), defined)]
        results = [result for each in swept for result in each.results]
        edges = {edge for result in results for edge in result.edges}
        sections = [sweep_section(swept), violations_section(results), coverage_section(edges, defined)]
        wrong = [f"{'; '.join(each.problems)}\n  {replay_command(str(each.case))}" for each in violated(results)]
        if everything:
            mixed = interleavings.run(given.jobs, _INTERLEAVING_SECONDS[given.fast], given.seed)
            sections.append(Section(*mixed.section()))
            wrong += mixed.problems
        if everything and not given.fast:
            caught = mutants.run([], Folder(folder) / "mutants", _say, at_most=given.jobs)
            sections.append(_section_of(caught.section()))
            wrong += _not_caught(caught)
    for each in wrong:
        print(f"VIOLATED: {each}")
    print(
        f"{len(results)} cases, {len(wrong)} violations, {len(edges)} of {sum(map(len, defined.values()))} edges,",
        end=" ",
    )
    print(f"{time.monotonic() - began:.0f} s")
    if everything and not given.fast:
        EVIDENCE.write_text(page(sections, "`make sweep`"), encoding="utf-8")
        print(f"Written: {EVIDENCE}")
    return VIOLATED if wrong else HELD


def _section_of(text: str) -> Section:
    title, _, rest = text.partition("\n")
    return Section(title.removeprefix("## "), rest.strip())


def _sweep_alike(paths: Sequence[Path], given: argparse.Namespace, folder: Folder, defined: Edges) -> Iterator[Swept]:
    """Sweep paths that need the same account, which is built once for all of them."""
    with account_for(paths[0], folder) as original:
        for machine, definition in machines_of(original.account).items():
            defined[machine] = defined.get(machine, frozenset()) | definition.edges
        for path in paths:
            yield _sweep_path(path, given, original)


def _sweep_path(path: Path, given: argparse.Namespace, original: Original) -> Swept:
    began = told = time.monotonic()
    (clean,) = play(original, [Case(path.name, (), given.seed)], at_most=1)
    moments = moments_of(path, clean.moments)
    there_are = [each for each in cases_of(path, moments, given.seed) if given.fault in (None, each.fault)]
    fast = _FAST_CASES_ON_POSTGRES if path.circumstances.real_database else _FAST_CASES
    most = fast if given.fast else None
    cases = there_are if given.all else chosen(there_are, PLANS[path.name], given.seed, most)
    _say(f"{path.name}: {path.summary}; {len(moments)} moments, {len(cases)} of {len(there_are)} cases")
    results = [clean] if clean.problems else []
    for number, result in enumerate(play(original, cases, at_most=given.jobs), start=1):
        results.append(result)
        for problem in result.problems:
            _say(f"  {result.case}: {problem.splitlines()[-1]}")
        if time.monotonic() - told > _TELL_EVERY_SECONDS:
            told = time.monotonic()
            _say(f"  {number} of {len(cases)}, {len(violated(results))} violated")
    _say(f"  {len(cases)} played in {time.monotonic() - began:.0f} s, {len(violated(results))} violated")
    return Swept(path.name, path.summary, len(moments), len(there_are), results)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
