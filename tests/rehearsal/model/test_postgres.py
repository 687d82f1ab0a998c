"""The real database server and its model: who asks as the shipped function does cannot tell which one it is."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from lambdas.checks.postgres import Postgres
from lambdas.checks.rules import DatabaseAddress
from lambdas.database.login_rules import Credentials
from lambdas.errors import DataStoreUnreachable
from rehearsal.engine.virtual import VirtualTime
from rehearsal.model.postgres import ModelPostgres
from rehearsal.world.certificates import Certificate, issue
from rehearsal.world.database import Database, SnapshotPlan
from rehearsal.world.postgres import CopyFailed, PostgresServer, new_server
from rehearsal.world.servers import Server
from rehearsal.world.tls_front import TlsFronts

NAME = "localhost"
DATABASE, INSTANCE = "receiptvault", "receipts-database"
VISITOR = Credentials("visitor", "a visitor's")
APPLICATION = Credentials("receipts", "p@ss/w'ord")


@dataclass(frozen=True)
class Reached:
    """A server, the port on which it speaks TLS, and the certificate that it presents there."""

    server: PostgresServer | ModelPostgres
    port: int
    certificate: Certificate

    @property
    def check(self) -> Postgres:
        """The shipped function's way."""
        trusted = self.certificate.authority_file
        return Postgres(DatabaseAddress(NAME, self.port, DATABASE, "arn", trusted.name), trusted.parent)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Connect as the function does."""
        trust = ssl.create_default_context(cafile=self.certificate.authority_file)
        login = {"password": VISITOR.password, "database": DATABASE}
        with socket.create_connection((NAME, self.port), timeout=10) as plain:
            connection = Connection(VISITOR.username, host=NAME, sock=plain, ssl_context=trust, **login)
            yield connection
            with suppress(InterfaceError):  # it may be broken by now
                connection.close()


def with_users(server: Server) -> None:
    server.create("postgres_admin", "only the master's", DATABASE)
    server.create_application(DATABASE, APPLICATION.username, APPLICATION.password, "CREATE TABLE receipts ()")
    server.create_visitor(DATABASE, VISITOR.username, VISITOR.password)


def modelled(stack: ExitStack, folder: Path, certificate: Certificate) -> Reached:
    del folder
    server = ModelPostgres()
    with_users(server)
    stack.callback(server.remove)
    return Reached(server, server.listen(certificate), certificate)


def real(stack: ExitStack, folder: Path, certificate: Certificate) -> Reached:
    server = new_server(folder / "postgres.log")
    stack.callback(server.remove)
    with_users(server)
    fronts = TlsFronts(certificate, folder)
    stack.callback(fronts.stop)
    return Reached(server, fronts.open("postgresql", server.port), certificate)


@pytest.fixture(scope="module", params=[modelled, pytest.param(real, marks=pytest.mark.rehearsed)])
def reached(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    folder = tmp_path_factory.mktemp("database")
    with ExitStack() as stack:
        yield request.param(stack, folder, issue([NAME], folder / "tls"))


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Reached]:
    with ExitStack() as stack:
        yield modelled(stack, tmp_path, issue([NAME], tmp_path / "tls"))


def problem(reached: Reached, credentials: Credentials, **address: Any) -> str:
    check = reached.check
    with pytest.raises(DataStoreUnreachable) as raised:
        replace(check, address=replace(check.address, **address)).answer(credentials)
    return str(raised.value).rpartition(": ")[2]


# What both do


@pytest.mark.parametrize("credentials", [VISITOR, APPLICATION, Credentials("postgres_admin", "only the master's")])
def test_whoever_knows_the_password_is_answered(reached: Reached, credentials: Credentials) -> None:
    reached.check.answer(credentials)


@pytest.mark.parametrize("credentials", [replace(VISITOR, password="guessed"), Credentials("nobody", "guessed")])
def test_whoever_guesses_is_refused_and_not_told_what_was_wrong(reached: Reached, credentials: Credentials) -> None:
    assert "SQLSTATE 28P01." == problem(reached, credentials)


def test_another_database_is_not_there(reached: Reached) -> None:
    assert "SQLSTATE 3D000." == problem(reached, APPLICATION, name="another")


def test_a_killed_server_is_down_until_it_is_started_at_the_same_port(reached: Reached) -> None:
    with reached.connected() as connection:
        assert [[1]] == connection.run("SELECT 1")
        reached.server.kill()
        reached.server.kill()
        with pytest.raises(InterfaceError):
            connection.run("SELECT 1")
        with pytest.raises(DataStoreUnreachable):
            reached.check.answer(VISITOR)
        reached.server.start()
        reached.check.answer(VISITOR)


def test_without_tls_there_is_no_answer(reached: Reached) -> None:
    startup = struct.pack("!ii", 22, 196608) + b"user\0visitor\0\0"
    with socket.create_connection((NAME, reached.port), timeout=10) as client:
        client.sendall(startup)
        with suppress(ConnectionResetError):
            assert b"" == client.recv(1)


def test_another_authority_is_not_trusted(reached: Reached, tmp_path: Path) -> None:
    another = replace(reached, certificate=issue([NAME], tmp_path / "another"))
    assert "SSLCertVerificationError." == problem(another, VISITOR)


def test_queries_are_prepared_as_well_and_a_wrong_one_ends_nothing(reached: Reached) -> None:
    with reached.connected() as connection:
        prepared = connection.prepare("SELECT 1")
        assert [[1]] == prepared.run()
        assert [[1]] == prepared.run()
        prepared.close()
        with pytest.raises(DatabaseError):
            connection.run("SELECT something")
        with pytest.raises(DatabaseError):
            connection.prepare("SELECT something")
        assert [[1]] == connection.run("select 1;")


def test_what_is_down_cannot_be_copied(reached: Reached) -> None:
    reached.server.copy_as("before")
    reached.server.kill()
    with pytest.raises(CopyFailed):
        reached.server.copy_as("after")
    reached.server.start()
    assert ["before"] == list(reached.server.copies)


# What only the model does


def test_nothing_is_opened_before_the_model_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made in one process and used in others that are forked from it."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("opened too early")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    server = ModelPostgres()
    assert not server.is_up()
    with_users(server)
    assert server.is_up()
    server.kill()
    assert not server.is_up()
    server.start()
    server.copy_as("before")
    server.remove()


def test_it_may_listen_while_it_is_down(certificate: Certificate) -> None:
    server = ModelPostgres()
    with_users(server)
    server.kill()
    reached = Reached(server, server.listen(certificate), certificate)
    assert "ConnectionRefusedError." == problem(reached, VISITOR)
    server.start()
    reached.check.answer(VISITOR)
    server.remove()
    assert "ConnectionRefusedError." == problem(reached, VISITOR)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return issue([NAME], tmp_path / "tls")


def test_nothing_is_left_of_it(certificate: Certificate) -> None:
    """Not even of a client that is in the middle of something."""
    before = threading.active_count()
    server = ModelPostgres()
    with_users(server)
    port = server.listen(certificate)
    with socket.create_connection((NAME, port), timeout=10) as silent:
        silent.sendall(struct.pack("!ii", 8, 80877103))
        assert b"S" == silent.recv(1)
        server.remove()
        assert b"" == silent.recv(1)
    assert threading.active_count() == before
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as another:
        another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        another.bind(("127.0.0.1", port))


def test_another_protocol_is_refused_in_its_own_words(model: Reached) -> None:
    trust = ssl.create_default_context(cafile=model.certificate.authority_file)
    with socket.create_connection((NAME, model.port), timeout=10) as plain:
        plain.sendall(struct.pack("!ii", 8, 80877103))
        assert b"S" == plain.recv(1)
        with trust.wrap_socket(plain, server_hostname=NAME) as client:
            client.sendall(struct.pack("!ii", 8, 2 << 16))
            assert client.recv(1000).startswith(b"E")


def test_it_answers_while_virtual_time_stands_still(model: Reached) -> None:
    """Its threads take no part in virtual time: who asks it holds the baton, and no second passes."""
    with VirtualTime() as virtual:
        asking = virtual.clock.thread(model.check.answer, (VISITOR,))
        asking.start()
        asking.join()
        model.server.kill()
        model.server.start()
        model.check.answer(VISITOR)
        assert 0 == virtual.clock.seconds()


# Snapshots in virtual time


@dataclass(frozen=True)
class Account:
    """An account in virtual time that has one instance."""

    virtual: VirtualTime
    database: Database
    server: ModelPostgres
    rds: Any

    def take_snapshot(self, plan: SnapshotPlan) -> None:
        self.database.snapshot_plan = plan
        self.rds.create_db_snapshot(DBInstanceIdentifier=INSTANCE, DBSnapshotIdentifier="before")

    def snapshot(self) -> dict[str, Any]:
        found: dict[str, Any]
        (found,) = self.rds.describe_db_snapshots(DBSnapshotIdentifier="before")["DBSnapshots"]
        return found

    def progress(self) -> tuple[float, str, int]:
        """Return second, status and percent."""
        found = self.snapshot()
        return self.virtual.clock.seconds(), found["Status"], found["PercentProgress"]

    def instance_status(self) -> str:
        (instance,) = self.rds.describe_db_instances(DBInstanceIdentifier=INSTANCE)["DBInstances"]
        return str(instance["DBInstanceStatus"])

    def progress_every(self, seconds: int, times: int) -> list[tuple[float, str, int]]:
        seen = [self.progress()]
        for _ in range(times):
            self.virtual.sleep(seconds)
            seen.append(self.progress())
        return seen


@contextmanager
def in_virtual_time(folder: Path, seed: int = 0) -> Iterator[Account]:
    server = ModelPostgres()
    with VirtualTime(seed) as virtual, mock_aws():
        database = Database(
            virtual.clock,
            "123456789012",
            "eu-west-1",
            account_lock=nullcontext(),
            log_directory=folder,
            make_server=lambda _: server,
        )
        rds = boto3.client("rds", "eu-west-1", aws_access_key_id="A" * 20, aws_secret_access_key="test")
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
            database.create_receipts(INSTANCE, APPLICATION.username, APPLICATION.password)
            database.create_visitor(INSTANCE, VISITOR.username, VISITOR.password)
            yield Account(virtual, database, server, rds)


def test_a_snapshot_takes_the_planned_seconds_to_the_second(tmp_path: Path) -> None:
    with in_virtual_time(tmp_path) as account:
        account.virtual.sleep(10)
        account.take_snapshot(SnapshotPlan(seconds=90))
        expected = [(10, "creating", 0), (40, "creating", 33), (70, "creating", 66)]
        assert expected == account.progress_every(30, times=2)
        account.virtual.sleep(29.999999)
        assert (99.999999, "creating", 99) == account.progress()
        assert "backing-up" == account.instance_status()
        account.virtual.run_until(lambda: account.instance_status() == "available")
        assert (100, "available", 100) == account.progress()
        assert ["before"] == list(account.server.copies)


def test_two_runs_of_a_seed_are_the_same(tmp_path: Path) -> None:
    def run() -> tuple[object, ...]:
        with in_virtual_time(tmp_path, seed=7) as account:
            account.take_snapshot(SnapshotPlan(seconds=90))
            progress = account.progress_every(7, times=14)
            return progress, account.snapshot()["SnapshotCreateTime"], account.virtual.trace.digest

    assert run() == run()


def _planned(account: Account) -> SnapshotPlan:
    del account
    return SnapshotPlan(seconds=20, fails=True)


def _of_a_dead_server(account: Account) -> SnapshotPlan:
    account.database.stop(INSTANCE)
    return SnapshotPlan(seconds=20)


@pytest.mark.parametrize("failing", [_planned, _of_a_dead_server])
def test_a_snapshot_fails_at_its_second(tmp_path: Path, failing: Callable[[Account], SnapshotPlan]) -> None:
    with in_virtual_time(tmp_path) as account:
        account.take_snapshot(failing(account))
        account.virtual.sleep(19)
        assert (19, "creating", 95) == account.progress()
        account.virtual.run_until(lambda: account.instance_status() == "available")
        assert (20, "failed", 99) == account.progress()
        assert not account.server.copies


def test_a_snapshot_under_way_is_given_up_at_once_with_the_account(tmp_path: Path) -> None:
    before = threading.active_count()
    with ExitStack() as open_account:
        account = open_account.enter_context(in_virtual_time(tmp_path))
        account.take_snapshot(SnapshotPlan(seconds=100_000))
        account.virtual.sleep(10)
        seconds = account.virtual.clock.seconds
        account.database.uninstall()
        assert 10 == seconds()
    assert threading.active_count() == before
