"""What of the record waits for a human's answer, and where the answer is written down."""

from dataclasses import dataclass

from lambdas.operate.waiting_rules import Subject, Waiting, which
from lambdas.release.approval_rules import Approval
from lambdas.release.release_approvals import ReleaseApprovals
from lambdas.release.restores import Restores


@dataclass(frozen=True)
class Waits:
    """Looks among the latest restore and all releases."""

    restores: Restores
    releases: ReleaseApprovals

    def find(self, release_id: str, by: str, now: str, *, approved: bool) -> Waiting | None:
        """Return what an answer about a release is about; or the latest restore, where nothing of that release is."""
        restore, release = self.restores.latest(), self.releases.of(release_id)
        found = [
            *([Waiting.of_restore(restore)] if restore else []),
            *([Waiting.of_release(release)] if release else []),
        ]
        about = which(release_id, by, now, found, approved=approved)
        return about or (Waiting.of_restore(restore) if restore else None)

    def answer(self, waiting: Waiting, approval: Approval) -> None:
        """Write an answer down, the first one only. Raises EnvironmentBusy."""
        if waiting.subject is Subject.RESTORE:
            self.restores.answer(waiting.key, approval)
        else:
            self.releases.answer(waiting.key, approval)

    def forget_token(self, waiting: Waiting) -> None:
        """Let nobody use its token again. Safe to repeat."""
        if waiting.subject is Subject.RESTORE:
            self.restores.forget_token(waiting.key)
        else:
            self.releases.forget_token(waiting.key)
