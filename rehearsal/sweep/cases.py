"""Which cases there are: every fault at every moment of a path, some in pairs; and which of them are played."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from rehearsal.sweep.faults import Fault, Strike, faults_at
from rehearsal.sweep.moments import Kind, Moment
from rehearsal.sweep.paths import Path

_CRITICAL = ("claim-rollback", "switch-listener", "settle", "run-smoke-checks", "check-error-rate", "record-rollback")
"""The functions of the rollback machine between its start and its record."""
_PAIRED = {
    Kind.CALL: (Fault.FAILS_BEFORE, Fault.ANSWER_LOST),
    Kind.INVOCATION: (Fault.KILLED_BEFORE, Fault.KILLED_AFTER),
}
_BY_POLLING = 3
"""More requests of a kind than so many are repeated by polling."""


@dataclass(frozen=True)
class Case:
    """
    One run: a path, what goes wrong on it, and the seed.

    `str` is "deploy/call:promote.dynamodb.TransactWriteItems#1/answer-lost@0"; two faults have a "+" between them.
    """

    path: str
    strikes: tuple[Strike, ...]
    seed: int = 0

    def __str__(self) -> str:
        """Return the name, by which it can be played again."""
        return f"{self.path}/{'+'.join(map(str, self.strikes)) or 'clean'}@{self.seed}"

    @property
    def fault(self) -> str:
        """Return what it counts as in the evidence."""
        if len(self.strikes) == 1:
            return self.strikes[0].fault.value
        return "two faults" if self.strikes else "no fault"

    @classmethod
    def parse(cls, text: str) -> "Case":
        """Read what `str` has written. Raises ValueError for anything else."""
        name, _, seed = text.rpartition("@")
        path, _, strikes = name.partition("/")
        if strikes == "clean":
            return cls(path, (), int(seed))
        return cls(path, tuple(Strike.parse(each) for each in strikes.split("+")), int(seed))


def moments_of(path: Path, recorded: Sequence[Moment]) -> list[Moment]:
    """
    Return the moments of a path that are swept on it: what other paths have in common with it is swept once.

    Of what is asked again and again, and of what comes every minute anyway: first, second and last.
    """
    begins = next((each.at for each in recorded if each.name == path.begins_at), 0.0) if path.begins_at else 0.0
    ends = next((each.at for each in recorded if each.name == path.ends_at), float("inf"))
    own = [each for each in recorded if begins <= each.at < ends or _function_of(each) in path.always]
    groups: dict[tuple[Kind, str], list[Moment]] = defaultdict(list)
    for each in own:
        groups[each.kind, each.name].append(each)
    kept = {each for group in groups.values() for each in _not_polled(group)}
    return [each for each in own if each in kept]


def _not_polled(group: Sequence[Moment]) -> Iterable[Moment]:
    is_polled = len(group) > _BY_POLLING and (group[0].kind is not Kind.CALL or not group[0].writes)
    return (group[0], group[1], group[-1]) if is_polled else group


def _function_of(moment: Moment) -> str:
    return moment.name.split(".")[0]


def cases_of(path: Path, moments: Sequence[Moment], seed: int) -> list[Case]:
    """Return every fault at every moment, and on a path with a rollback every pair of faults on its critical path."""
    single = [Case(path.name, (Strike(moment, fault),), seed) for moment in moments for fault in faults_at(moment)]
    return [*single, *_pairs(path, moments, seed)]


def _pairs(path: Path, moments: Sequence[Moment], seed: int) -> Iterator[Case]:
    if not path.has_pairs:
        return
    critical = [each for each in moments if _function_of(each) in _CRITICAL and each.kind in _PAIRED]
    strikes = [
        Strike(moment, fault) for moment in critical for fault in _PAIRED[moment.kind] if fault in faults_at(moment)
    ]
    for first, second in combinations(strikes, 2):
        if first.moment != second.moment:
            yield Case(path.name, (first, second), seed)


def sample(cases: Sequence[Case], most: int | None, seed: int) -> list[Case]:
    """Return so many of the cases by chance, the same for the same seed, in their order; all of them for None."""
    if most is None or len(cases) <= most:
        return list(cases)
    chosen = set(Random(seed).sample(range(len(cases)), most))
    return [each for number, each in enumerate(cases) if number in chosen]


@dataclass(frozen=True)
class Plan:
    """How many cases of a path a full sweep plays at most: of pairs, of requests that only read, and of all others."""

    others: int
    reads: int
    pairs: int = 0


PLANS: Mapping[str, Plan] = {
    "deploy": Plan(others=360, reads=40),
    "rollback-by-hand": Plan(others=210, reads=30, pairs=100),
    "rollback-by-alarm": Plan(others=120, reads=10),
    "restore-database": Plan(others=70, reads=5),
    "complete-rollback": Plan(others=70, reads=10),
    "push": Plan(others=120, reads=20),
}
"""So that all of it fits into half an hour on two cores; the evidence says how many of how many."""


def chosen(cases: Sequence[Case], plan: Plan, seed: int, most: int | None = None) -> list[Case]:
    """Return what is played of a path's cases: a sample of each kind, or so many of all."""
    if most is not None:
        return sample(cases, most, seed)
    pairs = [each for each in cases if len(each.strikes) > 1]
    reads = [each for each in cases if is_read(each) and len(each.strikes) == 1]
    known = {*pairs, *reads}
    rest = [each for each in cases if each not in known]
    return [*sample(rest, plan.others, seed), *sample(reads, plan.reads, seed), *sample(pairs, plan.pairs, seed)]


def is_read(case: Case) -> bool:
    """Say whether all that a case disturbs is a request that only reads."""
    return all(each.moment.kind is Kind.CALL and not each.moment.writes for each in case.strikes)
