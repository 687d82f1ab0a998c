"""One new instance for a restore, like the one that serves, however often the steps run; nothing is ever deleted."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from lambdas.database import check_restored_instance as check_function
from lambdas.database import restore_instance as function
from lambdas.database.instances import Instances
from lambdas.errors import AwsCallFailed, LeaseLost, RestoreFailed
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from rehearsal.engine.virtual import VirtualTime
from rehearsal.model.postgres import ModelPostgres
from rehearsal.world.database import Database, SnapshotPlan
from rehearsal.world.restores import RestorePlan
from tests.builders import DEPLOYMENT, OTHER_DEPLOYMENT, at

_LOOKS = 20
SNAPSHOT = {"kind": "snapshot", "snapshot_id": "runback-receipts-test-old"}


@pytest.fixture
def time() -> Iterator[VirtualTime]:
    with VirtualTime(seed=1) as virtual:
        yield virtual


@pytest.fixture
def account(time: VirtualTime, tmp_path: Path) -> Iterator[Database]:
    """Return the pretend account's RDS, which restores with AWS's defaults as AWS does, with models for servers."""
    made = Database(
        time.clock,
        "123456789012",
        "eu-west-1",
        account_lock=threading.RLock(),
        log_directory=tmp_path,
        snapshot_plan=SnapshotPlan(seconds=0),
        make_server=lambda _: ModelPostgres(),
    )
    made.restore_plan = RestorePlan(seconds=20, modify_seconds=20)
    with made:
        yield made


@pytest.fixture
def rds(account: Database, time: VirtualTime, record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a client; there is an instance with settings that are no defaults, and a snapshot of it."""
    del account
    client = boto3.client("rds")
    client.create_db_parameter_group(
        DBParameterGroupName="receipts", DBParameterGroupFamily="postgres18", Description="of the application"
    )
    client.create_db_instance(
        DBInstanceIdentifier="receipts-test",
        DBInstanceClass="db.t4g.small",
        Engine="postgres",
        EngineVersion="18.4",
        AllocatedStorage=20,
        MaxAllocatedStorage=100,
        MasterUsername="postgres",
        MasterUserPassword="pretended",
        Port=5433,
        MultiAZ=True,
        StorageType="gp3",
        StorageEncrypted=True,
        DBParameterGroupName="receipts",
        DeletionProtection=True,
        EnableIAMDatabaseAuthentication=True,
        EnableCloudwatchLogsExports=["postgresql"],
        EnablePerformanceInsights=True,
        PerformanceInsightsRetentionPeriod=7,
        MonitoringInterval=60,
        MonitoringRoleArn="arn:aws:iam::123456789012:role/monitoring",
        PreferredMaintenanceWindow="sun:03:00-sun:03:30",
        PreferredBackupWindow="02:00-02:30",
        CopyTagsToSnapshot=True,
        Tags=[{"Key": "team", "Value": "receipts"}],
    )
    client.create_db_snapshot(DBInstanceIdentifier="receipts-test", DBSnapshotIdentifier=SNAPSHOT["snapshot_id"])
    time.sleep(1)
    for module in (function, check_function):
        monkeypatch.setattr(module, "record", record)
        monkeypatch.setattr(module, "instances", Instances(client))
    return client


@pytest.fixture
def lease(record: ReleaseRecord) -> Lease:
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))


def event(lease: Lease, **more: Any) -> dict[str, Any]:
    return {
        "lease": lease.as_event(),
        "restore_id": "r-new-1",
        "release_id": "new",
        "source": SNAPSHOT,
        "forward_instance": "receipts-test",
        "restored_instance": "runback-receipts-test-r-new-1",
        "ready_by": at(50),
        "now": at(5),
        **more,
    }


def begin(lease: Lease, **more: Any) -> dict[str, Any]:
    began: dict[str, Any] = function.lambda_handler.__wrapped__(event(lease, **more), None)
    return began


def check(lease: Lease, **more: Any) -> dict[str, Any]:
    checked: dict[str, Any] = check_function.lambda_handler.__wrapped__(event(lease, **more), None)
    return checked


def settled(lease: Lease, time: VirtualTime) -> list[dict[str, Any]]:
    """Check every five seconds until the instance is available; return all answers."""
    answers = [check(lease)]
    while not answers[-1]["available"]:
        assert len(answers) < _LOOKS
        time.sleep(5)
        answers.append(check(lease))
    return answers


def names(rds: Any) -> list[str]:
    return [each["DBInstanceIdentifier"] for each in rds.describe_db_instances()["DBInstances"]]


def test_restored_instance_gets_every_setting_of_the_one_that_serves(rds: Any, lease: Lease, time: VirtualTime) -> None:
    """RDS alone would make it with the default parameter group, in one zone, and without monitoring."""
    assert begin(lease)["instance"] == "runback-receipts-test-r-new-1"
    answers = settled(lease, time)
    assert {"available": False, "host": "", "port": 0, "settings": "restoring"} == answers[0]
    assert "modifying" in [each["settings"] for each in answers]
    restored = rds.describe_db_instances(DBInstanceIdentifier="runback-receipts-test-r-new-1")["DBInstances"][0]
    assert answers[-1] == {
        "available": True,
        "host": restored["Endpoint"]["Address"],
        "port": 5433,
        "settings": "equal",
    }
    forward = rds.describe_db_instances(DBInstanceIdentifier="receipts-test")["DBInstances"][0]
    for name in ("MultiAZ", "DeletionProtection", "MaxAllocatedStorage", "MonitoringRoleArn", "DBParameterGroups"):
        assert forward[name] == restored[name]
    assert {"Key": "runback:restore", "Value": "r-new-1"} in restored["TagList"]
    assert {"Key": "runback:environment", "Value": "test"} in restored["TagList"]


def test_repeated_step_goes_on_with_the_instance_that_it_began(rds: Any, lease: Lease) -> None:
    begin(lease)
    begin(lease, now=at(6))
    assert names(rds) == ["receipts-test", "runback-receipts-test-r-new-1"]


def test_instance_of_another_restore_is_not_taken_over(lease: Lease, rds: Any) -> None:
    begin(lease)
    for step in (begin, check):
        with pytest.raises(RestoreFailed, match="find out whose it is"):
            step(lease, restore_id="r-new-2")
    assert names(rds) == ["receipts-test", "runback-receipts-test-r-new-1"]


def test_difference_that_nobody_can_explain_stops_the_restore(rds: Any, lease: Lease, time: VirtualTime) -> None:
    """Somebody, or a default that nobody thought of, made it another kind of instance."""
    begin(lease)
    settled(lease, time)
    rds.modify_db_instance(
        DBInstanceIdentifier="runback-receipts-test-r-new-1", DeletionProtection=False, ApplyImmediately=True
    )
    time.sleep(30)
    assert rds.describe_db_instances()["DBInstances"][1]["DBInstanceStatus"] == "available"
    with pytest.raises(RestoreFailed, match="DeletionProtection is off or not set and should be True"):
        check(lease)


def test_restore_that_rds_gives_up_is_given_up(account: Database, rds: Any, lease: Lease, time: VirtualTime) -> None:
    account.restore_plan = RestorePlan(seconds=0, status="incompatible-restore")
    begin(lease)
    time.sleep(1)
    assert rds.describe_db_instances()["DBInstances"][1]["DBInstanceStatus"] == "incompatible-restore"
    with pytest.raises(RestoreFailed, match="is incompatible-restore"):
        check(lease)


@pytest.mark.usefixtures("rds")
def test_moment_that_no_backup_holds_is_said_to_be_none(lease: Lease) -> None:
    with pytest.raises(RestoreFailed, match="RDS has no backup of receipts-test that reaches to"):
        begin(lease, source={"kind": "point-in-time", "at": at(1)})


def test_instance_that_served_before_is_taken_as_it_is(rds: Any, lease: Lease) -> None:
    """To undo a restore nothing is made: the instance from before was kept."""
    undo = {"source": {"kind": "undo", "instance": "receipts-test"}, "restored_instance": "receipts-test"}
    begin(lease, **undo)
    checked = check(lease, forward_instance="runback-receipts-test-r-new-1", **undo)
    assert (checked["available"], checked["settings"]) == (True, "equal")
    assert names(rds) == ["receipts-test"]


def test_loser_restores_nothing(record: ReleaseRecord, rds: Any, lease: Lease) -> None:
    record.claim(record.read().work, Work(holder=OTHER_DEPLOYMENT, phase=Phase.ROLLING_BACK))
    for step in (begin, check):
        with pytest.raises(LeaseLost):
            step(lease)
    assert names(rds) == ["receipts-test"]


def test_snapshot_that_is_gone_is_said_to_be(rds: Any, lease: Lease) -> None:
    rds.delete_db_snapshot(DBSnapshotIdentifier=SNAPSHOT["snapshot_id"])
    with pytest.raises(AwsCallFailed, match="DBSnapshotNotFound"):
        begin(lease)
