"""Give a human's answer to a restore of the database that waits for it, once."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import EnvironmentBusy
from lambdas.observability import step
from lambdas.operate.answer_rules import Answer, decide_answer
from lambdas.operate.rules import KINDS, Decision, Verdict
from lambdas.operate.task_tokens import TaskTokens
from lambdas.release.record import ReleaseRecord
from lambdas.release.restore_rules import Restore
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
restores = Restores(ReleaseRecord(client("dynamodb"), settings.table, settings.environment))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"action", "release_id", "asked": the operator's reason, "accept_unaccounted", "execution", "now"}.

    Return {"verdict", "reason", "asked", "release_id", "kind"}. Who answers is known by the execution of the operate
    machine: CloudTrail has who started that.
    """
    action = OrderAction(event["action"])
    answer = Answer(
        action, event["release_id"], event["asked"], event["execution"], accept_unaccounted=event["accept_unaccounted"]
    )
    decision = answer_approval(answer, event["now"])
    return {
        "verdict": decision.verdict.value,
        "reason": decision.reason,
        "asked": answer.reason,
        "release_id": answer.release_id,
        "kind": KINDS[action].value,
    }


def answer_approval(answer: Answer, now: str) -> Decision:
    """
    Write the answer down, hand it to the waiting execution, and forget the token, in this order.

    Safe to repeat: an answer that was written and not handed over is handed over by the next attempt. Nobody else can
    answer in between, because the first write is conditional.
    """
    restore = restores.latest()
    decision = decide_answer(answer, restore, now)
    if decision.verdict not in (Verdict.ANSWER, Verdict.CARRIED_OUT) or restore is None:
        return decision
    if decision.verdict is Verdict.ANSWER:
        try:
            restores.answer(restore.restore_id, answer.as_approval(now))
        except EnvironmentBusy:
            return Decision(Verdict.REFUSED, "Somebody else has answered meanwhile. Look at the restore's execution.")
    return _hand_over(answer, restore, decision)


def _hand_over(answer: Answer, restore: Restore, decision: Decision) -> Decision:
    """An execution that takes no answer and runs has it already, from an attempt whose own answer was lost."""
    if not restore.task_token:
        return Decision(Verdict.CARRIED_OUT, decision.reason)
    output = {"approved": answer.action is OrderAction.APPROVE, "by": answer.by, "reason": answer.reason}
    arrived = tokens.succeed(restore.task_token, output) or executions.runs(restore.requested_by)
    restores.forget_token(restore.restore_id)
    if not arrived and decision.verdict is Verdict.ANSWER:
        reason = f"The execution of restore {restore.restore_id} has ended. Start it again, and answer that one."
        return Decision(Verdict.REFUSED, reason)
    return Decision(Verdict.CARRIED_OUT, decision.reason)
