"""
Whether a critical alarm may take a release back. All pure.

An alarm says that something is wrong, not that the release is to blame. It moves traffic only while it is on, is about
the color of a release that can still be taken back, turned on after that release had received traffic, and the way
back is not in the same trouble. Everything else is a human's to decide, who is paged, or is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.judge.alarm_rules import Alarm, AlarmName, Effect
from lambdas.release.rules import (
    EnvironmentRecord,
    Live,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    frozen_by,
    seconds_since,
)

_FIRST_STATE = "INSUFFICIENT_DATA"
"""An alarm begins in it, when it is made as well as when its metric begins again."""

_LATE_METRICS_SECONDS = 300
"""So long after a fault has ended its last minute may still turn an alarm on: a load balancer's metrics come late."""

_RESTORE_IS_OVER = frozenset({Phase.RESTORED, Phase.RESTORE_FAILED})


@dataclass(frozen=True)
class AlarmEvent:
    """What an event says of an alarm: its whole name, the state that it was in before, and when that changed."""

    full_name: str
    previous_state: str
    changed_at: str


@dataclass(frozen=True)
class CriticalAlarms:
    """
    The alarms that roll back and are on now, as CloudWatch describes them, and None when it cannot be asked.

    `prefix` is what their names begin with.
    """

    prefix: str
    described: Sequence[Alarm] | None = None


UNASKED = CriticalAlarms("")
"""For a rollback that is not about an alarm."""


@dataclass(frozen=True)
class Refusal:
    """
    Why an alarm moves no traffic. `pages`: a human has to decide; otherwise there is nothing to do.

    `holds`: that human can go back from the release only if he names it.
    """

    reason: str
    pages: bool = True
    holds: bool = False


def refuse_alarm(event: AlarmEvent, critical: CriticalAlarms, record: EnvironmentRecord, now: str) -> Refusal | None:
    """
    Say why an alarm may not roll back; None when it may.

    When CloudWatch cannot be asked, the event has the last word: an alarm that was on is likely to be so still, and
    going back is the safer mistake.
    """
    alarms, name = critical.described, AlarmName.read(event.full_name, critical.prefix)
    if name is None or name.effect is Effect.WARNS:
        return Refusal(f"{event.full_name} is no critical alarm of this environment.", pages=False)
    described = next((each for each in alarms or () if each.name == name), None)
    is_known = alarms is not None and name.effect is Effect.ROLLS_BACK
    if is_known and described is None:
        return Refusal(f"Alarm {event.full_name} is not on any more.", pages=False)
    alarm = described or Alarm(name, is_on=True, since=event.changed_at)
    if over := _why_nothing_to_do(event, alarm, record, now):
        return Refusal(over, pages=False)
    why = _why_human(alarm, record, now) or _why_not_this_release(alarm, record.live, alarms or ())
    held = why_held(record.live, now)
    if not why and not held:
        return None
    return Refusal(
        " ".join(filter(None, [f"Alarm {event.full_name} is on since {alarm.since}.", why, held])), holds=bool(held)
    )


def why_held(live: Live | None, now: str) -> str:
    """Say why the live release is not taken back by itself, as long as it could be; empty where nothing forbids it."""
    point = _point_of(live)
    if live is None or not live.no_automatic_rollback or point is None or not point.in_window(now):
        return ""
    return (
        f"Release {live.release_id} is not rolled back by itself, because the old version does not work with the"
        f" database after its migrations: {live.no_automatic_rollback}."
    )


def _why_nothing_to_do(event: AlarmEvent, alarm: Alarm, record: EnvironmentRecord, now: str) -> str:
    point = _point_of(record.live)
    if event.previous_state == _FIRST_STATE and not (point and point.in_window(now)):
        return f"Alarm {event.full_name} is new, and no release is being watched."
    if record.live and point and _is_of_what_was_taken_back(alarm, record.live, point):
        return f"Alarm {event.full_name} was on when release {point.release_id} was taken back."
    if _is_of_planned_freeze(alarm, record.work):
        return f"Alarm {event.full_name} turned on while a restore keeps users away, as a human has approved."
    return ""


def _is_of_planned_freeze(alarm: Alarm, work: Work) -> bool:
    """
    Say whether users are known to suffer, because a restore is at work that has its holder still.

    One that stays on is told when that is over (`restore_is_just_over`), and a restore that died by its own end. What
    only pages is not about users, but about what they need: nobody has planned that.
    """
    at_work = work.phase is Phase.RESTORING and work.holder is not None and work.claimed_at is not None
    return at_work and alarm.name.effect is Effect.ROLLS_BACK and seconds_since(str(work.claimed_at), alarm.since) >= 0


def restore_is_just_over(work: Work, now: str) -> bool:
    """Say that what is on now is to be told: late metrics of a planned freeze cannot be the reason any more."""
    if work.phase not in _RESTORE_IS_OVER or work.holder is not None or not work.progress_at:
        return False
    return _LATE_METRICS_SECONDS <= seconds_since(work.progress_at, now) < 2 * _LATE_METRICS_SECONDS


def turned_on_unheard(alarm: Alarm, work: Work) -> bool:
    """Say whether an alarm turned on during the restore that is over now, so that perhaps nobody was paged for it."""
    return bool(_why_restore(alarm, work))


def _is_of_what_was_taken_back(alarm: Alarm, live: Live, point: RollbackPoint) -> bool:
    """
    After a rollback the point holds the color that was taken back, and its alarms stay on for some minutes.

    An alarm of all traffic can even turn on then, because metrics come late; what is wrong with the old version as
    well, its own color's alarms say, and the checks at the end of the rollback.
    """
    is_late = alarm.name.color == "" and seconds_since(live.since, alarm.since) < _LATE_METRICS_SECONDS
    return point.status is PointStatus.CONSUMED and (alarm.name.color == point.color or is_late)


def _why_human(alarm: Alarm, record: EnvironmentRecord, now: str) -> str:
    """Say why a human decides, whatever the release is like; empty when none has to."""
    point = _point_of(record.live)
    if maintenance := record.maintained(now):
        return f"Maintenance is under way until {maintenance.until} ({maintenance.reason})."
    if restored := _why_restore(alarm, record.work):
        return restored
    if alarm.name.effect is Effect.PAGES:
        return "No release is taken back for this alarm: its cause is as likely another one."
    if record.work.phase is Phase.ESCALATED:
        return "The environment was left to a human."
    if point is None or not point.in_window(now):
        return "It is outside the time in which a release is taken back by itself."
    return ""


def _why_restore(alarm: Alarm, work: Work) -> str:
    """
    Say that a restore of the database freezes the traffic, or did so when the alarm turned on; "" when neither is so.

    Between its claim and the last metrics of its end users got 503, whatever the release is like.
    """
    if work.is_frozen:
        return frozen_by(work)
    if work.phase not in _RESTORE_IS_OVER or not work.claimed_at or not work.progress_at:
        return ""
    began_before = seconds_since(work.claimed_at, alarm.since) < 0
    if began_before or seconds_since(work.progress_at, alarm.since) >= _LATE_METRICS_SECONDS:
        return ""
    return "It turned on while a restore of the database had frozen the traffic, and may be about that."


def _why_not_this_release(alarm: Alarm, live: Live | None, alarms: Sequence[Alarm]) -> str:
    """Say why the release that is being watched is not to blame; empty when it is."""
    point = _point_of(live)
    if live is None or point is None:
        return "No release is being watched."
    if seconds_since(live.since, alarm.since) < 0:
        return f"It was on before release {live.release_id} received traffic at {live.since}."
    if alarm.name.color not in ("", live.color):
        return f"It is of {alarm.name.color}, to which release {live.release_id} would go back."
    others = [each.name.subject for each in alarms if _speaks_against(each, point)]
    if others:
        return f"The way back, {point.color}, is in trouble too ({', '.join(others)}): it may not be the release."
    return ""


def _point_of(live: Live | None) -> RollbackPoint | None:
    return live.rollback_point if live else None


def _speaks_against(alarm: Alarm, point: RollbackPoint) -> bool:
    return alarm.name.effect is Effect.ROLLS_BACK and alarm.name.color == point.color
