"""What is written down before a release changes anything."""

from dataclasses import replace

import pytest

from lambdas.fleet.auto_scaling import GroupState
from lambdas.fleet.rules import Capacity
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Live, Phase, PointStatus, RollbackPoint, Work
from lambdas.rollback import record_rollback_point as function
from lambdas.traffic.rules import TargetHealth
from tests.builders import BLUE, DEPLOYMENT, at

FULL = Capacity(minimum=2, maximum=4, desired=2)
AT_REST = {"minimum": 0, "maximum": 6, "desired": 0}
POINT = RollbackPoint(PointStatus.EXPIRED, "green", "1111111", "older", {"api": BLUE}, 2, window_ends_at=at(1))
LIVE = Live("old", "2222222", "blue", at(1), POINT)


class Groups:
    """Auto Scaling groups that are all as large as one that serves."""

    def describe(self, _: str) -> GroupState:
        return GroupState(FULL, "7")


class HealthyTargets:
    """A load balancer all of whose targets are healthy."""

    def health(self, _: str) -> TargetHealth:
        return TargetHealth(healthy=2, unknown=0)


@pytest.fixture
def preparing(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Lease:
    """Return the lease of a deployment of "new" that found release "old" live on blue, and green not scaled in."""
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "auto_scaling", Groups())
    monkeypatch.setattr(function, "load_balancer", HealthyTargets())
    before = record.claim(Work(), Work(holder="before", phase=Phase.PREPARING, release_id="old"))
    record.commit(before, LIVE, at(1))
    record.note_release("old", {"idle": {"color": "blue", "resting": AT_REST}})
    return record.claim(record.read().work, Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))


def recorded(record: ReleaseRecord, lease: Lease) -> dict[str, int]:
    function.record_rollback_point(function.Recording(lease, "new", "blue", at(5)))
    resting = record.release("new")["idle"]["resting"]
    return {name: int(size) for name, size in resting.items()}


def test_idle_color_that_nobody_scaled_in_still_rests_as_small_as_before(
    record: ReleaseRecord, preparing: Lease
) -> None:
    """It is found as large as the active one; to restore that would keep both colors at full size forever."""
    assert recorded(record, preparing) == AT_REST
    assert record.release("new")["idle"]["capacity"] == FULL.as_record()


def test_idle_color_that_was_cleaned_up_rests_as_it_is_found(record: ReleaseRecord, preparing: Lease) -> None:
    """Somebody may keep a spare there by now."""
    record.note_release("old", {"cleaned_up_at": at(2)})
    assert recorded(record, preparing) == FULL.as_record()


def test_failed_release_tells_how_small_its_color_was(record: ReleaseRecord, preparing: Lease) -> None:
    consumed = replace(POINT, status=PointStatus.CONSUMED, release_id="failed")
    record.begin_shifting(preparing, replace(LIVE, rollback_point=consumed), Phase.PREPARING, {}, at(3))
    record.note_release("failed", {"idle": {"resting": {**AT_REST, "maximum": 5}}})
    assert recorded(record, preparing) == {**AT_REST, "maximum": 5}
