"""The database, asked the way that the application asks it: over TLS, as a user of its own."""

from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from lambdas.checks.rules import DatabaseAddress
from lambdas.database.login_rules import Credentials, Server
from lambdas.database.postgres import FAILURES, connected, explain
from lambdas.errors import DataStoreUnreachable


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
        address = self.address
        server = Server(address.host, address.port, address.name, address.ca_file)
        try:
            with connected(server, credentials, self.files) as connection:
                began = monotonic()
                connection.run("SELECT 1")
                return monotonic() - began
        except FAILURES as error:
            message = f"The database {address.host}:{address.port} does not answer SELECT 1: {explain(error)}."
            raise DataStoreUnreachable(message) from None
