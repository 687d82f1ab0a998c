"""Model applications on a real database: their rows are there, and a restored instance has those of its snapshot."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pg8000.native import Connection

from rehearsal.engine.virtual import VirtualTime
from rehearsal.model.deferred_postgres import DeferredPostgres
from rehearsal.model.servers import ModelServers, RealServers
from rehearsal.world.certificates import issue
from rehearsal.world.database import Database, SnapshotPlan
from rehearsal.world.restores import RestorePlan
from rehearsal.world.servers import url
from rehearsal.world.stores import StoreUnavailable

DOMAIN = "c9akciq32rgd.eu-west-1.rds.amazonaws.com"
INSTANCE, DATABASE, USER, PASSWORD = "receipts-database", "receiptvault", "receipts", "p@ss/w'ord"

pytestmark = pytest.mark.rehearsed


@dataclass(frozen=True)
class Account:
    """An account in virtual time that has one instance, to whose server functions are let in."""

    virtual: VirtualTime
    servers: RealServers
    database: Database
    rds: Any
    authority: Path

    def receipts(self, instance: str) -> Any:
        """Return what an application has that was told of an instance."""
        asked = url(USER, PASSWORD, f"{instance}.{DOMAIN}", 5432, DATABASE)
        return self.servers.receipts(asked, self.database.local)

    def until_available(self, instance: str) -> None:
        self.virtual.run_until(
            lambda: (
                self.rds.describe_db_instances(DBInstanceIdentifier=instance)["DBInstances"][0]["DBInstanceStatus"]
                == "available"
            )
        )

    def take_snapshot(self, name: str) -> None:
        self.rds.create_db_snapshot(DBInstanceIdentifier=INSTANCE, DBSnapshotIdentifier=name)
        self.until_available(INSTANCE)


@contextmanager
def in_virtual_time(folder: Path) -> Iterator[Account]:
    certificate = issue([f"*.{DOMAIN}"], folder / "tls")
    servers = RealServers(certificate, folder)
    with VirtualTime(0) as virtual, mock_aws():
        database = Database(
            virtual.clock,
            "123456789012",
            "eu-west-1",
            account_lock=nullcontext(),
            log_directory=folder,
            snapshot_plan=SnapshotPlan(seconds=90),
            make_server=servers.make,
            domain=DOMAIN,
        )
        rds = boto3.client("rds", "eu-west-1", aws_access_key_id="A" * 20, aws_secret_access_key="test")
        try:
            with database:
                rds.create_db_instance(
                    DBInstanceIdentifier=INSTANCE,
                    DBInstanceClass="db.t4g.small",
                    Engine="postgres",
                    EngineVersion="18.4",
                    AllocatedStorage=20,
                    DBName=DATABASE,
                    MasterUsername="postgres_admin",
                    MasterUserPassword="only the master's",
                )
                database.create_receipts(INSTANCE, USER, PASSWORD)
                database.create_visitor(INSTANCE, "visitor", "a visitor's")
                yield Account(virtual, servers, database, rds, certificate.authority_file)
        finally:
            servers.stop()


def test_rows_that_applications_wrote_after_the_snapshot_are_not_in_what_is_restored(tmp_path: Path) -> None:
    with in_virtual_time(tmp_path) as account:
        account.servers.open(account.database.server(INSTANCE))
        forward = account.receipts(INSTANCE)
        forward.add("a@b", "food", b"before")
        account.take_snapshot("before")
        forward.add("a@b", "food", b"after")
        account.database.restore_plan = RestorePlan(seconds=600)
        began = account.virtual.clock.seconds()
        account.rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="restored", DBSnapshotIdentifier="before")
        restored = account.receipts("restored")
        with pytest.raises(StoreUnavailable):
            restored.of("a@b")
        account.until_available("restored")
        assert 600 == account.virtual.clock.seconds() - began
        assert (2, 1) == (len(forward.of("a@b")), len(account.receipts("restored").of("a@b")))


def test_functions_reach_a_restored_instance_by_its_own_name_over_tls(tmp_path: Path) -> None:
    """As the master user, too, who may do to the application's role what a fence does."""
    with in_virtual_time(tmp_path) as account:
        account.servers.open(account.database.server(INSTANCE))
        account.take_snapshot("before")
        opened: dict[str, int] = {}
        account.database.on_reachable(
            lambda name: opened.update({name: account.servers.open(account.database.server(name))})
        )
        account.rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="restored", DBSnapshotIdentifier="before")
        account.until_available("restored")
        trust = ssl.create_default_context(cafile=account.authority)
        host, _ = account.database.endpoint("restored")
        login = {"host": host, "database": DATABASE, "password": "only the master's", "ssl_context": trust}
        with (
            socket.create_connection(("127.0.0.1", opened["restored"]), timeout=10) as plain,
            closing(Connection("postgres_admin", sock=plain, **login)) as connection,
        ):
            connection.run("ALTER ROLE receipts NOLOGIN")
            connection.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'receipts'")
            assert [[0, True]] == connection.run(
                "SELECT count(*), pg_has_role('pg_read_all_stats', 'USAGE') FROM receipts"
            )
        with pytest.raises(StoreUnavailable, match="not permitted to log in"):
            account.receipts("restored").of("a@b")


def test_no_process_starts_before_functions_are_let_in(tmp_path: Path) -> None:
    """An account is built once and played in copies of this process, and each needs rows of its own."""
    with in_virtual_time(tmp_path) as account:
        server = account.database.server(INSTANCE)
        assert isinstance(server, DeferredPostgres)
        with pytest.raises(AssertionError, match="has not begun"):
            _ = server.port
        server.kill()
        account.servers.open(server)
        server.begin()
        assert account.receipts(INSTANCE).of("a@b") == []


def test_models_share_what_their_applications_keep(tmp_path: Path) -> None:
    """They have no rows that could come back, but a first instance that can be down."""
    servers = ModelServers(issue([f"*.{DOMAIN}"], tmp_path / "tls"), tmp_path)
    first, second = servers.make(tmp_path), servers.make(tmp_path)
    receipts = servers.receipts("postgresql://first", str)
    with pytest.raises(StoreUnavailable):
        receipts.add("a@b", "food", b"1")
    first.create("postgres", "secret", DATABASE)
    first.copy_as("before")
    receipts.add("a@b", "food", b"1")
    assert 1 == len(servers.receipts("postgresql://second", str).of("a@b"))
    second.restore(first, "before")
    assert second.is_up()
