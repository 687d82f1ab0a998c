"""How long a rollback takes until the listener is back, beside the runbook's commands and one bare API call."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from bench import aws_cli
from bench.aws_cli import AwsCli
from bench.findings import TIMED, Benchmark, Findings, Goal, Plan, Raw, Table, timed
from bench.live_release import LiveRelease, bare_calls, live_release
from bench.measure import CannotMeasure, interleaved, ratio
from rehearsal.engine.template import UnsupportedTemplate
from rehearsal.stage import Stuck

HOW = """
On the pretend account of `make rehearse`: production's template as shipped, moto behind HTTP, functions in processes
of their own. A release has gone live; then, in turns, the listener is moved back in each of the ways below, and
afterwards put forward again by a bare call, and the record and the parameters to where the release had left them. The
users are gone by then, each way begins when nothing else works in the account, and while it is measured the account's
clock runs at real speed. All speak to the same server on this machine: no way has the latency of AWS's network, and
Step Functions' own transitions are the emulator's.

**Rollback machine**: from the arrival of StartExecution until ModifyListener has been answered, by the account's log
of calls. *Warm* functions have worked before; *cold* ones have no process, so that the processes of both must start
and import, one after the other. A rollback after a quiet hour meets cold functions. *Started by the AWS CLI* begins
with the start of that one command.

**The runbook**: the four commands of its quick rollback, one after the other, by the real AWS CLI, from the start of
the first until the end of the last: `ssm get-parameter` for the previous target group, `ssm get-parameter` for the
load balancer, `elbv2 describe-listeners`, `elbv2 modify-listener`. Nobody types, thinks, or looks up which commands
they are: that time is the human's own and not counted.

**Bare call**: one `modify_listener` by a process that has its boto3 client and its connection already.
""".strip()

BARE, WARM, COLD, COLD_BY_CLI, RUNBOOK = (
    "bare call",
    "rollback machine, warm",
    "rollback machine, cold",
    "rollback machine, cold, started by the AWS CLI",
    "the runbook's four commands",
)
_TIMES_FASTER = 8.0
_LEGS = (
    "the machine starts, and its first function",
    "claim-rollback asks and claims",
    "the second function starts",
    "switch-listener asks and switches",
)
_COMMANDS = (
    "`ssm get-parameter` (previous target group)",
    "`ssm get-parameter` (load balancer)",
    "`elbv2 describe-listeners`",
    "`elbv2 modify-listener`",
)


def measure(plan: Plan) -> Raw:
    """Move the listener back in every way in turn, after a first time that is not measured."""
    plan.say("installing the AWS CLI, if it is not there yet")
    cli = aws_cli.installed(plan.folder.parent)
    try:
        with live_release(plan.assembly, plan.folder / "account", plan.say) as release:
            return _measure(release, cli.told(release.operator), plan)
    except Stuck as stuck:
        raise CannotMeasure(f"The pretend account is stuck: {stuck}. Its logs are in {plan.folder}.") from stuck
    except UnsupportedTemplate as unsupported:
        raise CannotMeasure(str(unsupported)) from unsupported


def _measure(release: LiveRelease, cli: AwsCli, plan: Plan) -> Raw:
    _give_what_the_runbook_reads(release)
    with bare_calls(release) as bare_call:
        sides: Mapping[str, Callable[[], list[float]]] = {
            BARE: lambda: _bare(release, bare_call),
            RUNBOOK: lambda: _by_runbook(release, cli),
            COLD: lambda: _by_machine(release, cold=True),
            WARM: lambda: _by_machine(release, cold=False),
            COLD_BY_CLI: lambda: _by_machine_and_cli(release, cli),
        }
        for name, side in sides.items():
            plan.say(f"before the first round: {name}")
            side()
        return {"legs": interleaved(sides, plan.rounds, plan.say)}


def _give_what_the_runbook_reads(release: LiveRelease) -> None:
    balancer = release.route.arn.replace(":listener/", ":loadbalancer/").rpartition("/")[0]
    release.account.client("ssm").put_parameter(Name=release.parameter("alb-arn"), Value=balancer, Type="String")


def _bare(release: LiveRelease, bare_call: Callable[[str], float]) -> list[float]:
    with release.at_rest():
        seconds = bare_call(release.route.blue)
    return _checked(release, [seconds])


def _by_machine(release: LiveRelease, *, cold: bool) -> list[float]:
    if cold:
        release.make_cold()
    before = release.processes()
    switched = release.roll_back(release.start_in_process)
    if not cold and release.processes() != before:
        raise CannotMeasure(f"Functions that should be warm were not: {before} became {release.processes()}.")
    return [after - before for before, after in pairwise(switched.stamps)]


def _by_machine_and_cli(release: LiveRelease, cli: AwsCli) -> list[float]:
    """Return the seconds from the command's start to the machine's, then those of the machine."""
    release.make_cold()
    machine = release.account.stack.state_machine("rollback")
    command = ("stepfunctions", "start-execution", "--state-machine-arn", machine, "--input", "{}")
    began = time.monotonic()
    switched = release.roll_back(lambda: cli.run(*command, "--query", "executionArn", "--output", "text").output)
    return [after - before for before, after in pairwise((began, *switched.stamps))]


def _by_runbook(release: LiveRelease, cli: AwsCli) -> list[float]:
    """Do what the runbook's quick rollback does; return the seconds of each command."""

    def value_of(parameter: str) -> tuple[str, ...]:
        named = ("--name", release.parameter(parameter), "--query", "Parameter.Value", "--output", "text")
        return ("ssm", "get-parameter", *named)

    with release.at_rest():
        group = cli.run(*value_of("previous-target-group"))
        balancer = cli.run(*value_of("alb-arn"))
        listeners = ("elbv2", "describe-listeners", "--load-balancer-arn", balancer.output)
        listener = cli.run(*listeners, "--query", "Listeners[0].ListenerArn", "--output", "text")
        action = f"Type=forward,TargetGroupArn={group.output}"
        modified = cli.run(
            *("elbv2", "modify-listener", "--listener-arn", listener.output, "--default-actions", action)
        )
    return _checked(release, [each.seconds for each in (group, balancer, listener, modified)])


def _checked(release: LiveRelease, seconds: list[float]) -> list[float]:
    """Make sure that traffic was brought back to where a rollback brings it, and put it forward again."""
    forwards = release.forwards()
    if {group for group, weight in forwards.items() if weight} != {release.route.blue}:
        raise CannotMeasure(f"The listener was not moved back: it forwards to {dict(forwards)}.")
    release.put_back()
    return seconds


def findings(raw: Raw) -> Findings:
    """Compare the sums, and say where the time goes."""
    legs: Mapping[str, Sequence[Sequence[float]]] = raw["legs"]
    totals = {name: [sum(run) for run in runs] for name, runs in legs.items()}
    rows = [
        [name, *timed(totals[name]), f"{ratio(totals[RUNBOOK], totals[name]):.1f}"]
        for name in (BARE, WARM, COLD, COLD_BY_CLI, RUNBOOK)
    ]
    return Findings(
        tables=[
            Table("Until the listener is back", ("by", *TIMED, "times faster than the runbook"), rows),
            Table("Where a rollback's time goes", ("what", "warm", "cold"), _side_by_side(legs)),
            Table(
                "Where the runbook's time goes",
                ("command", *TIMED),
                [[name, *timed(seconds)] for name, seconds in zip(_COMMANDS, _by_leg(legs[RUNBOOK]), strict=True)],
            ),
        ],
        goals=[
            _goal("warm functions", totals[WARM], totals[RUNBOOK]),
            _goal("cold functions", totals[COLD], totals[RUNBOOK]),
        ],
    )


def _by_leg(runs: Sequence[Sequence[float]]) -> list[list[float]]:
    return [list(leg) for leg in zip(*runs, strict=True)]


def _side_by_side(legs: Mapping[str, Any]) -> list[list[str]]:
    warm, cold = (_by_leg(legs[name]) for name in (WARM, COLD))
    return [[name, timed(one)[0], timed(other)[0]] for name, one, other in zip(_LEGS, warm, cold, strict=True)]


def _goal(what: str, seconds: Sequence[float], runbook: Sequence[float]) -> Goal:
    times = round(ratio(runbook, seconds), 1)
    wanted = f"with {what} the listener is back at least {_TIMES_FASTER:.0f} times faster than by the runbook"
    return Goal(wanted, f"{times:.1f} times", times >= _TIMES_FASTER)


BENCHMARK = Benchmark("rollback", "Rollback", HOW, rounds=5, measure=measure, findings=findings)
