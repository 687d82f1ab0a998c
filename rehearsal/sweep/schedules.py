"""
The steps around claim, switch, settle and release, in every order with few deviations from the usual one.

    for schedule in explored(original, RACES["switch"], folder, deviations=2, at_most=2):
        ...

A race begins in the middle: an execution stands before a state in which it claims, switches or lets go, and rivals are
started at that moment. Only one of them goes on at a time. At each of their requests to the record, the load balancer
or Step Functions the schedule may say that another one goes on, or that time passes until one of them comes back from
its Wait; who was interrupted stays where it is, at most for as long as its function could live. The usual order is that
each goes on until it waits or ends. With no more than so many deviations from that (delay-bounded scheduling: Emmi,
Qadeer and Rakamaric, POPL 2011), all schedules are played, each on a fresh account, with the shipped definitions,
interpreted by moto, and the shipped functions. A schedule is the list of its choices, and is repeated exactly by it.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rehearsal.assembly import assembly_of
from rehearsal.clock import ClockEvent
from rehearsal.copies import Crash, Original, built, in_copies
from rehearsal.report import Report
from rehearsal.scenarios import NEW_VERSION, Scenario
from rehearsal.settings import Settings
from rehearsal.stage import Execution, Stage, Step
from rehearsal.sweep.chronicle import Chronicle, Threads
from rehearsal.sweep.mixed_verdicts import problems_in
from rehearsal.sweep.paths import SWEEP
from rehearsal.world.customer import CAPACITY

_SHARED = frozenset({"dynamodb", "elbv2", "stepfunctions"})
"""Whose requests can disagree with each other; the order of all others makes no difference."""

LONGEST_SECONDS = 7.0
"""For how long an invocation may be interrupted, all in all: the time-out of what changes a listener is 8 s."""

DEVIATIONS = 2
"""From the usual order, at the most: what only three or more would show is not looked for."""
SHORTEST = "switch"
"""The race to explore when there is time for one only."""

_COPY_SECONDS = 120.0
_UNTIL_SEEN_SECONDS, _UNTIL_GONE_SECONDS = 20.0, 330.0
"""After which users have met what is left, and targets of a color that was scaled in have been drained."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_REPORT_RULE = "-report"


@dataclass(frozen=True)
class Race:
    """Who stands before which state (of its `count`th entry), and who is started against him, by machine."""

    name: str
    machine: str
    state: str
    rivals: tuple[str, ...]
    count: int = 1


RACES: Mapping[str, Race] = {
    race.name: race
    for race in (
        Race("first-shift", "deploy", "Shift 50 % of traffic", ("rollback",)),
        Race("switch", "deploy", "Shift 100 % of traffic", ("rollback",)),
        Race("two-rollbacks", "deploy", "Shift 100 % of traffic", ("rollback", "rollback")),
        Race("promote", "deploy", "Promote release", ("rollback",)),
        Race("release", "deploy", "Release environment", ("rollback",)),
        Race("clean-up", "clean-up", "Claim clean-up", ("rollback",), count=2),
    )
}


# -- where a race begins


@dataclass(frozen=True)
class Beginning:
    """What the account was like when an execution stood before a state: enough to begin there again."""

    at: datetime
    items: tuple[dict[str, Any], ...]
    """Of the record, as DynamoDB writes them."""
    forwards: Mapping[str, list[dict[str, Any]]]
    """The default actions of listeners, by ARN."""
    execution_name: str
    given: str
    """The input of the state, when it was entered first."""


def beginning_of(original: Original, race: Race, folder: Path) -> Beginning:
    """Play a release until the race could begin, and return what that is like. Raises LookupError if it never comes."""
    ((_, found),) = in_copies(
        lambda _: _played_to(original, race, folder), [0], at_most=1, longest_seconds=_COPY_SECONDS
    )
    if isinstance(found, Beginning):
        return found
    raise LookupError(f"{race.name}: {found.traceback}")


class _Reached(Exception):
    """Everything is as it should be when the race begins."""


def _played_to(original: Original, race: Race, folder: Path) -> Beginning:
    found: list[Beginning] = []

    def play_to(stage: Stage) -> None:
        stage.start_deployment({"version": NEW_VERSION})

        def standing() -> list[Execution]:
            return [each for each in stage.of_machine(race.machine) if each.states.count(race.state) >= race.count]

        stage.until(lambda: bool(standing()), f"nobody reaches {race.state!r}")
        found.append(_seen(stage, race, standing()[0]))
        raise _Reached

    try:
        original.perform(Scenario(race.name, "", expected="", play=play_to), 0, folder)
    except _Reached:
        return found[0]
    raise LookupError(race.state)


def _seen(stage: Stage, race: Race, execution: Execution) -> Beginning:
    account = stage.account
    history = account.client("stepfunctions").get_paginator("get_execution_history")
    entered = [
        event["stateEnteredEventDetails"]
        for page in history.paginate(executionArn=execution.arn)
        for event in page["events"]
        if event.get("stateEnteredEventDetails", {}).get("name") == race.state
    ]
    elbv2 = account.client("elbv2")
    arns = {arn for route in account.settings.routes for arn in (route.arn, route.test_arn)}
    return Beginning(
        at=account.clock.now(),
        items=tuple(account.client("dynamodb").scan(TableName=account.stack.table())["Items"]),
        forwards={
            each["ListenerArn"]: each["DefaultActions"]
            for each in elbv2.describe_listeners(ListenerArns=sorted(arns))["Listeners"]
        },
        execution_name=execution.arn.rpartition(":")[2],
        given=entered[0]["input"],
    )


def _begin(stage: Stage, race: Race, beginning: Beginning) -> list[Execution]:
    """Let it be as it was, all moments moved to now, and let the executions run; none has had a turn yet."""
    account = stage.account
    _bring_up(stage)
    clients = {name: account.client(name) for name in ("dynamodb", "elbv2", "events", "stepfunctions")}
    moved = partial(_moved, by=account.clock.now() - beginning.at)
    for item in beginning.items:
        clients["dynamodb"].put_item(TableName=account.stack.table(), Item=json.loads(moved(json.dumps(item))))
    _forward(stage, beginning.forwards)
    clients["events"].disable_rule(Name=f"{account.settings.prefix}{_REPORT_RULE}")  # it only tells what happened
    machine = account.stack.state_machine(race.machine)
    arn = clients["stepfunctions"].start_execution(
        stateMachineArn=machine, name=beginning.execution_name, input=moved(beginning.given)
    )["executionArn"]
    first = stage.executions.setdefault(arn, Execution(arn, race.machine))
    return [first, *(stage.start(rival, {}) for rival in race.rivals)]


@contextmanager
def starting_there(original: Original, race: Race) -> Iterator[None]:
    """Let executions of the machine start at the race's state, in the original: to parse a definition takes long."""
    states, machine = original.account.client("stepfunctions"), original.account.stack.state_machine(race.machine)
    definition = states.describe_state_machine(stateMachineArn=machine)["definition"]
    there = json.dumps({**json.loads(definition), "StartAt": race.state})
    states.update_state_machine(stateMachineArn=machine, definition=there)
    try:
        yield
    finally:
        states.update_state_machine(stateMachineArn=machine, definition=definition)


def _bring_up(stage: Stage) -> None:
    """Let both colors have healthy instances."""
    account = stage.account
    route = account.settings.routes[0]
    for color in account.settings.colors.values():
        account.client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName=color.auto_scaling_group, MinSize=CAPACITY, DesiredCapacity=CAPACITY
        )
    groups = (route.blue, route.green)
    stage.until(
        lambda: all(account.load_balancer.healthy_targets(group) == CAPACITY for group in groups),
        "the colors are not healthy",
    )


def _forward(stage: Stage, forwards: Mapping[str, list[dict[str, Any]]]) -> None:
    """Point the listeners as they were, with both colors named on the way there, so that neither is ever unchecked."""
    elbv2 = stage.account.client("elbv2")
    for route in stage.account.settings.routes:
        both = {"TargetGroups": [{"TargetGroupArn": group, "Weight": 1} for group in (route.blue, route.green)]}
        named = [{"Type": "forward", "ForwardConfig": both}]
        for arn, actions in ((route.arn, named), (route.test_arn, forwards[route.test_arn])):
            elbv2.modify_listener(ListenerArn=arn, DefaultActions=actions)
        elbv2.modify_listener(ListenerArn=route.arn, DefaultActions=forwards[route.arn])


def _moved(text: str, by: timedelta) -> str:
    """Move every moment in a text."""

    def move(found: re.Match[str]) -> str:
        moved = (datetime.fromisoformat(found[0]) + by).isoformat(timespec="milliseconds")
        return moved.replace("+00:00", found[2])

    return _MOMENT.sub(move, text)


# -- one at a time


class Turns:
    """
    Lets one of several executions go on at a time. `choices` say who, where there is a choice; then comes the usual.

    `widths` is how many could have been chosen, for each choice so far.
    """

    def __init__(self, stage: Stage, concerned: Iterable[str], choices: Iterable[int]) -> None:
        self.widths: list[int] = []
        self._stage = stage
        self._clock = stage.account.clock
        self._choices = list(choices)
        self._going = list(concerned)
        """Those that have not ended."""
        self._parked: dict[str, ClockEvent] = {}
        self._interrupted: Counter[str] = Counter()
        self._current: str | None = None
        self._threads = Threads(stage)
        stage.account.calls.add_journey(self._travel)
        stage.on_step(self._entered)

    def _travel(self, caller: str | None, service: str, action: str) -> None:
        del action
        who = self._threads.execution_here()
        if caller is None or service not in _SHARED or who not in self._going:
            return
        if self._current not in (None, who):
            self._park(who)
        elif (chosen := self._choose([who, *self._parked])) != who:
            self._let_go(chosen)
            self._park(who)
        else:
            self._current = who

    def _entered(self, step: Step) -> None:
        """Whoever waits or ends makes room."""
        who = step.execution
        if who not in self._going:
            return
        if step.type in ("Succeed", "Fail"):
            self._going.remove(who)
        elif step.type != "Wait":
            self._interrupted[who] = 0  # the next state is another invocation
            return
        if self._current == who:
            self._current = None
            if self._parked:
                self._let_go(self._choose([*self._parked]))

    def _choose(self, options: list[str]) -> str | None:
        """Return who goes on; None lets time pass, if that could bring anybody else back."""
        others = [each for each in self._going if each not in options]
        may_come = any(not self._stage.executions[each].ended for each in others)
        wide = [*options, None] if may_come else [*options]
        if len(wide) == 1:
            return wide[0]
        place = self._choices[len(self.widths)] if len(self.widths) < len(self._choices) else 0
        self.widths.append(len(wide))
        return wide[min(place, len(wide) - 1)]

    def _let_go(self, who: str | None) -> None:
        self._current = who
        if who is not None:
            self._parked.pop(who).set()

    def _park(self, who: str) -> None:
        """Stand still until it is one's turn, or for as long as a function lives."""
        event = self._parked[who] = self._clock.event()
        began = self._clock.seconds()
        came = event.wait(max(0.0, LONGEST_SECONDS - self._interrupted[who]))
        self._interrupted[who] += self._clock.seconds() - began
        if not came:
            self._parked.pop(who, None)
            self._current = who


# -- one schedule


@dataclass(frozen=True)
class Schedule:
    """What came of one. The same race and choices give the same, except for `cpu_seconds`."""

    race: str
    choices: tuple[int, ...]
    widths: tuple[int, ...]
    problems: tuple[str, ...]
    end: str
    trace_digest: str
    lines: tuple[str, ...] = ()
    cpu_seconds: float = field(default=0.0, compare=False)

    @property
    def name(self) -> str:
        """Return that by which it is repeated."""
        return f"interleavings/{self.race}/{'.'.join(map(str, self.choices)) or 'usual'}"


def play(
    original: Original, race: Race, beginning: Beginning, choices: tuple[int, ...], folder: Path, *, tell: bool = False
) -> Schedule:
    """Play one schedule here, in a copy of the process that has built the account."""
    began = time.process_time()
    turns: list[Turns] = []
    chronicles: list[Chronicle] = []
    problems: list[str] = []
    ends: list[str] = []

    def race_on(stage: Stage) -> None:
        executions = _begin(stage, race, beginning)
        chronicles.append(Chronicle(stage))
        turns.append(Turns(stage, [each.arn for each in executions], choices))
        stage.until_all_ended()
        is_scaled_in = stage.record.lease.get("phase") in ("aborted", "committed")
        stage.wait(_UNTIL_GONE_SECONDS if is_scaled_in else _UNTIL_SEEN_SECONDS)

    def conclude(report: Report, stage: Stage) -> None:
        problems.extend(problems_in(chronicles[0], stage, report))
        ends.append(_end_of(report, stage))

    scenario = Scenario(race.name, "", expected="", play=race_on)
    original.perform(scenario, 0, folder, conclude)
    return Schedule(
        race=race.name,
        choices=choices,
        widths=tuple(turns[0].widths),
        problems=tuple(problems),
        end=ends[0],
        trace_digest=original.staging.time.trace.digest,
        lines=tuple(chronicles[0].lines) if problems or tell else (),
        cpu_seconds=time.process_time() - began,
    )


def _end_of(report: Report, stage: Stage) -> str:
    point = stage.record.live.get("rollback_point") or {}
    lease = stage.record.lease
    shares = "/".join(str(report.weights[color]) for color in ("blue", "green"))
    ends = ", ".join(
        sorted(f"{each.machine}: {each.states[-1] if each.states else each.status}" for each in report.executions)
    )
    held = "held" if lease.get("holder") else "free"
    return f"{shares}, {report.phase}, {held}, way back {point.get('status', 'none')}; {ends}"


# -- all schedules


def explored(
    original: Original, race: Race, folder: Path, *, deviations: int, at_most: int, ends_at: float = float("inf")
) -> Iterator[Schedule | Crash]:
    """
    Play every schedule of a race with no more than so many deviations from the usual order, those with fewest first.

    Ends at a moment of the wall's monotonic clock, with those that are under way.
    """
    beginning = beginning_of(original, race, folder / "beginning")

    def one(choices: tuple[int, ...]) -> Schedule:
        return play(original, race, beginning, choices, folder / (".".join(map(str, choices)) or "usual"))

    def in_time(level: Iterable[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
        return takewhile(lambda _: time.monotonic() < ends_at, level)

    level: list[tuple[int, ...]] = [()]
    with starting_there(original, race):
        for _ in range(deviations + 1):
            following: list[tuple[int, ...]] = []
            for choices, result in in_copies(one, in_time(level), at_most=at_most, longest_seconds=_COPY_SECONDS):
                if isinstance(result, Crash):
                    yield Crash(f"interleavings/{race.name}/{'.'.join(map(str, choices))}: {result.traceback}")
                else:
                    following += deviating(result)
                    yield result
            level = sorted(following)


def deviating(schedule: Schedule) -> list[tuple[int, ...]]:
    """Return the choices that go as this schedule does for a while, and then deviate once more."""
    usual = schedule.choices + (0,) * (len(schedule.widths) - len(schedule.choices))
    return [
        (*usual[:place], other)
        for place in range(len(schedule.choices), len(schedule.widths))
        for other in range(1, schedule.widths[place])
    ]


@dataclass(frozen=True)
class SchedulesResult:
    """What all schedules came to, by race."""

    schedules: Mapping[str, int]
    is_complete: bool
    """Whether no schedule with so few deviations was left out."""
    orders: int
    ends: Mapping[str, frozenset[str]]
    """The different states that a race ended in."""
    found: tuple[Schedule, ...]
    crashes: tuple[str, ...]
    cpu_seconds: float

    @property
    def problems(self) -> list[str]:
        """Return every problem with the name of its schedule."""
        own = [f"{'; '.join(each.problems)}\n  python -m rehearsal.sweep replay {each.name}" for each in self.found]
        return [*own, *self.crashes]


def run_in(
    original: Original, folder: Path, jobs: int, budget_seconds: float, races: Iterable[str] = tuple(RACES)
) -> SchedulesResult:
    """Explore races, `jobs` schedules at a time, each for its share of so many wall seconds at the most."""
    results: list[Schedule | Crash] = []
    names = list(races)
    is_complete = True
    ends_at = time.monotonic() + budget_seconds
    for left, name in zip(range(len(names), 0, -1), names, strict=True):
        until = time.monotonic() + (ends_at - time.monotonic()) / left
        results += explored(original, RACES[name], folder / name, deviations=DEVIATIONS, at_most=jobs, ends_at=until)
        is_complete &= time.monotonic() < until
    return result_of(results, is_complete=is_complete)


def result_of(results: Iterable[Schedule | Crash], *, is_complete: bool) -> SchedulesResult:
    """Count what schedules came to."""
    results = list(results)
    played = [each for each in results if isinstance(each, Schedule)]
    ends: dict[str, set[str]] = {}
    for each in played:
        ends.setdefault(each.race, set()).add(each.end)
    return SchedulesResult(
        schedules=Counter(each.race for each in played),
        is_complete=is_complete,
        orders=len({each.trace_digest for each in played}),
        ends={race: frozenset(found) for race, found in ends.items()},
        found=tuple(each for each in played if each.problems),
        crashes=tuple(each.traceback for each in results if isinstance(each, Crash)),
        cpu_seconds=sum(each.cpu_seconds for each in played),
    )


@contextmanager
def account_of(folder: Path) -> Iterator[Original]:
    """Build the account in which schedules and interleavings are played."""
    scenario = Scenario("schedule", "", expected="", play=lambda _: None)
    with built(scenario, Settings.read(SWEEP), assembly_of(SWEEP, folder / "assembly"), folder / SWEEP) as original:
        yield original


def replay(name: str) -> int:
    """Play a schedule again by its name, print all that happened, and return how many problems there were."""
    _, race, told = name.split("/")
    choices = () if told == "usual" else tuple(map(int, told.split(".")))
    with TemporaryDirectory() as folder, account_of(Path(folder)) as original:
        beginning = beginning_of(original, RACES[race], Path(folder) / "beginning")

        def again(given: tuple[int, ...]) -> Schedule:
            return play(original, RACES[race], beginning, given, Path(folder) / "play", tell=True)

        with starting_there(original, RACES[race]):
            ((_, found),) = in_copies(again, [choices], at_most=1, longest_seconds=_COPY_SECONDS)
    if isinstance(found, Crash):
        print(found.traceback)
        return 1
    wrong = [f"  WRONG: {each}" for each in found.problems] or ["  nothing was wrong"]
    print("\n".join([found.name, *found.lines, f"  ended: {found.end}", *wrong]))
    return len(found.problems)


def told(result: SchedulesResult) -> str:
    """Tell the counts as Markdown."""
    extent = "All" if result.is_complete else "In the time that there was, these, those with fewest first,"
    lines = [
        f"{extent} schedules with up to {DEVIATIONS} deviations from the usual order around claim, switch, settle and",
        f"release: {sum(result.schedules.values())}, of them {result.orders} different,",
        f"{len(result.found) + len(result.crashes)} with violations, {result.cpu_seconds:.0f} CPU seconds.",
        "",
        "| race | schedules | different ends |",
        "| --- | --- | --- |",
        *(f"| {race} | {number} | {len(result.ends[race])} |" for race, number in result.schedules.items()),
    ]
    return "\n".join(lines)
