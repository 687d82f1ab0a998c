"""What waits for a human's answer: a restore of the database, or a release. Both are the same to who answers. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from lambdas.notices.rules import Kind
from lambdas.release.approval_rules import Approval, ApprovalStatus, ReleaseApproval
from lambdas.release.restore_rules import Restore, RestoreStatus
from lambdas.release.rules import seconds_since


class Subject(StrEnum):
    """What an answer is about."""

    RESTORE = "restore"
    RELEASE = "release"


KINDS: Mapping[tuple[Subject, bool], Kind] = {
    (Subject.RESTORE, True): Kind.RESTORE_APPROVED,
    (Subject.RESTORE, False): Kind.RESTORE_REJECTED,
    (Subject.RELEASE, True): Kind.RELEASE_APPROVED,
    (Subject.RELEASE, False): Kind.RELEASE_REJECTED,
}
"""What is told of an answer, by what it is about, and whether it is a yes."""

OWN_APPROVALS = {Subject.RESTORE: Kind.RESTORE_OWN_APPROVAL, Subject.RELEASE: Kind.RELEASE_OWN_APPROVAL}

_WAITING = ApprovalStatus.WAITING.value
_SO: Mapping[tuple[Subject, bool], frozenset[str]] = {
    (Subject.RESTORE, True): frozenset({RestoreStatus.APPROVED, RestoreStatus.RESTORING}),
    (Subject.RESTORE, False): frozenset({RestoreStatus.REJECTED}),
    (Subject.RELEASE, True): frozenset({ApprovalStatus.APPROVED}),
    (Subject.RELEASE, False): frozenset({ApprovalStatus.REJECTED}),
}


@dataclass(frozen=True)
class Waiting:
    """
    What waits for an answer, or has waited. `key` tells it from all others of its `subject`.

    `requested_by` is the execution that waits, and `asked_by` the rollback that its input names as what asked for it,
    which anybody may write. Once nothing waits, there is no token any more.
    """

    subject: Subject
    key: str
    release_id: str
    requested_by: str
    status: str
    expires_at: str
    asked_by: str = ""
    summary: str = ""
    approval: Approval | None = None
    task_token: str = field(default="", repr=False)

    @classmethod
    def of_restore(cls, restore: Restore) -> Self:
        """Return a restore as what waits for an answer."""
        return cls(
            Subject.RESTORE,
            restore.restore_id,
            restore.release_id,
            restore.requested_by,
            restore.status.value,
            restore.expires_at,
            restore.asked_by,
            restore.summary,
            restore.approval,
            restore.task_token,
        )

    @classmethod
    def of_release(cls, release: ReleaseApproval) -> Self:
        """Return a release as what waits for an answer."""
        return cls(
            Subject.RELEASE,
            release.release_id,
            release.release_id,
            release.requested_by,
            release.status.value,
            release.expires_at,
            summary=release.summary,
            approval=release.approval,
            task_token=release.task_token,
        )

    @property
    def name(self) -> str:
        """Return what a sentence calls it that begins with it."""
        return f"{self.subject.capitalize()} {self.key}"

    @property
    def is_unanswered(self) -> bool:
        """Say whether nobody has answered, in time or not."""
        return self.status == _WAITING

    def waits(self, now: str) -> bool:
        """Say whether somebody may still approve it."""
        return self.is_unanswered and seconds_since(self.expires_at, now) < 0

    def is_answered_by(self, by: str, *, approved: bool) -> bool:
        """Say whether this very answer was given before."""
        return self.approval is not None and (self.approval.by, self.approval.approved) == (by, approved)

    def is_so(self, *, approved: bool) -> bool:
        """Say whether it is already as an answer would have it."""
        return self.status in _SO[self.subject, approved]

    def consequence(self, *, approved: bool) -> str:
        """Say what follows from an answer."""
        if not approved:
            return f"{self.name} does not begin. Nothing was changed."
        begins = {
            Subject.RESTORE: "begins now: traffic is frozen first, and users get 503.",
            Subject.RELEASE: "goes on now. It takes the environment if nobody else has it.",
        }
        return f"{self.name} {begins[self.subject]}\n{self.summary}"


def which(release_id: str, by: str, now: str, found: Iterable[Waiting], *, approved: bool) -> Waiting | None:
    """
    Return what an answer about a release is about: what waits now, or else what it was given to before.

    Of one release both may be in the record: a release that was approved, and a restore of before it, long after.
    """
    about = [each for each in found if each.release_id == release_id]
    waiting = [each for each in about if each.waits(now)]
    answered = [each for each in about if each.is_answered_by(by, approved=approved)]
    return next(iter((*waiting, *answered, *about)), None)
