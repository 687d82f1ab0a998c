"""How servers end. Apart from the other tests of databases, because pretend accounts do not nest."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from moto import mock_aws

from rehearsal.clock import TwoSpeedClock
from rehearsal.world import postgres
from rehearsal.world.database import SnapshotPlan
from tests.rehearsal.world.conftest import client
from tests.rehearsal.world.services import INSTANCE, create_database, create_instance
from tests.waiting import eventually

pytestmark = pytest.mark.rehearsed


def test_nothing_remains_after_the_rehearsal(tmp_path: Path) -> None:
    """Not even when it ends in the middle of a snapshot."""
    with mock_aws():
        with create_database(TwoSpeedClock(speed=100.0), tmp_path) as database:
            create_instance(database)
            data = database._servers[INSTANCE].data
            server = int((data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
            database.snapshot_plan = SnapshotPlan(seconds=100_000)
            client("rds").create_db_snapshot(DBInstanceIdentifier=INSTANCE, DBSnapshotIdentifier="before")
        assert not data.exists()
        eventually(lambda: not exists(server), seconds=5)


def test_a_server_dies_with_its_parent(tmp_path: Path) -> None:
    """However that ends: PostgreSQL alone would live on."""
    folder = postgres.make_folder()
    program = (
        "import os, signal; from pathlib import Path\n"
        "from rehearsal.world.postgres import PostgresServer\n"
        f"server = PostgresServer(Path({str(folder)!r}), Path({str(tmp_path / 'log')!r}))\n"
        "server.initialise(); server.start()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, cwd=Path.cwd())
    assert ended.returncode == -signal.SIGKILL
    pid_file = folder / "data" / "postmaster.pid"
    try:
        eventually(lambda: not pid_file.exists(), seconds=10)
    finally:
        shutil.rmtree(folder)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
