"""What the record keeps of a release that was asked for, before it has the environment. All pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class GateLevel(StrEnum):
    """What becomes of a release that a gate does not let pass."""

    REQUIRED = "required"
    """It does not begin."""
    WARN = "warn"
    """It begins, and whoever reads its results is told."""
    OFF = "off"
    """Nobody looks."""


class GateStatus(StrEnum):
    """What was found at a gate."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """It could not be looked at, which is never a pass."""
    PENDING = "pending"
    """It may pass later: a check runs, or a window is not open yet."""
    SKIPPED = "skipped"
    """An emergency goes without it."""
    OFF = "off"


class RequestOutcome(StrEnum):
    """How a request ended that never got the environment."""

    REFUSED = "refused"
    """Its gates did not let it pass."""
    ABORTED = "aborted"
    """A human has said no, or nothing in time."""


@dataclass(frozen=True)
class GateResult:
    """What was found at one gate, in words for a human. `again_at` is when a pending one can have changed."""

    gate: str
    level: GateLevel
    status: GateStatus
    detail: str
    again_at: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return what the record and a machine keep of it."""
        return {name: str(value) for name, value in asdict(self).items() if value != ""}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        """Read what was kept."""
        return cls(
            gate=kept["gate"],
            level=GateLevel(kept["level"]),
            status=GateStatus(kept["status"]),
            detail=kept.get("detail", ""),
            again_at=kept.get("again_at", ""),
        )

    @property
    def line(self) -> str:
        """Return it as one line of a message."""
        return f"{self.gate} ({self.level}): {self.status}" + (f" - {self.detail}" if self.detail else "")


@dataclass(frozen=True)
class ReleaseAsked:
    """
    One release that was asked for; the record has one item for each, `request#<release_id>`.

    `pushed_by` is who pushed the commit, empty where a human started the release. `emergency` is the reason why it goes
    without the gates in `skipped`. `gates` are all results of the last look, and `verdict` what was decided of them.
    `approval` is what is kept of a human's answer, and the token lets the waiting execution go on: whoever has it can
    approve, so it is never shown.
    """

    release_id: str
    version: str
    execution: str
    asked_at: str
    pushed_by: str = ""
    emergency: str = ""
    skipped: tuple[str, ...] = ()
    gates: tuple[GateResult, ...] = ()
    verdict: str = ""
    reason: str = ""
    decided_at: str = ""
    approval: Mapping[str, Any] = field(default_factory=dict)
    task_token: str = field(default="", repr=False)
    outcome: RequestOutcome | None = None

    def as_item(self) -> dict[str, Any]:
        """Return what the record keeps. What is unset is left out, so that conditions can ask whether it is there."""
        item = {
            **{name: value for name, value in asdict(self).items() if name != "gates"},
            "skipped": list(self.skipped),
            "gates": as_dicts(self.gates),
            "outcome": self.outcome.value if self.outcome else None,
        }
        return {name: value for name, value in item.items() if value not in (None, "", [], {})}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read what the record has kept. An end can be all that is known of a request."""
        known = {name: value for name, value in item.items() if name in cls.__dataclass_fields__}
        return cls(
            **{
                **dict.fromkeys(("release_id", "version", "execution", "asked_at"), ""),
                **known,
                "skipped": tuple(known.get("skipped", ())),
                "gates": tuple(GateResult.from_dict(each) for each in known.get("gates", ())),
                "outcome": RequestOutcome(known["outcome"]) if "outcome" in known else None,
            }
        )


def as_dicts(results: Sequence[GateResult]) -> list[dict[str, str]]:
    """Return results as the record and a machine keep them."""
    return [result.as_dict() for result in results]


def from_dicts(kept: Sequence[Mapping[str, Any]]) -> tuple[GateResult, ...]:
    """Read results as the record or a machine has kept them."""
    return tuple(GateResult.from_dict(each) for each in kept)
