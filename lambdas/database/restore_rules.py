"""
Whether the database may be brought back, to what, and what that costs. All pure.

A restore loses what was written since its recovery point, so no event and no alarm starts one: a human asks, sees the
loss and what could be done instead, and a human approves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from enum import StrEnum
from hashlib import sha256
from typing import Any

from lambdas.errors import EnvironmentBusy
from lambdas.release.restore_rules import Restore, RestoreStatus, ServingDatabase
from lambdas.release.rules import (
    EnvironmentRecord,
    Lease,
    Live,
    Phase,
    PointStatus,
    Work,
    describe_json,
    expired,
    frozen_by,
    later,
    parse_moment,
    seconds_since,
)

AVAILABLE = "available"
_LONGEST_REASON = 1000
_EXAMPLE = '{"release_id": "4f2c1e9-0a1b2c3d", "reason": "receipts of today are garbled"}'
_TEXTS, _FLAGS = ("release_id", "reason", "to"), ("undo", "accept_unaccounted")
_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600
_RESTORE_MINUTES = 60
"""How long a restore takes, roughly: two snapshots' worth of RDS's time, and a restart of the application."""


class Target(StrEnum):
    """To which state of the database a restore goes back."""

    SNAPSHOT = "snapshot"
    """That of the snapshot from before the release: nothing of the release is left."""
    BEFORE_RELEASE = "before-release"
    """That of the last second before the release received traffic, by RDS's own backups: it loses less."""


class Choice(StrEnum):
    """What the machine does with a request."""

    RESTORE = "restore"
    UNDO = "undo"
    """An ended restore is undone: its former instance serves again. That loses what was written since, too."""
    RESUME = "resume"
    """A restore that did not come to its end goes on. It was approved."""
    GIVE_UP = "give_up"
    """A restore that did not come to its end is given up: the instance from before serves again. Nothing is lost."""
    FINISH = "finish"
    """One that was decided, and died before its end: traffic flows onto what was decided, and nothing else changes."""
    NOTHING = "nothing"
    """It is done already."""
    REFUSED = "refused"
    INVALID = "invalid"


@dataclass(frozen=True)
class RestoreRequest:
    """What an operator asks for. `problem` is empty for a valid request."""

    release_id: str = ""
    reason: str = ""
    to: Target = Target.SNAPSHOT
    undo: bool = False
    accept_unaccounted: bool = False
    problem: str = ""


@dataclass(frozen=True)
class RecoverySnapshot:
    """A snapshot, and the moment whose state it holds."""

    snapshot_id: str
    status: str
    taken_at: str


@dataclass(frozen=True)
class Instance:
    """An instance: where it answers, and until when RDS's backups reach; "" where there are none."""

    name: str
    status: str
    host: str
    port: int
    latest_restorable: str = ""


@dataclass(frozen=True)
class Facts:
    """
    All that decides about a request, as it was found.

    `history` and `snapshot` are of the release that the request is about, `forward` is the instance that serves and
    `former` the one that served before the last restore. `holder_runs` is about the environment's holder, `latest_runs`
    about the execution that asked for the latest restore.
    """

    record: EnvironmentRecord
    latest: Restore | None = None
    serving: ServingDatabase | None = None
    history: Mapping[str, Any] = field(default_factory=dict)
    snapshot: RecoverySnapshot | None = None
    forward: Instance | None = None
    former: Instance | None = None
    holder_runs: bool = False
    latest_runs: bool = False


@dataclass(frozen=True)
class Occasion:
    """Who asks and when, in which environment, and how long an approval may take."""

    service: str
    environment: str
    execution: str
    now: str
    approval_seconds: int

    @property
    def digest(self) -> str:
        """Return eight hexadecimal digits that are this execution's own."""
        return sha256(self.execution.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Decision:
    """What to do, why in words, and the plan to follow if there is one. `is_new`: it has to be written down."""

    choice: Choice
    reason: str
    restore: Restore | None = None
    is_new: bool = False


def read_restore_request(given: Any) -> RestoreRequest:  # noqa: ANN401  an operator can type anything
    """Check the input of the restore machine."""
    problem = _problem_of(given)
    if problem:
        return RestoreRequest(problem=f"{problem} Example of a valid input: {_EXAMPLE}")
    return RestoreRequest(
        release_id=given.get("release_id", ""),
        reason=given["reason"].strip(),
        to=Target(given.get("to", Target.SNAPSHOT)),
        undo=given.get("undo", False),
        accept_unaccounted=given.get("accept_unaccounted", False),
    )


def _problem_of(given: Any) -> str:  # noqa: ANN401
    return _problem_of_form(given) or _problem_of_reason(given["reason"]) or _problem_of_target(given)


def _problem_of_form(given: Any) -> str:  # noqa: ANN401
    if not isinstance(given, dict):
        return f"The input must be a JSON object, but it is {describe_json(given)}."
    for name in sorted(given):
        if name not in (*_TEXTS, *_FLAGS):
            return f"Field {name!r} is not known."
        kind, expected = (str, "text") if name in _TEXTS else (bool, "true or false")
        if not isinstance(given[name], kind):
            return f"Field {name!r} must be {expected}, but it is {describe_json(given[name])}."
    return "" if "reason" in given else "Field 'reason' is missing: a restore loses data, and is recorded with why."


def _problem_of_reason(reason: str) -> str:
    if not reason.strip():
        return "Field 'reason' is empty: a restore loses data, and is recorded with why."
    if len(reason) > _LONGEST_REASON:
        return f"Field 'reason' has {len(reason)} characters, and may have {_LONGEST_REASON}."
    return ""


def _problem_of_target(given: Mapping[str, Any]) -> str:
    if given.get("to", Target.SNAPSHOT) not in list(Target):
        return f"Field 'to' must be one of {', '.join(Target)}, but it is {describe_json(given['to'])}."
    if given.get("undo") and "to" in given:
        return "Field 'to' does not go with 'undo': that goes back to the instance that served before the restore."
    return ""


def target_release(request: RestoreRequest, record: EnvironmentRecord, latest: Restore | None) -> str:
    """
    Return the release before which the database was as it shall be; "" when nothing was released.

    It is the named one, or that of the restore that did not end, or the last one that received traffic, even if it was
    rolled back since.
    """
    if request.release_id:
        return request.release_id
    if latest and latest.status is RestoreStatus.RESTORING:
        return latest.release_id
    live = record.live
    point = live.rollback_point if live else None
    if point and point.status is PointStatus.CONSUMED:
        return point.release_id
    return live.release_id if live else ""


def serving_instance(serving: ServingDatabase | None, settings_instance: str) -> str:
    """Return the instance that serves: that of the last restore, until settings have been put right."""
    return serving.instance if serving and serving.settings_instance == settings_instance else settings_instance


def decide(request: RestoreRequest, facts: Facts, occasion: Occasion) -> Decision:
    """
    Decide what becomes of a request, and plan it.

    What an earlier attempt of the same execution has planned is found again.
    """
    if request.problem:
        return Decision(Choice.INVALID, request.problem)
    latest = facts.latest
    if latest and latest.requested_by == occasion.execution and latest.status is RestoreStatus.WAITING:
        return Decision(_choice_of(latest), latest.summary, latest)
    unended = latest and latest.is_decided and facts.record.work.is_frozen
    if latest and (unended or latest.status is RestoreStatus.RESTORING):
        return _decide_over_unended(request, facts, latest)
    if reason := _why_not_now(facts, occasion.now):
        return Decision(Choice.REFUSED, reason)
    if request.undo:
        return _decide_undo(request, facts, occasion)
    return _decide_restore(request, facts, occasion)


def _choice_of(restore: Restore) -> Choice:
    return Choice.UNDO if restore.source["kind"] == "undo" else Choice.RESTORE


def _decide_over_unended(request: RestoreRequest, facts: Facts, latest: Restore) -> Decision:
    """Its instances are half exchanged: it goes on, or back, and nothing else begins before."""
    work = facts.record.work
    if work.holder is not None and (facts.holder_runs or work.phase is not Phase.RESTORING):
        at_work = frozen_by(work) if work.phase is Phase.RESTORING else _at_work(work)
        return Decision(Choice.REFUSED, f"{at_work} Wait for its end.")
    if request.release_id not in ("", latest.release_id):
        left = frozen_by(replace(work, phase=Phase.FROZEN))
        return Decision(Choice.REFUSED, f"The restore of release {latest.release_id} has to be ended first. {left}")
    if latest.is_decided:
        return _decide_over_decided(request, latest)
    if request.undo:
        reason = f"{latest.forward_instance} serves again; restore {latest.restore_id} is given up."
        return Decision(Choice.GIVE_UP, reason, latest)
    return Decision(Choice.RESUME, f"Restore {latest.restore_id} goes on; it was approved before.", latest)


def _decide_over_decided(request: RestoreRequest, latest: Restore) -> Decision:
    """Users may have written since: to go back from here loses that, and has to be approved like every restore."""
    end = f'{{"release_id": "{latest.release_id}", "reason": "…"}}'
    if request.undo:
        reason = (
            f"Restore {latest.restore_id} is {latest.status}, and only traffic has to flow. End it first, with {end}."
        )
        return Decision(Choice.REFUSED, reason)
    reason = f"Restore {latest.restore_id} is {latest.status}: traffic flows again, and nothing else is changed."
    return Decision(Choice.FINISH, reason, latest)


def _at_work(work: Work) -> str:
    return f"Release {work.release_id} is {str(work.phase).replace('_', ' ')} under execution {work.holder}."


def _why_not_now(facts: Facts, now: str) -> str:
    """Say what has to be over before a restore can be planned; "" when nothing has."""
    work, latest = facts.record.work, facts.latest
    if work.holder is not None:
        return f"{_at_work(work)} Start again when it has ended."
    if latest and latest.waits(now) and facts.latest_runs:
        return (
            f"Restore {latest.restore_id} waits for approval until {latest.expires_at}. Approve or reject it first with"
            f' the operate machine: {{"action": "reject", "release_id": "{latest.release_id}", "reason": "…"}}.'
        )
    return ""


def _decide_restore(request: RestoreRequest, facts: Facts, occasion: Occasion) -> Decision:
    release_id = target_release(request, facts.record, facts.latest)
    source = _source(request, facts, release_id)
    if isinstance(source, str):
        return Decision(Choice.REFUSED, source)
    kind, recovery_point = source
    if _is_done(facts.latest, release_id, kind):
        reason = f'The database was brought back to before release {release_id} already. {{"undo": true}} goes back.'
        return Decision(Choice.NOTHING, reason)
    if facts.forward is None or not facts.forward.host:
        return Decision(Choice.REFUSED, "The instance that serves is not there. Look at settings and RDS.")
    name = f"runback-{occasion.service}-{occasion.environment}-r{occasion.digest}"
    return _plan(request, facts, occasion, _Way(release_id, kind, recovery_point, facts.forward, name))


def _is_done(latest: Restore | None, release_id: str, source: Mapping[str, Any]) -> bool:
    if latest is None or latest.status is not RestoreStatus.RESTORED:
        return False
    return latest.release_id == release_id and dict(latest.source) == dict(source)


def _source(request: RestoreRequest, facts: Facts, release_id: str) -> tuple[dict[str, Any], str] | str:
    """Return where the data come from, and of which moment they are; or in words why there are none."""
    if not release_id:
        return "Nothing was released in this environment, so there is no release to go back before."
    kept, snapshot = facts.history.get("snapshot"), facts.snapshot
    if not kept:
        return f"Field 'release_id': release {release_id} has no snapshot of the database. Name another release."
    if request.to is Target.BEFORE_RELEASE:
        return _moment_before(facts, release_id)
    if snapshot is None:
        return f'Snapshot {kept["id"]} of release {release_id} is gone. Try it with "to": "before-release".'
    if snapshot.status != AVAILABLE or not snapshot.taken_at:
        return f"Snapshot {snapshot.snapshot_id} of release {release_id} is {snapshot.status}, not {AVAILABLE}."
    return {"kind": "snapshot", "snapshot_id": snapshot.snapshot_id}, snapshot.taken_at


def _moment_before(facts: Facts, release_id: str) -> tuple[dict[str, Any], str] | str:
    """Go back to the last whole second in which the former version alone wrote."""
    shifted, forward, serving = facts.history.get("shifted_at"), facts.forward, facts.serving
    if not shifted:
        return f'Release {release_id} never received traffic, so nothing of it was written. Use "to": "snapshot".'
    moment = parse_moment(later(shifted, -1)).astimezone(UTC)
    at = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    if forward and serving and serving.instance == forward.name and seconds_since(serving.since, at) < 0:
        return f"{forward.name} serves since {serving.since} only, so its backups do not reach back to {at}."
    latest = forward.latest_restorable if forward else ""
    if not latest or seconds_since(at, latest) < 0:
        reach = f"reach until {latest} by now: try again in five minutes" if latest else "are turned off"
        return f'RDS\'s backups {reach}, and release {release_id} began at {at}. Use "to": "snapshot" instead.'
    return {"kind": "point-in-time", "at": at}, at


def _decide_undo(request: RestoreRequest, facts: Facts, occasion: Occasion) -> Decision:
    serving, latest = facts.serving, facts.latest
    if serving is None:
        return Decision(Choice.REFUSED, "Field 'undo': no restore has changed which instance serves.")
    if request.release_id not in ("", serving.release_id):
        return Decision(Choice.REFUSED, f"Field 'release_id': the last restore was that of {serving.release_id}.")
    if latest and latest.status is RestoreStatus.RESTORED and latest.source["kind"] == "undo":
        return Decision(Choice.NOTHING, f"The restore of release {serving.release_id} is undone already.")
    if facts.former is None or facts.former.status != AVAILABLE or not facts.former.host:
        found = facts.former.status if facts.former else "gone"
        return Decision(Choice.REFUSED, f"{serving.former_instance}, which served before, is {found}: start it in RDS.")
    if facts.forward is None or not facts.forward.host:
        return Decision(Choice.REFUSED, f"{serving.instance}, which should serve, is gone. Look at it in RDS.")
    source = {"kind": "undo", "instance": facts.former.name}
    way = _Way(serving.release_id, source, serving.since, facts.forward, facts.former.name)
    return _plan(request, facts, occasion, way)


@dataclass(frozen=True)
class _Way:
    """From which instance to which, and of which moment its data are."""

    release_id: str
    source: Mapping[str, Any]
    recovery_point: str
    forward: Instance
    restored_instance: str


def _plan(request: RestoreRequest, facts: Facts, occasion: Occasion, way: _Way) -> Decision:
    restore_id = f"r-{way.release_id}-{occasion.digest}"
    loss_seconds = max(0, round(seconds_since(way.recovery_point, occasion.now)))
    restore = Restore(
        restore_id=restore_id,
        release_id=way.release_id,
        requested_by=occasion.execution,
        reason=request.reason,
        source=way.source,
        forward_instance=way.forward.name,
        forward_host=way.forward.host,
        forward_port=way.forward.port,
        restored_instance=way.restored_instance,
        safety_snapshot=f"runback-{occasion.service}-{occasion.environment}-safety-{restore_id}",
        recovery_point=way.recovery_point,
        loss_seconds=loss_seconds,
        planned_at=occasion.now,
        expires_at=later(occasion.now, occasion.approval_seconds),
        accept_unaccounted=request.accept_unaccounted,
        summary=_summary(request, facts, way, loss_seconds),
        alternatives=_alternatives(facts, way),
    )
    return Decision(_choice_of(restore), restore.summary, restore, is_new=True)


def _summary(request: RestoreRequest, facts: Facts, way: _Way, loss_seconds: int) -> str:
    """Write what an approver has to know: why, what becomes of what, the loss, and what could be done instead."""
    origin = {
        "snapshot": f"snapshot {way.source.get('snapshot_id')}",
        "point-in-time": "RDS's own backups, just before the release",
        "undo": f"{way.restored_instance}, which served before the restore",
    }[way.source["kind"]]
    becomes = (
        f"The database goes back to its state of {way.recovery_point}, from {origin}. What was written since then is"
        f" lost to users: {describe_seconds(loss_seconds)} by now, and more until traffic is frozen. It is counted, and"
        f" exported for those who may read it."
    )
    serves = (
        f"Until that is done users get 503. {way.forward.name} serves now, and is kept; {way.restored_instance} is to"
        f" serve."
    )
    point = facts.record.live.rollback_point if facts.record.live else None
    if point and point.status is PointStatus.VALID:
        serves += (
            f" After that no rollback brings traffic back to version {point.version}: its instances know"
            f" {way.forward.name} only. Deploy that version instead."
        )
    instead = [f"Instead: {each['what']} {each['how']}" for each in _alternatives(facts, way)]
    return "\n".join([request.reason, becomes, serves, *instead])


def _alternatives(facts: Facts, way: _Way) -> tuple[Mapping[str, Any], ...]:
    """Return what could be done instead, the cheapest first: what, how, to which moment, and how long it takes."""
    live, snapshot = facts.record.live, facts.snapshot
    point = live.rollback_point if live else None
    found: list[Mapping[str, Any]] = []
    if point and point.status is PointStatus.VALID:
        what = f"traffic alone goes back to version {point.version} within a minute, and no data are lost."
        found.append(_instead(what, "Start the rollback machine with {}.", "", 1))
    moment = _moment_before(facts, way.release_id)
    if way.source["kind"] == "snapshot" and not isinstance(moment, str):
        what = f"RDS's own backups bring back the state of {moment[1]}, which loses less, within an hour or so."
        found.append(_instead(what, _again(Target.BEFORE_RELEASE), moment[1], _RESTORE_MINUTES))
    if way.source["kind"] == "point-in-time" and snapshot and snapshot.status == AVAILABLE:
        what = f"snapshot {snapshot.snapshot_id} brings back the state of {snapshot.taken_at}, within an hour or so."
        found.append(_instead(what, _again(Target.SNAPSHOT), snapshot.taken_at, _RESTORE_MINUTES))
    return tuple(found)


def _again(target: Target) -> str:
    return f'Reject this, and start again with "to": "{target}".'


def _instead(what: str, how: str, recovery_point: str, takes_minutes: int) -> dict[str, Any]:
    return {"what": what, "how": how, "recovery_point": recovery_point, "takes_minutes": takes_minutes}


def describe_seconds(seconds: int) -> str:
    """Say a duration as a human does, in its two largest units."""
    days, rest = divmod(seconds, _DAY)
    hours, rest = divmod(rest, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    first = next((index for index, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count) or "0 s"


def check_restore_claim(
    record: EnvironmentRecord, restore: Restore | None, restore_id: str, execution: str, *, holder_runs: bool
) -> Lease | None:
    """
    Let a restore claim what is free, or what a restore left that died; return the lease that it has already.

    Raises EnvironmentBusy; nothing has changed then.
    """
    work = record.work
    if work.lease and work.holder == execution:
        return work.lease
    if restore is None or restore.restore_id != restore_id:
        raise EnvironmentBusy(f"Restore {restore_id} was replaced by another one. Start again if it is needed still.")
    goes_on = restore.status is RestoreStatus.RESTORING or (restore.is_decided and work.is_frozen)
    if restore.status is not RestoreStatus.APPROVED and not goes_on:
        raise EnvironmentBusy(f"Restore {restore_id} is {restore.status}. Start again if it is needed still.")
    if work.holder is None and (goes_on or not work.is_frozen):
        return None
    if goes_on and work.phase is Phase.RESTORING and not holder_runs:
        return None
    raise EnvironmentBusy(frozen_by(work) if work.is_frozen else f"{_at_work(work)} Start again when it has ended.")


def restoring(restore: Restore, execution: str, now: str, before: Work) -> Work:
    """
    Return the lease item of a restore that takes the place of `before`.

    One that goes on was claimed when the first of its executions was: since then users get 503, and alarms may be on
    that say nothing about the release.
    """
    since = before.claimed_at if before.is_frozen and before.claimed_at else now
    return Work(
        holder=execution, phase=Phase.RESTORING, release_id=restore.release_id, claimed_at=since, progress_at=now
    )


def without_way_back(live: Live | None) -> Live | None:
    """
    Return the live item of a release whose database was restored; None where nothing is to be written.

    The instances of the other color know the database from before, which lets nobody in: they are no way back.
    """
    point = live.rollback_point if live else None
    return expired(live) if live and point and point.status is PointStatus.VALID else None
