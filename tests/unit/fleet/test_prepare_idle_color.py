"""What is true before the first change of a release: no way back leads to the color that is about to change."""

from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest

from lambdas.errors import LeaseLost
from lambdas.fleet import prepare_idle_color as function
from lambdas.fleet.rules import Capacity
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Live, Phase, PointStatus, RollbackPoint, Work
from tests.builders import BLUE, DEPLOYMENT, GREEN, NEW_VERSION, OTHER_DEPLOYMENT, PARAMETERS, at

POINT = RollbackPoint(PointStatus.VALID, "green", "0000000", "oldest", {"api": GREEN}, 2, window_ends_at=at(59))
LIVE = Live("old", "1111111", "blue", since=at(0), rollback_point=POINT)
SIZE = Capacity(2, 4, 2).as_record()


@dataclass
class World:
    """Stands for load balancer, groups and launch templates. `seen` is what held at each change."""

    record: ReleaseRecord
    seen: list[tuple[str, str, str]] = field(default_factory=list)

    def actions(self, arns: Any) -> dict[str, Any]:
        forward = {"Type": "forward", "TargetGroupArn": BLUE}
        return {arn: [forward] for arn in arns}

    def forward(self, *_: Any) -> None:
        self._change("test listener")

    def add_version(self, *_: Any) -> str:
        self._change("launch template")
        return "8"

    def resize(self, *_: Any) -> None:
        self._change("size")

    def latest_refresh(self, _: str) -> None:
        return None

    def start_refresh(self, *_: Any) -> str:
        self._change("refresh")
        return "refresh-1"

    def _change(self, what: str) -> None:
        live = self.record.read().live
        assert live
        assert live.rollback_point
        self.seen.append((what, live.rollback_point.status.value, commands()))


def commands() -> str:
    return str(boto3.client("ssm").get_parameter(Name=PARAMETERS["way_back"])["Parameter"]["Value"])


@pytest.fixture
def world(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(record)
    monkeypatch.setattr(function, "record", record)
    for name in ("load_balancer", "auto_scaling", "launch_templates"):
        monkeypatch.setattr(function, name, world)
    boto3.client("ssm").put_parameter(Name=PARAMETERS["way_back"], Value=f"to {GREEN}", Type="String")
    return world


@pytest.fixture
def preparing(record: ReleaseRecord) -> function.Preparing:
    """Return a release whose settings let it expire the window of the live one."""
    before = record.claim(Work(), Work(holder="before", phase=Phase.PREPARING, release_id="old"))
    record.commit(before, LIVE, at(1))
    lease = record.claim(record.read().work, Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    facts = {"rollback_point": {"capacity": SIZE}, "idle": {"capacity": SIZE, "template_version": "7"}}
    record.note_release("new", facts)
    return function.Preparing(lease, "new", NEW_VERSION, "green", at(5))


def test_the_way_back_is_given_up_in_the_record_and_for_humans_before_anything_changes(
    world: World, preparing: function.Preparing
) -> None:
    function.prepare_idle_color(preparing)
    assert [what for what, _, _ in world.seen] == ["test listener", "launch template", "size", "refresh"]
    for _, status, shown in world.seen:
        assert status == "expired"
        assert BLUE in shown
        assert GREEN not in shown


def test_who_has_lost_the_environment_changes_nothing(
    record: ReleaseRecord, world: World, preparing: function.Preparing
) -> None:
    """The way back of the live release is the winner's."""
    record.claim(record.read().work, Work(holder=OTHER_DEPLOYMENT, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        function.prepare_idle_color(preparing)
    assert world.seen == []
    assert GREEN in commands()


def test_without_a_way_back_there_is_nothing_to_expire(
    record: ReleaseRecord, world: World, preparing: function.Preparing
) -> None:
    consumed = replace(LIVE, rollback_point=replace(POINT, status=PointStatus.CONSUMED))
    record.begin_shifting(preparing.lease, consumed, Phase.PREPARING, {}, at(4))
    function.prepare_idle_color(preparing)
    assert {status for _, status, _ in world.seen} == {"consumed"}
