"""What the record keeps of a restore of the database: its plan, its approval, how far it is. All pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from lambdas.release.approval_rules import Approval
from lambdas.release.rules import seconds_since


class RestoreStatus(StrEnum):
    """How far a restore has come."""

    WAITING = "waiting"
    """It is planned; nobody has approved it yet, and nothing is changed."""
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Nobody has answered in time."""
    REFUSED = "refused"
    """It was approved, and somebody else held the environment by then."""
    RESTORING = "restoring"
    """It holds the environment, or its execution died while it did: only then traffic may be frozen."""
    RESTORED = "restored"
    """The restored instance serves. This is written before traffic flows, so that nobody turns back once it does."""
    FAILED = "failed"
    """What served before serves again; likewise."""


@dataclass(frozen=True)
class Restore:
    """
    One restore of the database; the record has the latest.

    `source` is {"kind": "snapshot", "snapshot_id"}, {"kind": "point-in-time", "at"} or {"kind": "undo", "instance"}. A
    snapshot that is "copied_from" another account's gets that name only when the restore has been approved.
    `forward_instance` serves now, and is kept; `restored_instance` is to serve. `loss_seconds` is how far back the
    recovery point was when it was planned. `asked_by` is the rollback after which it was started, as its input says,
    which anybody may write. The token lets the waiting execution go on: whoever has it can approve, so
    it is never shown, and gone with the answer.
    """

    restore_id: str
    release_id: str
    requested_by: str
    reason: str
    source: Mapping[str, Any]
    forward_instance: str
    forward_host: str
    forward_port: int
    restored_instance: str
    safety_snapshot: str
    recovery_point: str
    loss_seconds: int
    planned_at: str
    expires_at: str
    status: RestoreStatus = RestoreStatus.WAITING
    accept_unaccounted: bool = False
    asked_by: str = ""
    summary: str = ""
    alternatives: tuple[Mapping[str, Any], ...] = ()
    approval: Approval | None = None
    task_token: str = field(default="", repr=False)

    def as_plan(self) -> dict[str, Any]:
        """Return what the machine hands from step to step: everything but the token."""
        plan = {name: value for name, value in asdict(self).items() if name not in ("task_token", "approval", "status")}
        return {**plan, "alternatives": list(plan["alternatives"])}

    def as_item(self) -> dict[str, Any]:
        """Return what the record keeps. What is unset is left out, so that conditions can ask whether it is there."""
        item = {**asdict(self), "alternatives": list(self.alternatives)}
        return {name: value for name, value in item.items() if value not in (None, "")}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read what the record has kept."""
        known = {name: value for name, value in item.items() if name in cls.__dataclass_fields__}
        numbers = {name: int(known[name]) for name in ("forward_port", "loss_seconds")}
        return cls(
            **{
                **known,
                **numbers,
                "status": RestoreStatus(known["status"]),
                "alternatives": tuple(_alternative(each) for each in known.get("alternatives", ())),
                "approval": Approval(**known["approval"]) if "approval" in known else None,
            }
        )

    @property
    def is_decided(self) -> bool:
        """Say whether all is done but to let traffic flow and the environment go."""
        return self.status in (RestoreStatus.RESTORED, RestoreStatus.FAILED)

    def waits(self, now: str) -> bool:
        """Say whether somebody may still approve it."""
        return self.status is RestoreStatus.WAITING and seconds_since(self.expires_at, now) < 0


def _alternative(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Read one; what DynamoDB calls a number no JSON can hold, and a plan is handed from step to step."""
    numbers = ("loss_seconds", "takes_minutes")
    return {**kept, **{name: int(kept[name]) for name in numbers if name in kept}}


@dataclass(frozen=True)
class ServingDatabase:
    """
    Which instance serves since a restore, in place of the one that settings name, and which one served before.

    `settings_instance` is what they named then: once they name another one, somebody has put them right.
    """

    instance: str
    host: str
    port: int
    since: str
    restore_id: str
    release_id: str
    former_instance: str
    settings_instance: str

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read what the record has kept."""
        known = {name: value for name, value in item.items() if name in cls.__dataclass_fields__}
        return cls(**{**known, "port": int(known["port"])})
