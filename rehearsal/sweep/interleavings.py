"""
Everybody at once: a deployment, rollbacks, alarms, operators, clean-ups and the watchdog, in an order that a seed says.

    for found in played(range(100), "biased", original, at_most=2):
        ...

The seed draws who does what when (`plan_of`), and decides at every AWS call of a function whose request arrives next.
What is drawn is on the shipped definitions, with the shipped functions. One play is repeated exactly by its name,
`interleavings/<policy>/<seed>`, as in `python -m rehearsal.sweep replay interleavings/biased/17`.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from botocore.exceptions import ClientError

from rehearsal import fate
from rehearsal.copies import Crash, Original, in_copies
from rehearsal.engine.virtual import Biased, Chooser, Uniform
from rehearsal.report import Report
from rehearsal.scenarios import NEW_VERSION, OTHER_VERSION, Scenario
from rehearsal.scenarios.plays import bad, turn_bad
from rehearsal.stage import Stage, Step
from rehearsal.sweep import schedules
from rehearsal.sweep.chronicle import Chronicle
from rehearsal.sweep.mixed_verdicts import problems_in
from rehearsal.sweep.paths import until_quiet
from rehearsal.sweep.schedules import SchedulesResult

POLICIES: Mapping[str, Callable[[], Chooser]] = {"uniform": Uniform, "biased": Biased}

_LONGEST_SECONDS = 300.0
"""Wall seconds after which a play is stuck."""
_ENOUGH_FOR_ALL_SECONDS = 60.0
"""A run that is shorter explores one race only."""
_COMMAND = "python -m rehearsal.sweep replay"
_BAD_SHARE = 0.5
_BY_HAND = {"blue": 70, "green": 30}


# -- what may happen


def _order(action: str) -> Callable[[Stage], None]:
    def give(stage: Stage) -> None:
        stage.start("operate", {"action": action, "reason": f"rehearsing {action}"})

    return give


def _stop(machine: str) -> Callable[[Stage], None]:
    """Stop what runs of a machine, the newest execution first looked at."""

    def stop(stage: Stage) -> None:
        running = [each for each in stage.of_machine(machine) if not each.ended]
        if running:
            stage.stop(running[-1])

    return stop


def _start_another(stage: Stage) -> None:
    stage.start_deployment({"version": OTHER_VERSION})


def _roll_back(stage: Stage) -> None:
    stage.start_rollback({})


def _clean_up(stage: Stage) -> None:
    stage.start_clean_up({})


def _turn_bad(stage: Stage) -> None:
    turn_bad(stage, bad(failing_share=_BAD_SHARE))


def _turn_alarm_on(stage: Stage) -> None:
    fate.turn_alarm_on(stage.account, "rolls-back-error-rate-api-green")


def _hear_alarms_again(stage: Stage) -> None:
    fate.deliver_alarms_again(stage.account)


def _move_listener(stage: Stage) -> None:
    stage.move_listener(_BY_HAND)


@dataclass(frozen=True)
class Act:
    """Something that somebody or fate does. `likely` is how often it is drawn, compared with others."""

    do: Callable[[Stage], None]
    likely: int = 1
    brings_back: bool = False
    """A rollback comes of it, or an abort, while a release is under way."""


ACTS: Mapping[str, Act] = {
    "roll back by hand": Act(_roll_back, likely=4, brings_back=True),
    "stop the deployment": Act(_stop("deploy"), brings_back=True),
    "abort": Act(_order("abort"), brings_back=True),
    "let the version turn bad": Act(_turn_bad, brings_back=True),
    "turn an alarm on by hand": Act(_turn_alarm_on, brings_back=True),
    "start another deployment": Act(_start_another, likely=2),
    "stop the rollback": Act(_stop("rollback"), likely=2),
    "stop the clean-up": Act(_stop("clean-up")),
    "hear the alarms again": Act(_hear_alarms_again),
    "move the listener by hand": Act(_move_listener),
    "start a clean-up": Act(_clean_up, likely=2),
    "pause": Act(_order("pause")),
    "resume": Act(_order("resume")),
    "promote": Act(_order("promote")),
    "end the window": Act(_order("end-window")),
    "free the environment": Act(_order("release-environment")),
}

MOMENTS = (
    ("deploy", "Claim environment"),
    ("deploy", "Record rollback point"),
    ("deploy", "Prepare idle color"),
    ("deploy", "Wait for idle color"),
    ("deploy", "Hold old color"),
    ("deploy", "Shift 50 % of traffic"),
    ("deploy", "Judge at 50 %"),
    ("deploy", "Shift 100 % of traffic"),
    ("deploy", "Bake at 100 %"),
    ("deploy", "Promote release"),
    ("deploy", "Release environment"),
    ("deploy", "Start rollback"),
    ("rollback", "Claim rollback"),
    ("rollback", "Switch listener back"),
    ("rollback", "Stop deployment"),
    ("rollback", "Wait for late writes"),
    ("rollback", "Settle listener"),
    ("rollback", "Resume scaling"),
    ("rollback", "Record rollback"),
    ("clean-up", "Claim environment"),
)
"""States at whose first entry somebody may do something: around whatever claims, switches, settles or releases."""

_FIRST_SHIFT = ("deploy", "Shift 50 % of traffic")
_SHARE_BEFORE_SHIFT = 0.2
_SHARE_AT_ANY_TIME = 0.2
_SOON_SECONDS = 0.1
_MORE_OFTEN = 3
_WHOLE_SECONDS = 320.0
"""Within which a release on this environment is live, and its window almost over."""


@dataclass(frozen=True)
class Deed:
    """What somebody does: so many seconds after a state (machine, name) is entered first, or after the beginning."""

    act: str
    seconds: float
    after: tuple[str, str] | None = None

    def __str__(self) -> str:
        """Return it in words."""
        since = "the start" if self.after is None else f"{self.after[0]} enters {self.after[1]!r}"
        return f"{self.act}, {self.seconds:.2f} s after {since}"


def plan_of(seed: int) -> tuple[Deed, ...]:
    """Draw who does what when: something that brings a way back about, and up to four other things beside it."""
    chance = Random(f"plan {seed}")
    begun = [moment for moment in MOMENTS if moment[0] == "deploy"]
    begun = begun if chance.random() < _SHARE_BEFORE_SHIFT else begun[begun.index(_FIRST_SHIFT) :]
    first = _acts(chance, 1, [act for act in ACTS if ACTS[act].brings_back])
    others = _acts(chance, chance.choice((1, 2, 2, 3, 4)), [*ACTS])
    return (*(_deed(act, begun, chance) for act in first), *(_deed(act, MOMENTS, chance) for act in others))


def _acts(chance: Random, number: int, among: Sequence[str]) -> list[str]:
    return chance.choices(among, [ACTS[act].likely for act in among], k=number)


def _deed(act: str, moments: Sequence[tuple[str, str]], chance: Random) -> Deed:
    """Draw when: a fifth at any time, all others around a moment, half of them within the work that is done in it."""
    if chance.random() < _SHARE_AT_ANY_TIME:
        return Deed(act, round(chance.uniform(0, _WHOLE_SECONDS), 3))
    soon = chance.expovariate(1 / _SOON_SECONDS)
    later = chance.uniform(0, chance.choice((3, 20)))
    (moment,) = chance.choices(moments, [_likely(state) for _, state in moments])
    return Deed(act, round(chance.choice((soon, later)), 3), moment)


def _likely(state: str) -> int:
    """Draw states more often whose function changes a listener."""
    return _MORE_OFTEN if state.startswith(("Shift", "Switch", "Settle")) else 1


# -- one play


@dataclass(frozen=True)
class Found:
    """What came of one play. The same name gives the same, except for `cpu_seconds`."""

    name: str
    deeds: tuple[str, ...]
    done: tuple[str, ...]
    """What of it was really done: a moment may never come."""
    problems: tuple[str, ...]
    end: str
    trace_digest: str = ""
    calls: int = 0
    wrote_late: bool = False
    """Whether a function changed the listener whose execution had lost the environment."""
    lines: tuple[str, ...] = ()
    """What happened, for a human; empty where nothing was wrong."""
    cpu_seconds: float = field(default=0.0, compare=False)


class _Play:
    """Does the deeds of a plan when their moments come."""

    def __init__(self, plan: tuple[Deed, ...]) -> None:
        self.done: list[str] = []
        self.chronicle: Chronicle | None = None
        self._plan = plan
        self._begun: set[tuple[str, str]] = set()

    def __call__(self, stage: Stage) -> None:
        self.chronicle = Chronicle(stage)
        stage.on_step(lambda step: self._entered(stage, step))
        stage.start_deployment({"version": NEW_VERSION})
        timed = [each for each in self._plan if each.after is None]
        for deed in timed:
            self._begin(stage, deed)
        until_quiet(stage)
        if timed:
            stage.wait(max(0.0, max(each.seconds for each in timed) - stage.account.clock.seconds()) + 1)
            until_quiet(stage)

    def _entered(self, stage: Stage, step: Step) -> None:
        moment = (step.machine, step.state)
        if moment in self._begun:
            return
        self._begun.add(moment)
        for deed in self._plan:
            if deed.after == moment:
                self._begin(stage, deed)

    def _begin(self, stage: Stage, deed: Deed) -> None:
        stage.account.clock.thread(self._do, (stage, deed), name=deed.act, daemon=True).start()

    def _do(self, stage: Stage, deed: Deed) -> None:
        stage.account.clock.sleep(deed.seconds)
        self.done.append(deed.act)
        if self.chronicle:
            self.chronicle.note("somebody", deed.act)
        with suppress(ClientError):  # as of an execution that has just ended
            ACTS[deed.act].do(stage)


def play(original: Original, policy: str, seed: int, folder: Path, *, tell: bool = False) -> Found:
    """Play one interleaving here, in a copy of the process that has built the account. `tell` it in any case."""
    began = time.process_time()
    plan = plan_of(seed)
    acting = _Play(plan)
    problems: list[str] = []

    def conclude(report: Report, stage: Stage) -> None:
        if acting.chronicle:
            problems.extend(problems_in(acting.chronicle, stage, report))

    scenario = Scenario(name_of(policy, seed), "", expected="", play=acting)
    report = original.perform(scenario, seed, folder, conclude, POLICIES[policy]())
    lines = acting.chronicle.lines if acting.chronicle and (problems or tell) else []
    return Found(
        name=name_of(policy, seed),
        deeds=tuple(map(str, plan)),
        done=tuple(acting.done),
        problems=tuple(problems),
        end=_end_of(report),
        trace_digest=original.staging.time.trace.digest,
        calls=report.judgement.judged,
        wrote_late=bool(acting.chronicle and acting.chronicle.shows_late_write),
        lines=tuple(lines),
        cpu_seconds=time.process_time() - began,
    )


def name_of(policy: str, seed: int) -> str:
    """Return the name by which a play is repeated."""
    return f"interleavings/{policy}/{seed}"


def _end_of(report: Report) -> str:
    """Return the state that all ended in, in a few words."""
    ends = Counter(f"{each.machine} {each.status.lower()}" for each in report.executions)
    shares = "/".join(str(report.weights[color]) for color in ("blue", "green"))
    told = ", ".join(f"{number} × {end}" if number > 1 else end for end, number in sorted(ends.items()))
    return f"{report.outcome}, {report.phase}, {shares}: {told}"


# -- many plays


@dataclass(frozen=True)
class InterleavingResult:
    """What many plays came to, by policy, and all that went wrong in them."""

    plays: Mapping[str, int]
    orders: int
    """How many different traces of virtual time there were."""
    deeds: Mapping[str, int]
    """How often each act was really done."""
    ends: Mapping[str, int]
    """How often it all ended in which state."""
    calls: int
    late_writes: int
    """In how many plays a function changed the listener whose execution had lost the environment."""
    found: tuple[Found, ...]
    crashes: tuple[str, ...]
    cpu_seconds: float
    schedules: SchedulesResult | None = None

    @property
    def problems(self) -> list[str]:
        """Return every problem with the command that shows it again."""
        own = [f"{'; '.join(each.problems)}\n  {_COMMAND} {each.name}" for each in self.found]
        return [*own, *self.crashes, *(self.schedules.problems if self.schedules else ())]

    def section(self) -> tuple[str, str]:
        """Return a title and Markdown for the page of evidence."""
        return "Interleavings", _section(self)


def played(
    original: Original, names: Iterable[tuple[str, int]], folder: Path, *, at_most: int
) -> Iterator[Found | Crash]:
    """Play each (policy, seed) in a copy of its own, and yield what comes of each as soon as it ends."""

    def one(named: tuple[str, int]) -> Found:
        policy, seed = named
        return play(original, policy, seed, folder / f"{policy}-{seed}")

    for (policy, seed), result in in_copies(one, names, at_most=at_most, longest_seconds=_LONGEST_SECONDS):
        if isinstance(result, Crash):
            yield Crash(f"{name_of(policy, seed)}: {result.traceback}")
        else:
            yield result


def run(jobs: int, budget_seconds: float, seed: int, *, most: int | None = None) -> InterleavingResult:
    """Build an account, and do what `run_in` does."""
    with TemporaryDirectory() as folder, schedules.account_of(Path(folder)) as original:
        return run_in(original, Path(folder) / "mixed", jobs, budget_seconds, seed, most=most)


def run_in(
    original: Original, folder: Path, jobs: int, budget_seconds: float, seed: int, *, most: int | None = None
) -> InterleavingResult:
    """
    Play one interleaving after the other, `jobs` at a time, from a seed on, under each policy in turn; then schedules.

    Ends after so many wall seconds, with those that are under way; interleavings end after half of them, or `most`. The
    account is one of the environment `sweep`, in usual circumstances.
    """
    ends_at = time.monotonic() + budget_seconds
    half = ends_at - budget_seconds / 2
    numbers = range(most) if most is not None else count()
    each_in_turn = ((list(POLICIES)[number % len(POLICIES)], seed + number // len(POLICIES)) for number in numbers)
    in_time = takewhile(lambda _: time.monotonic() < half, each_in_turn)
    results = list(played(original, in_time, folder / "plays", at_most=jobs))
    races = schedules.RACES if budget_seconds >= _ENOUGH_FOR_ALL_SECONDS else (schedules.SHORTEST,)
    explored = schedules.run_in(original, folder / "schedules", jobs, ends_at - time.monotonic(), races)
    return result_of(results, explored)


def result_of(results: Iterable[Found | Crash], explored: SchedulesResult | None = None) -> InterleavingResult:
    """Count what many plays came to."""
    results = list(results)
    found = [each for each in results if isinstance(each, Found)]
    return InterleavingResult(
        plays=Counter(each.name.split("/")[1] for each in found),
        orders=len({each.trace_digest for each in found}),
        deeds=Counter(act for each in found for act in each.done),
        ends=Counter(each.end.partition(":")[0] for each in found),
        calls=sum(each.calls for each in found),
        late_writes=sum(each.wrote_late for each in found),
        found=tuple(each for each in found if each.problems),
        crashes=tuple(each.traceback for each in results if isinstance(each, Crash)),
        cpu_seconds=sum(each.cpu_seconds for each in found),
        schedules=explored,
    )


def replay(name: str) -> int:
    """
    Play an interleaving or a schedule again by its name, print all that happened, and return how many problems it had.

    Raises ValueError for a name that there is not.
    """
    _, kind, number = name.split("/")
    if kind in schedules.RACES:
        return schedules.replay(name)
    if kind not in POLICIES:
        raise ValueError(f"there is no interleaving {name!r}: it is neither of {', '.join(POLICIES)}")
    with TemporaryDirectory() as folder, schedules.account_of(Path(folder)) as original:

        def again(seed: int) -> Found:
            return play(original, kind, seed, Path(folder) / "play", tell=True)

        ((_, found),) = in_copies(again, [int(number)], at_most=1, longest_seconds=_LONGEST_SECONDS)
    if isinstance(found, Crash):
        print(found.traceback)
        return 1
    print(story(found))
    return len(found.problems)


def story(found: Found) -> str:
    """Tell a play: what was planned, what happened, and what was wrong by the end."""
    planned = [f"  planned: {each}" for each in found.deeds]
    wrong = [f"  WRONG: {each}" for each in found.problems] or ["  nothing was wrong"]
    return "\n".join([found.name, *planned, *found.lines, f"  ended: {found.end}", *wrong])


def _section(result: InterleavingResult) -> str:
    """Tell the counts as Markdown."""
    plays = sum(result.plays.values())
    lines = [
        "A deployment, rollbacks, alarms, operators, clean-ups and the watchdog at once. The seed draws who does what",
        "when, and decides at every AWS call of a function whose request arrives next.",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| plays, {policy} | {number} |" for policy, number in sorted(result.plays.items())),
        f"| different orders | {result.orders} |",
        f"| requests to AWS | {result.calls} |",
        f"| plays in which the listener was changed by who had lost the environment | {result.late_writes} |",
        f"| plays with violations | {len(result.found) + len(result.crashes)} |",
        f"| CPU seconds of each | {result.cpu_seconds / max(plays, 1):.1f} |",
        "",
        "| what somebody did | times |",
        "| --- | --- |",
        *(f"| {act} | {number} |" for act, number in sorted(result.deeds.items(), key=lambda each: -each[1])),
        "",
        "| ended as: outcome, phase, blue/green | times |",
        "| --- | --- |",
        *(f"| {end} | {number} |" for end, number in sorted(result.ends.items(), key=lambda each: -each[1])),
    ]
    return "\n".join(lines) + (f"\n\n{schedules.told(result.schedules)}" if result.schedules else "")
