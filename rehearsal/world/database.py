"""
RDS with real databases: what moto only describes is a PostgreSQL server, and its manual snapshots are copies of it.

In virtual time a model takes the server's place, see `rehearsal.model.postgres`; all else is the same.
A snapshot holds what was committed when its copying ended, a fraction of a wall second after it was asked for.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import quote

from moto.rds.exceptions import DBSnapshotAlreadyExistsError, RDSClientError
from moto.rds.models import DBInstance, DBSnapshot, RDSBackend

from rehearsal.clock import Clock
from rehearsal.world import postgres
from rehearsal.world.network import HOST
from rehearsal.world.overlay import Overlay
from rehearsal.world.postgres import CopyFailed

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


class Server(Protocol):
    """What answers for one instance: `world.postgres` has the real one, `model.postgres` one without a process."""

    @property
    def port(self) -> int:
        """Where it listens, on loopback; the same after it was killed and started."""
        ...

    def create(self, master: str, password: str, database: str | None) -> None:
        """Start an empty server with its master user, who is no superuser on RDS, and perhaps a database of his."""
        ...

    def create_application(self, database: str, username: str, password: str, schema: str) -> None:
        """Create a role that may have tables in the database, and those of `schema`, which are SQL, as its own."""
        ...

    def create_visitor(self, database: str, username: str, password: str) -> None:
        """Create a role that may connect to the database, and nothing else, not even what everybody may."""
        ...

    def start(self) -> None:
        """Let it recover after a `kill`, with all that was committed."""
        ...

    def kill(self) -> None:
        """Break its connections, and refuse new ones. Safe to repeat."""
        ...

    def copy_as(self, name: str) -> None:
        """Keep a copy of all data, as of the end of the copying, by this name. Raises CopyFailed."""
        ...

    def remove(self) -> None:
        """End it, and throw its data and copies away."""
        ...


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
    make_server: what makes an instance's server; it is told which file of `log_directory` is the instance's log.
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
        make_server: Callable[[Path], Server] = postgres.new_server,
    ) -> None:
        self.snapshot_plan = snapshot_plan or SnapshotPlan()
        self._clock = clock
        self._account, self._region = account, region
        self._account_lock = account_lock
        self._log_directory = log_directory
        self._make_server = make_server
        self._overlay = Overlay()
        self._servers: dict[str, Server] = {}
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
        for server in self._servers.values():
            server.remove()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    # -- what the customer's world is built with

    def create_receipts(self, instance: str, username: str, password: str) -> None:
        """Create the application's role and its empty table in the instance's database."""
        self._servers[instance].create_application(self._names[instance], username, password, RECEIPTS)

    def create_visitor(self, instance: str, username: str, password: str) -> None:
        """Create a role that may connect to the instance's database, and nothing else, not even what everybody may."""
        self._servers[instance].create_visitor(self._names[instance], username, password)

    def dsn(self, instance: str, username: str, password: str) -> str:
        """Return what an application on this machine connects with, `postgresql://…`."""
        credentials = f"{quote(username, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{credentials}@{HOST}:{self.port(instance)}/{quote(self._names[instance], safe='')}"

    # -- what others may ask

    def port(self, instance: str) -> int:
        """Where the instance's server listens, on loopback; the same after it was stopped and started."""
        return self._servers[instance].port

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
        server = self._make_server(self._log_directory / f"{name}.log")
        self._servers[name], self._names[name] = server, instance.db_name or "postgres"
        with self._clock.at_real_speed():
            server.create(db_kwargs["master_username"], db_kwargs["master_user_password"], instance.db_name)
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
        created.status = "creating"
        instance.status = "backing-up"
        snapshot = _Snapshot(created, instance, self.snapshot_plan, self._clock.seconds())
        self._snapshots[created.db_snapshot_identifier] = snapshot
        thread = self._clock.thread(self._take, (snapshot,), name="database-snapshot", daemon=True)
        self._copying.append(thread)
        thread.start()
        return created

    def _take(self, snapshot: "_Snapshot") -> None:
        """Copy at real speed, as a handler's work, unless it is to fail; then take as long as was planned."""
        with self._clock.at_real_speed():
            status = "failed" if snapshot.plan.fails else self._copy(snapshot)
            taken = self._clock.now()
        remaining = snapshot.began_seconds + snapshot.plan.seconds - self._clock.seconds()
        if self._ended.wait(max(0.0, remaining)):
            return
        with self._account_lock:
            snapshot.end(status, taken)

    def _copy(self, snapshot: "_Snapshot") -> str:
        """Return the status that comes of it."""
        try:
            self._servers[snapshot.instance.db_instance_identifier].copy_as(snapshot.described.db_snapshot_identifier)
        except CopyFailed:
            return "failed"
        return "available"

    def _percent_progress(self, described: DBSnapshot) -> int | None:
        """None for snapshots that are none of ours."""
        snapshot = self._snapshots.get(described.db_snapshot_identifier)
        return None if snapshot is None else snapshot.percent_progress(self._clock.seconds())


@dataclass(frozen=True)
class _Snapshot:
    described: DBSnapshot
    instance: DBInstance
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
        self.described.status = status
        self.instance.status = "available"


def _snapshot_create_time(snapshot: DBSnapshot) -> datetime | None:
    """None until the snapshot is there: AWS's answer to CreateDBSnapshot has no such time."""
    return snapshot.created if snapshot.status == "available" else None


def _refuse_to_restore(*_: Any) -> None:
    raise NotImplementedError("A restored instance would be empty: nothing restores a snapshot's data yet")
