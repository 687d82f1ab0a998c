"""What the record keeps of a human's answer, and of a release that waits for one. All pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from lambdas.release.rules import as_timestamp, later, seconds_since

_MINUTE = 60
_SPARE_SECONDS = 30
"""So long before its execution gives up nobody may answer any more: an answer always finds somebody who waits."""


@dataclass(frozen=True)
class Approval:
    """
    A human's answer. `by` is the execution of the operate machine that gave it, or the ARN of who called the URL.

    `caller` is that ARN in both cases. Who has started an execution is told minutes later, so it can be "".
    """

    approved: bool
    by: str
    at: str
    reason: str
    accept_unaccounted: bool = False
    caller: str = ""


class ApprovalStatus(StrEnum):
    """What has become of the question whether a release may begin."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Nobody has answered in time."""
    LOST = "lost"
    """Nobody could be asked."""


@dataclass(frozen=True)
class ReleaseApproval:
    """
    The question whether a release may begin, and its answer. The record keeps it with what was asked for.

    `requested_by` is the execution that waits. `pushed_by` is who pushed the commit, for humans to read: the input of
    an execution says so, which anybody may write. The token lets the waiting execution go on: whoever has it can
    approve, so it is never shown, and gone with the answer.
    """

    release_id: str
    requested_by: str
    asked_at: str
    expires_at: str
    status: ApprovalStatus = ApprovalStatus.WAITING
    pushed_by: str = ""
    summary: str = ""
    told_at: str = ""
    approval: Approval | None = None
    task_token: str = field(default="", repr=False)

    def as_item(self) -> dict[str, Any]:
        """Return what the record keeps beside what was asked for. What is unset is left out."""
        kept = {name: value for name, value in asdict(self).items() if name not in ("release_id", "task_token")}
        return {name: value for name, value in kept.items() if value not in (None, "")}

    @classmethod
    def from_item(cls, release_id: str, item: Mapping[str, Any]) -> Self:
        """Read what the record has kept: the whole item of the request."""
        kept = item["approval"]
        known = {name: value for name, value in kept.items() if name in cls.__dataclass_fields__}
        return cls(
            **{
                **known,
                "release_id": release_id,
                "status": ApprovalStatus(known["status"]),
                "approval": Approval(**known["approval"]) if "approval" in known else None,
                "task_token": item.get("task_token", ""),
            }
        )

    def waits(self, now: str) -> bool:
        """Say whether somebody may still approve it."""
        return self.status is ApprovalStatus.WAITING and seconds_since(self.expires_at, now) < 0


def expiry(asked_at: str, minutes: int) -> str:
    """Return until when a release waits for an answer."""
    return as_timestamp(later(asked_at, minutes * _MINUTE - _SPARE_SECONDS))
