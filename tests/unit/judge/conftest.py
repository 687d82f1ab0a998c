import pytest

from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Live, Phase, PointStatus, RollbackPoint, Work
from tests.builders import BLUE, DEPLOYMENT, NEW_VERSION, OLD_VERSION, at
from tests.unit.judge.cloudwatch import FakeCloudWatch

POINT = RollbackPoint(PointStatus.VALID, "blue", OLD_VERSION, "old", {"api": BLUE}, capacity=2)
LIVE = Live("new", NEW_VERSION, "green", since=at(2), rollback_point=POINT)


@pytest.fixture
def cloudwatch() -> FakeCloudWatch:
    """Return an account in which both colors do well, and no alarm is on."""
    return FakeCloudWatch(counts={"receipts-blue": (4500, 9, 18), "receipts-green": (500, 1, 2)})


@pytest.fixture
def lease(record: ReleaseRecord) -> Lease:
    """Return the lease of a deployment whose release "new" has received traffic at 10:02."""
    work = Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new", claimed_at=at(1), progress_at=at(1))
    lease = record.claim(Work(), work)
    record.begin_shifting(lease, LIVE, Phase.SHIFTING, {}, at(2))
    return lease
