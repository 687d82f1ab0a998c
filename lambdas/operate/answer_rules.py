"""Whether something waits for an answer, and what an answer means. All pure."""

from dataclasses import dataclass

from lambdas.operate.rules import Decision, Verdict
from lambdas.operate.waiting_rules import Subject, Waiting
from lambdas.release.approval_rules import Approval
from lambdas.release.rules import OrderAction


@dataclass(frozen=True)
class Answer:
    """
    What a human says to a release, or to the restore of one.

    `by` is the execution of the operate machine, or the ARN of who called the URL, which is then the `caller`, too.
    """

    action: OrderAction
    release_id: str
    reason: str
    by: str
    accept_unaccounted: bool
    caller: str = ""

    def as_approval(self, now: str) -> Approval:
        """Return what the record keeps of it."""
        return Approval(
            self.is_approval,
            self.by,
            now,
            self.reason,
            accept_unaccounted=self.accept_unaccounted,
            caller=self.caller,
        )

    @property
    def is_approval(self) -> bool:
        """Say whether it lets begin what waits."""
        return self.action is OrderAction.APPROVE


def decide_answer(answer: Answer, waiting: Waiting | None, now: str) -> Decision:
    """
    Decide what becomes of an answer: the first one counts, and it counts once.

    The same answer of the same human or execution, whose first one was lost, is found again.
    """
    if waiting is None or waiting.release_id != answer.release_id:
        waits = f"; a restore of release {waiting.release_id} does" if waiting and waiting.waits(now) else ""
        reason = f"Neither release {answer.release_id} nor a restore of it waits for approval{waits}."
        return Decision(Verdict.REFUSED, reason)
    if waiting.is_answered_by(answer.by, approved=answer.is_approval):
        return Decision(Verdict.CARRIED_OUT, waiting.consequence(approved=answer.is_approval))
    if not waiting.is_unanswered:
        return _decide_over_answered(answer, waiting)
    if reason := _why_no_answer(answer, waiting, now):
        return Decision(Verdict.REFUSED, reason)
    return Decision(Verdict.ANSWER, waiting.consequence(approved=answer.is_approval))


def _why_no_answer(answer: Answer, waiting: Waiting, now: str) -> str:
    if not waiting.waits(now):
        return f"{waiting.name} waited until {waiting.expires_at}. Start it again, and approve that."
    if not waiting.task_token:
        return f"{waiting.name} is not ready for an answer yet: give it again."
    if answer.accept_unaccounted and waiting.subject is Subject.RELEASE:
        return f"{waiting.name} loses no writes, so 'accept_unaccounted' has no meaning: answer without that field."
    return ""


def _decide_over_answered(answer: Answer, waiting: Waiting) -> Decision:
    if waiting.is_so(approved=answer.is_approval):
        return Decision(Verdict.ALREADY_SO, f"{waiting.name} is {waiting.status} already.")
    return Decision(Verdict.REFUSED, f"{waiting.name} is {waiting.status}, and waits for no answer.")
