"""
RDS with real databases: what moto only describes is a PostgreSQL server, and its manual snapshots are copies of it.

A snapshot holds what was committed when its copying ended, a fraction of a wall second after it was asked for.
"""

import shutil
import subprocess
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from moto.rds.exceptions import DBSnapshotAlreadyExistsError, RDSClientError
from moto.rds.models import DBInstance, DBSnapshot, RDSBackend
from pg8000.native import Connection, identifier, literal

from rehearsal.clock import Clock
from rehearsal.world import postgres
from rehearsal.world.network import HOST
from rehearsal.world.overlay import Overlay
from rehearsal.world.postgres import PostgresServer

RECEIPTS = """
CREATE TABLE receipts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL,
    category text NOT NULL,
    content bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX receipts_by_owner ON receipts (owner, id);
"""
"""The receipt application's schema. PostgreSQL tells the time of the machine: its now() is not the simulated one."""

_NOT_YET_ENDED_PERCENT = 99


@dataclass(frozen=True)
class SnapshotPlan:
    """How the snapshots that are asked for from now on will go; in simulated seconds."""

    seconds: float = 90.0
    fails: bool = False


class InstanceNotAvailable(RDSClientError):
    """What CreateDBSnapshot answers for an instance that is busy with something else."""

    def __init__(self, instance: str, status: str) -> None:
        super().__init__(
            "InvalidDBInstanceState",
            f"Cannot create a snapshot because the database instance {instance} is not currently in the available "
            f"state; it is {status}.",
        )


class Database:
    """
    All RDS instances of one account and region.

    An instance is available, and its server answers, when CreateDBInstance returns: instances are older than the
    rehearsal. Each stays the server's for as long as this overlay is installed; data are thrown away with it.

    account_lock: the one that Calls holds during each call.
    """

    def __init__(
        self,
        clock: Clock,
        account: str,
        region: str,
        *,
        account_lock: AbstractContextManager[Any],
        log_directory: Path,
        snapshot_plan: SnapshotPlan | None = None,
    ) -> None:
        self.snapshot_plan = snapshot_plan or SnapshotPlan()
        self._clock = clock
        self._account, self._region = account, region
        self._account_lock = account_lock
        self._log_directory = log_directory
        self._overlay = Overlay()
        self._folder: Path | None = None
        self._servers: dict[str, PostgresServer] = {}
        self._names: dict[str, str] = {}
        self._snapshots: dict[str, _Snapshot] = {}
        self._copying: list[threading.Thread] = []
        self._ended = clock.event()

    # -- the overlay

    def install(self) -> None:
        """Let moto's instances and snapshots be real ones."""
        overlay = self._overlay
        overlay.wrap(RDSBackend, "create_db_instance", self._create_instance)
        overlay.wrap(RDSBackend, "create_db_snapshot", self._create_snapshot)
        overlay.replace(RDSBackend, "restore_db_instance_from_db_snapshot", _refuse_to_restore)
        overlay.replace(RDSBackend, "restore_db_instance_to_point_in_time", _refuse_to_restore)
        overlay.replace(DBSnapshot, "snapshot_create_time", property(_snapshot_create_time))
        overlay.replace(DBSnapshot, "percent_progress", property(self._percent_progress))

    def uninstall(self) -> None:
        """End all servers, give up the snapshots under way, and remove all data."""
        self._overlay.uninstall()
        self._ended.set()
        for server in self._servers.values():
            server.kill()
        for thread in self._copying:
            thread.join()
        if self._folder is not None:
            shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    # -- what the customer's world is built with

    def create_receipts(self, instance: str, username: str, password: str) -> None:
        """Create the application's role and its empty table in the instance's database."""
        role, database = identifier(username), identifier(self._names[instance])
        with closing(self.connect(instance)) as connection:
            connection.run(f"CREATE ROLE {role} LOGIN PASSWORD {literal(password)}")
            connection.run(f"GRANT CONNECT ON DATABASE {database} TO {role}")
            connection.run(f"GRANT USAGE, CREATE ON SCHEMA public TO {role}")
            connection.run(f"SET ROLE {role};{RECEIPTS}")

    def create_visitor(self, instance: str, username: str, password: str) -> None:
        """Create a role that may connect to the instance's database, and nothing else, not even what everybody may."""
        role, database = identifier(username), identifier(self._names[instance])
        with closing(self.connect(instance)) as connection:
            connection.run(f"CREATE ROLE {role} LOGIN PASSWORD {literal(password)}")
            connection.run(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
            connection.run("REVOKE ALL ON SCHEMA public FROM PUBLIC")
            connection.run(f"GRANT CONNECT ON DATABASE {database} TO {role}")

    def dsn(self, instance: str, username: str, password: str) -> str:
        """Return what an application on this machine connects with, `postgresql://…`."""
        credentials = f"{quote(username, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{credentials}@{HOST}:{self.port(instance)}/{quote(self._names[instance], safe='')}"

    # -- what others may ask

    def port(self, instance: str) -> int:
        """Where the instance's server listens, on loopback; the same after it was stopped and started."""
        return self._servers[instance].port

    def connect(self, instance: str) -> Connection:
        """Connect to the instance's database as superuser. Raises pg8000's InterfaceError when its server is down."""
        return self._servers[instance].connect(self._names[instance])

    def copy_of(self, snapshot: str) -> Path:
        """Return the data folder that a finished snapshot is. Raises KeyError when there is none."""
        return self._snapshots[snapshot].copy

    # -- faults

    def stop(self, instance: str) -> None:
        """Kill the instance's server: connections break, new ones are refused. RDS goes on calling it available."""
        self._servers[instance].kill()

    def start(self, instance: str) -> None:
        """Let a stopped server recover, with all that was committed."""
        with self._clock.at_real_speed():
            self._servers[instance].start()

    # -- moto's methods

    def _create_instance(
        self, original: Callable[..., DBInstance], backend: RDSBackend, db_kwargs: dict[str, Any]
    ) -> DBInstance:
        if db_kwargs["engine"] != "postgres":
            raise NotImplementedError(f"A rehearsal's instances are PostgreSQL, not {db_kwargs['engine']}")
        instance = original(backend, db_kwargs)
        name = instance.db_instance_identifier
        if self._folder is None:
            self._folder = postgres.make_folder()
        server = PostgresServer(postgres.make_folder(self._folder), self._log_directory / f"{name}.log")
        with self._clock.at_real_speed():
            server.initialise()
            server.start()
        self._servers[name], self._names[name] = server, instance.db_name or "postgres"
        _create_database(server, instance, db_kwargs["master_user_password"])
        return instance

    def _create_snapshot(
        self,
        original: Callable[..., DBSnapshot],
        backend: RDSBackend,
        db_instance_identifier: str,
        db_snapshot_identifier: str,
        snapshot_type: str = "manual",
        **kwargs: Any,
    ) -> DBSnapshot:
        """
        Start a snapshot.

        The instance is backing-up until the snapshot ends. AWS documents that state and that a snapshot needs an
        available instance, but not when the one returns to the other: on AWS that may be earlier. Nor does it tell
        which error wins for a second request with the same identifier; here that is DBSnapshotAlreadyExists.
        """
        instance = backend.databases.get(db_instance_identifier)
        if instance is not None and snapshot_type == "manual":
            if db_snapshot_identifier in backend.database_snapshots:
                raise DBSnapshotAlreadyExistsError(db_snapshot_identifier)
            if instance.status != "available":
                raise InstanceNotAvailable(db_instance_identifier, instance.status)
        created = original(backend, db_instance_identifier, db_snapshot_identifier, snapshot_type, **kwargs)
        if snapshot_type != "manual":  # moto's own record of the automated backups; nothing can be restored from it
            return created
        assert instance is not None
        assert self._folder is not None
        created.status = "creating"
        instance.status = "backing-up"
        copy = postgres.make_folder(self._folder) / "data"
        snapshot = _Snapshot(created, instance, copy, self.snapshot_plan, self._clock.seconds())
        self._snapshots[created.db_snapshot_identifier] = snapshot
        thread = self._clock.thread(self._take, (snapshot,), name="database-snapshot", daemon=True)
        self._copying.append(thread)
        thread.start()
        return created

    def _take(self, snapshot: "_Snapshot") -> None:
        """Copy at real speed, as a handler's work, then take as long as was planned."""
        status = "failed" if snapshot.plan.fails else "available"
        with self._clock.at_real_speed():
            try:
                self._servers[snapshot.instance.db_instance_identifier].copy_to(snapshot.copy)
            except subprocess.CalledProcessError:  # as when the server is down
                status = "failed"
            taken = self._clock.now()
        remaining = snapshot.began_seconds + snapshot.plan.seconds - self._clock.seconds()
        if self._ended.wait(max(0.0, remaining)):
            return
        with self._account_lock:
            snapshot.end(status, taken)

    def _percent_progress(self, described: DBSnapshot) -> int | None:
        """None for snapshots that are none of ours."""
        snapshot = self._snapshots.get(described.db_snapshot_identifier)
        return None if snapshot is None else snapshot.percent_progress(self._clock.seconds())


@dataclass(frozen=True)
class _Snapshot:
    described: DBSnapshot
    instance: DBInstance
    copy: Path
    plan: SnapshotPlan
    began_seconds: float

    def percent_progress(self, now_seconds: float) -> int:
        if self.described.status == "available":
            return 100
        share = (now_seconds - self.began_seconds) / self.plan.seconds if self.plan.seconds else 1.0
        return min(int(100 * share), _NOT_YET_ENDED_PERCENT)

    def end(self, status: str, taken: datetime) -> None:
        if status == "available":
            self.described.created = taken.astimezone(UTC).replace(tzinfo=None)  # moto's times are naive
        else:
            shutil.rmtree(self.copy, ignore_errors=True)
        self.described.status = status
        self.instance.status = "available"


def _create_database(server: PostgresServer, instance: DBInstance, password: str) -> None:
    """Create the master user, who is no superuser on RDS, and the first database as his."""
    master = identifier(instance.master_username)
    with closing(server.connect()) as connection:
        connection.run(f"CREATE ROLE {master} LOGIN CREATEDB CREATEROLE PASSWORD {literal(password)}")
        if instance.db_name:
            connection.run(f"CREATE DATABASE {identifier(instance.db_name)} OWNER {master}")


def _snapshot_create_time(snapshot: DBSnapshot) -> datetime | None:
    """None until the snapshot is there: AWS's answer to CreateDBSnapshot has no such time."""
    return snapshot.created if snapshot.status == "available" else None


def _refuse_to_restore(*_: Any) -> None:
    raise NotImplementedError("A restored instance would be empty: nothing restores a snapshot's data yet")
