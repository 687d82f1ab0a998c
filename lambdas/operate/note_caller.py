"""Write down who has started an execution, when CloudTrail tells it: Step Functions does not tell the execution."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.notices.rules import Notice, compose
from lambdas.notices.topic import Topic
from lambdas.observability import step
from lambdas.operate.requesters import Requesters
from lambdas.operate.trail_rules import Start, has_approved_own
from lambdas.operate.waiting_rules import OWN_APPROVALS, Waiting
from lambdas.release.callers import Callers
from lambdas.release.record import ReleaseRecord
from lambdas.release.release_approvals import ReleaseApprovals
from lambdas.release.restores import Restores


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    service: str
    environment: str
    table: str


settings = Settings(environ["SERVICE"], environ["ENVIRONMENT"], environ["RECORD_TABLE"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
restores, releases = Restores(record), ReleaseApprovals(record)
callers = Callers(record)
topic = Topic(client("sns"), environ["TOPIC_ARN"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read the event "AWS API Call via CloudTrail" of a StartExecution; return {"execution", "caller", "own": bool}.

    `own` says whether it turns out that who has asked for a release, or the latest restore, has approved it.
    """
    start = Start.from_event(event)
    return {"execution": start.execution, "caller": start.caller.arn, "own": note_caller(start)}


def note_caller(start: Start) -> bool:
    """
    Keep it by the execution, and add it to the answer that this execution has given, if it has given one.

    Safe to repeat. Whoever approves in the console is known only now, so it is told now when that was the wrong one.
    """
    callers.note(start.execution, start.caller)
    own = [about for about in (_restore(start), _release(start)) if about and _is_own(about)]
    for about in own:
        _tell(about)
    return bool(own)


def _restore(start: Start) -> Waiting | None:
    """Return the latest restore, if this execution asks for it or has answered it."""
    answered = start.caller.is_human and restores.name_answerer(start.execution, start.caller.arn)
    restore = restores.latest()
    if restore is None or not (answered or start.execution in (restore.requested_by, restore.asked_by)):
        return None
    return Waiting.of_restore(restore)


def _release(start: Start) -> Waiting | None:
    """Return the release for which this execution asks, or which it has answered."""
    release_id = releases.about(start.execution)
    if not release_id:
        return None
    if start.caller.is_human:
        releases.name_answerer(release_id, start.execution, start.caller.arn)
    release = releases.of(release_id)
    return Waiting.of_release(release) if release else None


def _is_own(about: Waiting) -> bool:
    return has_approved_own(about, Requesters(callers).of(about))


def _tell(about: Waiting) -> None:
    caller = about.approval.caller if about.approval else ""
    arn = Requesters(callers).of(about).arn
    reason = f"{arn} has asked for it, and {caller} has approved it in the console: that may be one human."
    notice = Notice(OWN_APPROVALS[about.subject], about.release_id, reason, about.requested_by)
    topic.publish(compose(notice, settings.service, settings.environment))
