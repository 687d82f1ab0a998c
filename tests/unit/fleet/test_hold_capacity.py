"""What serves stays as large as it is while traffic is frozen, and then scales as before."""

from dataclasses import dataclass, field

import pytest

from lambdas.errors import LeaseLost
from lambdas.fleet import give_capacity_back as giving
from lambdas.fleet import hold_capacity as holding
from lambdas.fleet.auto_scaling import GroupState
from lambdas.fleet.rules import Capacity
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from tests.builders import DEPLOYMENT, ROLLBACK, at

BLUE, WORKERS = "receipts-blue", "receipts-workers"


@dataclass
class Groups:
    """Auto Scaling groups, which answer an update as AWS does: a new minimum launches what is missing."""

    sizes: dict[str, Capacity] = field(default_factory=lambda: {BLUE: Capacity(2, 12, 9), WORKERS: Capacity(1, 3, 3)})
    suspended: set[str] = field(default_factory=set)

    def describe(self, group: str) -> GroupState:
        suspended = ("ScheduledActions",) if group in self.suspended else ()
        return GroupState(self.sizes[group], "7", suspended)

    def bound(self, group: str, minimum: int, maximum: int) -> None:
        desired = min(max(self.sizes[group].desired, minimum), maximum)
        self.sizes[group] = Capacity(minimum, maximum, desired)

    def hold(self, group: str) -> None:
        self.suspended.add(group)

    def resume(self, group: str) -> None:
        self.suspended.discard(group)

    def scale_in(self) -> None:
        """Do what scaling policies do to groups that nobody needs."""
        for group, size in self.sizes.items():
            self.sizes[group] = Capacity(size.minimum, size.maximum, size.minimum)


@pytest.fixture
def groups(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Groups:
    groups = Groups()
    for module in (holding, giving):
        monkeypatch.setattr(module, "record", record)
        monkeypatch.setattr(module, "auto_scaling", groups)
    return groups


@pytest.fixture
def lease(record: ReleaseRecord) -> Lease:
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.RESTORING, release_id="new"))


def hold(lease: Lease) -> dict[str, int]:
    return holding.hold_capacity(lease, "new", (BLUE, WORKERS), at(5))


def test_nothing_scales_in_while_nobody_comes(groups: Groups, lease: Lease) -> None:
    assert hold(lease) == {BLUE: 9, WORKERS: 3}
    groups.scale_in()

    assert groups.sizes[BLUE].desired == 9
    assert groups.sizes[WORKERS].desired == 3
    assert groups.suspended == {BLUE, WORKERS}


def test_everything_scales_as_before_when_users_are_back(groups: Groups, lease: Lease) -> None:
    hold(lease)

    assert giving.give_capacity_back(lease, "new", at(9)) == [BLUE, WORKERS]
    assert groups.sizes == {BLUE: Capacity(2, 12, 9), WORKERS: Capacity(1, 3, 3)}
    assert groups.suspended == set()


def test_one_that_goes_on_gives_back_what_the_first_has_found(groups: Groups, lease: Lease) -> None:
    """The bounds that it finds itself are those of the hold, also where a human has made more room meanwhile."""
    hold(lease)
    groups.bound(BLUE, 10, 20)
    hold(lease)
    assert groups.sizes[BLUE] == Capacity(10, 20, 10)

    giving.give_capacity_back(lease, "new", at(9))
    assert groups.sizes[BLUE] == Capacity(2, 12, 10)


def test_what_was_given_back_is_left_alone(groups: Groups, lease: Lease) -> None:
    """Step Functions may deliver the same step twice, and somebody may have scaled since."""
    hold(lease)
    giving.give_capacity_back(lease, "new", at(9))
    groups.bound(BLUE, 4, 20)

    assert giving.give_capacity_back(lease, "new", at(9)) == []
    assert groups.sizes[BLUE] == Capacity(4, 20, 9)


def test_what_somebody_else_has_suspended_stays_so(groups: Groups, lease: Lease) -> None:
    groups.suspended = {WORKERS}
    hold(lease)
    giving.give_capacity_back(lease, "new", at(9))

    assert groups.suspended == {WORKERS}


def test_a_restore_that_has_lost_the_environment_changes_no_size(
    groups: Groups, lease: Lease, record: ReleaseRecord
) -> None:
    hold(lease)
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))
    before = dict(groups.sizes)

    with pytest.raises(LeaseLost):
        giving.give_capacity_back(lease, "new", at(9))
    with pytest.raises(LeaseLost):
        hold(lease)
    assert groups.sizes == before
