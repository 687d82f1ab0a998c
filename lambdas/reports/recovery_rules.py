"""How long it took to come back: to be noticed, to have the traffic safe, and to verify that. All pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lambdas.release.rules import parse_moment
from lambdas.reports.event_rules import SWITCH
from lambdas.reports.history_rules import History

_VERIFYING = frozenset({"run-smoke-checks", "check-error-rate"})


@dataclass(frozen=True)
class Recovery:
    """
    The moments of a way back.

    `noticed` is when an alarm turned on, a step of the deployment failed, or somebody asked, whichever led to it.
    `verified` is None when nobody has looked since whether the old version works, or it does not.
    """

    noticed: datetime
    began: datetime
    safe: datetime
    verified: datetime | None


def recovery_of(histories: Sequence[History]) -> Recovery | None:
    """Return the way back of a release, by the first rollback that went it: another one may have finished it."""
    rollbacks = [each for each in histories if each.execution.machine == "rollback"]
    going = [each for each in rollbacks if any(visit.answer.get("action") == "switch" for visit in each.visits)]
    safe = [
        visit.answered for each in rollbacks for visit in each.visits if visit.function == SWITCH and visit.answered
    ]
    if not going or not safe:
        return None
    first = min(going, key=lambda each: each.began)
    return Recovery(_noticed(first, histories), first.began, min(safe), _verified(rollbacks))


def _noticed(rollback: History, histories: Sequence[History]) -> datetime:
    given = rollback.given
    if given.get("source") == "alarm":
        return min(parse_moment(str(given["changed_at"])), rollback.began)
    of_deployment = [each for each in histories if each.execution.arn == given.get("execution_arn")]
    failures = [visit.failure.at for each in of_deployment for visit in each.visits if visit.failure]
    return min([*failures, rollback.began])


def _verified(rollbacks: Sequence[History]) -> datetime | None:
    looks = [visit for each in rollbacks for visit in each.visits if visit.function in _VERIFYING]
    answered = [visit.answered for visit in looks if visit.answered]
    return max(answered) if answered and not any(visit.failure for visit in looks) else None
