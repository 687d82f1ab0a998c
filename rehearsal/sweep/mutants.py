"""
Known mistakes, built into what ships on purpose: each must be caught by the check that the table names for it.

    result = run(["no settle"], folder, print)

A check that has never failed proves nothing. Each mistake is deployed into a copy of an account that was built once,
and a play is played there that shows it; the same play on what ships must find nothing.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.assembly import assembly_of
from rehearsal.circumstances import Circumstances
from rehearsal.copies import Crash, Original, built, in_copies
from rehearsal.report import Report
from rehearsal.scenarios import Scenario
from rehearsal.settings import Settings
from rehearsal.stage import Stage, Stuck
from rehearsal.sweep.mistakes import MUTANTS, Mutant
from rehearsal.sweep.plays_against_mutants import PLAYS, Play
from rehearsal.sweep.verdicts import problems_of

_LONGEST_SECONDS = 300.0
"""Wall seconds after which a play is stuck."""
_SEED = 1
_STICKY_SHARE = 0.1
"""Any share lets the load balancer send cookies; how many keep them is for the play to say."""
_PATIENCE_SECONDS = 3600.0
"""How long a play waits, in simulated time, for what a mistake may keep from happening."""
_LONGEST_CELL = 160


class Lost(Exception):
    """A play came to no end of which anything could be said; the message holds its traceback."""


@dataclass(frozen=True)
class Seen:
    """What a play has shown: on a mutant, or on what ships. `problems` say what did not hold."""

    play: str
    mutant: Mutant | None
    problems: tuple[str, ...]
    cpu_seconds: float

    @property
    def is_as_it_should_be(self) -> bool:
        """Nothing is found in what ships, and a mistake by the check that is named for it."""
        return bool(self.found) if self.mutant else not self.problems

    @property
    def found(self) -> str:
        """What the check that the table names has found; empty when it has found nothing."""
        if self.mutant is None:
            return ""
        return next((each for each in self.problems if self.mutant.caught_by in each), "")


@dataclass(frozen=True)
class MutantResult:
    """What came of all plays, in the order of the table; those on what ships come first."""

    seen: Sequence[Seen]

    @property
    def survivors(self) -> list[Seen]:
        """Mistakes that nobody has noticed, or not the check that should have."""
        return [each for each in self.seen if each.mutant and not each.is_as_it_should_be]

    @property
    def unclean(self) -> list[Seen]:
        """Plays that find something in what ships, so that they prove nothing."""
        return [each for each in self.seen if each.mutant is None and not each.is_as_it_should_be]

    @property
    def built_in(self) -> int:
        """How many mistakes were built in."""
        return sum(each.mutant is not None for each in self.seen)

    @property
    def cpu_seconds(self) -> float:
        """What all of it has cost."""
        return sum(each.cpu_seconds for each in self.seen)

    @property
    def is_good(self) -> bool:
        """Say whether every mistake was caught, and nothing else."""
        return not self.survivors and not self.unclean

    def _clean_plays(self) -> str:
        plays = [each for each in self.seen if each.mutant is None]
        clean = len(plays) - len(self.unclean)
        return f"Of the {len(plays)} plays that show them, {clean} find nothing in what ships."

    def section(self) -> str:
        """Return what the evidence says of them, in Markdown."""
        lines = [
            "## Mistakes that are built in on purpose",
            "",
            (
                f"{self.built_in} known mistakes were built into what ships, one at a time, and"
                f" {self.built_in - len(self.survivors)} of them were caught by the check that the table names."
                f" {self._clean_plays()} Each play is seconds of a processor; all of them took"
                f" {self.cpu_seconds:.0f}."
            ),
            "",
            "| mistake | lesson | played | what was seen |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| **{each.mutant.name}**: {_cell(each.mutant.mistake)} | {_cell(each.mutant.lesson)} | {each.play} |"
            f" {_cell(each.found) or '**survived**'} |"
            for each in self.seen
            if each.mutant
        ]
        return "\n".join(lines) + "\n"


def run(
    names: Iterable[str],
    folder: Path,
    say: Callable[[str], None],
    *,
    at_most: int = 2,
    assembly: Callable[[str, Path], Path] = assembly_of,
) -> MutantResult:
    """
    Play what is named, or all: first each play on what ships, then on each of its mutants.

    `say` hears a line for each. `assembly` returns the one of an environment, which it may build in a folder. Raises
    KeyError for an unknown name.
    """
    mutants = [MUTANTS[name] for name in names] or list(MUTANTS.values())
    seen: list[Seen] = []
    assemblies: dict[str, Path] = {}
    for stand in dict.fromkeys(_stand_of(each.play) for each in mutants):
        here = [each for each in mutants if _stand_of(each.play) == stand]
        plays = dict.fromkeys(each.play for each in here)
        work: list[tuple[str, Mutant | None]] = [
            *((play, None) for play in plays),
            *((each.play, each) for each in here),
        ]
        if stand.environment not in assemblies:
            assemblies[stand.environment] = assembly(stand.environment, folder)
        for found in _seen(work, stand, assemblies[stand.environment], folder / stand.name, at_most):
            say(_line(found))
            seen.append(found)
    order = {name: place for place, name in enumerate(MUTANTS, start=1)}
    return MutantResult(sorted(seen, key=lambda each: order[each.mutant.name] if each.mutant else 0))


@dataclass(frozen=True)
class _Stand:
    """An account that has to be built for a play."""

    environment: str
    is_special: bool
    """It has a real database, and a load balancer that sends cookies: for plays that want the one or the other."""

    @property
    def name(self) -> str:
        return f"{self.environment}-special" if self.is_special else self.environment

    @property
    def scenario(self) -> Scenario:
        """Return what the account is built for."""
        special = Circumstances(sticky_share=_STICKY_SHARE, real_database=True)
        circumstances = special if self.is_special else Circumstances()
        return Scenario(self.name, "", "", lambda _: None, circumstances=circumstances)


def _stand_of(play: str) -> _Stand:
    scenario = PLAYS[play].scenario
    return _Stand(scenario.environment, scenario.circumstances != Circumstances())


def _seen(
    work: Sequence[tuple[str, Mutant | None]], stand: _Stand, assembly: Path, folder: Path, at_most: int
) -> Iterator[Seen]:
    """Build an account once, and play everything in copies of it."""
    with built(stand.scenario, Settings.read(stand.environment), assembly, folder) as original:

        def played(numbered: tuple[int, tuple[str, Mutant | None]]) -> tuple[list[str], float]:
            number, (play, mutant) = numbered
            return _played(original, PLAYS[play], mutant, folder / f"{number}")

        for (_, (play, mutant)), result in in_copies(
            played, enumerate(work), at_most=at_most, longest_seconds=_LONGEST_SECONDS
        ):
            if isinstance(result, Crash):
                raise Lost(f"{mutant.name if mutant else 'what ships'}, {play}: {result.traceback}")
            problems, cpu_seconds = result
            yield Seen(play, mutant, tuple(problems), cpu_seconds)


def _played(original: Original, play: Play, mutant: Mutant | None, folder: Path) -> tuple[list[str], float]:
    """Build a mistake in, here where this is a copy, and play; return the problems, and seconds of the processor."""
    began = time.process_time()
    folder.mkdir(parents=True)
    for change in mutant.changes if mutant else ():
        change.deploy(original.account, folder)
    original.staging.patience_seconds = _PATIENCE_SECONDS
    problems: list[str] = []

    def conclude(report: Report, stage: Stage) -> None:
        problems.extend(play.scenario.broken_promises(report))
        problems.extend(each for each in problems_of(stage, report) if each != play.apart_from)
        problems.extend(filter(None, (look(stage, report) for look in play.looks)))

    try:
        original.perform(play.scenario, _SEED, folder / "played", conclude)
    except Stuck as stuck:
        problems.append(f"stuck: {stuck}")
    shutil.rmtree(folder)
    return list(dict.fromkeys(problems)), time.process_time() - began


def _line(seen: Seen) -> str:
    what = f"mutant {seen.mutant.name}" if seen.mutant else "what ships"
    said = seen.found or ("; ".join(seen.problems) if seen.problems else "nothing found")
    verdict = "ok      " if seen.is_as_it_should_be else "SURVIVED" if seen.mutant else "UNCLEAN "
    return f"{verdict} {what}, {seen.play}: {said} ({seen.cpu_seconds:.1f} s)"


def _cell(text: str) -> str:
    """Return text as a cell of a table holds it, shortened."""
    plain = " ".join(text.replace("|", "\\|").split())
    return plain if len(plain) <= _LONGEST_CELL else f"{plain[:_LONGEST_CELL]}…"
