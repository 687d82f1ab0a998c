"""Write down who has started an execution, when CloudTrail tells it: Step Functions does not tell the execution."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.notices.rules import Kind, Notice, compose
from lambdas.notices.topic import Topic
from lambdas.observability import step
from lambdas.operate.requesters import Requesters
from lambdas.operate.trail_rules import Requester, Start, has_approved_own
from lambdas.release.callers import Callers
from lambdas.release.record import ReleaseRecord
from lambdas.release.restore_rules import Restore
from lambdas.release.restores import Restores


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    service: str
    environment: str
    table: str


settings = Settings(environ["SERVICE"], environ["ENVIRONMENT"], environ["RECORD_TABLE"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
restores = Restores(record)
callers = Callers(record)
topic = Topic(client("sns"), environ["TOPIC_ARN"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read the event "AWS API Call via CloudTrail" of a StartExecution; return {"execution", "caller", "own": bool}.

    `own` says whether it turns out that who has asked for the latest restore has approved it.
    """
    start = Start.from_event(event)
    return {"execution": start.execution, "caller": start.caller.arn, "own": note_caller(start)}


def note_caller(start: Start) -> bool:
    """
    Keep it by the execution, and add it to the latest restore's answer if this execution has given that.

    Safe to repeat. Whoever approves in the console is known only now, so it is told now when that was the wrong one.
    """
    callers.note(start.execution, start.caller)
    answered = start.caller.is_human and restores.name_answerer(start.execution, start.caller.arn)
    restore = restores.latest()
    if restore is None or not (answered or start.execution in (restore.requested_by, restore.asked_by)):
        return False
    requester = Requesters(callers).of(restore)
    if not has_approved_own(restore, requester):
        return False
    _tell(restore, requester)
    return True


def _tell(restore: Restore, requester: Requester) -> None:
    caller = restore.approval.caller if restore.approval else ""
    reason = f"{requester.arn} has asked for it, and {caller} has approved it in the console: that may be one human."
    notice = Notice(Kind.RESTORE_OWN_APPROVAL, restore.release_id, reason, restore.requested_by)
    topic.publish(compose(notice, settings.service, settings.environment))
