"""How often the judge is wrong, and how soon it is right, on traces of releases at random."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.findings import Benchmark, Findings, Goal, Plan, Raw, Table
from bench.measure import CannotMeasure
from bench.shipped import answer_of, functions_of
from rehearsal.settings import Settings

HOW = """
Nothing is measured here but decisions: the rules that ship with `judge-bake`, with production's settings and steps,
look at counts that are drawn at random, from a seed that follows from the scenario's name, at the moments at which they
would look: a twentieth of a second after the whole second that a Wait state waits for. The counts are those of a source
with periods of five seconds, each published five seconds after its end; a shift comes at any moment of a period. Alarms
are left out: the figures are those of the counts alone. Times are rounded to a tenth of a second.

Requests come independently of each other, and so do errors. Real ones come in bursts, and clients repeat what failed:
that makes the judge faster with a bad release, and its false alarms more frequent than here. Unless it says otherwise
there are 100 requests a second to both versions together, of which 0.2 % fail and 0.5 % are slow.

**Bake** is one step with its own bake time; **release** is all steps, one after the other.
""".strip()

_SCRIPT = Path(__file__).with_name("judge_process.py")
_ENVIRONMENT, _FUNCTION = "production", "judge-bake"
_GOOD = (0.002, 0.005)
_BUSY, _QUIET = 100.0, 0.05
_RELEASES, _TRACES = 3000, 500
_SOON_SECONDS = 30
_EVERYBODY = 100
_MOST_FALSE_PERCENT, _LEAST_CAUGHT_PERCENT = 0.1, 99.0
_SAME, _FAULTY = "the same version", "5 % errors"
_WORSE: Mapping[str, tuple[float, float]] = {
    "1 % errors": (0.01, 0.005),
    "2 % errors": (0.02, 0.005),
    _FAULTY: (0.05, 0.005),
    "20 % errors": (0.2, 0.005),
    "8 % over 3 s, the median fine": (0.002, 0.08),
}

_ALL_AT_ONCE = f"""
{_FAULTY} of a release that has all traffic are not more than `maximum_error_percent` allows, and there is nothing to
compare it with: it must be caught by a step before, and that is what steps are for.
""".strip()
_TOLERATED = """
1 % errors are 0.8 percent points worse than what the old version has, and one point is tolerated; those that were
rolled back had more than that by chance. Warnings tell of the others.
""".strip()
_PUBLISHED = """
30 s after a shift, a source with such periods has published between 15 and 25 s of it, and the third look is up to a
second late, because a Wait state waits for whole seconds. At 10 % that is 7 to 12 errors of a release of which 5 %
fail; to be sure enough for one false alarm in 1,000 releases takes 6 when the old version has none meanwhile, and 9
when it has 3.
""".strip()


@dataclass(frozen=True)
class Scenario:
    """
    A release of which many traces are played.

    `steps` are percent and bake seconds; `new` and `old` are which share of the requests to that version fails, and
    which is slow.
    """

    name: str
    steps: Sequence[tuple[int, int]]
    new: tuple[float, float]
    old: tuple[float, float] = _GOOD
    per_second: float = _BUSY
    traces: int = _TRACES


def scenarios(steps: Sequence[tuple[int, int]]) -> Iterator[Scenario]:
    """Return what is played, for a release of these steps."""
    troubled = (0.02, 0.02)
    yield Scenario(f"{_SAME}, release", steps, _GOOD, traces=_RELEASES)
    yield Scenario(f"{_SAME}, 2 % fail and are slow in both, release", steps, troubled, troubled, traces=2 * _TRACES)
    for name, rates in _WORSE.items():
        for step in steps:
            yield Scenario(at_weight(name, step[0]), [step], rates)
    for name, new in {_SAME: _GOOD, _FAULTY: (0.05, 0.005), "half of all fail": (0.5, 0.005)}.items():
        yield Scenario(f"{name}, 3 requests a minute, release", steps, new, per_second=_QUIET)
    yield Scenario("the old version broken (20 % errors), release", steps, _GOOD, (0.2, 0.005))
    yield Scenario("both broken (20 % errors), release", steps, (0.2, 0.005), (0.2, 0.005))


def at_weight(name: str, percent: int) -> str:
    """Return the name of a scenario of one step."""
    return f"{name}, bake at {percent} %"


def measure(plan: Plan) -> Raw:
    """Play every scenario once: the same seeds give the same traces."""
    shipped = {each.name: each for each in functions_of(plan.assembly, Settings.read(_ENVIRONMENT))}
    if _FUNCTION not in shipped:
        raise CannotMeasure(f"{plan.assembly} has no {_FUNCTION}: `make synth` builds it.")
    variables = shipped[_FUNCTION].version.environment
    steps = [(each["weight"], each["bake_seconds"]) for each in json.loads(variables["RELEASE"])["steps"]]
    played = list(scenarios(steps))
    plan.say(f"playing {sum(each.traces for each in played):,} traces of {len(played)} scenarios")
    given = {"settings": variables["JUDGE"], "steps": steps, "scenarios": [asdict(each) for each in played]}
    return {"weights": [percent for percent, _ in steps], "ends": answer_of(_SCRIPT, shipped[_FUNCTION], given)}


@dataclass(frozen=True)
class Ends:
    """How all traces of a scenario ended: verdict, blame, and seconds since the first shift."""

    traces: Sequence[tuple[str, str, float]]

    @property
    def caught(self) -> list[float]:
        """Return after how many seconds the release was found to be bad, soonest first."""
        return sorted(seconds for verdict, _, seconds in self.traces if verdict == "unhealthy")

    def percent_of(self, count: int) -> float:
        """Return a part of the traces in percent."""
        return 100 * count / len(self.traces)

    def counted(self) -> Counter[str]:
        """Count the ends by what the machine would do."""
        return Counter("human" if blame == "environment" else verdict for verdict, blame, _ in self.traces)


def findings(raw: Raw) -> Findings:
    """Count how the traces ended, and after how long."""
    ends = {name: Ends([tuple(each) for each in traces]) for name, traces in raw["ends"].items()}
    false_alarms = [name for name in ends if name.startswith(_SAME)]
    return Findings(
        tables=[
            Table(
                "What became of the traces",
                ("scenario", "traces", "rolled back", "left to a human", "not judged", "went on"),
                [_row(name, each) for name, each in ends.items()],
            ),
            Table(
                "After how many seconds a bad release was found",
                ("scenario", "1 in 2", "9 in 10", "99 in 100", "slowest that was found"),
                [[name, *_times(each)] for name, each in ends.items() if each.caught and name not in false_alarms],
            ),
        ],
        goals=[
            *(_false_alarms(name, ends[name]) for name in false_alarms),
            *(_caught_soon(ends[at_weight(_FAULTY, each)], each) for each in raw["weights"] if each < _EVERYBODY),
        ],
        notes=[_ALL_AT_ONCE, _TOLERATED, _PUBLISHED],
    )


def _row(name: str, ends: Ends) -> list[str]:
    found = ends.counted()
    shares = (ends.percent_of(found[each]) for each in ("unhealthy", "human", "inconclusive", "healthy"))
    return [name, f"{len(ends.traces):,}", *(f"{share:.4g} %" for share in shares)]


def _times(ends: Ends) -> list[str]:
    """Return after how many seconds so many of all traces were found, if so many were."""
    wanted = (_after(ends, part) for part in (0.5, 0.9, 0.99))
    return [*("never" if each is None else f"{each:.0f} s" for each in wanted), f"{ends.caught[-1]:.0f} s"]


def _after(ends: Ends, part: float) -> float | None:
    number = -int(-part * len(ends.traces) // 1)
    return ends.caught[number - 1] if number <= len(ends.caught) else None


def _false_alarms(name: str, ends: Ends) -> Goal:
    percent = ends.percent_of(len(ends.caught))
    wanted = f"{name}: at most {_MOST_FALSE_PERCENT:g} % are rolled back"
    return Goal(wanted, f"{len(ends.caught)} of {len(ends.traces):,}", percent <= _MOST_FALSE_PERCENT)


def _caught_soon(ends: Ends, weight: int) -> Goal:
    percent = ends.percent_of(sum(seconds <= _SOON_SECONDS for seconds in ends.caught))
    wanted = f"{_FAULTY} at {weight} % are found within {_SOON_SECONDS} s in {_LEAST_CAUGHT_PERCENT:g} % of traces"
    return Goal(wanted, f"{percent:.4g} %", percent >= _LEAST_CAUGHT_PERCENT)


BENCHMARK = Benchmark("judge", "The judge: false alarms and misses", HOW, rounds=1, measure=measure, findings=findings)
