"""A human's answer to the restore that waits for one: written down, and handed to the execution that waits."""

from dataclasses import dataclass

from lambdas.errors import EnvironmentBusy
from lambdas.operate.answer_rules import Answer, decide_answer
from lambdas.operate.rules import Decision, Verdict
from lambdas.operate.task_tokens import TaskTokens
from lambdas.release.restore_rules import Restore
from lambdas.release.restores import Restores
from lambdas.rollback.executions import Executions


@dataclass(frozen=True)
class Answers:
    """Gives answers, wherever they come from."""

    restores: Restores
    tokens: TaskTokens
    executions: Executions

    def give(self, answer: Answer, restore: Restore | None, now: str) -> Decision:
        """
        Write the answer down, hand it to the waiting execution, and forget the token, in this order.

        `restore` is the latest one, as it was read. Safe to repeat: an answer that was written and not handed over is
        handed over by the next attempt. Nobody else can answer in between, because the first write is conditional.
        """
        decision = decide_answer(answer, restore, now)
        if decision.verdict not in (Verdict.ANSWER, Verdict.CARRIED_OUT) or restore is None:
            return decision
        if decision.verdict is Verdict.ANSWER:
            try:
                self.restores.answer(restore.restore_id, answer.as_approval(now))
            except EnvironmentBusy:
                meanwhile = "Somebody else has answered meanwhile. Look at the restore's execution."
                return Decision(Verdict.REFUSED, meanwhile)
        return self._hand_over(answer, restore, decision)

    def _hand_over(self, answer: Answer, restore: Restore, decision: Decision) -> Decision:
        """An execution that takes no answer and runs has it already, from an attempt whose own answer was lost."""
        if not restore.task_token:
            return Decision(Verdict.CARRIED_OUT, decision.reason)
        output = {"approved": answer.is_approval, "by": answer.by, "reason": answer.reason}
        arrived = self.tokens.succeed(restore.task_token, output) or self.executions.runs(restore.requested_by)
        self.restores.forget_token(restore.restore_id)
        if not arrived and decision.verdict is Verdict.ANSWER:
            reason = f"The execution of restore {restore.restore_id} has ended. Start it again, and answer that one."
            return Decision(Verdict.REFUSED, reason)
        return Decision(Verdict.CARRIED_OUT, decision.reason)
