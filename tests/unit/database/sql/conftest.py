"""PostgreSQL as RDS has it: a master user who is no superuser, and an application whose role he has created."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count

import pytest
from pg8000.exceptions import InterfaceError
from pg8000.native import Connection

from lambdas.database.postgres import _ALIKE, Session, quoted, quoted_value
from rehearsal.world.network import HOST
from rehearsal.world.postgres import PostgresServer, new_server

MASTER, MASTER_PASSWORD = "postgres_admin", "canary-of-the-master"
APPLICATION, APPLICATION_PASSWORD = "receipts", "canary-of-the-application"
DATABASE = "receipts"

Connect = Callable[..., Connection]


def log_in(
    server: PostgresServer, user: str = MASTER, password: str = MASTER_PASSWORD, name: str = DATABASE
) -> Connection:
    return Connection(user, host=HOST, port=server.port, password=password, database=name, timeout=120)


def asking(connection: Connection) -> Session:
    """Return a session such as functions have it, without TLS, which this PostgreSQL does not speak."""
    asked = Session(connection, "the database")
    for setting, value in _ALIKE.items():
        asked.rows("a setting", f"SET {setting} = {quoted_value(value)}")
    return asked


def create_users(server: PostgresServer) -> None:
    server.create(MASTER, MASTER_PASSWORD, DATABASE)
    superuser = server.connect()
    superuser.run(f"GRANT pg_monitor, pg_signal_backend, pg_read_all_data, pg_maintain TO {MASTER}")
    superuser.close()
    master = log_in(server)
    master.run(f"CREATE ROLE {APPLICATION} LOGIN PASSWORD '{APPLICATION_PASSWORD}'")
    master.run(f"GRANT USAGE, CREATE ON SCHEMA public TO {APPLICATION}")
    master.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    made = new_server(tmp_path_factory.mktemp("postgres") / "log")
    create_users(made)
    yield made
    made.remove()


@pytest.fixture
def connect(server: PostgresServer) -> Iterator[Connect]:
    """Log in as anybody; all of it is closed after the test."""
    with ExitStack() as stack:

        def connect(user: str = APPLICATION, password: str = APPLICATION_PASSWORD, name: str = DATABASE) -> Connection:
            connection = log_in(server, user, password, name)
            stack.callback(_close, connection)
            return connection

        yield connect


@pytest.fixture
def administrator(connect: Connect) -> Session:
    return asking(connect(MASTER, MASTER_PASSWORD))


_numbers = count()


@pytest.fixture
def both(server: PostgresServer) -> Iterator[tuple[Connection, Connection]]:
    """Return two empty databases of the same application: forward and restored. As the application sees them."""
    names = [f"{side}_{next(_numbers)}" for side in ("forward", "restored")]
    with server.connect() as superuser:
        for name in names:
            superuser.run(f"CREATE DATABASE {quoted(name)} OWNER {APPLICATION}")
    opened = [log_in(server, APPLICATION, APPLICATION_PASSWORD, name) for name in names]
    yield opened[0], opened[1]
    for connection in opened:
        _close(connection)
    with server.connect() as superuser:
        for name in names:
            superuser.run(f"DROP DATABASE {quoted(name)} WITH (FORCE)")


def _close(connection: Connection) -> None:
    with suppress(InterfaceError, OSError):  # some tests end it from outside
        connection.close()
