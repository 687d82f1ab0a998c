"""
RDS with real databases: what moto only describes is a PostgreSQL server, and its manual snapshots are copies of it.

What is restored from a snapshot is another server, with the copy's data. A restore to a moment rolls the last copy from
before it forward, by the server's log: backups reach back to the instance's first snapshot.

In virtual time a model takes the server's place, see `rehearsal.model.postgres`; all else is the same.
A snapshot holds what was committed when its copying ended, a fraction of a wall second after it was asked for.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

from moto.core.responses import ActionResult
from moto.rds.exceptions import (
    DBInstanceAlreadyExists,
    DBParameterGroupNotFoundError,
    DBSnapshotAlreadyExistsError,
)
from moto.rds.models import DBInstance, DBSnapshot, RDSBackend
from moto.rds.responses import RDSResponse

from rehearsal.clock import Clock
from rehearsal.world import postgres, restores
from rehearsal.world.network import HOST
from rehearsal.world.overlay import Overlay
from rehearsal.world.postgres import CopyFailed
from rehearsal.world.restores import AVAILABLE, CREATING, MODIFYING, RestorePlan
from rehearsal.world.servers import Server, url
from rehearsal.world.shared_snapshots import NoKey, NotRestorable, SharedSnapshot, SharedSnapshots
from rehearsal.world.wall_times import WallTimes

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
_BACKUP_HOUR = 2
_NOBODYS_PORT = 1
_QUOTAS: Mapping[str, int] = {"AllocatedStorage": 100_000, "DBInstances": 40, "ManualSnapshots": 100}
"""What an account may have: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html"""
_BEHIND = timedelta(minutes=5)
"""How far automated backups are behind: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIT.html"""


@dataclass(frozen=True)
class SnapshotPlan:
    """How the snapshots that are asked for from now on will go; in simulated seconds."""

    seconds: float = 90.0
    fails: bool = False


class Database:
    """
    All RDS instances of one account and region.

    An instance is available, and its server answers, when CreateDBInstance returns: instances are older than the
    rehearsal. Each stays the server's for as long as this overlay is installed; data are thrown away with it.

    account_lock: the one that Calls holds during each call.
    make_server: what makes an instance's server; it is told which file of `log_directory` is the instance's log.
    domain: what stands behind the instance's name in its endpoint; the same for all of an account and region.
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
        domain: str | None = None,
    ) -> None:
        self.snapshot_plan = snapshot_plan or SnapshotPlan()
        self.restore_plan = RestorePlan()
        self.quotas = dict(_QUOTAS)
        self._clock = clock
        self._account, self._region = account, region
        self._account_lock = account_lock
        self._log_directory = log_directory
        self._make_server = make_server
        self._domain = domain or f"aaaaaaaaaa.{region}.rds.amazonaws.com"
        self._overlay = Overlay()
        self._servers: dict[str, Server] = {}
        self._names: dict[str, str] = {}
        self._described: dict[str, DBInstance] = {}
        self._reachable: set[str] = set()
        self._aliases: dict[str, str] = {}
        self._snapshots: dict[str, _Snapshot] = {}
        self._at_work: list[threading.Thread] = []
        self._openers: list[Callable[[str], object]] = []
        self._ended = clock.event()
        self._wall_times = WallTimes(clock, self._ended)
        self._shared = SharedSnapshots(account)

    # -- the overlay

    def install(self) -> None:
        """Let moto's instances and snapshots be real ones."""
        overlay = self._overlay
        self._describe_new = RDSBackend.create_db_instance
        overlay.wrap(RDSBackend, "create_db_instance", self._create_instance)
        overlay.wrap(RDSBackend, "create_db_snapshot", self._create_snapshot)
        overlay.wrap(RDSBackend, "copy_db_snapshot", self._copy_snapshot)
        overlay.wrap(RDSResponse, "describe_db_snapshots", self._describe_snapshots)
        overlay.wrap(RDSBackend, "modify_db_instance", self._modify_instance)
        overlay.wrap(RDSBackend, "restore_db_instance_from_db_snapshot", self._restore_snapshot)
        overlay.wrap(RDSBackend, "restore_db_instance_to_point_in_time", self._restore_moment)
        overlay.replace(RDSResponse, "describe_account_attributes", _as_function(self._account_attributes))
        overlay.replace(DBInstance, "address", property(self._address))
        overlay.replace(DBInstance, "endpoint", property(_endpoint))
        overlay.replace(DBInstance, "latest_restorable_time", property(self._latest_restorable_time))
        overlay.replace(DBSnapshot, "snapshot_create_time", property(_snapshot_create_time))
        overlay.replace(DBSnapshot, "percent_progress", property(self._percent_progress))

    def uninstall(self) -> None:
        """End all servers, give up the snapshots under way, and remove all data."""
        self._overlay.uninstall()
        self._ended.set()
        for server in self._servers.values():
            server.kill()
        for thread in self._at_work:
            thread.join()
        self.remove_servers()

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
        return url(username, password, HOST, self.port(instance), self._names[instance])

    def local(self, asked: str) -> str:
        """Return the same URL with the place on this machine; nobody answers there for a host that is no instance's."""
        parts = urlsplit(asked)
        instance = self.instance_at(parts.hostname or "")
        port = _NOBODYS_PORT if instance is None else self.port(instance)
        return parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{HOST}:{port}").geturl()

    def server(self, instance: str) -> Server:
        """Return what answers for an instance."""
        return self._servers[instance]

    def remove_servers(self) -> None:
        """End them, and throw their data away."""
        for server in self._servers.values():
            server.remove()

    def share(self, account: str, snapshot: str, name: str) -> str:
        """
        Let another account have a copy of a snapshot, encrypted with a key of its own, and share it with this one.

        Return its ARN.
        """
        taken = self._snapshots[snapshot]
        owner, place = taken.instance.db_instance_identifier, f"{self._region}:{account}"
        arn = f"arn:aws:rds:{place}:snapshot:{name}"
        self._servers[owner].copy_again(snapshot, arn)
        key = f"arn:aws:kms:{place}:key/0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"
        self._shared.add(SharedSnapshot(arn, key, taken.described, owner))
        return arn

    # -- what others may ask

    def endpoint(self, instance: str) -> tuple[str, int]:
        """Return host and port of an instance as RDS tells them."""
        return f"{instance}.{self._domain}", int(self._described[instance].port or 0)

    def instance_at(self, host: str) -> str | None:
        """Return the instance that is reached by this host, if it can be reached."""
        name = self._aliases.get(host.lower(), host.lower().removesuffix(f".{self._domain}"))
        return name if name in self._reachable else None

    def run(self, instance: str, statement: str) -> list[Any] | None:
        """
        Run SQL in the application's database, as who owns the server, and return the rows.

        None where nobody answers, or where there are none, as in a model.
        """
        with self._clock.at_real_speed():
            return self._servers[instance].run(self._names[instance], statement)

    def also_call(self, instance: str, host: str) -> None:
        """Let an instance be reached by a name of the customer's own, too."""
        self._aliases[host.lower()] = instance

    def on_reachable(self, opener: Callable[[str], object]) -> None:
        """Call back with the name of each instance that is restored from now on, before RDS calls it available."""
        self._openers.append(opener)

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

    def _account_attributes(self, response: RDSResponse) -> ActionResult:
        """Tell how much there is of what the account may have only so much of."""
        backend = response.backend
        used = {
            "AllocatedStorage": sum(int(each.allocated_storage or 0) for each in backend.databases.values()),
            "DBInstances": len(backend.databases),
            "ManualSnapshots": sum(each.snapshot_type == "manual" for each in backend.database_snapshots.values()),
        }
        quotas = [
            {"AccountQuotaName": name, "Used": used[name], "Max": maximum} for name, maximum in self.quotas.items()
        ]
        return ActionResult({"AccountQuotas": quotas})

    def _create_instance(
        self, original: Callable[..., DBInstance], backend: RDSBackend, db_kwargs: dict[str, Any]
    ) -> DBInstance:
        if db_kwargs["engine"] != "postgres":
            raise NotImplementedError(f"A rehearsal's instances are PostgreSQL, not {db_kwargs['engine']}")
        instance = original(backend, db_kwargs)
        restores.apply(instance, db_kwargs)
        server = self._add(instance)
        self._reachable.add(instance.db_instance_identifier)
        with self._clock.at_real_speed():
            server.create(db_kwargs["master_username"], db_kwargs["master_user_password"], instance.db_name)
        return instance

    def _add(self, instance: DBInstance) -> Server:
        """Make the server of a new instance; there is nothing in it yet."""
        name = instance.db_instance_identifier
        server = self._make_server(self._log_directory / f"{name}.log")
        self._servers[name], self._names[name] = server, instance.db_name or "postgres"
        self._described[name] = instance
        return server

    def _describe_snapshots(self, original: Callable[..., ActionResult], response: RDSResponse) -> ActionResult:
        if self._shared.is_foreign(response.params.get("DBSnapshotIdentifier")):
            return ActionResult(self._shared.describe(response.params))
        return original(response)

    def _copy_snapshot(
        self,
        original: Callable[..., DBSnapshot],
        backend: RDSBackend,
        source_db_snapshot_identifier: str,
        target_db_snapshot_identifier: str,
        kms_key_id: str | None = None,
        tags: list[dict[str, str]] | None = None,
        **more: Any,
    ) -> DBSnapshot:
        """Begin to copy what another account shares; it takes as long as a snapshot does."""
        if not self._shared.is_foreign(source_db_snapshot_identifier):
            return original(
                backend, source_db_snapshot_identifier, target_db_snapshot_identifier, kms_key_id, tags, **more
            )
        if target_db_snapshot_identifier in backend.database_snapshots:
            raise DBSnapshotAlreadyExistsError(target_db_snapshot_identifier)
        shared = self._shared.find(source_db_snapshot_identifier)
        if not kms_key_id:
            raise NoKey(shared.arn)
        of = shared.described.database
        made = DBSnapshot(backend, of, target_db_snapshot_identifier, tags=tags, kms_key_id=kms_key_id)
        copy = cast("DBSnapshot", made)  # moto's metaclass hides what it makes
        copy.status = CREATING
        backend.database_snapshots[target_db_snapshot_identifier] = copy
        instance = backend.databases[shared.server]
        snapshot = _Snapshot(copy, instance, self.snapshot_plan, self._clock.seconds(), copied_from=shared.arn)
        self._snapshots[copy.db_snapshot_identifier] = snapshot
        self._begin(lambda: self._take(snapshot), "database-snapshot-copy")
        return copy

    def _restore_snapshot(
        self, _: Callable[..., DBInstance], backend: RDSBackend, from_snapshot_id: str, overrides: Mapping[str, Any]
    ) -> DBInstance:
        """Begin to restore: the instance is described at once, and has no endpoint before its data is there."""
        if self._shared.is_foreign(from_snapshot_id):
            raise NotRestorable(from_snapshot_id)
        name = from_snapshot_id.rpartition(":")[2] if from_snapshot_id.startswith("arn:") else from_snapshot_id
        (described,) = backend.describe_db_snapshots(db_instance_identifier=None, db_snapshot_identifier=name)
        if overrides["db_instance_identifier"] in backend.databases:
            raise DBInstanceAlreadyExists
        restores.require_available(described)
        settings = restores.settings_of_restored(described.database, overrides, described)
        source = self._servers[self._snapshots[name].instance.db_instance_identifier]
        return self._restore(backend, settings, overrides, lambda server: server.restore(source, name))

    def _restore_moment(
        self,
        _: Callable[..., DBInstance],
        backend: RDSBackend,
        source_db_identifier: str,
        target_db_identifier: str,
        overrides: Mapping[str, Any],
    ) -> DBInstance:
        """Begin to restore what an instance held at a moment, which a snapshot must be older than."""
        (source,) = backend.describe_db_instances(db_instance_identifier=source_db_identifier)
        if target_db_identifier in backend.databases:
            raise DBInstanceAlreadyExists
        if not source.backup_retention_period:
            raise restores.NoBackups(source_db_identifier)
        moment = _moment(overrides["restore_time"])
        base, wall = self._newest_before(source_db_identifier, moment), self._wall_times.at(moment)
        former = self._servers[source_db_identifier]
        is_known = base is not None and (wall is not None or not former.keeps_log)
        if not is_known or moment > self._clock.now() - _BEHIND:
            raise restores.NoSuchMoment(source_db_identifier)
        settings = restores.settings_of_restored(source, {**overrides, "db_instance_identifier": target_db_identifier})
        return self._restore(
            backend, settings, overrides, lambda server: server.roll_forward(former, str(base), wall or 0.0)
        )

    def _newest_before(self, instance: str, moment: datetime) -> str | None:
        """Return the last snapshot of an instance that was complete by a moment."""
        taken = {
            name: each.described.created.replace(tzinfo=UTC)
            for name, each in self._snapshots.items()
            if each.instance.db_instance_identifier == instance and each.described.status == AVAILABLE
            if not each.copied_from
        }
        return max((name for name, at in taken.items() if at <= moment), key=taken.__getitem__, default=None)

    def _restore(
        self,
        backend: RDSBackend,
        settings: dict[str, Any],
        request: Mapping[str, Any],
        fill: Callable[[Server], None],
    ) -> DBInstance:
        instance = self._describe_new(backend, settings)
        restores.apply(instance, request)
        instance.status = CREATING
        server, plan, began = self._add(instance), self.restore_plan, self._clock.seconds()

        def restore() -> None:
            with self._clock.at_real_speed():
                if plan.status == AVAILABLE:
                    fill(server)
            if not self._ended.wait(max(0.0, began + plan.seconds - self._clock.seconds())):
                self._end_restore(instance, plan.status)

        self._begin(restore, "database-restore")
        return instance

    def _end_restore(self, instance: DBInstance, status: str) -> None:
        """Let it be reached before anybody can know that it is available."""
        name = instance.db_instance_identifier
        if status == AVAILABLE:
            self._reachable.add(name)
            for opener in self._openers:
                opener(name)
        with self._account_lock:
            instance.status = status

    def _modify_instance(
        self, original: Callable[..., DBInstance], backend: RDSBackend, identifier: str, request: Mapping[str, Any]
    ) -> DBInstance:
        """
        Change it after a while, as with ApplyImmediately; what waits for a maintenance window is none of a rehearsal's.

        A parameter group that does not exist is refused at once.
        """
        instance = backend.databases.get(identifier)
        if instance is None:
            return original(backend, identifier, request)
        if instance.status != AVAILABLE:
            raise restores.InstanceBusy(identifier, instance.status)
        group = request.get("db_parameter_group_name")
        if group and group not in backend.db_parameter_groups:
            raise DBParameterGroupNotFoundError(group)
        instance.status = MODIFYING
        settings, seconds = dict(request.items()), self.restore_plan.modify_seconds

        def modify() -> None:
            if self._ended.wait(seconds):
                return
            if password := settings.get("master_user_password"):
                self.run(identifier, f"ALTER ROLE {instance.master_username} PASSWORD '{password}'")
            with self._account_lock:
                original(backend, identifier, settings)
                restores.apply(instance, settings)
                instance.status = AVAILABLE

        self._begin(modify, "database-change")
        return instance

    def _begin(self, work: Callable[[], None], name: str) -> None:
        thread = self._clock.thread(work, name=name, daemon=True)
        self._at_work.append(thread)
        thread.start()

    def _address(self, instance: DBInstance) -> str:
        return f"{instance.db_instance_identifier}.{self._domain}"

    def _latest_restorable_time(self, instance: DBInstance) -> datetime | None:
        """None as long as there is no backup."""
        if not instance.backup_retention_period or instance.status == CREATING:
            return None
        return (self._clock.now() - _BEHIND).astimezone(UTC).replace(tzinfo=None)  # moto's times are naive

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
                raise restores.InstanceBusy(db_instance_identifier, instance.status)
        if snapshot_type != "manual":  # moto's own record of the automated backups; nothing can be restored from it
            taken = self._last_backup()
            name = f"rds:{db_instance_identifier}-{taken:%Y-%m-%d-%H-%M}"
            backup = original(backend, db_instance_identifier, name, snapshot_type, **kwargs)
            backup.created = taken.replace(tzinfo=None)  # moto's times are naive
            return backup
        created = original(backend, db_instance_identifier, db_snapshot_identifier, snapshot_type, **kwargs)
        assert instance is not None
        created.status = "creating"
        instance.status = "backing-up"
        snapshot = _Snapshot(created, instance, self.snapshot_plan, self._clock.seconds())
        self._snapshots[created.db_snapshot_identifier] = snapshot
        self._begin(lambda: self._take(snapshot), "database-snapshot")
        return created

    def _last_backup(self) -> datetime:
        """Return when the window was, by the rehearsal's time, in which RDS backs all instances up every night."""
        now = self._clock.now().astimezone(UTC)
        tonight = now.replace(hour=_BACKUP_HOUR, minute=0, second=0, microsecond=0)
        return tonight if tonight <= now else tonight - timedelta(days=1)

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
        """Return the status that comes of it. What is written from now on can be restored to any of its moments."""
        server = self._servers[snapshot.instance.db_instance_identifier]
        if snapshot.copied_from:
            server.copy_again(snapshot.copied_from, snapshot.described.db_snapshot_identifier)
            return "available"
        try:
            server.copy_as(snapshot.described.db_snapshot_identifier)
        except CopyFailed:
            return "failed"
        if server.keeps_log:
            self._wall_times.begin()
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
    copied_from: str = ""

    def percent_progress(self, now_seconds: float) -> int:
        if self.described.status == "available":
            return 100
        share = (now_seconds - self.began_seconds) / self.plan.seconds if self.plan.seconds else 1.0
        return min(int(100 * share), _NOT_YET_ENDED_PERCENT)

    def end(self, status: str, taken: datetime) -> None:
        if status == "available":
            self.described.created = taken.astimezone(UTC).replace(tzinfo=None)  # moto's times are naive
        self.described.status = status
        if not self.copied_from:
            self.instance.status = "available"


def _snapshot_create_time(snapshot: DBSnapshot) -> datetime | None:
    """None until the snapshot is there: AWS's answer to CreateDBSnapshot has no such time."""
    return snapshot.created if snapshot.status == "available" else None


def _endpoint(instance: DBInstance) -> dict[str, Any] | None:
    """None until it can be reached: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBInstance.html."""
    return None if instance.status == CREATING else {"Address": instance.address, "Port": instance.port}


def _moment(given: Any) -> datetime:
    """Read the moment that a request names, whichever way it came."""
    read = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _as_function(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what moto takes for one of a class's own: it looks for functions, and a bound method is none."""

    def function(response: Any) -> Any:
        return method(response)

    return function
