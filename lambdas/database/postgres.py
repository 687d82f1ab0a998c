"""
A PostgreSQL server, asked over TLS.

What goes wrong is told without the server's words: they may quote what was sent, or a row.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection, identifier, literal
from scramp import ScramException

from lambdas.database.login_rules import Credentials, Server
from lambdas.errors import DataStoreUnreachable, LoginRefused, QueryFailed, RunbackError

CERTIFICATES = Path(__file__).parents[2] / "environments" / "files"
"""The folder of the certificates that are trusted beside the system's."""

FAILURES = (DatabaseError, InterfaceError, OSError, ScramException)
"""Whatever can go wrong between the driver and a server."""

_CONNECT_SECONDS = 5
_INSUFFICIENT_PRIVILEGE = "42501"

_ALIKE = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "xmlbinary": "base64",
    "row_security": "off",
    "search_path": "pg_catalog",
    "work_mem": "64MB",
}
"""
Settings with which equal values have equal texts on every server, a row that may not be read is an error, and a table
is sorted in memory.
"""


@contextmanager
def connected(
    server: Server, credentials: Credentials, files: Path = CERTIFICATES, seconds: float | None = None
) -> Iterator[Connection]:
    """
    Connect over TLS; wait `seconds` at most for each answer, if that is more than for the connection itself.

    Raises DataStoreUnreachable when the certificates cannot be read, and the driver's FAILURES for all else.
    """
    trusted = _trusted(files, server.ca_file)
    # a connection of our own, because the driver leaves one that fails before TLS open
    with create_connection((server.host, server.port), _CONNECT_SECONDS) as unencrypted:
        connection = Connection(
            credentials.username,
            password=credentials.password,
            host=server.host,
            sock=unencrypted,
            database=server.name,
            ssl_context=trusted,
            application_name="runback",
        )
        try:
            if seconds is not None:
                connection._usock.settimeout(seconds)  # noqa: SLF001  the driver wraps the socket, and hides it
            yield connection
        finally:
            with suppress(*FAILURES):  # it may be broken by now
                connection.close()


def explain(error: Exception) -> str:
    """Name an error by its SQLSTATE, such as 28P01 for a wrong password, or as the driver does, or by its kind."""
    if code := sqlstate(error):
        return f"SQLSTATE {code}"
    if isinstance(error, InterfaceError) and not error.__cause__:
        return str(error)  # the driver's own words, such as "Server refuses SSL"
    return type(error.__cause__ or error).__name__


def sqlstate(error: Exception) -> str:
    """Return the five letters and digits of what a server refused; empty for anything else."""
    details = error.args[0] if error.args else None
    return str(details["C"]) if isinstance(details, dict) and "C" in details else ""


def quoted(name: str) -> str:
    """Quote a name for SQL, with its schema if it has one: what stands before the first dot."""
    return ".".join(identifier(part) for part in name.split(".", 1))


def quoted_value(value: str) -> str:
    """Quote a text for SQL, where no parameter may stand."""
    return str(literal(value))


@dataclass(frozen=True)
class Session:
    """
    What is asked of one server in one connection. `name` is what errors call the server.

    Every question says `what` it is about, in words for humans: its SQL is never told.
    """

    connection: Connection
    name: str

    def rows(self, what: str, sql: str, **values: Any) -> list[list[Any]]:  # noqa: ANN401  whatever SQL can hold
        """Run SQL and return its rows. Raises QueryFailed and DataStoreUnreachable, without the server's words."""
        try:
            return self.connection.run(sql, **values) or []
        except DatabaseError as error:
            raise _query_failed(self.name, what, sqlstate(error)) from None
        except FAILURES as error:
            message = f"The connection to {self.name} broke when asked for {what}: {explain(error)}."
            raise DataStoreUnreachable(message) from None

    def row(self, what: str, sql: str, **values: Any) -> list[Any]:  # noqa: ANN401
        """Return the only row of an answer."""
        (row,) = self.rows(what, sql, **values)
        return row

    @contextmanager
    def transaction(self, mode: str = "") -> Iterator[None]:
        """Do all of it, or nothing. `mode` is how SQL calls it, such as "READ ONLY"."""
        self.rows("a transaction", f"BEGIN {mode}")
        try:
            yield
        except BaseException:
            with suppress(QueryFailed, DataStoreUnreachable):
                self.rows("taking back", "ROLLBACK")
            raise
        self.rows("keeping what was done", "COMMIT")


@contextmanager
def session(
    server: Server,
    credentials: Credentials,
    files: Path = CERTIFICATES,
    seconds: float = 60,
    *,
    alike: bool = True,
) -> Iterator[Session]:
    """
    Connect for several questions, each of which may take `seconds`; the server gives up on it a little earlier.

    With `alike`, values have the same texts on every server, and names without a schema are those of PostgreSQL. Else
    all is as the user has it.

    Raises LoginRefused when the server does not let the user in, and DataStoreUnreachable when it is not there.
    """
    name = f"the database {server.host}:{server.port}"
    entered = False
    try:
        with connected(server, credentials, files, seconds) as connection:
            entered = True
            asked = Session(connection, name)
            limit = {"statement_timeout": f"{max(1, int(seconds) - 2)}s", "lock_timeout": "5s"}
            for setting, value in {**(_ALIKE if alike else {}), **limit}.items():
                asked.rows(f"the setting {setting}", f"SET {setting} = {quoted_value(value)}")
            yield asked
    except FAILURES as error:
        if entered:
            raise
        raise _refusal(name, credentials.username, error) from None


def _refusal(name: str, username: str, error: Exception) -> RunbackError:
    code = sqlstate(error)
    if code.startswith("28"):
        return LoginRefused(f"{name[0].upper()}{name[1:]} does not let {username} in: SQLSTATE {code}.")
    return DataStoreUnreachable(f"{name[0].upper()}{name[1:]} cannot be reached: {explain(error)}.")


def _query_failed(name: str, what: str, code: str) -> QueryFailed:
    remedy = " Grant the user of this connection what that takes." if code == _INSUFFICIENT_PRIVILEGE else ""
    return QueryFailed(f"{name[0].upper()}{name[1:]} refuses {what}: SQLSTATE {code}.{remedy}", code)


def _trusted(files: Path, ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(files / ca_file)
    except OSError as error:
        message = f"The certificates in environments/files/{ca_file} cannot be read: {error.strerror}."
        raise DataStoreUnreachable(message) from None
    return context
