"""One snapshot for a release, however often the step runs, and its name in the record before it is in the account."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lambdas.database import check_snapshot as check_function
from lambdas.database import take_snapshot as function
from lambdas.database.snapshots import Snapshots
from lambdas.errors import LeaseLost
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from tests.builders import DEPLOYMENT, OTHER_DEPLOYMENT, at


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


def test_repeated_step_takes_one_snapshot(record: ReleaseRecord, rds: Any, lease: Lease) -> None:
    """The runbook's command named a second one when its clock had moved on."""
    first = function.take_snapshot(lease, "new", at(2))
    assert function.take_snapshot(lease, "new", at(7)) == first
    taken = [each["DBSnapshotIdentifier"] for each in rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]]
    assert taken == [first] == ["runback-receipts-test-new"]
    assert record.release("new")["snapshot"] == {"id": first, "instance": "receipts-test"}


@pytest.mark.usefixtures("rds")
def test_complete_snapshot_lets_the_release_go_on(record: ReleaseRecord, lease: Lease) -> None:
    """How far it is can be read while it is awaited."""
    snapshot_id = function.take_snapshot(lease, "new", at(2))
    event = {"lease": lease.as_event(), "release_id": "new", "snapshot_id": snapshot_id, "ready_by": at(30)}
    assert check_function.lambda_handler.__wrapped__({**event, "now": at(3)}, None)["available"]
    assert record.release("new")["snapshot_progress"]["status"] == "available"


def test_database_that_does_not_exist_is_said_to_be(rds: Any, lease: Lease) -> None:
    rds.delete_db_instance(DBInstanceIdentifier="receipts-test", SkipFinalSnapshot=True)
    with pytest.raises(ClientError, match="DBInstanceNotFound"):
        function.take_snapshot(lease, "new", at(2))


def test_loser_takes_no_snapshot(record: ReleaseRecord, rds: Any, lease: Lease) -> None:
    record.claim(record.read().work, Work(holder=OTHER_DEPLOYMENT, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        function.take_snapshot(lease, "new", at(2))
    assert rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"] == []
