"""A human's answer to what waits for one: written down, and handed to the execution that waits."""

from dataclasses import dataclass

from lambdas.errors import EnvironmentBusy
from lambdas.operate.answer_rules import Answer, decide_answer
from lambdas.operate.rules import Decision, Verdict
from lambdas.operate.task_tokens import TaskTokens
from lambdas.operate.waiting_rules import Waiting
from lambdas.operate.waits import Waits
from lambdas.rollback.executions import Executions


@dataclass(frozen=True)
class Answers:
    """Gives answers, wherever they come from."""

    waits: Waits
    tokens: TaskTokens
    executions: Executions

    def about(self, answer: Answer, now: str) -> Waiting | None:
        """Read what an answer is about."""
        return self.waits.find(answer.release_id, answer.by, now, approved=answer.is_approval)

    def give(self, answer: Answer, waiting: Waiting | None, now: str) -> Decision:
        """
        Write the answer down, hand it to the waiting execution, and forget the token, in this order.

        `waiting` is what the answer is about, as it was read. Safe to repeat: an answer that was written and not handed
        over is handed over by the next attempt. Nobody else can answer in between, because the first write is
        conditional.
        """
        decision = decide_answer(answer, waiting, now)
        if decision.verdict not in (Verdict.ANSWER, Verdict.CARRIED_OUT) or waiting is None:
            return decision
        if decision.verdict is Verdict.ANSWER:
            try:
                self.waits.answer(waiting, answer.as_approval(now))
            except EnvironmentBusy:
                again = self.about(answer, now)
                if again is None or not again.is_answered_by(answer.by, approved=answer.is_approval):
                    meanwhile = f"Somebody else has answered meanwhile. Look at the {waiting.subject}'s execution."
                    return Decision(Verdict.REFUSED, meanwhile)
                waiting = again  # it was this answer, of which DynamoDB's own answer was lost
        return self._hand_over(answer, waiting, decision)

    def _hand_over(self, answer: Answer, waiting: Waiting, decision: Decision) -> Decision:
        """An execution that takes no answer and runs has it already, from an attempt whose own answer was lost."""
        if not waiting.task_token:
            return Decision(Verdict.CARRIED_OUT, decision.reason)
        output = {"approved": answer.is_approval, "by": answer.by, "reason": answer.reason}
        arrived = self.tokens.succeed(waiting.task_token, output) or self.executions.runs(waiting.requested_by)
        self.waits.forget_token(waiting)
        if not arrived and decision.verdict is Verdict.ANSWER:
            what = f"{waiting.subject} {waiting.key}"
            return Decision(Verdict.REFUSED, f"The execution of {what} has ended. Start it again, and answer that one.")
        return Decision(Verdict.CARRIED_OUT, decision.reason)
