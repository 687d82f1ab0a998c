"""Give an approver's answer to a release or a restore: one who has signed it, and has not asked for it."""

from dataclasses import dataclass
from http import HTTPStatus
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.notices.rules import Notice, compose
from lambdas.notices.topic import Topic
from lambdas.observability import FAILED_REQUEST, describe, logger, step
from lambdas.operate.answer_rules import Answer, decide_answer
from lambdas.operate.answers import Answers
from lambdas.operate.requesters import Requesters
from lambdas.operate.rules import Verdict
from lambdas.operate.task_tokens import TaskTokens
from lambdas.operate.url_rules import Reply, UrlRequest, read_answer, reply, told, why_not_approved_by
from lambdas.operate.waiting_rules import KINDS, Waiting
from lambdas.operate.waits import Waits
from lambdas.release.callers import Callers
from lambdas.release.record import ReleaseRecord
from lambdas.release.release_approvals import ReleaseApprovals
from lambdas.release.restores import Restores
from lambdas.rollback.executions import Executions


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment. `approvers` are ARNs of roles and users."""

    service: str
    environment: str
    table: str
    approvers: tuple[str, ...]


settings = Settings(
    environ["SERVICE"], environ["ENVIRONMENT"], environ["RECORD_TABLE"], tuple(loads(environ["APPROVERS"]))
)
tokens = TaskTokens(client("stepfunctions"))
executions = Executions(client("stepfunctions"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
restores, releases = Restores(record), ReleaseApprovals(record)
requesters = Requesters(Callers(record))
topic = Topic(client("sns"), environ["TOPIC_ARN"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Reply:  # noqa: ARG001
    """
    Read a request to the function URL: a POST of {"action", "release_id", "reason", "accept_unaccounted": optional}.

    Return the HTTP answer {"verdict", "reason"}: 200 when it was given, or was before; 400 when it is not understood;
    403 to who may not give it; 409 when nothing waits for it, or nobody knows yet who has asked for it; 503
    when AWS does not answer, and the same request may be sent again.
    """
    request = UrlRequest.from_event(event)
    answer = read_answer(request, settings.approvers)
    if isinstance(answer, dict):
        return answer
    logger.append_keys(release_id=answer.release_id)
    try:
        return answer_by_url(answer, request.now)
    except FAILED_REQUEST as error:
        logger.exception("The answer was not given to its end")
        reason = f"AWS did not answer ({describe(error)}). Send the same request again: what was done is found done."
        return reply(HTTPStatus.SERVICE_UNAVAILABLE, reason)


def answer_by_url(answer: Answer, now: str) -> Reply:
    """
    Give the answer, and tell everybody. Only to let something begin takes another human than who has asked for it.

    Safe to repeat: the same answer of the same caller is found, and handed over if it was not.
    """
    answers = Answers(Waits(restores, releases), tokens, executions)
    about = answers.about(answer, now)
    if about and decide_answer(answer, about, now).verdict is Verdict.ANSWER and answer.is_approval:
        refusal = why_not_approved_by(answer.caller, requesters.of(about), about.subject)
        if refusal:
            return refusal
    decision = answers.give(answer, about, now)
    if decision.verdict is Verdict.CARRIED_OUT and about and about.task_token:
        _tell(answer, about, decision.reason)
    return told(decision)


def _tell(answer: Answer, about: Waiting, consequence: str) -> None:
    """Say what the operate machine says. The answer is given by now: a message that cannot be sent is only logged."""
    reason = f"{answer.reason} ({answer.caller})\n\n{consequence}"
    notice = Notice(KINDS[about.subject, answer.is_approval], answer.release_id, reason, about.requested_by)
    try:
        topic.publish(compose(notice, settings.service, settings.environment))
    except FAILED_REQUEST:
        logger.exception("Nobody was told of the answer")
