"""The state machines in short: which function follows which, and what becomes of its errors. The functions are real."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from lambdas.errors import (
    EnvironmentBusy,
    LeaseLost,
    ListenerDrifted,
    ReleaseUnhealthy,
    RollbackWindowOpen,
)
from lambdas.fleet.prepare_idle_color import Preparing, prepare_idle_color
from lambdas.fleet.resume_scaling import resume_scaling
from lambdas.fleet.scale_back_idle_color import scale_back_idle_color
from lambdas.fleet.scale_in_old_color import scale_in_old_color
from lambdas.operate import free_environment, give_order
from lambdas.operate.rules import OrderRequest, Verdict, read_order
from lambdas.release.check_bake import check_bake
from lambdas.release.claim_clean_up import claim_clean_up
from lambdas.release.claim_environment import Claim, claim_environment
from lambdas.release.promote import promote
from lambdas.release.release_environment import release_environment
from lambdas.release.rules import CleanUp, Lease, OrderAction, Phase, parse_moment, read_clean_up_request
from lambdas.rollback.claim_rollback import claim_rollback
from lambdas.rollback.record_rollback import record_rollback
from lambdas.rollback.record_rollback_point import Recording, record_rollback_point
from lambdas.rollback.rules import Action, Source, read_rollback_request
from lambdas.rollback.stop_deployment import stop_deployment
from lambdas.traffic import settle, switch_listener
from tests.protocol.world import BEGAN, Started, World, execution_of

WRITER_SECONDS, STEP_SECONDS = 10, 60
"""How long the functions may work that write the listener, and all others."""
LAST_STEP_SECONDS = 65
"""How long the machines wait for the last step of an execution that was stopped: `FORWARD_SLOW`."""
SHIFTS = ((0, 10), (10, 100))
BAKE_SECONDS = 30


class Failed(Exception):
    """An execution ends as FAILED."""


@dataclass(frozen=True)
class Step:
    """One Task state: a function, given the moment at which the state was entered, and how long it may work."""

    name: str
    work: Callable[[str], Any]
    seconds: int = STEP_SECONDS


@dataclass(frozen=True)
class Wait:
    """A Wait state."""

    until: str


Play = Generator[Step | Wait, Any, None]


def _after(world: World, seconds: int) -> Wait:
    return Wait(world.moment(world.seconds + seconds))


def deploy(world: World, me: str, version: str) -> Play:
    """Play the deploy machine. Up to the first shift a failure aborts; from then on it is rolled back."""
    release_id = f"{version}-{me.rpartition(':')[2]}"
    try:
        claim = yield Step("claim", lambda now: claim_environment(Claim(me, release_id, version, now)))
    except (EnvironmentBusy, RollbackWindowOpen, ListenerDrifted) as refusal:
        raise Failed from refusal
    except Exception as error:
        world.pages.append(f"deploy of {release_id} escalated: {error}")
        raise Failed from error
    lease, idle, active = Lease.from_event(claim), claim["idle"], claim["active"]
    try:
        yield Step("record point", lambda now: record_rollback_point(Recording(lease, release_id, active, now)))
        _, wanted = yield Step(
            "prepare", lambda now: prepare_idle_color(Preparing(lease, release_id, version, idle, now))
        )
    except LeaseLost as lost:
        raise Failed from lost
    except Exception as error:
        yield from _give_up(world, lease, release_id, active, str(error))
        raise Failed from error
    try:
        for before, percent in SHIFTS:
            shift = switch_listener.Shift(lease, release_id, idle, percent, before, wanted, "", back=False)
            yield Step(f"shift to {percent}", _switching(world, shift), WRITER_SECONDS)
            yield from _bake(world, lease, percent, idle)
        yield Step("promote", lambda now: promote(lease, release_id, now))
    except LeaseLost as lost:
        raise Failed from lost
    except ListenerDrifted as drifted:
        yield from _leave_to_human(world, lease, release_id, str(drifted))
        raise Failed from drifted
    except Exception as error:
        given = {"source": Source.DEPLOYMENT.value, "execution_arn": me, "release_id": release_id}
        _start(world, "rollback", f"rollback-{release_id}", {**given, "reason": type(error).__name__, "cause": ""})
        raise Failed from error
    yield from _end(world, lease, release_id, Phase.COMMITTED, "")
    _start(world, "clean-up", f"clean-up-{release_id}", {"release_id": release_id})


def _start(world: World, machine: str, name: str, given: dict[str, Any]) -> None:
    execution = execution_of(machine, name)
    if execution not in world.status:
        world.status[execution] = "RUNNING"
        world.started.append(Started(machine, execution, given))


def _switching(world: World, shift: switch_listener.Shift) -> Callable[[str], Any]:
    change = switch_listener.switch_back if shift.back else switch_listener.shift_forward
    routes = switch_listener.settings.routes
    return lambda now: change(replace(shift, now=now), routes, world.switcher, world.record)


def _bake(world: World, lease: Lease, percent: int, color: str) -> Play:
    def judge(now: str) -> Any:
        look = check_bake(lease, percent, BAKE_SECONDS, now)
        if color in world.alarms:
            raise ReleaseUnhealthy(color)
        return look

    while True:
        look = yield Step(f"judge at {percent}", judge)
        if look.done:
            return
        yield Wait(look.again_at)


def _give_up(world: World, lease: Lease, release_id: str, active: str, issue: str) -> Play:
    try:
        yield Step("scale back", lambda now: scale_back_idle_color(lease, release_id, now))
        yield Step("resume", lambda now: resume_scaling(lease, release_id, active, now))
    except LeaseLost as lost:
        raise Failed from lost
    except Exception as error:
        world.pages.append(f"abort of {release_id} failed: {error}")
        raise Failed from error
    yield from _end(world, lease, release_id, Phase.ABORTED, issue)


def _leave_to_human(world: World, lease: Lease, release_id: str, issue: str) -> Play:
    yield from _end(world, lease, release_id, Phase.ESCALATED, issue)
    world.pages.append(f"{release_id} is left to a human: {issue}")


def _end(world: World, lease: Lease, release_id: str, phase: Phase, issue: str) -> Play:
    try:
        yield Step(f"end as {phase}", lambda now: release_environment(lease, release_id, phase, issue, now))
    except LeaseLost as lost:
        raise Failed from lost
    except Exception as error:
        world.pages.append(f"{release_id} could not be ended: {error}")
        raise Failed from error


def rollback(world: World, me: str, given: Any) -> Play:
    """Play the rollback machine: claim, switch, and only then everything else."""
    asked_at = world.now
    request = replace(read_rollback_request(given), asked_at=asked_at)
    step = Step("claim", lambda now: claim_rollback(request, me, now))
    try:
        claim = yield step
    except Exception as error:  # noqa: BLE001  the machine catches all errors, too
        world.pages.append(f"the record cannot be reached: {error}")
        try:
            claim = yield step
        except Exception as again:
            raise Failed from again
    lease, release_id, action = Lease.from_event(claim), claim["release_id"], Action(claim["action"])
    match action:
        case Action.SWITCH:
            yield from _go_back(world, claim)
        case Action.ABORT:
            yield from _abort(world, claim)
        case Action.FINISH:
            yield from _end(world, lease, release_id, Phase.COMMITTED, "")
            _start(world, "clean-up", f"clean-up-{release_id}", {"release_id": release_id})
        case Action.LET_GO:
            yield _after(world, LAST_STEP_SECONDS)
            yield from _end(world, lease, release_id, Phase.COMMITTED, "")
        case Action.ESCALATE | Action.HOLD:
            yield from _leave_to_human(world, lease, release_id, claim["reason"])
            raise Failed
        case Action.PAGE | Action.PAGE_HOLD:
            world.pages.append(claim["reason"])
        case Action.IMPOSSIBLE | Action.INVALID:
            raise Failed


def _go_back(world: World, claim: dict[str, Any]) -> Play:
    lease, release_id = Lease.from_event(claim), claim["release_id"]
    shift = switch_listener.Shift.from_event(
        {**claim, "percent": 100, "before_percent": 0, "back": True, "now": "", "lease": lease.as_event()}
    )
    try:
        yield Step("switch back", _switching(world, shift), WRITER_SECONDS)
        yield Step("stop", lambda now: stop_deployment(lease, claim["loser"], now))
        while True:
            watch = settle.Watch(lease, claim["color"], claim["claimed_at"], "")
            settled = yield Step("settle", _settling(world, watch), WRITER_SECONDS)
            if settled:
                break
            yield _after(world, 5)
        yield Step("record rollback", lambda now: record_rollback(lease, release_id, claim["reason"], now))
    except LeaseLost as lost:
        raise Failed from lost
    except Exception as error:
        yield from _leave_to_human(world, lease, release_id, str(error))
        raise Failed from error


def _settling(world: World, watch: settle.Watch) -> Callable[[str], Any]:
    routes = settle.settings.routes
    return lambda now: settle.settle(replace(watch, now=now), routes, world.switcher, world.record)


def _abort(world: World, claim: dict[str, Any]) -> Play:
    lease, release_id = Lease.from_event(claim), claim["release_id"]
    try:
        yield Step("stop", lambda now: stop_deployment(lease, claim["loser"], now))
        yield _after(world, LAST_STEP_SECONDS)
        yield Step("scale back", lambda now: scale_back_idle_color(lease, release_id, now))
    except LeaseLost as lost:
        raise Failed from lost
    except Exception as error:
        yield from _leave_to_human(world, lease, release_id, str(error))
        raise Failed from error
    yield from _end(world, lease, release_id, Phase.ABORTED, claim["reason"])


def clean_up(world: World, me: str, given: Any) -> Play:
    """Play the clean-up machine: wait for everybody, and take the way back only when nobody needs it."""
    request = read_clean_up_request(given)
    while True:
        try:
            claim = yield Step("claim", lambda now: claim_clean_up(request, me, now))
        except Exception as error:
            world.pages.append(f"no clean-up: {error}")
            raise Failed from error
        if claim["action"] != CleanUp.WAIT:
            break
        yield Wait(claim["again_at"])
    if claim["action"] != CleanUp.CLEAN:
        return
    lease, release_id = Lease.from_event(claim), claim["release_id"]
    try:
        yield Step("scale in", lambda now: scale_in_old_color(lease, release_id, claim["color"], now))
    except LeaseLost as lost:
        raise Failed from lost
    except Exception as error:
        world.pages.append(f"no clean-up: {error}")
        yield from _end(world, lease, release_id, Phase.COMMITTED, "")
        raise Failed from error
    yield from _end(world, lease, release_id, Phase.COMMITTED, "")


def operate(world: World, me: str, given: Any) -> Play:
    """Play the operate machine, but for the answers to approvals."""
    request = read_order(given, give_order.settings.limits.longest_seconds)
    try:
        order = yield Step("order", lambda now: give_order.give_order(request, me, now))
        if order["verdict"] == Verdict.FREE:
            yield from _free(world, me, order)
    except Exception as error:
        raise Failed from error
    if order["verdict"] == Verdict.ABORT:
        given = {"release_id": order["release_id"], "reason": order["asked"]}
        _start(world, "rollback", order["start_as"], given)


def _free(world: World, me: str, order: dict[str, Any]) -> Play:
    request = OrderRequest(OrderAction.RELEASE_ENVIRONMENT, order["release_id"], order["asked"])

    def free(only_look: bool) -> Callable[[str], Any]:  # noqa: FBT001  as the machine gives it
        return lambda now: free_environment.free_environment(request, me, now, only_look=only_look)

    found = yield Step("look", free(only_look=True))
    if found["verdict"] == Verdict.FREE:
        yield _after(world, LAST_STEP_SECONDS)
        yield Step("free", free(only_look=False))


PLAYS: dict[str, Callable[[World, str, Any], Play]] = {
    "deploy": deploy,
    "rollback": rollback,
    "clean-up": clean_up,
    "operate": operate,
}


def seconds_of(moment: str) -> float:
    """Return a moment as seconds of this world."""
    return (parse_moment(moment) - BEGAN).total_seconds()
