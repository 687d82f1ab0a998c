"""Play cases: each in a copy of an account that was built once for its path."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path as Folder

from rehearsal.assembly import assembly_of
from rehearsal.copies import Crash, Original, built, in_copies
from rehearsal.report import Report
from rehearsal.settings import Settings
from rehearsal.stage import Execution, Stage, Stuck
from rehearsal.sweep.cases import Case
from rehearsal.sweep.coverage import Edge, Machine, edges_of, machines_of
from rehearsal.sweep.faults import Striker
from rehearsal.sweep.moments import Moment, Recorder, Watch
from rehearsal.sweep.paths import PATHS, Path
from rehearsal.sweep.trace import trace_of
from rehearsal.sweep.verdicts import ending_of, problems_of

LONGEST_CASE_SECONDS = 100.0
"""Wall seconds after which a case that has not ended is taken for stuck."""

STUCK = "stuck"
"""How a case ended that did not come to an end."""


@dataclass(frozen=True)
class Result:
    """What a case came to. `struck` says whether all its moments came; `trace` is for people, only on request."""

    case: Case
    ending: str
    problems: tuple[str, ...]
    struck: bool = True
    edges: frozenset[Edge] = frozenset()
    simulated_seconds: float = 0.0
    cpu_seconds: float = 0.0
    trace: tuple[str, ...] = field(default=(), compare=False)
    moments: tuple[Moment, ...] = field(default=(), compare=False)


@contextmanager
def account_for(path: Path, folder: Folder) -> Iterator[Original]:
    """Build the account of a path, and of all that need the same, below `folder`, where assemblies are kept."""
    kept = folder / f"assembly-{path.environment}"
    assembly = kept if kept.exists() else assembly_of(path.environment, folder)
    with built(path.scenario, Settings.read(path.environment), assembly, folder / path.name) as original:
        yield original


def play(original: Original, cases: Iterable[Case], *, at_most: int, traced: bool = False) -> Iterator[Result]:
    """Play cases of the path that the account was built for; yield what comes of each as soon as it ends."""
    machines = machines_of(original.account)

    def played(case: Case) -> Result:
        return _Run(case, original, traced=traced).result(machines)

    for case, result in in_copies(played, cases, at_most=at_most, longest_seconds=LONGEST_CASE_SECONDS):
        if isinstance(result, Crash):
            yield Result(case, STUCK, (result.traceback.strip(),))
        else:
            yield result


class _Run:
    """One case, in the copy of the process that plays it."""

    def __init__(self, case: Case, original: Original, *, traced: bool) -> None:
        self._case, self._original, self._traced = case, original, traced
        self._recorder = Recorder()
        self._strikers: list[Striker] = []
        self._concluded: tuple[str, tuple[str, ...], tuple[str, ...]] = (STUCK, (), ())
        self._stage: Stage | None = None

    def result(self, machines: Mapping[str, Machine]) -> Result:
        """Play it, and say what came of it."""
        began = time.process_time()
        scenario = PATHS[self._case.path].scenario
        folder = self._original.folder / _folder_name(self._case)
        armed = replace(scenario, play=lambda stage: self._play(stage, scenario.play))
        executions: Sequence[Execution] = ()
        seconds = 0.0
        try:
            report = self._original.perform(armed, self._case.seed, folder, self._conclude)
            executions, seconds = report.executions, report.simulated_seconds
        except Stuck as stuck:
            trace = tuple(trace_of(self._stage)) if self._stage and self._traced else ()
            self._concluded = (STUCK, (f"it does not come to an end: {stuck}",), trace)
        ending, problems, trace = self._concluded
        if not problems:
            shutil.rmtree(folder)
        return Result(
            case=self._case,
            ending=ending,
            problems=problems,
            struck=all(each.struck_at is not None for each in self._strikers),
            edges=edges_of(machines, executions),
            simulated_seconds=seconds,
            cpu_seconds=time.process_time() - began,
            trace=trace,
            moments=tuple(self._recorder.moments) if not self._case.strikes else (),
        )

    def _play(self, stage: Stage, play: Callable[[Stage], None]) -> None:
        self._stage = stage
        self._strikers = [Striker(stage, strike) for strike in self._case.strikes]
        Watch(stage, [*self._strikers, *([] if self._strikers else [self._recorder])])
        play(stage)

    def _conclude(self, report: Report, stage: Stage) -> None:
        problems = tuple(problems_of(stage, report))
        trace = tuple(trace_of(stage)) if self._traced else ()
        self._concluded = (ending_of(stage, report), problems, trace)


def _folder_name(case: Case) -> str:
    return str(case).replace("/", "_").replace(":", "-").replace("#", "-")[:200]
