"""
How long it takes from a fault until traffic is safe, at worst and usually: added up from the templates that ship.

What the templates say is counted: periods, time-outs, retries and pauses. What AWS alone decides is assumed, by name
and with its source; nothing but a real account can prove it.

A fault begins at the worst moment, too late for its first period to count. The worst case of a step is that every
attempt but the last one runs into its time-out, and the last one ends just before its own. An alarm that needs M of N
points is counted with M, because a fault lasts; N only has to leave room for points that are late and filled up with 0.
A step that fails for good is not counted: then a human is paged, and the watchdog starts anew.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from pathlib import Path
from typing import Any, Self

from lambdas.checks.rules import PROBE_NAMESPACE
from lambdas.judge.alarm_rules import AlarmName, Effect
from lambdas.release.bake_rules import bake_of, look_at_bake
from lambdas.release.rules import later, seconds_since

LIMIT_SECONDS = 300
"""What the runbook promises: traffic is safe within five minutes. More is an error."""
AIM_FAST_SECONDS = 90
AIM_JUDGE_SECONDS = 30
"""What we aim at beyond that, with metrics in high resolution, and for the judge with such ones."""

SWITCHED = "Switch listener back"
_BALANCER = "AWS/ApplicationELB"
_USUAL_STEP_SECONDS = 1
_MINUTE = 60
_DEFAULT_TASK_TIMEOUT = 99_999_999
"""https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html."""

Definition = Mapping[str, Any]
Resources = Mapping[str, Mapping[str, Any]]


class BudgetError(Exception):
    """The templates hold something whose duration nobody has thought about."""


@dataclass(frozen=True)
class Took:
    """Seconds, at worst and usually."""

    worst: float
    usual: float

    def __add__(self, other: Self) -> "Took":
        return Took(self.worst + other.worst, self.usual + other.usual)


@dataclass(frozen=True)
class Assumption:
    """What AWS takes. Unless it is `documented`, only a real account can prove it."""

    took: Took
    what: str
    source: str
    documented: bool = False


_ALARM_DOCS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html"
BALANCER_PUBLISHES = Assumption(
    Took(60, 60),
    "a load balancer's metrics of a minute can be read after its end",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html",
)
APPLICATION_PUBLISHES = Assumption(
    Took(10, 5),
    "a metric in high resolution can be read after the end of its period",
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/publishingMetrics.html",
)
LOG_PUBLISHES = Assumption(
    Took(30, 10),
    "the application's log events can be found",
    "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html",
)
PROBE_PUBLISHES = Assumption(
    Took(15, 5),
    "a metric in the embedded format can be read after its line was logged",
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format.html",
)
EVALUATED_BY_MINUTE = Assumption(Took(60, 30), "an alarm of minutes is evaluated every minute", _ALARM_DOCS, True)  # noqa: FBT003
EVALUATED_FAST = Assumption(
    Took(10, 5),
    "an alarm of 10 or 30 s is evaluated every 10 s",
    _ALARM_DOCS,
    True,  # noqa: FBT003
)
EVENT_DELIVERED = Assumption(
    Took(5, 0.5), "EventBridge delivers an event", "https://aws.amazon.com/eventbridge/faqs/ (half a second, typically)"
)
EXECUTION_STARTS = Assumption(
    Took(2, 0.5),
    "an execution begins, and goes from state to state",
    "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-state-machine-executions.html",
)
LISTENER_IN_FORCE = Assumption(
    Took(15, 5),
    "all nodes of a load balancer follow a change of its listener",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-update-rules.html",
)
ASSUMPTIONS = (
    BALANCER_PUBLISHES,
    APPLICATION_PUBLISHES,
    LOG_PUBLISHES,
    PROBE_PUBLISHES,
    EVALUATED_BY_MINUTE,
    EVALUATED_FAST,
    EVENT_DELIVERED,
    EXECUTION_STARTS,
    LISTENER_IN_FORCE,
)
PROVEN_BY_AWS_ONLY = tuple(each for each in ASSUMPTIONS if not each.documented)


@dataclass(frozen=True)
class Row:
    """One way from a fault to safe traffic: until it is noticed, and from then on."""

    name: str
    noticed: Took
    mended: Took
    aim_seconds: float
    is_promised: bool = True
    """Whether it must keep the limit: the judge by slow evidence is a second look beside alarms that do."""

    @property
    def took(self) -> Took:
        """All of it."""
        return self.noticed + self.mended

    @property
    def is_over(self) -> bool:
        """Whether it can take longer than what the runbook promises."""
        return self.is_promised and self.took.worst > LIMIT_SECONDS


def budget(template: Mapping[str, Any], prefix: str) -> tuple[Row, ...]:
    """
    Return a row for every alarm that rolls back, and for the judge, of an environment's template.

    `prefix` is what its names begin with. Raises BudgetError for what cannot be counted.
    """
    resources: Resources = template["Resources"]
    back = EXECUTION_STARTS.took + _way(_definition(resources, f"{prefix}-rollback"), SWITCHED) + LISTENER_IN_FORCE.took
    rows = (*_alarms(resources, prefix, back), *_judges(resources, prefix, back))
    if not rows:
        raise BudgetError(f"Nothing in {prefix} starts a rollback by itself.")
    return rows


def _alarms(resources: Resources, prefix: str, back: Took) -> Iterator[Row]:
    for alarm in _of_type(resources, "AWS::CloudWatch::Alarm"):
        name = AlarmName.read(alarm.get("AlarmName", ""), prefix)
        if name and name.effect is Effect.ROLLS_BACK:
            period = _period(alarm)
            aim = LIMIT_SECONDS if period >= _MINUTE else AIM_FAST_SECONDS
            yield Row(alarm["AlarmName"].removeprefix(f"{prefix}-"), _noticed(alarm), EVENT_DELIVERED.took + back, aim)


def _noticed(alarm: Mapping[str, Any]) -> Took:
    """Say how long after a fault an alarm is on."""
    period, looked_at = _period(alarm), int(alarm["EvaluationPeriods"])
    breaching = int(alarm.get("DatapointsToAlarm", looked_at))
    published = _published(alarm, period)
    late = ceil(published.worst / period)
    if any("FILL(" in each.get("Expression", "") for each in alarm.get("Metrics", ())) and looked_at < breaching + late:
        return Took(inf, inf)  # the points that count have left the range before they are there
    evaluated = EVALUATED_BY_MINUTE if period >= _MINUTE else EVALUATED_FAST
    return Took(period * (breaching + 1), period * (breaching + 0.5)) + published + evaluated.took


def _period(alarm: Mapping[str, Any]) -> int:
    stats = (each.get("MetricStat", each) for each in alarm.get("Metrics", (alarm,)))
    return max(int(each["Period"]) for each in stats if "Period" in each)


def _published(alarm: Mapping[str, Any], period: int) -> Took:
    """Say how late the latest of an alarm's metrics is."""
    metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each]
    return max((_late(each["Namespace"], period) for each in metrics or [alarm]), key=lambda took: took.worst)


def _late(namespace: str, period: int) -> Took:
    if namespace == _BALANCER and period >= _MINUTE:
        return BALANCER_PUBLISHES.took
    if namespace == PROBE_NAMESPACE and period >= _MINUTE:
        return PROBE_PUBLISHES.took  # it asks once in every period
    if not namespace.startswith("AWS/"):
        return APPLICATION_PUBLISHES.took
    raise BudgetError(f"Nobody has said how late metrics of {namespace} in periods of {period} s are.")


def _judges(resources: Resources, prefix: str, back: Took) -> Iterator[Row]:
    """
    Count what the judge of a bake takes from its look until the rollback machine is started, and then the way back.

    It may need more than one look: how many depends on how bad it is and on how many requests there are.
    """
    settings = next(
        (
            json.loads(each["Environment"]["Variables"]["JUDGE"])
            for each in _of_type(resources, "AWS::Lambda::Function")
            if each.get("FunctionName") == f"{prefix}-judge-bake"
        ),
        None,
    )
    if settings is None:
        return
    source = settings["source"]
    period, published = {
        "application": ((settings.get("metrics") or {}).get("period_seconds", 5), APPLICATION_PUBLISHES.took),
        "logs": (0, LOG_PUBLISHES.took),
        "load_balancer": (_MINUTE, BALANCER_PUBLISHES.took),
    }[source]
    machine = _definition(resources, f"{prefix}-deploy")
    starters = {name for name in machine["States"] if _starts(machine, name, resources, f"{prefix}-rollback")}
    judges = [name for name in machine["States"] if _calls(machine, name, resources, f"{prefix}-judge-bake")]
    handed = [_handed_over(machine, name, starters) for name in judges]
    decided = max(handed, key=lambda took: took.worst, default=Took(inf, inf))
    for when, seconds_in in (("first minute", 0), ("first ten minutes", 61), ("later", 601)):
        tick = _tick(seconds_in)
        noticed = Took(period + tick, (period + tick) / 2) + published
        is_fast = source == "application" and seconds_in == 0
        aim = AIM_JUDGE_SECONDS if is_fast else LIMIT_SECONDS
        name = f"judge by {source}, {when} of a bake"
        yield Row(name, noticed, decided + back, aim, is_promised=source == "application")


def _tick(seconds_in: int) -> float:
    """
    Return when a bake is looked at again that was looked at so many seconds after it began.

    A look begins a moment after a whole second, and a Wait state waits for one.
    """
    began = "2026-01-01T00:00:00.001Z"
    now = later(began, seconds_in)
    return ceil(seconds_since(now, look_at_bake(bake_of(None, 100, 86_400, began), None, now).again_at))


def _handed_over(machine: Definition, judge: str, starters: set[str]) -> Took:
    """Count from a judge's task, which fails, through what follows to the state that starts the rollback machine."""
    caught = {catch["Next"] for catch in machine["States"][judge].get("Catch", ())}
    ways = [_way(machine, goal, start) for start in caught for goal in starters if goal in _reached(machine, start)]
    longest = max(ways, key=lambda took: took.worst, default=Took(inf, inf))
    return _step(machine["States"][judge]) + longest


def _way(machine: Definition, goal: str, start: str = "") -> Took:
    """
    Count all states on the longest way to a goal, both ends included.

    Errors that are caught lead elsewhere: what is caught is no rollback in time. A loop on the way has no longest way.
    """
    begin = start or machine["StartAt"]
    if goal not in _reached(machine, begin):
        raise BudgetError(f"There is no way from {begin!r} to {goal!r}.")
    return _longest(machine, begin, goal, ())


def _longest(machine: Definition, name: str, goal: str, passed: tuple[str, ...]) -> Took:
    if name in passed:
        return Took(inf, inf)
    took = _step(machine["States"][name])
    if name == goal:
        return took
    nexts = [each for each in _next(machine["States"][name]) if goal in _reached(machine, each)]
    ways = [_longest(machine, each, goal, (*passed, name)) for each in nexts]
    return took + max(ways, key=lambda way: way.worst)


def _reached(machine: Definition, start: str) -> set[str]:
    found, open_ = set[str](), [start]
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_ += _next(machine["States"][name])
    return found


def _next(state: Mapping[str, Any]) -> list[str]:
    given = [state.get("Next"), state.get("Default"), *(choice["Next"] for choice in state.get("Choices", ()))]
    return [name for name in given if name]


def _step(state: Mapping[str, Any]) -> Took:
    if state["Type"] == "Wait":
        seconds = state.get("Seconds", inf)
        return Took(seconds, seconds)
    if state["Type"] in {"Choice", "Pass", "Succeed", "Fail"}:
        return Took(0, 0)
    if state["Type"] != "Task":
        raise BudgetError(f"Nobody has said how long a state of type {state['Type']} takes.")
    seconds = state.get("TimeoutSeconds", _DEFAULT_TASK_TIMEOUT)
    pauses = [pause for retry in state.get("Retry", ()) for pause in _pauses(retry)]
    return Took(seconds * (1 + len(pauses)) + sum(pauses), _USUAL_STEP_SECONDS)


def _pauses(retry: Mapping[str, Any]) -> list[float]:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html, with its defaults."""
    first, rate = retry.get("IntervalSeconds", 1), retry.get("BackoffRate", 2)
    longest = retry.get("MaxDelaySeconds", inf)
    return [min(first * rate**n, longest) for n in range(retry.get("MaxAttempts", 3))]


def _of_type(resources: Resources, kind: str) -> list[Mapping[str, Any]]:
    return [each["Properties"] for each in resources.values() if each["Type"] == kind]


def _definition(resources: Resources, name: str) -> Definition:
    for machine in _of_type(resources, "AWS::StepFunctions::StateMachine"):
        if machine["StateMachineName"] == name:
            definition: Definition = json.loads(_text(machine["DefinitionString"]))
            return definition
    raise BudgetError(f"There is no machine {name}.")


def _text(value: Any) -> str:  # noqa: ANN401  a template can hold anything
    """Return a text with logical ids in place of what is known only when it is deployed."""
    if isinstance(value, str):
        return value
    if "Ref" in value:
        return str(value["Ref"])
    separator, parts = value["Fn::Join"]
    return str(separator).join(_text(part) for part in parts)


def _calls(machine: Definition, name: str, resources: Resources, function: str) -> bool:
    version = machine["States"][name].get("Parameters", {}).get("FunctionName")
    if version not in resources:
        return False
    called = resources[version]["Properties"]["FunctionName"]["Ref"]
    return bool(resources[called]["Properties"]["FunctionName"] == function)


def _starts(machine: Definition, name: str, resources: Resources, started: str) -> bool:
    target = machine["States"][name].get("Parameters", {}).get("StateMachineArn")
    return target in resources and resources[target]["Properties"]["StateMachineName"] == started


def show(rows: Mapping[str, Sequence[Row]]) -> str:
    """Write the rows of all environments as a table, with what they assume."""
    width = max((len(row.name) for each in rows.values() for row in each), default=0)
    lines = ["Seconds from a fault to safe traffic: worst case (usually)", ""]
    for environment, found in rows.items():
        lines.append(f"{environment:<{width}}  {'noticed':>11}  {'mended':>11}  {'all':>11}  aim")
        for row in found:
            columns = "  ".join(f"{_pair(took):>11}" for took in (row.noticed, row.mended, row.took))
            lines.append(f"{row.name:<{width}}  {columns}  {_aim(row)}")
        lines.append("")
    lines.append("Assumed; * stands for what only a real account can prove:")
    for each in ASSUMPTIONS:
        star = " " if each.documented else "*"
        lines.append(f"{star} {_pair(each.took):>9}  {each.what}: {each.source}")
    return "\n".join([*lines, ""])


def _pair(took: Took) -> str:
    return f"{took.worst:g} ({took.usual:g})"


def _aim(row: Row) -> str:
    if row.is_over:
        return f"{row.aim_seconds:g}: OVER THE LIMIT of {LIMIT_SECONDS}"
    if row.took.worst <= row.aim_seconds:
        return f"{row.aim_seconds:g}: met"
    return f"{row.aim_seconds:g}: {'met usually' if row.took.usual <= row.aim_seconds else 'not met'}"


def _environments(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the templates of an assembly that have machines, each with its prefix: where pushes arrive, none runs."""
    for path in sorted(folder.glob("Runback-*.template.json")):
        template = json.loads(path.read_text(encoding="utf-8"))
        if any(each["Type"] == "AWS::StepFunctions::StateMachine" for each in template["Resources"].values()):
            yield path.name.removeprefix("Runback-").removesuffix(".template.json"), template


def main(arguments: Sequence[str]) -> int:
    """Print the table of a cloud assembly; return 1 when a way can take too long, or nothing can be counted."""
    folder = Path(arguments[0] if arguments else "cdk.out")
    try:
        rows = {prefix: budget(template, prefix) for prefix, template in _environments(folder)}
    except BudgetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not rows:
        sys.stderr.write(f"There are no templates in {folder}: make synth.\n")
        return 1
    sys.stdout.write(show(rows))
    over = [f"{name}: {row.name} ({row.took.worst:g} s)" for name, each in rows.items() for row in each if row.is_over]
    for each in over:
        sys.stderr.write(f"Takes longer than {LIMIT_SECONDS} s at worst: {each}\n")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
