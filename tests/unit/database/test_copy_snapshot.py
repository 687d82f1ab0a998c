"""What another account shares becomes ours before it is restored, and only for a restore that a human has approved."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lambdas.database import check_copied_snapshot as check_function
from lambdas.database import copy_snapshot as function
from lambdas.database.instance_rules import SourceSnapshot, require_restorable
from lambdas.database.instances import Instances
from lambdas.database.recovery_points import RecoveryPoints
from lambdas.database.shared_snapshot_rules import key_for_copy, owner_of
from lambdas.database.snapshots import Snapshots
from lambdas.errors import EnvironmentBusy, RestoreFailed, SnapshotFailed
from lambdas.release.record import ReleaseRecord
from lambdas.release.restore_rules import Restore, RestoreStatus
from lambdas.release.restores import Restores
from rehearsal.engine.virtual import VirtualTime
from rehearsal.model.postgres import ModelPostgres
from rehearsal.world.database import Database, SnapshotPlan
from tests.builders import RESTORING, at

COPY = "runback-receipts-test-copy-0a1b2c3d"
SHARED = "arn:aws:rds:eu-west-1:222233334444:snapshot:nightly"
SOURCE = SourceSnapshot(SHARED, SHARED, "available", encrypted=True, engine="postgres")
FORWARD = {"DBInstanceIdentifier": "receipts-test", "Engine": "postgres", "StorageEncrypted": True, "KmsKeyId": "ours"}
RESTORE = Restore(
    restore_id="r-new-1",
    release_id="new",
    requested_by=RESTORING,
    reason="receipts are garbled",
    source={"kind": "snapshot", "snapshot_id": COPY, "copied_from": SOURCE.arn},
    forward_instance="receipts-test",
    forward_host="forward.example",
    forward_port=5432,
    restored_instance="runback-receipts-test-r-new-1",
    safety_snapshot="runback-receipts-test-safety-r-new-1",
    recovery_point=at(1),
    loss_seconds=60,
    planned_at=at(2),
    expires_at=at(59),
    status=RestoreStatus.APPROVED,
)


@pytest.fixture
def time() -> Iterator[VirtualTime]:
    with VirtualTime(seed=1) as virtual:
        yield virtual


@pytest.fixture
def rds(time: VirtualTime, tmp_path: Path, record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of a pretend RDS with an encrypted instance; the restore is approved."""
    made = Database(
        time.clock,
        "123456789012",
        "eu-west-1",
        account_lock=threading.RLock(),
        log_directory=tmp_path,
        snapshot_plan=SnapshotPlan(seconds=60),
        make_server=lambda _: ModelPostgres(),
    )
    restores = Restores(record)
    with made:
        client = boto3.client("rds")
        key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        client.create_db_instance(
            DBInstanceIdentifier="receipts-test",
            DBInstanceClass="db.t4g.small",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="postgres",
            MasterUserPassword="pretended",
            StorageEncrypted=True,
            KmsKeyId=key,
        )
        client.create_db_snapshot(DBInstanceIdentifier="receipts-test", DBSnapshotIdentifier="ours")
        time.sleep(120)
        shared = made.share("222233334444", "ours", "nightly")
        restores.plan(replace(RESTORE, source={**RESTORE.source, "copied_from": shared}), None)
        for module in (function, check_function):
            monkeypatch.setattr(module, "restores", restores)
            monkeypatch.setattr(module, "snapshots", Snapshots(client))
        monkeypatch.setattr(function, "instances", Instances(client))
        yield client


def begin() -> dict[str, Any]:
    about = {"restore_id": "r-new-1", "release_id": "new", "source": RESTORE.source}
    event = {**about, "forward_instance": "receipts-test", "now": at(5)}
    began: dict[str, Any] = function.lambda_handler.__wrapped__(event, None)
    return began


def check(ready_by: str = at(50)) -> dict[str, Any]:
    about = {"restore_id": "r-new-1", "release_id": "new", "snapshot_id": COPY}
    found: dict[str, Any] = check_function.lambda_handler.__wrapped__(
        {**about, "ready_by": ready_by, "now": at(6)}, None
    )
    return found


def test_the_copy_is_ours_and_encrypted_as_what_serves(rds: Any, time: VirtualTime) -> None:
    for _ in range(2):
        assert COPY == begin()["snapshot_id"]
    assert not check()["available"]
    time.sleep(61)
    assert check() == {"available": True, "percent": 100}
    (copy,) = rds.describe_db_snapshots(DBSnapshotIdentifier=COPY)["DBSnapshots"]
    (forward,) = rds.describe_db_instances()["DBInstances"]
    assert (True, forward["KmsKeyId"]) == (copy["Encrypted"], copy["KmsKeyId"])
    assert {"Key": "runback:restore", "Value": "r-new-1"} in copy["TagList"]
    require_restorable(Instances(rds).snapshot(COPY), forward)


def test_what_is_shared_cannot_be_restored_itself(rds: Any) -> None:
    with pytest.raises(ClientError, match="is another account's"):
        rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="x", DBSnapshotIdentifier=SOURCE.arn)
    (forward,) = rds.describe_db_instances()["DBInstances"]
    with pytest.raises(RestoreFailed, match="RDS restores only a copy"):
        require_restorable(Instances(rds).snapshot(SOURCE.arn), forward)


def test_a_shared_snapshot_is_found_by_its_arn(rds: Any) -> None:
    found = RecoveryPoints(rds).snapshot(SOURCE.arn)
    assert found
    assert ("available", True) == (found.status, bool(found.taken_at))
    assert None is RecoveryPoints(rds).snapshot(SOURCE.arn.replace("nightly", "weekly"))


@pytest.mark.usefixtures("rds")
def test_a_copy_that_takes_too_long_is_given_up() -> None:
    begin()
    with pytest.raises(SnapshotFailed, match="when the time was up"):
        check(ready_by=at(5))


def test_nothing_is_copied_for_a_restore_that_nobody_has_approved_or_that_was_replaced(
    rds: Any, record: ReleaseRecord
) -> None:
    restores = Restores(record)
    for changes in ({"status": RestoreStatus.WAITING}, {"restore_id": "r-new-2"}):
        restores.plan(replace(RESTORE, **changes), restores.latest())  # type: ignore[arg-type]
        with pytest.raises(EnvironmentBusy, match="is not approved any more"):
            begin()
    assert COPY not in [each["DBSnapshotIdentifier"] for each in rds.describe_db_snapshots()["DBSnapshots"]]


def test_what_would_not_become_an_instance_like_the_one_that_serves_is_not_copied() -> None:
    assert "ours" == key_for_copy(SOURCE, FORWARD)
    assert "" == key_for_copy(replace(SOURCE, encrypted=False), {**FORWARD, "StorageEncrypted": False})
    with pytest.raises(RestoreFailed, match="nobody has said which key to use"):
        key_for_copy(SOURCE, {**FORWARD, "StorageEncrypted": False})
    with pytest.raises(RestoreFailed, match="is of mysql"):
        key_for_copy(replace(SOURCE, engine="mysql"), FORWARD)


@pytest.mark.parametrize(
    "name", ["nightly", "arn:aws:rds:eu-west-1:222233334444:db:receipts", "arn:aws:rds:x:1:snapshot:"]
)
def test_only_an_arn_has_an_owner(name: str) -> None:
    assert "" == owner_of(name)
    assert "222233334444" == owner_of(SOURCE.arn)
