"""The database, asked the way that the application asks it: over TLS, as a user of its own."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from lambdas.checks.rules import Credentials, DatabaseAddress
from lambdas.errors import DataStoreUnreachable

_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Postgres:
    """`files` is the folder of the certificates that are trusted beside the system's."""

    address: DatabaseAddress
    files: Path

    def answer(self, credentials: Credentials) -> None:
        """Run `SELECT 1`. Raises DataStoreUnreachable, without the server's words: they may quote what was sent."""
        address = self.address
        try:
            with Connection(
                credentials.username,
                password=credentials.password,
                host=address.host,
                port=address.port,
                database=address.name,
                timeout=_TIMEOUT_SECONDS,
                ssl_context=self._trust(),
                application_name="runback",
            ) as connection:
                connection.run("SELECT 1")
        except (DatabaseError, InterfaceError, OSError) as error:
            message = f"The database {address.host}:{address.port} does not answer SELECT 1: {_explain(error)}."
            raise DataStoreUnreachable(message) from None

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.load_verify_locations(self.files / self.address.ca_file)
        return context


def _explain(error: Exception) -> str:
    """Name the error by its SQLSTATE, such as 28P01 for a wrong password, or by its kind."""
    details = error.args[0] if error.args else None
    if isinstance(details, dict) and "C" in details:
        return f"SQLSTATE {details['C']}"
    cause = error.__cause__ or error
    return type(cause).__name__
