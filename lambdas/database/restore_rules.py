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

from lambdas.database.shared_snapshot_rules import copied, is_same_source, owner_of, why_not_shared
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
_LONGEST_REASON, _LONGEST_ARN = 1000, 256
_EXAMPLE = '{"release_id": "4f2c1e9-0a1b2c3d", "reason": "receipts of today are garbled"}'
_TEXTS, _FLAGS = ("release_id", "reason", "to", "asked_by", "snapshot"), ("undo", "accept_unaccounted")
_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600
_RESTORE_MINUTES, _SWITCH_MINUTES = 60, 1
"""
How long it takes, roughly, until users are served again: a restore two snapshots' worth of RDS's time, and a restart of
the application; a rollback of traffic a change of the listener.
"""


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
    """
    What an operator asks for, or a rollback for an operator: then `asked_by` is the rollback's execution.

    `problem` is empty for a valid request.
    """

    release_id: str = ""
    reason: str = ""
    to: Target = Target.SNAPSHOT
    undo: bool = False
    accept_unaccounted: bool = False
    asked_by: str = ""
    snapshot: str = ""
    """The ARN of a snapshot that another account shares, in place of the release's own."""
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
    """
    Who asks and when, in which environment, and how long an approval may take.

    `snapshot_accounts` are those whose shared snapshots may be restored.
    """

    service: str
    environment: str
    execution: str
    now: str
    approval_seconds: int
    snapshot_accounts: tuple[str, ...] = ()

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
        asked_by=given.get("asked_by", ""),
        snapshot=given.get("snapshot", ""),
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
    if len(given.get("asked_by", "")) > _LONGEST_ARN:
        return f"Field 'asked_by' is the rollback that started this, and may have {_LONGEST_ARN} characters."
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
    return _problem_of_snapshot(given) if "snapshot" in given else ""


def _problem_of_snapshot(given: Mapping[str, Any]) -> str:
    if given.get("undo") or "to" in given:
        return "Field 'snapshot' says what to go back to, and goes neither with 'to' nor with 'undo'."
    if not owner_of(given["snapshot"]):
        return (
            "Field 'snapshot' must be the ARN of a snapshot that another account shares, such as"
            " arn:aws:rds:eu-west-1:222233334444:snapshot:nightly. The release's own needs no name."
        )
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
    source = _source(request, facts, occasion, release_id)
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
    return latest.release_id == release_id and is_same_source(latest.source, source)


def _source(
    request: RestoreRequest, facts: Facts, occasion: Occasion, release_id: str
) -> tuple[dict[str, Any], str] | str:
    """Return where the data come from, and of which moment they are; or in words why there are none."""
    if not release_id:
        return "Nothing was released in this environment, so there is no release to go back before."
    if request.snapshot:
        return _shared(request.snapshot, facts.snapshot, occasion)
    if not facts.history.get("snapshot"):
        return f"Field 'release_id': release {release_id} has no snapshot of the database. Name another release."
    if request.to is Target.BEFORE_RELEASE:
        return _moment_before(facts, release_id)
    return _own_snapshot(facts, release_id)


def _own_snapshot(facts: Facts, release_id: str) -> tuple[dict[str, Any], str] | str:
    snapshot = facts.snapshot
    if snapshot is None:
        name = facts.history["snapshot"]["id"]
        return f'Snapshot {name} of release {release_id} is gone. Try it with "to": "before-release".'
    if snapshot.status != AVAILABLE or not snapshot.taken_at:
        return f"Snapshot {snapshot.snapshot_id} of release {release_id} is {snapshot.status}, not {AVAILABLE}."
    return {"kind": "snapshot", "snapshot_id": snapshot.snapshot_id}, snapshot.taken_at


def _shared(arn: str, snapshot: RecoverySnapshot | None, occasion: Occasion) -> tuple[dict[str, Any], str] | str:
    """Go back to what another account has kept, by way of a copy."""
    if reason := why_not_shared(arn, occasion.snapshot_accounts):
        return reason
    if snapshot is None or snapshot.status != AVAILABLE or not snapshot.taken_at:
        found = snapshot.status if snapshot else "not there, or not shared with this account"
        return f"Field 'snapshot': {arn} is {found}. Let the account that owns it share it, and start again."
    name = f"runback-{occasion.service}-{occasion.environment}-copy-{occasion.digest}"
    return copied(arn, name), snapshot.taken_at


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
        asked_by=request.asked_by,
        summary=_summary(request, facts, way, loss_seconds, occasion.now),
        alternatives=_alternatives(facts, way, occasion.now),
    )
    return Decision(_choice_of(restore), restore.summary, restore, is_new=True)


def _summary(request: RestoreRequest, facts: Facts, way: _Way, loss_seconds: int, now: str) -> str:
    """Write what an approver has to know: why, what becomes of what, the loss, and what could be done instead."""
    origin = {
        "snapshot": _described_snapshot(way.source),
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
    instead = [_said(each) for each in _alternatives(facts, way, now)]
    return "\n".join([request.reason, becomes, serves, *instead])


def _described_snapshot(source: Mapping[str, Any]) -> str:
    if "copied_from" not in source:
        return f"snapshot {source.get('snapshot_id')}"
    arn = source["copied_from"]
    return f"snapshot {arn} of account {owner_of(arn)}, which is copied before traffic is frozen"


def _alternatives(facts: Facts, way: _Way, now: str) -> tuple[Mapping[str, Any], ...]:
    """Return what could be done instead, the cheapest first: what, how, to which moment, and how long it takes."""
    live, snapshot = facts.record.live, facts.snapshot
    point = live.rollback_point if live else None
    found: list[Mapping[str, Any]] = []
    if live and point and point.status is PointStatus.VALID:
        what = f"traffic alone goes back to version {point.version}, and no data are lost, nor mended."
        found.append(
            _instead(what, f"Start the rollback machine with {live.input_to_go_back}.", "", 0, _SWITCH_MINUTES)
        )
    moment = _moment_before(facts, way.release_id)
    if way.source["kind"] == "snapshot" and not isinstance(moment, str):
        what = "RDS's own backups bring back what was there just before the release."
        found.append(_restored_instead(what, Target.BEFORE_RELEASE, moment[1], now))
    own = facts.history.get("snapshot", {}).get("id")
    is_other = way.source["kind"] == "point-in-time" and snapshot and snapshot.snapshot_id == own
    if snapshot and is_other and snapshot.status == AVAILABLE:
        what = f"snapshot {snapshot.snapshot_id} brings back what was there when the release began."
        found.append(_restored_instead(what, Target.SNAPSHOT, snapshot.taken_at, now))
    return tuple(found)


def _restored_instead(what: str, to: Target, recovery_point: str, now: str) -> dict[str, Any]:
    loss_seconds = max(0, round(seconds_since(recovery_point, now)))
    how = f'Reject this, and start again with "to": "{to}".'
    return _instead(what, how, recovery_point, loss_seconds, _RESTORE_MINUTES)


def _instead(what: str, how: str, recovery_point: str, loss_seconds: int, takes_minutes: int) -> dict[str, Any]:
    return {
        "what": what,
        "how": how,
        "recovery_point": recovery_point,
        "loss_seconds": loss_seconds,
        "takes_minutes": takes_minutes,
    }


def _said(alternative: Mapping[str, Any]) -> str:
    """Write an alternative as an approver reads it: to which moment, what is lost by it, and how long it takes."""
    lost = f"; what was written in {describe_seconds(alternative['loss_seconds'])} is lost"
    back_to = f"Back to {alternative['recovery_point']}{lost}, and it" if alternative["recovery_point"] else "It"
    takes = f"{back_to} takes about {describe_seconds(alternative['takes_minutes'] * _MINUTE)}."
    return f"Instead: {alternative['what']} {takes} {alternative['how']}"


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
