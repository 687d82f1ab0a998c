"""Ask every minute, without any event, whether the holder is dead, an alarm unheard, and the way back healthy."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.judge.alarm_rules import Alarm, AlarmSettings
from lambdas.judge.alarms import Alarms
from lambdas.judge.evidence_rules import JudgeSettings
from lambdas.judge.metrics import Metrics
from lambdas.judge.old_color import OldColor
from lambdas.observability import logger, step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import EnvironmentRecord, HealthReading, Live, Phase, PointStatus, Work, seconds_since
from lambdas.rollback.alarm_rules import (
    AlarmEvent,
    CriticalAlarms,
    refuse_alarm,
    restore_is_just_over,
    turned_on_unheard,
)
from lambdas.rollback.executions import Executions
from lambdas.rollback.rules import STALE_AFTER_SECONDS, Source, both_colors_serve
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route

_EVENT_SECONDS = 60
"""How long an alarm's event has to start the rollback by itself."""


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]
    rollback_machine: str
    alarms: AlarmSettings
    judge: JudgeSettings
    groups: Mapping[str, str]


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
    environ["ROLLBACK_MACHINE_ARN"],
    AlarmSettings.from_json(environ["ALARMS"]),
    JudgeSettings.from_json(environ["JUDGE"]),
    {color: each["auto_scaling_group"] for color, each in loads(environ["COLORS"]).items()},
)
alarms = Alarms(client("cloudwatch"), settings.alarms)
old_color = OldColor(Metrics(client("cloudwatch")), settings.judge, settings.routes, settings.groups)
load_balancer = LoadBalancer(client("elbv2"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
executions = Executions(client("stepfunctions"))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read the scheduled event's "time".

    Return {"recovering": execution ARN of the dead holder, or "", "alarm": name of the one that rolls back, or ""}.
    """
    return watch(event["time"])


def watch(now: str) -> dict[str, str]:
    """
    Start the rollback machine for a holder that is dead or stuck, or else for an alarm whose event did not arrive.

    It decides from the record what there is to undo. The name of that execution holds token and minute: repeated events
    start it once, and a recovery that failed is tried again a minute later.
    """
    found = record.read()
    holder = _lost_holder(found.work, now)
    if holder:
        logger.warning("The holder of the environment is dead or stuck", holder=holder)
        _start_rollback("watchdog", found, {"source": Source.WATCHDOG.value, "execution_arn": holder}, now)
    if found.live:
        _read_way_back(found.live, now)
    return {"recovering": holder, "alarm": "" if holder else _act_on_alarm(found, now)}


def _start_rollback(why: str, found: EnvironmentRecord, given: dict[str, str], now: str) -> None:
    minute = now[:16].replace(":", "-")
    executions.start(settings.rollback_machine, f"{why}-{found.work.token}-{minute}", given)


def _act_on_alarm(found: EnvironmentRecord, now: str) -> str:
    """
    Find an alarm that would have rolled back, if its event had arrived in time, and do what the event would have done.

    Where the rollback machine would move traffic, every minute until it has. Where it would only page, as for both
    colors in trouble, once for each time that the alarm turns on.
    """
    if told := _tell_what_a_restore_has_left(found, now):
        return told
    point = found.live.rollback_point if found.live else None
    moves_nothing = found.work.phase is Phase.ROLLING_BACK or found.work.is_frozen
    if point is None or not point.in_window(now) or moves_nothing:
        return ""
    described = alarms.that_roll_back()
    critical = CriticalAlarms(settings.alarms.prefix, described)
    for alarm in described:
        if seconds_since(alarm.since, now) < _EVENT_SECONDS:
            continue
        event = _event_of(alarm)
        if refuse_alarm(event, critical, found, now) is not None:
            continue
        logger.warning("The event of an alarm did not arrive", alarm=event.full_name)
        if both_colors_serve(found.work) and old_color.trouble(point.color, now):
            _start_once("watchdog-page", found, event, alarm.reason)
        else:
            _start_rollback("watchdog-alarm", found, _as_input(event, alarm.reason), now)
        return event.full_name
    return ""


def _tell_what_a_restore_has_left(found: EnvironmentRecord, now: str) -> str:
    """Page once for what turned on during a planned freeze, when nobody was paged for it, and did not end with it."""
    if not restore_is_just_over(found.work, now):
        return ""
    left = [each for each in alarms.that_roll_back() if turned_on_unheard(each, found.work)]
    for alarm in left:
        _start_once("after-restore", found, _event_of(alarm), alarm.reason)
    return _event_of(left[0]).full_name if left else ""


def _event_of(alarm: Alarm) -> AlarmEvent:
    return AlarmEvent(alarm.name.full(settings.alarms.prefix), previous_state="OK", changed_at=alarm.since)


def _start_once(why: str, found: EnvironmentRecord, event: AlarmEvent, reason: str) -> None:
    """Start the rollback machine under a name of which there is one for each time that an alarm turns on."""
    digest = sha256(f"{event.full_name} {event.changed_at}".encode()).hexdigest()[:16]
    executions.start(settings.rollback_machine, f"{why}-{found.work.token}-{digest}", _as_input(event, reason))


def _as_input(event: AlarmEvent, reason: str) -> dict[str, str]:
    """Return what the rule on alarms gives to the rollback machine."""
    return {
        "source": Source.ALARM.value,
        "alarm": event.full_name,
        "state": "ALARM",
        "previous_state": event.previous_state,
        "changed_at": event.changed_at,
        "reason": reason,
    }


def _lost_holder(work: Work, now: str) -> str:
    if work.holder is None:
        return ""
    stuck = (
        work.phase is Phase.ROLLING_BACK
        and work.progress_at is not None
        and seconds_since(work.progress_at, now) > STALE_AFTER_SECONDS
    )
    return work.holder if stuck or not executions.runs(work.holder) else ""


def _read_way_back(live: Live, now: str) -> None:
    """Keep a health reading of the way back, for a rollback that cannot take one itself."""
    point = live.rollback_point
    if point is None or point.status is not PointStatus.VALID:
        return
    healthy = min(load_balancer.health(route.target_group(point.color)).healthy for route in settings.routes)
    record.note_health(HealthReading(point.color, healthy, now))
