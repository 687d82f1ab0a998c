"""A color scales freely again, unless it has become the way back meanwhile."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from lambdas.fleet import resume_scaling as function
from lambdas.fleet.rules import Capacity
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Phase, Work
from tests.builders import DEPLOYMENT, at


@dataclass
class Groups:
    """What was changed on Auto Scaling groups."""

    done: list[tuple[Any, ...]] = field(default_factory=list)

    def bound(self, *change: Any) -> None:
        self.done.append(("bound", *change))

    def resume(self, group: str) -> None:
        self.done.append(("resume", group))


@pytest.mark.parametrize(
    ("phase", "only_in_phase", "resumed"),
    [
        (Phase.PREPARING, "preparing", True),
        (Phase.SHIFTING, "preparing", False),
        (Phase.COMMITTED, None, True),
    ],
)
def test_old_color_is_let_go_only_as_long_as_it_is_no_way_back(
    record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch, phase: Phase, only_in_phase: str | None, *, resumed: bool
) -> None:
    groups = Groups()
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "auto_scaling", groups)
    record.note_release("new", {"rollback_point": {"capacity": Capacity(1, 4, 2).as_record()}})
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=phase, release_id="new"))
    event = {"lease": lease.as_event(), "release_id": "new", "color": "blue", "now": at(5)}
    event |= {"only_in_phase": only_in_phase} if only_in_phase else {}

    assert {"resumed": resumed} == function.lambda_handler.__wrapped__(event, None)
    assert groups.done == ([("bound", "receipts-blue", 1, 4), ("resume", "receipts-blue")] if resumed else [])
