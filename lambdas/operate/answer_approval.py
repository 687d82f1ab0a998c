"""Give a human's answer to a release, or a restore of the database, that waits for it, once."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.operate.answer_rules import Answer
from lambdas.operate.answers import Answers
from lambdas.operate.rules import Decision
from lambdas.operate.task_tokens import TaskTokens
from lambdas.operate.waiting_rules import KINDS, Subject, Waiting
from lambdas.operate.waits import Waits
from lambdas.release.callers import Callers
from lambdas.release.record import ReleaseRecord
from lambdas.release.release_approvals import ReleaseApprovals
from lambdas.release.restores import Restores
from lambdas.release.rules import OrderAction
from lambdas.rollback.executions import Executions


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
tokens = TaskTokens(client("stepfunctions"))
executions = Executions(client("stepfunctions"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
restores, releases = Restores(record), ReleaseApprovals(record)
callers = Callers(record)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"action", "release_id", "asked": the operator's reason, "accept_unaccounted", "execution", "now"}.

    Return {"verdict", "reason", "asked", "release_id", "kind"}. Who answers is known by the execution of the operate
    machine: CloudTrail tells who started that, usually later.
    """
    action = OrderAction(event["action"])
    caller = callers.of(event["execution"])
    answer = Answer(
        action,
        event["release_id"],
        event["asked"],
        by=event["execution"],
        accept_unaccounted=event["accept_unaccounted"],
        caller=caller.arn if caller and caller.is_human else "",
    )
    decision, about = answer_approval(answer, event["now"])
    subject = about.subject if about else Subject.RESTORE
    return {
        "verdict": decision.verdict.value,
        "reason": decision.reason,
        "asked": answer.reason,
        "release_id": answer.release_id,
        "kind": KINDS[subject, answer.is_approval].value,
    }


def answer_approval(answer: Answer, now: str) -> tuple[Decision, Waiting | None]:
    """Give it to what waits; return what became of it, and what it is about. Safe to repeat."""
    answers = Answers(Waits(restores, releases), tokens, executions)
    about = answers.about(answer, now)
    return answers.give(answer, about, now), about
