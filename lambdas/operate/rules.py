"""What an operator may order, when, and what it means. All pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any

from lambdas.database.migration_rules import Run, Status
from lambdas.infrastructure.rules import Purpose, apply_field
from lambdas.notices.rules import Kind
from lambdas.release.rules import (
    OUTCOMES,
    EnvironmentRecord,
    Live,
    Maintenance,
    Order,
    OrderAction,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    as_timestamp,
    describe_json,
    frozen_by,
    later,
    parse_moment,
    seconds_since,
)
from lambdas.rollback.rules import Action, restored

AT_WORK = frozenset({Phase.PREPARING, Phase.SHIFTING, Phase.BAKING})
"""The phases in which a deployment holds the environment and its release is not accepted yet."""

_MINUTE = 60
_FIELDS = ("accept_unaccounted", "action", "minutes", "reason", "release_id")
_KINDS_OF_FIELDS = {"accept_unaccounted": bool, "minutes": object}
ANSWERS = frozenset({OrderAction.APPROVE, OrderAction.REJECT})
"""Orders that answer whether a release, or a restore of the database, may begin."""
_LONGEST_REASON = 1000
_REMEMBERED = 20
"""How many orders a release's history keeps: an item of DynamoDB has a size, and an operator patience."""
_EXAMPLE = '{"action": "pause", "reason": "checkout looks slow"}'

KINDS: Mapping[OrderAction, Kind] = {
    OrderAction.PAUSE: Kind.PAUSED,
    OrderAction.RESUME: Kind.RESUMED,
    OrderAction.PROMOTE: Kind.PROMOTE_ORDERED,
    OrderAction.ABORT: Kind.ABORT_ORDERED,
    OrderAction.APPROVE: Kind.RESTORE_APPROVED,
    OrderAction.REJECT: Kind.RESTORE_REJECTED,
    OrderAction.END_WINDOW: Kind.WINDOW_ENDED,
    OrderAction.RELEASE_ENVIRONMENT: Kind.ENVIRONMENT_FREED,
    OrderAction.BEGIN_MAINTENANCE: Kind.MAINTENANCE_BEGUN,
    OrderAction.END_MAINTENANCE: Kind.MAINTENANCE_ENDED,
}

_MAINTENANCE = frozenset({OrderAction.BEGIN_MAINTENANCE, OrderAction.END_MAINTENANCE})
_MAINTENANCE_MINUTES, _LONGEST_MAINTENANCE_MINUTES = 120, 480


class Verdict(StrEnum):
    """What becomes of an order."""

    CARRIED_OUT = "carried_out"
    ALREADY_SO = "already_so"
    """Everything is as the order wants it: nothing changes, and nobody is told again."""
    ABORT = "abort"
    """The order is recorded, and the rollback machine has to be started."""
    ANSWER = "answer"
    """Something may be waiting for this answer; to give it is another function's work."""
    FREE = "free"
    """The lease may be taken from its holder; that is another function's work."""
    REFUSED = "refused"
    INVALID = "invalid"


@dataclass(frozen=True)
class OrderRequest:
    """What an operator typed. `problem` is empty for a valid request."""

    action: OrderAction = OrderAction.PAUSE
    release_id: str = ""
    reason: str = ""
    minutes: int | None = None
    accept_unaccounted: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Decision:
    """
    What becomes of an order, and why or with which consequence, in words.

    `order` is what has to be written, and None when that has been done before, or nothing is to be done; `maintenance`
    is the same of an order that is about no release.
    """

    verdict: Verdict
    reason: str
    order: Order | None = None
    maintenance: Maintenance | None = None


_ANSWER = Decision(Verdict.ANSWER, "Whether something waits for this answer is decided from the record.")
_DECIDED_LATER = {
    OrderAction.RELEASE_ENVIRONMENT: Decision(
        Verdict.FREE, "Whether the environment can be freed is decided from its holder and listener."
    ),
    OrderAction.APPROVE: _ANSWER,
    OrderAction.REJECT: _ANSWER,
}


@dataclass(frozen=True)
class PauseLimits:
    """
    How long a pause may be at most, and what else a release may wait for before and between its bakes.

    `bakes` is how many seconds each step bakes, by its weight.
    """

    longest_seconds: int
    waits_seconds: int
    bakes: Mapping[int, int]

    def latest_end(self, work: Work) -> str:
        """
        Return until when this release may be paused at the latest, however often: later, its execution would time out.

        A step's own bake goes on during a pause, so only those of the steps before it have been used up.
        """
        percent = work.bake.percent if work.bake else 0
        baked = sum(seconds for weight, seconds in self.bakes.items() if weight < percent)
        return later(str(work.claimed_at), self.waits_seconds + self.longest_seconds + baked)


def read_order(
    given: Any,  # noqa: ANN401  an operator can type anything
    longest_pause_seconds: int,
    example: str = _EXAMPLE,
) -> OrderRequest:
    """Check the input of the operate machine."""
    problem = _problem_of(given, longest_pause_seconds // _MINUTE)
    if problem:
        return OrderRequest(problem=f"{problem} Example of a valid input: {example}")
    return OrderRequest(
        action=OrderAction(given["action"]),
        release_id=given.get("release_id", ""),
        reason=given["reason"].strip(),
        minutes=given.get("minutes"),
        accept_unaccounted=given.get("accept_unaccounted", False),
    )


def _problem_of(given: Any, longest_minutes: int) -> str:  # noqa: ANN401
    return (
        _problem_of_form(given)
        or _problem_of_order(given)
        or _problem_of_minutes(given, longest_minutes)
        or _problem_of_answer(given)
    )


def _problem_of_form(given: Any) -> str:  # noqa: ANN401
    if not isinstance(given, dict):
        return f"The input must be a JSON object, but it is {describe_json(given)}."
    for name in sorted(given):
        if name not in _FIELDS:
            return f"Field {name!r} is not known."
        kind = _KINDS_OF_FIELDS.get(name, str)
        if not isinstance(given[name], kind):
            expected = "text" if kind is str else "true or false"
            return f"Field {name!r} must be {expected}, but it is {describe_json(given[name])}."
    return ""


def _problem_of_order(given: Mapping[str, str]) -> str:
    action = given.get("action", "")
    if action not in list(OrderAction):
        found = f"it is {describe_json(action)}" if action else "it is missing"
        return f"Field 'action' must be one of {', '.join(OrderAction)}, but {found}."
    if not given.get("reason", "").strip():
        return "Field 'reason' is missing: every order is recorded with a reason."
    if len(given["reason"]) > _LONGEST_REASON:
        return f"Field 'reason' has {len(given['reason'])} characters, and may have {_LONGEST_REASON}."
    return ""


def _problem_of_minutes(given: Mapping[str, Any], longest_minutes: int) -> str:
    if "minutes" not in given:
        return ""
    if given["action"] not in (OrderAction.PAUSE, OrderAction.BEGIN_MAINTENANCE):
        return f"Field 'minutes' goes with {OrderAction.PAUSE} and {OrderAction.BEGIN_MAINTENANCE} only."
    if given["action"] == OrderAction.BEGIN_MAINTENANCE:
        longest_minutes = _LONGEST_MAINTENANCE_MINUTES
    minutes = given["minutes"]
    if isinstance(minutes, bool) or not isinstance(minutes, int) or not 1 <= minutes <= longest_minutes:
        return (
            f"Field 'minutes' must be a whole number from 1 to {longest_minutes}, but it is {describe_json(minutes)}."
        )
    return ""


def _problem_of_answer(given: Mapping[str, Any]) -> str:
    if given["action"] in ANSWERS and not given.get("release_id", "").strip():
        return (
            f"Field 'release_id' is missing: {given['action']} is about one release, or the restore of one, which its"
            f" message names."
        )
    if "accept_unaccounted" in given and given["action"] != OrderAction.APPROVE:
        return f"Field 'accept_unaccounted' goes with {OrderAction.APPROVE} only."
    return ""


def addressed(request: OrderRequest, record: EnvironmentRecord) -> str:
    """Return the release in whose history the order belongs: the named one, or else the one at work or live."""
    if request.action in _MAINTENANCE:
        return ""
    if request.action is OrderAction.END_WINDOW:
        meant = record.live.release_id if record.live else ""
    else:
        meant = record.work.release_id or ""
    return request.release_id or meant


def remembered(orders: Sequence[Mapping[str, Any]], order: Order) -> list[dict[str, Any]]:
    """Return a release's orders with one more. The oldest are forgotten when there are too many."""
    return [*map(dict, orders), asdict(order)][-_REMEMBERED:]


def given_before(orders: Sequence[Mapping[str, Any]], execution: str) -> Order | None:
    """Return what an earlier attempt of this execution has ordered, whose answer was lost."""
    given = [each for each in orders if each["by"] == execution]
    return Order(**{**given[-1], "action": OrderAction(given[-1]["action"])}) if given else None


def rollback_name(release_id: str, execution: str) -> str:
    """Return the name under which an abort starts the rollback machine: the same for a repeated step."""
    return f"abort-{release_id}-{sha256(execution.encode()).hexdigest()[:8]}"


def decide(
    request: OrderRequest,
    record: EnvironmentRecord,
    history: Mapping[str, Any],
    execution: str,
    now: str,
    limits: PauseLimits,
) -> Decision:
    """
    Decide what becomes of an order. `history` is that of the addressed release.

    What an earlier attempt of the same execution has done is answered as it was then, whatever has happened since.
    """
    if request.problem:
        return Decision(Verdict.INVALID, request.problem)
    if request.action in _DECIDED_LATER:
        return _DECIDED_LATER[request.action]
    if request.action in _MAINTENANCE:
        return _decide_maintenance(request, record, execution, now)
    release_id = addressed(request, record)
    if done := given_before(history.get("orders", []), execution):
        return replace(_carried_out(release_id, done), order=None)
    order = Order(request.action, at=now, reason=request.reason, by=execution)
    if request.action is OrderAction.END_WINDOW:
        return _decide_window(request, record, order)
    return _decide_at_work(request, record, history, order, limits)


def _decide_maintenance(request: OrderRequest, record: EnvironmentRecord, execution: str, now: str) -> Decision:
    """Maintenance begins between releases only: a release under way would lose its automatic rollback."""
    present = record.maintained(now)
    if request.action is OrderAction.END_MAINTENANCE:
        if present is None:
            return Decision(Verdict.ALREADY_SO, "There is no maintenance.")
        ended = Maintenance(until=as_timestamp(now), reason=request.reason, by=execution)
        reason = "Releases may begin again, and critical alarms roll back again."
        return Decision(Verdict.CARRIED_OUT, reason, maintenance=ended)
    if record.work.holder is not None and record.work.phase in AT_WORK:
        return Decision(Verdict.REFUSED, f"A release is under way. {_what_is_possible(record, now)}")
    until = as_timestamp(later(now, (request.minutes or _MAINTENANCE_MINUTES) * _MINUTE))
    begun = Maintenance(until=until, reason=request.reason, by=execution)
    reason = f"Until {until} no release begins, and critical alarms page instead of rolling back."
    return Decision(Verdict.CARRIED_OUT, reason, maintenance=begun)


def _decide_at_work(
    request: OrderRequest,
    record: EnvironmentRecord,
    history: Mapping[str, Any],
    order: Order,
    limits: PauseLimits,
) -> Decision:
    if refusal := _why_nobody_obeys(request, record, history, order.at):
        return refusal
    if so := _why_already_so(request, record.work):
        return Decision(Verdict.ALREADY_SO, so)
    if request.action is OrderAction.PAUSE:
        return _decide_pause(request, record.work, order, limits)
    return _carried_out(str(record.work.release_id), order)


def _carried_out(release_id: str, order: Order) -> Decision:
    verdict = Verdict.ABORT if order.action is OrderAction.ABORT else Verdict.CARRIED_OUT
    return Decision(verdict, _consequence(release_id, order), order)


def _consequence(release_id: str, order: Order) -> str:
    match order.action:
        case OrderAction.PAUSE:
            return (
                f"Release {release_id} holds before its next step until somebody resumes it, but not longer than until"
                f" {order.until}: then it is given up, aborted if it has no traffic yet, otherwise rolled back."
            )
        case OrderAction.RESUME:
            return f"Release {release_id} goes on as planned. The time in which it was paused counts as bake time."
        case OrderAction.PROMOTE:
            return f"Release {release_id} skips what is left of all its bakes. Every check still runs."
        case OrderAction.ABORT:
            name = rollback_name(release_id, order.by)
            return f"The rollback machine brings release {release_id} to its end, in execution {name}."
        case _:
            return (
                f"The way back of release {release_id} is given up, and the next release may begin at once. The old"
                f" color keeps its instances until its clean-up or the next release."
            )


def _why_nobody_obeys(
    request: OrderRequest, record: EnvironmentRecord, history: Mapping[str, Any], now: str
) -> Decision | None:
    """Say why there is no release at work that could obey; None when there is."""
    work = record.work
    if request.action is OrderAction.ABORT and (ending := _why_ending_already(request, work, history)):
        return Decision(Verdict.ALREADY_SO, ending)
    if work.holder is None or work.phase not in AT_WORK:
        return Decision(Verdict.REFUSED, f"No release can {request.action} now. {_what_is_possible(record, now)}")
    if request.release_id not in ("", work.release_id):
        return Decision(
            Verdict.REFUSED, f"Release {request.release_id} is not at work. {_what_is_possible(record, now)}"
        )
    return None


def _why_ending_already(request: OrderRequest, work: Work, history: Mapping[str, Any]) -> str:
    if work.holder and work.phase is Phase.ROLLING_BACK:
        being_ended = {"", work.release_id, work.loser.get("release_id")}
        return f"Rollback {work.holder} is at it already." if request.release_id in being_ended else ""
    outcome = history.get("outcome")
    ended = (OUTCOMES[Phase.ABORTED], OUTCOMES[Phase.ROLLED_BACK])
    return f"Release {request.release_id} has ended as {outcome}." if request.release_id and outcome in ended else ""


def _why_already_so(request: OrderRequest, work: Work) -> str:
    """Return why an order changes nothing; empty when it does."""
    present = work.order.action if work.order else None
    if request.action is OrderAction.PAUSE and present is OrderAction.PAUSE and request.minutes is None:
        return f"Release {work.release_id} is paused already. To move the deadline, say how many minutes."
    if request.action is OrderAction.RESUME and present is not OrderAction.PAUSE:
        return f"Release {work.release_id} is not paused."
    if request.action is OrderAction.PROMOTE and present is OrderAction.PROMOTE:
        return f"Release {work.release_id} skips its bakes already."
    return ""


def _decide_pause(request: OrderRequest, work: Work, order: Order, limits: PauseLimits) -> Decision:
    latest = limits.latest_end(work)
    if seconds_since(order.at, latest) < _MINUTE:
        return Decision(
            Verdict.REFUSED,
            f"Release {work.release_id} was held for so long that its execution would time out in a pause."
            f" Possible are resume, promote and abort.",
        )
    wanted = later(order.at, request.minutes * _MINUTE if request.minutes else limits.longest_seconds)
    until = as_timestamp(min(wanted, latest, key=parse_moment))
    return _carried_out(str(work.release_id), replace(order, until=until))


def _decide_window(request: OrderRequest, record: EnvironmentRecord, order: Order) -> Decision:
    live = record.live
    point = live.rollback_point if live else None
    if live is None or point is None:
        no_window = "No release has a window that could end."
    elif request.release_id not in ("", live.release_id):
        no_window = f"Release {request.release_id} is not live."
    elif point.status is PointStatus.EXPIRED:
        return Decision(Verdict.ALREADY_SO, f"The way back of release {live.release_id} is given up already.")
    else:
        return _decide_window_of(live, point, record, order)
    return Decision(Verdict.REFUSED, f"{no_window} {_what_is_possible(record, order.at)}")


def _decide_window_of(live: Live, point: RollbackPoint, record: EnvironmentRecord, order: Order) -> Decision:
    if point.status is PointStatus.CONSUMED:
        no_window = f"Release {point.release_id} was rolled back, and {live.release_id} has no window."
    elif record.work.holder is not None:
        no_window = "Somebody works on the environment."
    elif point.window_ends_at is None and not live.no_automatic_rollback:
        no_window = f"Release {live.release_id} was never promoted."
    elif not point.in_window(order.at):
        return Decision(Verdict.ALREADY_SO, f"The window of release {live.release_id} is over.")
    else:
        return _carried_out(live.release_id, order)
    return Decision(Verdict.REFUSED, f"{no_window} {_what_is_possible(record, order.at)}")


def _what_is_possible(record: EnvironmentRecord, now: str) -> str:
    """Say what the environment is doing, and which machine or order fits that."""
    work = record.work
    if work.phase in (Phase.RESTORING, Phase.FROZEN):
        return frozen_by(work)
    if work.holder is None:
        return _what_is_possible_when_free(record.live, now)
    working = f"Release {work.release_id} is {work.phase} under execution {work.holder}."
    match work.phase:
        case Phase.COMMITTED:
            return f"{working} It is accepted already: to go back, start the rollback machine with {{}}."
        case Phase.ROLLING_BACK | Phase.CLEANING_UP:
            return f"{working} Wait for its end, or if that is dead, order release-environment."
        case Phase.ESCALATED:
            return f"{working} To take the lease from it, order release-environment."
        case _:
            return f"{working} It obeys pause, resume, promote and abort."


def _what_is_possible_when_free(live: Live | None, now: str) -> str:
    point = live.rollback_point if live else None
    if live is None or point is None or not point.in_window(now):
        return "Nobody works on the environment: to release a version, start the deploy machine."
    given = live.input_to_go_back
    back = f"Release {live.release_id} is live: to go back from it, start the rollback machine with {given}"
    can_be_kept = point.window_ends_at is not None or live.no_automatic_rollback
    return f"{back}; to give its way back up, order end-window." if can_be_kept else f"{back}."


@dataclass(frozen=True)
class Freeing:
    """How the work ends whose lease is taken: its phase, how its releases ended, and what is live if that changes."""

    phase: Phase
    outcomes: Mapping[str, Mapping[str, Any]]
    live: Live | None = None


def why_not_free(request: OrderRequest, work: Work) -> Decision | None:
    """Say what is known from the lease alone against freeing the environment; None when nothing is."""
    if work.is_frozen:
        return Decision(Verdict.REFUSED, frozen_by(work))
    if work.holder is None:
        return Decision(Verdict.ALREADY_SO, "Nobody holds the environment.")
    if request.release_id not in ("", work.release_id):
        reason = f"The environment is not held for release {request.release_id}, but for {work.release_id}."
        return Decision(Verdict.REFUSED, reason)
    return None


def still_works(work: Work) -> Decision:
    """Refuse to take the lease from an execution that runs."""
    reason = f"Execution {work.holder} still runs ({work.phase}). Order abort, or stop that execution first."
    return Decision(Verdict.REFUSED, reason)


def still_changes(history: Mapping[str, Any], now: str) -> Decision | None:
    """Refuse while a dead holder's migrations, or its Terraform, may still run: to stop an execution stops neither."""
    run = Run.of(history)
    migrating = [run.ends_by] if run and run.status is Status.RUNNING else []
    applies = [history.get(apply_field(purpose), {}) for purpose in Purpose]
    applying = [each["ends_by"] for each in applies if each and "ended_at" not in each]
    until = max((each for each in migrating + applying if seconds_since(each, now) < 0), default="")
    if not until:
        return None
    what = "Migrations" if until in migrating else "Terraform"
    reason = f"{what} of the dead release may run until {until}. Give this order again then, or order abort now."
    return Decision(Verdict.REFUSED, reason)


def divided(problem: str) -> Decision:
    """Refuse to free an environment of which nobody can say what serves."""
    reason = f"{problem} Move all traffic of every route to one color by hand, then give this order again."
    return Decision(Verdict.REFUSED, reason)


def decide_freeing(record: EnvironmentRecord, active: str, reason: str, now: str) -> Freeing | Decision:
    """Decide how the dead holder's work ended, by the color that has all the traffic."""
    work, live = record.work, record.live
    point = live.rollback_point if live else None
    if live is None or active == live.color:
        ended = _ended_where_it_was(work)
        return Freeing(ended, {**_preempted(work), str(work.release_id): _outcome(ended, reason)})
    if point is not None and point.status is PointStatus.VALID and active == point.color:
        rolled_back = {live.release_id: _outcome(Phase.ROLLED_BACK, reason)}
        return Freeing(Phase.ROLLED_BACK, {**_preempted(work), **rolled_back}, restored(live, now))
    return divided(f"All traffic is on {active}, but {_whereto(live, point)}.")


def _ended_where_it_was(work: Work) -> Phase:
    """Return how work ended that has left all traffic where the record has it."""
    if work.phase is Phase.PREPARING or work.action == Action.ABORT:
        return Phase.ABORTED
    if work.phase in (Phase.COMMITTED, Phase.CLEANING_UP) or work.action in (Action.FINISH, Action.LET_GO):
        return Phase.COMMITTED
    return Phase.ESCALATED


def _outcome(phase: Phase, reason: str) -> dict[str, Any]:
    return {"outcome": OUTCOMES[phase]} | ({} if phase is Phase.COMMITTED else {"issue": reason})


def _preempted(work: Work) -> dict[str, Mapping[str, Any]]:
    """Return that a release which never got traffic was aborted: a dead deployment's, or one that a rollback beat."""
    given_up = work.release_id if work.phase is Phase.PREPARING else work.loser.get("release_id", work.release_id)
    return {str(given_up): {"outcome": OUTCOMES[Phase.ABORTED]}}


def _whereto(live: Live, point: RollbackPoint | None) -> str:
    back = f", or {point.color}, its way back" if point and point.status is PointStatus.VALID else ""
    return f"the record has release {live.release_id} on {live.color}{back}"


def freed(release_id: str, outcome: str) -> str:
    """Say what the record says now."""
    way_back = (
        " To go back from it, start the rollback machine with {}." if outcome == OUTCOMES[Phase.ESCALATED] else ""
    )
    return f"The environment is free. The record has release {release_id} as {outcome}.{way_back}"
