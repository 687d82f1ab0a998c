"""What the database holds is saved before another one takes its place, also when it is busy for a while."""

from typing import Any

import boto3
import pytest
from moto.rds.models import rds_backends

from lambdas.database import check_safety_snapshot as check_function
from lambdas.database import take_safety_snapshot as function
from lambdas.database.snapshots import Snapshots
from lambdas.errors import LeaseLost, SnapshotFailed
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from tests.builders import DEPLOYMENT, OTHER_DEPLOYMENT, at

SNAPSHOT_ID = "runback-receipts-test-safety-r-new-1"


@pytest.fixture
def rds(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Any:
    client = boto3.client("rds")
    client.create_db_instance(
        DBInstanceIdentifier="receipts-test",
        DBInstanceClass="db.t4g.small",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="postgres",
        MasterUserPassword="pretended",
    )
    for module in (function, check_function):
        monkeypatch.setattr(module, "record", record)
        monkeypatch.setattr(module, "snapshots", Snapshots(client))
    return client


@pytest.fixture
def lease(record: ReleaseRecord) -> Lease:
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))


def event(lease: Lease, **more: Any) -> dict[str, Any]:
    return {
        "lease": lease.as_event(),
        "restore_id": "r-new-1",
        "release_id": "new",
        "instance": "receipts-test",
        "snapshot_id": SNAPSHOT_ID,
        "ready_by": at(30),
        "now": at(5),
        **more,
    }


def take(lease: Lease, **more: Any) -> Any:
    return function.lambda_handler.__wrapped__(event(lease, **more), None)


def check(lease: Lease, **more: Any) -> Any:
    return check_function.lambda_handler.__wrapped__(event(lease, **more), None)


def taken(rds: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    return found


def test_repeated_step_takes_one_snapshot_that_tells_whose_it_is(rds: Any, lease: Lease) -> None:
    assert take(lease) == {"snapshot_id": SNAPSHOT_ID, "ready_by": take(lease)["ready_by"]}
    (snapshot,) = taken(rds)
    assert snapshot["DBSnapshotIdentifier"] == SNAPSHOT_ID
    tags = {each["Key"]: each["Value"] for each in snapshot["TagList"]}
    assert tags == {"runback:restore": "r-new-1", "runback:environment": "test"}
    assert check(lease)["available"]


def test_snapshot_that_an_instance_was_too_busy_for_is_asked_for_again(rds: Any, lease: Lease) -> None:
    """Its daily backup can begin at any time, also in the middle of a restore."""
    assert check(lease) == {"available": False, "percent": 0}
    assert check(lease)["available"]
    assert len(taken(rds)) == 1


def test_instance_that_stays_busy_stops_the_restore(rds: Any, lease: Lease) -> None:
    del rds
    with pytest.raises(SnapshotFailed, match="too busy"):
        check(lease, now=at(30))


def test_snapshot_of_another_instance_is_no_safety(rds: Any, lease: Lease) -> None:
    take(lease)
    backend = rds_backends["123456789012"]["eu-west-1"]
    backend.database_snapshots[SNAPSHOT_ID].db_instance_identifier = "another"
    with pytest.raises(SnapshotFailed, match="not of receipts-test"):
        check(lease)
    assert len(taken(rds)) == 1


def test_loser_takes_no_snapshot(record: ReleaseRecord, rds: Any, lease: Lease) -> None:
    record.claim(record.read().work, Work(holder=OTHER_DEPLOYMENT, phase=Phase.ROLLING_BACK))
    for step in (take, check):
        with pytest.raises(LeaseLost):
            step(lease)
    assert taken(rds) == []
