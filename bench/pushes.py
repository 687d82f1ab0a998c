"""How long it takes from a push to the execution that releases it, in the rehearsal's account with real processes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from bench.findings import TIMED, Benchmark, Findings, Goal, Plan, Raw, Table, in_seconds, timed
from bench.measure import CannotMeasure, Spread
from rehearsal.account import pretend_account
from rehearsal.engine.calls import Call
from rehearsal.packaged import Packaged
from rehearsal.play import until_served
from rehearsal.scenarios import OLD_VERSION
from rehearsal.settings import Settings
from rehearsal.stage import Stage
from rehearsal.world.github_repository import full

HOW = """
Staging as shipped, on the rehearsal's account: a push is signed as GitHub signs it and sent to the function's address;
measured is, by this machine's clock, when the sender has its answer, when the event is on the bus, when the `push`
machine is started, and when the deployment is. The functions are processes of their own; the first push meets cold
ones, all others warm ones. AWS's own time for delivering events and starting executions is not in it, nor the network.
""".strip()

ANSWERED, ON_BUS, PUSH_STARTED, DEPLOYMENT_STARTED = "answered", "on the bus", "push started", "deployment started"
_WORDS = {
    ANSWERED: "GitHub has its answer",
    ON_BUS: "the event is on the bus",
    PUSH_STARTED: "the `push` machine is started",
    DEPLOYMENT_STARTED: "the deployment is started",
}
_ENVIRONMENT = "staging"
_ANSWERED_WITHIN_SECONDS = 1.0
_STARTED_WITHIN_SECONDS = 10.0


def measure(plan: Plan) -> Raw:
    """Push once to cold functions, and then as often as planned; each push is released before the next one."""
    pushes = []
    with _staging(plan) as stage:
        for number in range(plan.rounds + 1):
            plan.say(f"push {number + 1} of {plan.rounds + 1}")
            pushes.append(_push(stage, full(f"be{number:05x}"), number + 1))
    return {"cold": pushes[:1], "warm": pushes[1:]}


@contextmanager
def _staging(plan: Plan) -> Iterator[Stage]:
    """Build the account, with users, and wait until the old version serves them."""
    settings, packaged = Settings.read(_ENVIRONMENT), Packaged()
    plan.say("building the pretend account")
    folder: Path = plan.folder / "account"
    folder.mkdir(parents=True, exist_ok=True)
    with pretend_account(settings, plan.assembly, folder, packaged, version=OLD_VERSION) as account:
        until_served(account)
        listener, samples = settings.routes[0].arn, folder / "samples.jsonl"
        with packaged.traffic(account.clock, account.world, listener, samples, 0.0) as users:
            yield Stage(account, users, packaged)


def _push(stage: Stage, commit: str, count: int) -> dict[str, float]:
    """Push, and wait until that was released. Raises CannotMeasure when it was not."""
    log = stage.account.calls.log
    before, began = len(log), time.monotonic()
    answer = stage.push(commit)
    answered = time.monotonic()
    if answer.status != HTTPStatus.ACCEPTED:
        raise CannotMeasure(f"The push was answered with {answer.status}: {answer.body}")
    deployment = stage.until_ended(stage.until_started("deploy", count))
    if deployment.status != "SUCCEEDED":
        raise CannotMeasure(f"The release ended as {deployment.status}: {deployment.cause}")
    stage.until_all_ended()
    machines = (stage.account.stack.state_machine(name) for name in ("push", "deploy"))
    return {ANSWERED: answered - began, **seconds_of(list(log[before:]), began, *machines)}


def seconds_of(calls: Sequence[Call], began: float, push: str, deploy: str) -> dict[str, float]:
    """Find in a log when a push was put on the bus, and when the two machines, by their ARNs, were first started."""
    return {
        ON_BUS: _first(calls, "PutEvents") - began,
        PUSH_STARTED: _first(calls, "StartExecution", push) - began,
        DEPLOYMENT_STARTED: _first(calls, "StartExecution", deploy) - began,
    }


def _first(calls: Sequence[Call], action: str, machine: str | None = None) -> float:
    for each in calls:
        meant = machine is None or each.parameters.get("stateMachineArn") == machine
        if each.action == action and meant and not each.error:
            return each.answered or each.stamp
    raise CannotMeasure(f"Nobody has called {action}{f' for {machine}' if machine else ''}.")


def findings(raw: Raw) -> Findings:
    """Tell how long after a push each thing happens; the goals are for cold functions, which a push usually meets."""
    rows = [
        [f"{words}, {functions} functions", *timed([each[name] for each in raw[functions]])]
        for name, words in _WORDS.items()
        for functions in ("cold", "warm")
    ]
    answered, started = (
        Spread.of([each[name] for each in raw["cold"]]).highest for name in (ANSWERED, DEPLOYMENT_STARTED)
    )
    return Findings(
        tables=[Table("From a push to its release", ("After the push", *TIMED), rows)],
        goals=[
            _goal("GitHub has its answer", _ANSWERED_WITHIN_SECONDS, answered),
            _goal("the deployment is started", _STARTED_WITHIN_SECONDS, started),
        ],
    )


def _goal(what: str, within: float, found: float) -> Goal:
    return Goal(f"{what} within {within:.0f} s, from cold functions", in_seconds(found), found <= within)


BENCHMARK = Benchmark("pushes", "From a push to its release", HOW, rounds=5, measure=measure, findings=findings)
