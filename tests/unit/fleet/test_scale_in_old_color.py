"""The old color becomes as small as an idle color was, and only while it receives nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import boto3
import pytest

from lambdas.errors import LeaseLost, ListenerDrifted
from lambdas.fleet import scale_in_old_color as function
from lambdas.fleet.rules import Capacity, resting_capacity, resting_size
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from tests.builders import BLUE, CLEAN_UP, GREEN, PARAMETERS, ROLLBACK, at

OLD = {"minimum": 2, "maximum": 4, "desired": 2}
IDLE = {"minimum": 0, "maximum": 6, "desired": 0}


@dataclass
class ShownListener:
    """A load balancer whose only route shows these weights."""

    weights: dict[str, int]

    def forwards(self, arns: Iterable[str]) -> dict[str, dict[str, int]]:
        return dict.fromkeys(arns, self.weights)


@dataclass
class FakeGroups:
    """Auto Scaling groups that note what is done to them."""

    done: list[tuple[object, ...]] = field(default_factory=list)

    def scale(self, group: str, capacity: Capacity) -> None:
        self.done.append(("scale", group, capacity))

    def resume(self, group: str) -> None:
        self.done.append(("resume", group))


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> ShownListener:
    shown = ShownListener({GREEN: 100})
    monkeypatch.setattr(function, "load_balancer", shown)
    return shown


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> FakeGroups:
    fake = FakeGroups()
    monkeypatch.setattr(function, "auto_scaling", fake)
    return fake


@pytest.fixture
def lease(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Lease:
    """Return the lease of a clean-up after release "new", which went from blue to green."""
    monkeypatch.setattr(function, "record", record)
    record.note_release("new", {"rollback_point": {"color": "blue", "capacity": OLD}, "idle": {"resting": IDLE}})
    return record.claim(Work(), Work(holder=CLEAN_UP, phase=Phase.CLEANING_UP, release_id="new", progress_at=at(5)))


@pytest.mark.usefixtures("listener")
def test_old_color_gets_the_size_of_an_idle_one_and_may_scale_again(
    groups: FakeGroups, record: ReleaseRecord, lease: Lease
) -> None:
    assert function.scale_in_old_color(lease, "new", "blue", at(6)) == 0
    resting = Capacity(minimum=0, maximum=4, desired=0)
    assert groups.done == [("scale", "receipts-blue", resting), ("resume", "receipts-blue")]
    assert record.read().work.progress_at == at(6)
    assert record.release("new")["cleaned_up_at"] == at(6)


@pytest.mark.usefixtures("listener", "groups")
def test_commands_for_humans_do_not_name_a_color_without_instances(lease: Lease) -> None:
    """They are all that there is when the record cannot be reached."""
    function.scale_in_old_color(lease, "new", "blue", at(6))
    commands = boto3.client("ssm").get_parameter(Name=PARAMETERS["way_back"])["Parameter"]["Value"]
    assert GREEN in commands
    assert BLUE not in commands


@pytest.mark.usefixtures("listener")
def test_repeated_scaling_in_ends_the_same(groups: FakeGroups, lease: Lease) -> None:
    first = function.scale_in_old_color(lease, "new", "blue", at(6))
    once = list(groups.done)
    assert function.scale_in_old_color(lease, "new", "blue", at(6)) == first
    assert groups.done == once * 2


@pytest.mark.parametrize("shown", [{BLUE: 100}, {BLUE: 1, GREEN: 99}, {"unknown": 100}])
def test_color_that_receives_traffic_is_left_alone(
    groups: FakeGroups, listener: ShownListener, lease: Lease, shown: dict[str, int]
) -> None:
    """Somebody may have moved the listener after the claim."""
    listener.weights = shown
    with pytest.raises(ListenerDrifted):
        function.scale_in_old_color(lease, "new", "blue", at(6))
    assert groups.done == []


@pytest.mark.usefixtures("listener")
def test_clean_up_that_has_lost_the_environment_scales_nothing(
    groups: FakeGroups, record: ReleaseRecord, lease: Lease
) -> None:
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))
    with pytest.raises(LeaseLost):
        function.scale_in_old_color(lease, "new", "blue", at(6))
    assert groups.done == []


@pytest.mark.parametrize(
    ("old", "idle", "resting"),
    [
        (Capacity(2, 4, 2), Capacity(0, 6, 0), Capacity(0, 4, 0)),
        (Capacity(2, 4, 3), Capacity(1, 2, 1), Capacity(1, 4, 1)),
        (Capacity(1, 2, 2), Capacity(1, 6, 5), Capacity(1, 5, 5)),
    ],
    ids=["nothing", "a spare", "more than its own maximum"],
)
def test_color_at_rest_keeps_its_own_room_to_grow(old: Capacity, idle: Capacity, resting: Capacity) -> None:
    """AWS refuses a size above the maximum."""
    assert resting_capacity(old, idle) == resting


FOUND = Capacity(2, 4, 2)


@pytest.mark.parametrize(
    ("earlier", "resting"),
    [
        ({}, FOUND),
        ({"idle": {"resting": IDLE}, "cleaned_up_at": at(1)}, FOUND),
        ({"idle": {"resting": IDLE}}, Capacity(0, 6, 0)),
    ],
    ids=["first release", "cleaned up", "never cleaned up"],
)
def test_size_of_a_color_that_nobody_scaled_in_is_not_inherited(earlier: dict[str, object], resting: Capacity) -> None:
    """After a rollback, or with an expired window, the next release finds the idle color as large as the active one."""
    assert resting_size(FOUND, earlier) == resting
