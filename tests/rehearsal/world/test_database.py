from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from rehearsal.clock import TwoSpeedClock
from rehearsal.world.database import Database, SnapshotPlan
from rehearsal.world.network import HOST
from rehearsal.world.postgres import PostgresServer
from rehearsal.world.restores import RestorePlan
from tests.rehearsal.world.conftest import client
from tests.rehearsal.world.services import (
    DATABASE,
    INSTANCE,
    PASSWORD,
    USER,
    connect,
    create_database,
    create_instance,
    server_of,
)
from tests.waiting import eventually

pytestmark = pytest.mark.rehearsed

SETTINGS = {
    "CopyTagsToSnapshot": True,
    "DBParameterGroupName": "receipts",
    "DeletionProtection": True,
    "EnableCloudwatchLogsExports": ["postgresql"],
    "EnableIAMDatabaseAuthentication": True,
    "EnablePerformanceInsights": True,
    "MaxAllocatedStorage": 100,
    "MonitoringInterval": 60,
    "MonitoringRoleArn": "arn:aws:iam::123456789012:role/monitoring",
    "MultiAZ": True,
}
"""Of the instance: none of them is what an instance has that nobody asked for anything."""


@pytest.fixture(scope="module")
def clock() -> TwoSpeedClock:
    return TwoSpeedClock(speed=100.0)


@pytest.fixture(scope="module")
def shared_database(clock: TwoSpeedClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return an empty one for all tests: to make it takes longer than most of them."""
    with mock_aws(), create_database(clock, tmp_path_factory.mktemp("database")) as installed:
        client("rds").create_db_parameter_group(
            DBParameterGroupName="receipts", DBParameterGroupFamily="postgres18", Description="of the application"
        )
        create_instance(installed, StorageEncrypted=True, **SETTINGS)
        yield installed


@pytest.fixture
def database(shared_database: Database) -> Iterator[Database]:
    shared_database.snapshot_plan = SnapshotPlan(seconds=20)
    yield shared_database
    eventually(lambda: instance_status() == "available", seconds=20)
    with closing(connect(shared_database)) as connection:
        connection.run("TRUNCATE receipts")


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> str:
    """Return an identifier that no other test uses, and that can be an instance's, too."""
    return str(request.node.name).replace("_", "-")[:63].rstrip("-")


@pytest.mark.usefixtures("database")
def test_rds_s_own_backup_is_of_the_last_night_by_the_rehearsal_s_time(clock: TwoSpeedClock) -> None:
    """Not of the moment at which the account was built, by this machine's time."""
    (found,) = client("rds").describe_db_snapshots(DBInstanceIdentifier=INSTANCE, SnapshotType="automated")[
        "DBSnapshots"
    ]

    taken = found["SnapshotCreateTime"].astimezone(UTC)
    assert (2, 0) == (taken.hour, taken.minute)
    assert timedelta() <= clock.now() - taken < timedelta(days=1, hours=1)
    assert f"rds:{INSTANCE}-{taken:%Y-%m-%d-%H-%M}" == found["DBSnapshotIdentifier"]


def insert(database: Database, count: int) -> None:
    with closing(connect(database)) as connection:
        connection.run(
            "INSERT INTO receipts (owner, category, content)"
            " SELECT 'a@b', 'food', convert_to(repeat('x', 500) || n, 'UTF8') FROM generate_series(1, :count) n",
            count=count,
        )


def count(connection: Connection) -> int:
    ((rows,),) = connection.run("SELECT count(*) FROM receipts")
    return int(rows)


def take_snapshot(identifier: str) -> dict[str, Any]:
    made = client("rds").create_db_snapshot(DBInstanceIdentifier=INSTANCE, DBSnapshotIdentifier=identifier)
    created: dict[str, Any] = made["DBSnapshot"]
    return created


def described(identifier: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = client("rds").describe_db_snapshots(DBSnapshotIdentifier=identifier)["DBSnapshots"]
    return found


def instance_status() -> str:
    (instance,) = client("rds").describe_db_instances(DBInstanceIdentifier=INSTANCE)["DBInstances"]
    return str(instance["DBInstanceStatus"])


def test_an_instance_is_a_server_that_knows_its_users(database: Database) -> None:
    def log_in(user: str, password: str) -> Connection:
        port = database.port(INSTANCE)
        return Connection(user, host=HOST, port=port, database=DATABASE, password=password, timeout=5)

    with closing(log_in(USER, PASSWORD)) as application:
        assert application.run("SHOW server_version_num")[0][0].startswith("18")
        assert count(application) == 0
        with pytest.raises(DatabaseError, match="permission denied"):
            application.run("CREATE ROLE another")
    with closing(log_in("postgres_admin", "only the master's")) as master:
        assert master.run("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [[False]]
    with pytest.raises(DatabaseError, match="password authentication failed"):
        log_in(USER, "wrong")


def test_a_visitor_may_connect_and_nothing_else(database: Database) -> None:
    """Whoever gets hold of the secret of the checks must not get at a receipt with it."""
    database.create_visitor(INSTANCE, "visitor", "a visitor's")
    port = database.port(INSTANCE)
    with closing(Connection("visitor", host=HOST, port=port, database=DATABASE, password="a visitor's")) as visitor:
        assert visitor.run("SELECT 1") == [[1]]
        for more in ("SELECT 1 FROM public.receipts", "CREATE TABLE public.mine ()", "CREATE TEMPORARY TABLE mine ()"):
            with pytest.raises(DatabaseError, match="permission denied"):
                visitor.run(more)
    with closing(Connection(USER, host=HOST, port=port, database=DATABASE, password=PASSWORD)) as application:
        assert count(application) == 0


def test_a_snapshot_is_a_copy_that_starts_with_the_rows_of_its_moment(
    database: Database, clock: TwoSpeedClock, tmp_path: Path, snapshot: str
) -> None:
    insert(database, 1000)
    before = clock.now()
    take_snapshot(snapshot)
    eventually(lambda: described(snapshot)["Status"] == "available", seconds=20)
    insert(database, 500)
    assert before <= described(snapshot)["SnapshotCreateTime"] <= clock.now()
    restored = PostgresServer(server_of(database).copies[snapshot], tmp_path / "restored.log")
    restored.start()
    try:
        with closing(restored.connect(DATABASE)) as connection:
            assert count(connection) == 1000
    finally:
        restored.kill()
    with closing(connect(database)) as connection:
        assert count(connection) == 1500


def test_a_snapshot_makes_progress_on_the_clock(database: Database, clock: TwoSpeedClock, snapshot: str) -> None:
    database.snapshot_plan = SnapshotPlan(seconds=200)
    began = clock.seconds()
    created = take_snapshot(snapshot)
    assert ("creating", 0, INSTANCE, True) == tuple(
        created[name] for name in ("Status", "PercentProgress", "DBInstanceIdentifier", "Encrypted")
    )
    assert "SnapshotCreateTime" not in created
    assert instance_status() == "backing-up"
    progress: list[int] = []

    def has_ended() -> bool:
        now = described(snapshot)
        progress.append(now["PercentProgress"])
        return bool(now["Status"] == "available")

    eventually(has_ended, seconds=20)
    assert clock.seconds() - began >= 200
    assert sorted(progress) == progress
    assert len(set(progress)) > 3
    assert progress[-1] == 100
    assert instance_status() == "available"


def test_a_snapshot_can_fail(database: Database, snapshot: str) -> None:
    database.snapshot_plan = SnapshotPlan(seconds=10, fails=True)
    take_snapshot(snapshot)
    eventually(lambda: described(snapshot)["Status"] == "failed", seconds=20)
    assert described(snapshot)["PercentProgress"] < 100
    assert "SnapshotCreateTime" not in described(snapshot)
    assert snapshot not in server_of(database).copies
    assert instance_status() == "available"


def test_a_snapshot_of_a_dead_server_fails(database: Database, snapshot: str) -> None:
    database.stop(INSTANCE)
    take_snapshot(snapshot)
    eventually(lambda: described(snapshot)["Status"] == "failed", seconds=20)
    database.start(INSTANCE)


def test_one_snapshot_at_a_time_and_each_name_once(database: Database, snapshot: str) -> None:
    database.snapshot_plan = SnapshotPlan(seconds=100)
    take_snapshot(snapshot)
    for identifier, error in ((snapshot, "DBSnapshotAlreadyExists"), ("another", "InvalidDBInstanceState")):
        with pytest.raises(ClientError) as refused:
            take_snapshot(identifier)
        assert error == refused.value.response["Error"]["Code"]
    eventually(lambda: described(snapshot)["Status"] == "available", seconds=20)
    take_snapshot("another")


def test_a_stopped_server_refuses_connections_and_recovers_what_was_committed(database: Database) -> None:
    insert(database, 10)
    port = database.port(INSTANCE)
    open_before = connect(database)
    database.stop(INSTANCE)
    with pytest.raises((InterfaceError, DatabaseError, OSError)):
        count(open_before)
    with suppress(InterfaceError):
        open_before.close()
    with pytest.raises(InterfaceError):
        connect(database)
    database.start(INSTANCE)
    assert port == database.port(INSTANCE)
    with closing(connect(database)) as connection:
        assert count(connection) == 10


def restore(identifier: str, snapshot: str, **settings: Any) -> dict[str, Any]:
    made = client("rds").restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier=identifier, DBSnapshotIdentifier=snapshot, **settings
    )
    created: dict[str, Any] = made["DBInstance"]
    return created


def instance(identifier: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = client("rds").describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
    return found


def available_snapshot(identifier: str) -> str:
    take_snapshot(identifier)
    eventually(lambda: described(identifier)["Status"] == "available", seconds=20)
    return identifier


def log_in_to(database: Database, identifier: str) -> Connection:
    return Connection(USER, host=HOST, port=database.port(identifier), database=DATABASE, password=PASSWORD, timeout=5)


def refused(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_restored_instance_holds_the_rows_of_the_snapshot_and_no_later_ones(
    database: Database, clock: TwoSpeedClock, snapshot: str
) -> None:
    """And the one that it is a copy of goes on with all of its rows."""
    insert(database, 100)
    available_snapshot(snapshot)
    insert(database, 50)
    opened: list[tuple[str, str]] = []
    database.on_reachable(lambda name: opened.append((name, instance(name)["DBInstanceStatus"])))
    database.restore_plan = RestorePlan(seconds=300)
    began = clock.seconds()
    created = restore(snapshot, snapshot)
    assert ("creating", False) == (created["DBInstanceStatus"], "Endpoint" in created)
    assert database.instance_at(database.endpoint(snapshot)[0]) is None
    eventually(lambda: instance(snapshot)["DBInstanceStatus"] == "available", seconds=30)
    assert clock.seconds() - began >= 300
    assert [(snapshot, "creating")] == opened
    host, port = database.endpoint(snapshot)
    assert {"Address": host, "Port": port} == instance(snapshot)["Endpoint"]
    assert (snapshot, INSTANCE) == tuple(
        database.instance_at(database.endpoint(each)[0]) for each in (snapshot, INSTANCE)
    )
    assert database.port(snapshot) != database.port(INSTANCE)
    with closing(log_in_to(database, snapshot)) as restored, closing(connect(database)) as forward:
        assert (100, 150) == (count(restored), count(forward))
        restored.run("INSERT INTO receipts (owner, category, content) VALUES ('a', 'b', 'c')")
        assert (101, 150) == (count(restored), count(forward))


def test_a_restored_instance_has_the_defaults_of_aws_and_not_the_settings_of_its_source(
    database: Database, snapshot: str
) -> None:
    """That is what makes a restore dangerous: it works, with other settings."""
    available_snapshot(snapshot)
    database.restore_plan = RestorePlan(seconds=10)
    forward, restored = instance(INSTANCE), restore(snapshot, snapshot)
    for name in ("DBInstanceClass", "AllocatedStorage", "MasterUsername", "StorageEncrypted", "KmsKeyId", "DBName"):
        assert forward[name] == restored[name]
    off = ("DeletionProtection", "MultiAZ", "IAMDatabaseAuthenticationEnabled", "CopyTagsToSnapshot")
    assert [(True, False)] * 4 == [(forward[name], restored[name]) for name in off]
    for name in ("MaxAllocatedStorage", "PerformanceInsightsEnabled", "MonitoringRoleArn"):
        assert (True, False) == (name in forward, name in restored)
    assert ["postgresql"] == forward["EnabledCloudwatchLogsExports"]
    assert [] == restored["EnabledCloudwatchLogsExports"]
    assert forward["DBParameterGroups"][0]["DBParameterGroupName"] == "receipts"
    assert restored["DBParameterGroups"][0]["DBParameterGroupName"] == "default.postgres18"
    eventually(lambda: instance(snapshot)["DBInstanceStatus"] == "available", seconds=20)


def test_a_restore_takes_what_the_request_says(database: Database, snapshot: str) -> None:
    available_snapshot(snapshot)
    database.restore_plan = RestorePlan(seconds=10, modify_seconds=100)
    restore(
        snapshot,
        snapshot,
        DBParameterGroupName="receipts",
        DeletionProtection=True,
        EnableIAMDatabaseAuthentication=True,
        Tags=[{"Key": "runback:restore", "Value": "r-1"}],
    )
    eventually(lambda: instance(snapshot)["DBInstanceStatus"] == "available", seconds=20)
    restored = instance(snapshot)
    assert restored["DeletionProtection"]
    assert restored["IAMDatabaseAuthenticationEnabled"]
    assert "receipts" == restored["DBParameterGroups"][0]["DBParameterGroupName"]
    assert [{"Key": "runback:restore", "Value": "r-1"}] == restored["TagList"]
    rds = client("rds")
    rds.modify_db_instance(
        DBInstanceIdentifier=snapshot, MaxAllocatedStorage=100, EnablePerformanceInsights=True, ApplyImmediately=True
    )
    assert ("modifying", False) == (instance(snapshot)["DBInstanceStatus"], "MaxAllocatedStorage" in instance(snapshot))
    with pytest.raises(ClientError) as error:
        rds.modify_db_instance(DBInstanceIdentifier=snapshot, MultiAZ=True)
    assert "InvalidDBInstanceState" == refused(error)
    eventually(lambda: instance(snapshot)["DBInstanceStatus"] == "available", seconds=20)
    assert (100, True) == (instance(snapshot)["MaxAllocatedStorage"], instance(snapshot)["PerformanceInsightsEnabled"])


def test_a_restore_of_what_is_not_there_yet_or_is_there_already_is_refused(database: Database, snapshot: str) -> None:
    database.snapshot_plan = SnapshotPlan(seconds=100)
    take_snapshot(snapshot)
    with pytest.raises(ClientError) as error:
        restore("restored-too-early", snapshot)
    assert "InvalidDBSnapshotState" == refused(error)
    eventually(lambda: described(snapshot)["Status"] == "available", seconds=20)
    with pytest.raises(ClientError) as error:
        restore(INSTANCE, snapshot)
    assert "DBInstanceAlreadyExists" == refused(error)
    with pytest.raises(ClientError) as error:
        restore("restored-in-vain", snapshot, StorageType="gp3", Iops=3000)
    assert "InvalidParameterCombination" == refused(error)


def test_a_restore_can_fail(database: Database, snapshot: str) -> None:
    available_snapshot(snapshot)
    database.restore_plan = RestorePlan(seconds=10, status="incompatible-restore")
    restore(snapshot, snapshot)
    eventually(lambda: instance(snapshot)["DBInstanceStatus"] == "incompatible-restore", seconds=20)
    assert database.instance_at(database.endpoint(snapshot)[0]) is None


def restore_moment(identifier: str, moment: datetime) -> None:
    client("rds").restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier=INSTANCE, TargetDBInstanceIdentifier=identifier, RestoreTime=moment
    )


def test_any_second_since_the_first_snapshot_can_be_restored(
    database: Database, clock: TwoSpeedClock, snapshot: str
) -> None:
    """Neither that of the snapshot nor that of now, but what was committed by then."""
    insert(database, 100)
    available_snapshot(snapshot)
    insert(database, 10)
    clock.sleep(10)
    moment = clock.now().replace(microsecond=0)
    clock.sleep(10)
    insert(database, 1)
    eventually(lambda: instance(INSTANCE)["LatestRestorableTime"] > moment, seconds=20)
    database.restore_plan = RestorePlan(seconds=10)
    restore_moment(snapshot, moment)
    eventually(lambda: instance(snapshot)["DBInstanceStatus"] == "available", seconds=20)
    with closing(database.server(snapshot).connect(DATABASE)) as connection:  # type: ignore[attr-defined]
        assert 110 == count(connection)
        connection.run("DELETE FROM receipts")
    with closing(connect(database)) as connection:
        assert 111 == count(connection)


@pytest.mark.usefixtures("database")
def test_a_moment_that_no_backup_holds_cannot_be_restored(clock: TwoSpeedClock, snapshot: str) -> None:
    began = clock.now() - timedelta(days=1)
    available_snapshot(snapshot)
    for moment in (began, clock.now()):
        with pytest.raises(ClientError) as error:
            restore_moment("in-time", moment)
        assert "InvalidRestoreFault" == refused(error)
    with pytest.raises(ClientError) as error:
        restore_moment(INSTANCE, began)
    assert "DBInstanceAlreadyExists" == refused(error)
    there = [each["DBInstanceIdentifier"] for each in client("rds").describe_db_instances()["DBInstances"]]
    assert "in-time" not in there


def test_backups_are_some_minutes_behind(database: Database, clock: TwoSpeedClock) -> None:
    latest = instance(INSTANCE)["LatestRestorableTime"]
    assert 300 <= (clock.now() - latest).total_seconds() < 700
    assert instance(INSTANCE)["Endpoint"]["Address"] == database.endpoint(INSTANCE)[0]
