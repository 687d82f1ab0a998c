"""Who may roll back what, and over whom. All pure; docs/decisions holds the same as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from lambdas.release.rules import (
    KEEPS_FREEZE,
    EnvironmentRecord,
    Live,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    describe_json,
    explain_failure,
    frozen_by,
    is_moment,
    seconds_since,
)
from lambdas.rollback.alarm_rules import UNASKED, AlarmEvent, CriticalAlarms, Refusal, refuse_alarm
from lambdas.traffic.rules import Route

STALE_AFTER_SECONDS = 300
"""
A running rollback that wrote no progress for so long is stuck. A step that is tried again keeps the moment of its first
attempt, and the most patient one gives up after 205 s.
"""


class Source(StrEnum):
    """Who asks for a rollback."""

    OPERATOR = "operator"
    """A human, in the console; the input `{}` means this."""
    DEPLOYMENT = "deployment"
    """The deploy machine, when a step failed after its first shift."""
    EXECUTION_STATUS = "execution-status"
    """The event that an execution failed, timed out or was aborted."""
    WATCHDOG = "watchdog"
    """The watchdog, when such an event did not arrive."""
    ALARM = "alarm"
    """The event that a critical alarm turned on, or the watchdog, when it did not arrive."""


class Action(StrEnum):
    """What the rollback machine does after its claim."""

    SWITCH = "switch"
    """Traffic goes back to the recorded color."""
    ABORT = "abort"
    """Traffic never moved: what was being prepared is given up."""
    FINISH = "finish"
    """The release is committed already, only its execution died: the lease is given back."""
    LET_GO = "let_go"
    """Only a clean-up after a release died: the lease is given back, and nothing else is touched."""
    TELL_CLEAN_UP = "tell_clean_up"
    """A clean-up ended before its time, and held nothing: a human must know; nothing is claimed."""
    KEEP_FROZEN = KEEPS_FREEZE
    """A restore of the database died, and has frozen the traffic, or may have: a human has to go on with it."""
    HOLD = "hold"
    """A deployment died whose release is not rolled back by itself: traffic stays, and a human must decide."""
    INFRASTRUCTURE = "infrastructure"
    """The release is gone already; only its infrastructure is taken back."""
    ESCALATE = "escalate"
    """A rollback is needed, and there is nothing to go back to: a human must decide."""
    IMPOSSIBLE = "impossible"
    """An operator asks for what cannot be done; nothing is claimed."""
    PAGE = "page"
    """A critical alarm is on for which no traffic is moved: a human must look; nothing is claimed."""
    PAGE_HOLD = "page_hold"
    """The same for a release that would have been rolled back for it, were it not for its migrations."""
    NOTHING = "nothing"
    """There is nothing to roll back, or it is being done already."""
    INVALID = "invalid"
    """The input is not understood."""


_DEPLOYING = frozenset({Phase.PREPARING, Phase.SHIFTING, Phase.BAKING, Phase.COMMITTED})
CLAIMING = frozenset(
    {
        Action.SWITCH,
        Action.ABORT,
        Action.FINISH,
        Action.LET_GO,
        Action.KEEP_FROZEN,
        Action.HOLD,
        Action.INFRASTRUCTURE,
        Action.ESCALATE,
    }
)
_FIELDS = (
    "alarm",
    "cause",
    "changed_at",
    "database",
    "execution_arn",
    "infrastructure",
    "previous_state",
    "reason",
    "release_id",
    "source",
    "state",
    "status",
)
NO_RESTORES = (
    "Field 'database' is true, but this environment has no settings of a restore: add the table [restore] to its file,"
    " and deploy Runback. Nothing was changed."
)
NO_INFRASTRUCTURE = (
    "Field 'infrastructure' is true, but this environment has no settings of one: add the table [infrastructure] to its"
    " file, and deploy Runback. Nothing was changed."
)
_FOR_HUMANS = ("database", "infrastructure")
_STOPPED = frozenset({"ABORTED", "TIMED_OUT"})
"""Ends of which an execution itself can tell nobody."""
_ABOUT_LIVE = frozenset({Source.OPERATOR, Source.ALARM})
"""Who asks about what serves; all others ask about one execution."""
_LONGEST_REASON = 1000
_EXAMPLE = '{} or {"reason": "checkout is broken"}'


@dataclass(frozen=True)
class RollbackRequest:
    """
    Who asks, why, and about which execution, release or alarm. `problem` is empty for a valid request.

    `asked_at` is when the execution of the machine began, which may be long before it can decide anything.
    """

    source: Source = Source.OPERATOR
    execution_arn: str = ""
    release_id: str = ""
    why: str = ""
    problem: str = ""
    asked_at: str = ""
    ended_as: str = ""
    """How the execution ended that this is about, such as "ABORTED"; empty unless its last event says so."""
    alarm: AlarmEvent | None = None
    database: bool = False
    """Whether a restore of the database is to be asked for, once the traffic is back."""
    infrastructure: bool = False
    """Whether the infrastructure is to be taken back, too, once the traffic is back."""


@dataclass(frozen=True)
class Verdict:
    """What to do, and why, in words for the console."""

    action: Action
    reason: str


def read_rollback_request(given: Any) -> RollbackRequest:  # noqa: ANN401  an operator can type anything
    """Check the input of the rollback machine. Every field is optional text, but for those that humans set to true."""
    problem = _problem_of(given)
    if problem:
        return RollbackRequest(problem=f"{problem} Example of a valid input: {_EXAMPLE}")
    return RollbackRequest(
        source=Source(given.get("source", Source.OPERATOR)),
        execution_arn=given.get("execution_arn", ""),
        release_id=given.get("release_id", ""),
        why=_why(given),
        ended_as=given.get("status", ""),
        database=given.get("database", False),
        infrastructure=given.get("infrastructure", False),
        alarm=AlarmEvent(given["alarm"], given.get("previous_state", ""), given["changed_at"])
        if given.get("source") == Source.ALARM
        else None,
    )


def _why(given: Mapping[str, str]) -> str:
    """Return the reason: a human's words, the error of a deployment, or how an execution ended."""
    if "reason" in given:
        return explain_failure({"Error": given["reason"], "Cause": given.get("cause", "")})[:_LONGEST_REASON]
    return f"its execution has {given['status']}" if "status" in given else ""


def _problem_of(given: Any) -> str:  # noqa: ANN401
    return _problem_of_form(given) or _problem_of_source(given)


def _problem_of_form(given: Any) -> str:  # noqa: ANN401
    if not isinstance(given, dict):
        return f"The input must be a JSON object, but it is {describe_json(given)}."
    for name in sorted(given):
        if name not in _FIELDS:
            return f"Field {name!r} is not known."
        kind, expected = (bool, "true or false") if name in _FOR_HUMANS else (str, "text")
        if not isinstance(given[name], kind):
            return f"Field {name!r} must be {expected}, but it is {describe_json(given[name])}."
    return ""


def _problem_of_source(given: Mapping[str, Any]) -> str:
    source = given.get("source", Source.OPERATOR)
    if source not in list(Source):
        return f"Field 'source' must be one of {', '.join(Source)}, but it is {describe_json(source)}."
    if given.get("database") and source != Source.OPERATOR:
        return f"Field 'database' is for a human to set: source {source} never has data thrown away."
    if given.get("infrastructure") and source != Source.OPERATOR:
        return f"Field 'infrastructure' is for a human to set: source {source} moves traffic alone."
    if given.get("infrastructure") and given.get("database"):
        return (
            "Fields 'database' and 'infrastructure' cannot both be true: bring the infrastructure back first, then"
            " start the restore-database machine."
        )
    if source not in _ABOUT_LIVE and not given.get("execution_arn"):
        return f"Field 'execution_arn' is missing: source {source} is about one execution."
    return _problem_of_alarm(given) if source == Source.ALARM else ""


def _problem_of_alarm(given: Mapping[str, str]) -> str:
    for name in ("alarm", "changed_at"):
        if not given.get(name):
            return f"Field {name!r} is missing: source {Source.ALARM} is about one alarm."
    if not is_moment(given["changed_at"]):
        found = describe_json(given["changed_at"])
        return f"Field 'changed_at' must be a moment with its time zone, but it is {found}."
    return ""


def with_why(verdict: Verdict, request: RollbackRequest) -> Verdict:
    """Let everybody who reads what is done read also why: in the console, in the record and in the message."""
    if verdict.action is Action.NOTHING and request.database:
        restore = "To have the database brought back all the same, start the restore-database machine."
        return replace(verdict, reason=f"{verdict.reason} {restore}")
    if verdict.action is Action.ABORT and request.infrastructure:
        follow = 'If a message says that it has changed the infrastructure, start again with {"infrastructure": true}.'
        verdict = replace(verdict, reason=f"{verdict.reason} {follow}")
    if verdict.action is Action.NOTHING and request.infrastructure:
        by_hand = "To have its infrastructure brought back all the same, apply it with Terraform by hand."
        verdict = replace(verdict, reason=f"{verdict.reason} {by_hand}")
    if verdict.action not in CLAIMING or not request.why:
        return verdict
    return replace(verdict, reason=f"{verdict.reason} Reason: {request.why}")


def asks_about_holder(request: RollbackRequest, record: EnvironmentRecord, execution: str) -> bool:
    """Say whether the claim depends on another rollback being alive. Only then is asking worth a request."""
    work = record.work
    return (
        work.holder not in (None, execution, request.execution_arn)
        and work.phase is Phase.ROLLING_BACK
        and not request.execution_arn
    )


def decide(
    request: RollbackRequest,
    record: EnvironmentRecord,
    execution: str,
    now: str,
    *,
    holder_runs: bool,
    critical: CriticalAlarms = UNASKED,
) -> Verdict:
    """
    Decide what a rollback may do.

    `holder_runs` matters only where `asks_about_holder` says so, and `critical` only where an alarm asks. A request
    about an execution acts only while that one holds the environment: an event of an older release that arrives late
    changes nothing. An operator's `{}` means what was there when it was given: a claim that could not be made for
    minutes must not hit a release that began since.
    """
    if request.problem:
        return Verdict(Action.INVALID, request.problem)
    work, live = record.work, record.live
    if work.holder == execution:
        return _resume(work, "This execution holds the environment already.")
    if refusal := refuse_alarm(request.alarm, critical, record, now) if request.alarm else None:
        return Verdict(_action_of(refusal), refusal.reason)
    if verdict := _decide_about_waiting_clean_up(request, work, live) or _decide_about_the_past(request, work, live):
        return verdict
    if work.holder is None and not work.is_frozen:
        return _decide_when_free(request, live)
    return _decide_over_holder(request, record, now, holder_runs=holder_runs)


def _action_of(refusal: Refusal) -> Action:
    if not refusal.pages:
        return Action.NOTHING
    return Action.PAGE_HOLD if refusal.holds else Action.PAGE


def _decide_about_the_past(request: RollbackRequest, work: Work, live: Live | None) -> Verdict | None:
    """Decide about what is over: nothing is left to do then, but for infrastructure that a release may have left."""
    if request.infrastructure and (gone := last_undone(work)) and request.release_id in ("", gone):
        return Verdict(Action.INFRASTRUCTURE, f"The infrastructure of release {gone} is taken back.")
    too_late = _why_too_late(request, work, live)
    return Verdict(Action.NOTHING, too_late) if too_late else None


def _decide_about_waiting_clean_up(request: RollbackRequest, work: Work, live: Live | None) -> Verdict | None:
    """
    Decide about a clean-up that somebody has stopped while it waited for the end of the window.

    Nobody else scales the old color in. One that fails tells so by itself, one that holds the environment is let go,
    and the next release, or a rollback, is done with what this one has left.
    """
    if request.ended_as not in _STOPPED or not _is_clean_up(request.execution_arn) or work.holder is not None:
        return None
    if live is None or live.rollback_point is None or live.rollback_point.status is PointStatus.CONSUMED:
        return None
    left = live.rollback_point.color
    return Verdict(
        Action.TELL_CLEAN_UP,
        f"The clean-up after release {live.release_id} ended before its time, as {request.ended_as}: {left} keeps"
        " its instances, and what was held of its scaling stays so.",
    )


def _is_clean_up(execution_arn: str) -> bool:
    """Ask the name of the machine, which is the seventh part of an execution's ARN."""
    return any(part.endswith("-clean-up") for part in execution_arn.split(":")[6:7])


def last_undone(work: Work) -> str:
    """Return the release that was rolled back or aborted last, as long as nobody has worked since; empty if none."""
    gone = work.phase in (Phase.ROLLED_BACK, Phase.ABORTED) or (
        work.phase is Phase.ESCALATED and work.action == Action.INFRASTRUCTURE
    )
    return str(work.release_id or "") if gone and work.holder is None else ""


def ended_as(record: EnvironmentRecord) -> Phase:
    """Return how the release ended whose infrastructure is taken back: what is done for it later changes nothing."""
    point = record.live.rollback_point if record.live else None
    is_consumed = point is not None and point.status is PointStatus.CONSUMED
    was_live = is_consumed and point is not None and point.release_id == record.work.release_id
    return Phase.ROLLED_BACK if was_live else Phase.ABORTED


def _decide_over_freeze(request: RollbackRequest, work: Work) -> Verdict:
    """
    Never move traffic, nor let it flow, while a restore has frozen it: half of the databases may be exchanged.

    Only the end of the restore's own execution brings a rollback to act, which is to say so.
    """
    if request.execution_arn:
        return Verdict(Action.KEEP_FROZEN, frozen_by(replace(work, phase=Phase.FROZEN)))
    return Verdict(Action.IMPOSSIBLE, f"{frozen_by(work)} A rollback changes nothing until then.")


def _decide_over_holder(request: RollbackRequest, record: EnvironmentRecord, now: str, *, holder_runs: bool) -> Verdict:
    """Decide over what is under way, or was left frozen."""
    work, live = record.work, record.live
    if work.phase in (Phase.RESTORING, Phase.FROZEN):
        return _decide_over_freeze(request, work)
    if work.phase is Phase.ROLLING_BACK:
        return _decide_over_rollback(request, work, now, holder_runs=holder_runs)
    if work.phase is Phase.CLEANING_UP:
        return _decide_over_clean_up(request, work, live)
    return _decide_over_deployment(request, work, live)


def _why_too_late(request: RollbackRequest, work: Work, live: Live | None) -> str:
    """Say what the request is about that is over by now; empty when it is not."""
    if request.execution_arn and request.execution_arn != work.holder:
        return f"Execution {request.execution_arn} does not hold the environment any more."
    if request.release_id and request.release_id not in _current_releases(work, live):
        return f"Release {request.release_id} is neither live nor being released."
    meant, began = _meant_by_operator(work, live)
    if not request.release_id and not request.execution_arn and _is_after(began, request.asked_at):
        return f"Release {meant} began after this rollback was asked for. If it is meant, start the machine again."
    return ""


def _meant_by_operator(work: Work, live: Live | None) -> tuple[str | None, str | None]:
    """
    Return the release that `{}` would act on, and when it began.

    That is when its deployment claimed the environment, as far as that is known still, else when it first received
    traffic.
    """
    point = live.rollback_point if live else None
    at_work = work.phase if work.holder else None
    if live is not None and (_is_valid(point) or at_work is not Phase.PREPARING):
        is_being_released = at_work in _DEPLOYING and work.release_id == live.release_id
        return live.release_id, work.claimed_at if is_being_released else live.since
    return work.release_id, work.claimed_at if at_work in _DEPLOYING else None


def _is_after(moment: str | None, other: str) -> bool:
    return bool(moment and other) and seconds_since(other, str(moment)) > 0


def _current_releases(work: Work, live: Live | None) -> set[str | None]:
    return {work.release_id if work.holder else None, live.release_id if live else None}


def _resume(work: Work, reason: str) -> Verdict:
    return Verdict(Action(work.action or Action.ESCALATE), reason)


def _decide_when_free(request: RollbackRequest, live: Live | None) -> Verdict:
    """Only an operator or an alarm comes here: every other request is about a holder."""
    point = live.rollback_point if live else None
    if live is None or point is None:
        return Verdict(Action.NOTHING, "There is no release to roll back.")
    if point.status is PointStatus.CONSUMED:
        return Verdict(Action.NOTHING, f"Release {point.release_id} is rolled back already.")
    if point.status is PointStatus.EXPIRED:
        return _given_up(live, point)
    return _decide_to_switch(request, live, point)


def _decide_to_switch(request: RollbackRequest, live: Live, point: RollbackPoint) -> Verdict:
    """
    Leave a release with breaking migrations to a human, who has to name it: what he asks for may break the old version.

    Every other source than a human is something that goes by itself.
    """
    is_named = request.source is Source.OPERATOR and request.release_id == live.release_id
    if live.no_automatic_rollback and not is_named:
        return _held(request, live, point)
    return Verdict(Action.SWITCH, f"Release {live.release_id} goes back to {point.version} on {point.color}.")


def _held(request: RollbackRequest, live: Live, point: RollbackPoint) -> Verdict:
    why = (
        f"Release {live.release_id} has breaking migrations, after which version {point.version} does not work with the"
        f" database ({live.no_automatic_rollback})."
    )
    if request.source is not Source.OPERATOR:
        return Verdict(Action.HOLD, f"{why} It is not rolled back by itself.")
    named = f'"release_id": "{live.release_id}", "reason": "…"'
    return Verdict(
        Action.IMPOSSIBLE,
        f"{why} To send the traffic back all the same, start this machine with {{{named}}}; to have the database of"
        f' before the release with it, with {{{named}, "database": true}}. Nothing was changed.',
    )


def _given_up(live: Live, point: RollbackPoint) -> Verdict:
    reason = f"The way back from release {live.release_id} to {point.version} was given up. Deploy that version."
    return Verdict(Action.IMPOSSIBLE, reason)


def _decide_over_clean_up(request: RollbackRequest, work: Work, live: Live | None) -> Verdict:
    """A clean-up has given the way back up before it began: there is nothing to go back to, and nothing to undo."""
    point = live.rollback_point if live else None
    if request.source is Source.OPERATOR and live and point:
        return _given_up(live, point)
    return Verdict(Action.LET_GO, f"The clean-up after release {work.release_id} ended early.")


def _decide_over_rollback(request: RollbackRequest, work: Work, now: str, *, holder_runs: bool) -> Verdict:
    stale = work.progress_at is None or seconds_since(work.progress_at, now) > STALE_AFTER_SECONDS
    if request.execution_arn == work.holder or not holder_runs or stale:
        return _resume(work, f"Rollback {work.holder} did not finish; this one goes on.")
    return Verdict(Action.NOTHING, f"Rollback {work.holder} is at it already.")


def _decide_over_deployment(request: RollbackRequest, work: Work, live: Live | None) -> Verdict:
    about_live = request.source in _ABOUT_LIVE
    point = live.rollback_point if live else None
    if work.phase is Phase.COMMITTED and not about_live:
        return Verdict(Action.FINISH, f"Release {work.release_id} is promoted; only its execution ended early.")
    named = request.release_id != "" and request.release_id == work.release_id
    if work.phase is Phase.PREPARING and (named or not about_live or not _is_valid(point)):
        return Verdict(Action.ABORT, f"Release {work.release_id} received no traffic yet, and is given up.")
    if live is None or point is None or not _is_valid(point):
        return Verdict(Action.ESCALATE, f"Release {work.release_id} receives traffic, and has nothing to go back to.")
    return _decide_to_switch(request, live, point)


def _is_valid(point: RollbackPoint | None) -> bool:
    return point is not None and point.status is PointStatus.VALID


def both_colors_serve(work: Work) -> bool:
    """Say whether both colors have users now, so that both can be looked at."""
    return work.holder is not None and work.phase is Phase.SHIFTING


def check_target_groups(verdict: Verdict, point: RollbackPoint | None, routes: Sequence[Route]) -> Verdict:
    """Go back only to what was recorded: settings that changed under a live release need a human."""
    if verdict.action is not Action.SWITCH or point is None:
        return verdict
    configured = {route.name: route.target_group(point.color) for route in routes}
    if configured == dict(point.target_groups):
        return verdict
    reason = f"The routes of color {point.color} changed since the release: {dict(point.target_groups)} → {configured}."
    return Verdict(Action.ESCALATE, reason)


def claimed_work(record: EnvironmentRecord, verdict: Verdict, execution: str, now: str) -> Work:
    """
    Return the lease item of a rollback, which keeps what settle has to know about the execution that it beats.

    Of a restore that died it keeps since when users are shut out, too: an alarm that is on since then means nothing.
    """
    work, live = record.work, record.live
    loser: Mapping[str, Any] = work.loser if work.phase is Phase.ROLLING_BACK else _loser(work)
    is_about_live = verdict.action in (Action.SWITCH, Action.PAGE, Action.PAGE_HOLD)
    release_id = live.release_id if is_about_live and live else work.release_id
    frozen_since = work.claimed_at if verdict.action is Action.KEEP_FROZEN else None
    return Work(
        holder=execution,
        phase=Phase.ROLLING_BACK,
        release_id=release_id,
        claimed_at=frozen_since or now,
        progress_at=now,
        action=verdict.action.value,
        loser=loser,
    )


def _loser(work: Work) -> dict[str, Any]:
    if work.holder is None:
        return {}
    return {"holder": work.holder, "release_id": work.release_id, "intents": work.intents}


def restored(live: Live | None, now: str) -> Live:
    """Return the live item after a rollback. Its consumed point says what was rolled back, so that `{}` is a no-op."""
    if live is None or live.rollback_point is None:
        message = "A rollback without a rollback point cannot have switched"
        raise ValueError(message)
    point = live.rollback_point
    if point.status is PointStatus.CONSUMED:
        return live
    consumed = replace(
        point, status=PointStatus.CONSUMED, color=live.color, version=live.version, release_id=live.release_id
    )
    return Live(point.release_id, point.version, point.color, since=now, rollback_point=consumed)
