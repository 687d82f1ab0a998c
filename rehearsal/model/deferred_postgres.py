"""
A real PostgreSQL server that starts as late as functions are let in.

A rehearsal in virtual time is built in one process and played in copies of it. A process of the system is not copied
with it, so each copy starts its own: until then what is to be in the database is only remembered.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rehearsal.world.postgres import PostgresServer, new_server


class DeferredPostgres:
    """A `world.servers.Server`, which is a `PostgresServer` from `begin` on, or from when it is restored."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._to_do: list[Callable[[PostgresServer], None]] = []
        self._server: PostgresServer | None = None

    def begin(self) -> None:
        """Start it, with all that was asked for. Safe to repeat."""
        if self._server is None:
            self._server = new_server(self._log)
            for do in self._to_do:
                do(self._server)

    @property
    def server(self) -> PostgresServer:
        """The server. Not to be asked before it has begun."""
        assert self._server is not None, "the server has not begun"
        return self._server

    @property
    def port(self) -> int:
        """Where it listens. Not to be asked before it has begun."""
        return self.server.port

    def create(self, master: str, password: str, database: str | None) -> None:
        """Have a master user, and perhaps a database of his."""
        self._when_begun(lambda server: server.create(master, password, database))

    def create_application(self, database: str, username: str, password: str, schema: str) -> None:
        """Have a role with tables of its own."""
        self._when_begun(lambda server: server.create_application(database, username, password, schema))

    def create_visitor(self, database: str, username: str, password: str) -> None:
        """Have a role that may connect, and nothing else."""
        self._when_begun(lambda server: server.create_visitor(database, username, password))

    def run(self, database: str, statement: str) -> list[Any] | None:
        """Run SQL as the superuser, and return the rows; None when the server is down, or has not begun."""
        return self._server.run(database, statement) if self._server is not None else None

    def start(self) -> None:
        """Let it recover after a `kill`."""
        self.server.start()

    def kill(self) -> None:
        """Break its connections, and refuse new ones. Safe to repeat, and before it has begun."""
        if self._server is not None:
            self._server.kill()

    def copy_as(self, name: str) -> None:
        """Keep a copy of all data. Raises CopyFailed."""
        self.server.copy_as(name)

    def copy_again(self, name: str, other_name: str) -> None:
        """Keep a copy that there is by another name, too. Raises KeyError."""
        self.server.copy_again(name, other_name)

    def restore(self, source: "DeferredPostgres", name: str) -> None:
        """Begin with the data of a copy, by this name, of another server; the copy stays. Raises KeyError."""
        self.begin()
        self.server.restore(source.server, name)

    @property
    def keeps_log(self) -> bool:
        """As every real server."""
        return True

    def roll_forward(self, source: "DeferredPostgres", name: str, until: float) -> None:
        """Begin with the data of a copy of another server as they became by a moment of the wall."""
        self.begin()
        self.server.roll_forward(source.server, name, until)

    def remove(self) -> None:
        """End it, and throw its data away. Safe to repeat."""
        if self._server is not None:
            self._server.remove()
            self._server = None

    def _when_begun(self, do: Callable[[PostgresServer], None]) -> None:
        if self._server is None:
            self._to_do.append(do)
        else:
            do(self._server)
