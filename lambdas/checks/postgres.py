"""The database, asked the way that the application asks it: over TLS, as a user of its own."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from time import monotonic

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection
from scramp import ScramException

from lambdas.checks.rules import Credentials, DatabaseAddress
from lambdas.errors import DataStoreUnreachable

_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Postgres:
    """`files` is the folder of the certificates that are trusted beside the system's."""

    address: DatabaseAddress
    files: Path

    def answer(self, credentials: Credentials) -> float:
        """
        Run `SELECT 1`; return how many seconds that took, without connecting.

        Raises DataStoreUnreachable, without the server's words: they may quote what was sent.
        """
        address, trusted = self.address, self._trusted()
        try:
            # a connection of our own, because the driver leaves one that fails before TLS open
            with (
                create_connection((address.host, address.port), _TIMEOUT_SECONDS) as unencrypted,
                Connection(
                    credentials.username,
                    password=credentials.password,
                    host=address.host,
                    sock=unencrypted,
                    database=address.name,
                    ssl_context=trusted,
                    application_name="runback",
                ) as connection,
            ):
                began = monotonic()
                connection.run("SELECT 1")
                return monotonic() - began
        except (DatabaseError, InterfaceError, OSError, ScramException) as error:
            message = f"The database {address.host}:{address.port} does not answer SELECT 1: {_explain(error)}."
            raise DataStoreUnreachable(message) from None

    def _trusted(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(self.files / self.address.ca_file)
        except OSError as error:
            message = f"The certificates in environments/files/{self.address.ca_file} cannot be read: {error.strerror}."
            raise DataStoreUnreachable(message) from None
        return context


def _explain(error: Exception) -> str:
    """Name the error by its SQLSTATE, such as 28P01 for a wrong password, or as the driver does, or by its kind."""
    details = error.args[0] if error.args else None
    if isinstance(details, dict) and "C" in details:
        return f"SQLSTATE {details['C']}"
    if isinstance(error, InterfaceError) and not error.__cause__:
        return str(error)  # the driver's own words, such as "Server refuses SSL"
    return type(error.__cause__ or error).__name__
