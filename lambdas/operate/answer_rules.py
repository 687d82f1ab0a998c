"""Whether a restore of the database waits for an answer, and what an answer means. All pure."""

from dataclasses import dataclass

from lambdas.operate.rules import Decision, Verdict
from lambdas.release.restore_rules import Approval, Restore, RestoreStatus
from lambdas.release.rules import OrderAction


@dataclass(frozen=True)
class Answer:
    """
    What a human says to the restore of one release.

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
        """Say whether it lets the restore begin."""
        return self.action is OrderAction.APPROVE


def decide_answer(answer: Answer, restore: Restore | None, now: str) -> Decision:
    """
    Decide what becomes of an answer: the first one counts, and it counts once.

    The same answer of the same human or execution, whose first one was lost, is found again.
    """
    if restore is None or restore.release_id != answer.release_id:
        waits = f"; that of release {restore.release_id} does" if restore and restore.waits(now) else ""
        return Decision(Verdict.REFUSED, f"No restore of release {answer.release_id} waits for approval{waits}.")
    if restore.approval and (restore.approval.by, restore.approval.approved) == (answer.by, answer.is_approval):
        return Decision(Verdict.CARRIED_OUT, _consequence(restore, answer))
    if restore.status is RestoreStatus.WAITING and not restore.waits(now):
        reason = f"Restore {restore.restore_id} waited until {restore.expires_at}. Start it again, and approve that."
        return Decision(Verdict.REFUSED, reason)
    if restore.status is not RestoreStatus.WAITING:
        return _decide_over_answered(answer, restore)
    if not restore.task_token:
        return Decision(Verdict.REFUSED, f"Restore {restore.restore_id} is not ready for an answer yet: give it again.")
    return Decision(Verdict.ANSWER, _consequence(restore, answer))


def _decide_over_answered(answer: Answer, restore: Restore) -> Decision:
    is_rejection = answer.action is OrderAction.REJECT
    so = {RestoreStatus.REJECTED} if is_rejection else {RestoreStatus.APPROVED, RestoreStatus.RESTORING}
    if restore.status in so:
        return Decision(Verdict.ALREADY_SO, f"Restore {restore.restore_id} is {restore.status} already.")
    return Decision(Verdict.REFUSED, f"Restore {restore.restore_id} is {restore.status}, and waits for no answer.")


def _consequence(restore: Restore, answer: Answer) -> str:
    if answer.action is OrderAction.REJECT:
        return f"Restore {restore.restore_id} does not begin. Nothing was changed."
    return f"Restore {restore.restore_id} begins now: traffic is frozen first, and users get 503.\n{restore.summary}"
