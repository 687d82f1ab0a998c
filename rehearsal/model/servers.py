"""What stands behind the RDS instances of a rehearsal of models: models, or PostgreSQL where rows have to come back."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rehearsal.model.deferred_postgres import DeferredPostgres
from rehearsal.model.postgres import ModelPostgres
from rehearsal.model.stores import ReceiptsAtHost, ReceiptsInModel
from rehearsal.world.certificates import Certificate
from rehearsal.world.servers import Server
from rehearsal.world.stores import Receipts
from rehearsal.world.tls_front import TlsFronts

Local = Callable[[str], str]
"""Returns a database's URL with the place on this machine."""


class Servers(Protocol):
    """The servers of all instances, and what is before them."""

    def make(self, log: Path) -> Server:
        """Make the server of one more instance."""
        ...

    def receipts(self, asked: str, local: Local) -> Receipts:
        """Return what an application keeps in the database of that URL, whose host is one of the pretend account."""
        ...

    def open(self, server: Server) -> int:
        """Let functions in, and return the port on which TLS is spoken."""
        ...

    def stop(self) -> None:
        """End what is before the servers; the account removes these itself."""
        ...


class ModelServers:
    """Models that know who may log in, and no rows."""

    def __init__(self, certificate: Certificate, logs: Path) -> None:
        del logs
        self._certificate = certificate
        self._made: list[ModelPostgres] = []
        self._receipts = ReceiptsInModel(self._first_is_up)

    def make(self, log: Path) -> ModelPostgres:
        """Make the server of one more instance."""
        del log
        self._made.append(ModelPostgres())
        return self._made[-1]

    def receipts(self, asked: str, local: Local) -> Receipts:
        """Return what all applications share: without rows, one database is like another."""
        del asked, local
        return self._receipts

    def open(self, server: Server) -> int:
        """Let functions in, and return the port on which it speaks TLS."""
        assert isinstance(server, ModelPostgres)
        return server.listen(self._certificate)

    def stop(self) -> None:
        """Do nothing."""

    def _first_is_up(self) -> bool:
        return self._made[0].is_up()


class RealServers:
    """PostgreSQL servers; they and the process that speaks TLS before them begin when functions are let in."""

    def __init__(self, certificate: Certificate, logs: Path) -> None:
        self._certificate, self._logs = certificate, logs
        self._fronts: TlsFronts | None = None
        self._receipts: list[ReceiptsAtHost] = []

    def make(self, log: Path) -> DeferredPostgres:
        """Make the server of one more instance."""
        return DeferredPostgres(log)

    def receipts(self, asked: str, local: Local) -> Receipts:
        """Return what an application keeps in the database that its URL names."""
        self._receipts.append(ReceiptsAtHost(asked, local))
        return self._receipts[-1]

    def open(self, server: Server) -> int:
        """Let functions in, and return the port on which TLS is spoken."""
        assert isinstance(server, DeferredPostgres)
        server.begin()
        if self._fronts is None:
            self._fronts = TlsFronts(self._certificate, self._logs)
        return self._fronts.open("postgresql", server.port)

    def stop(self) -> None:
        """End the connections of applications, and the process that speaks TLS."""
        for receipts in self._receipts:
            receipts.close()
        if self._fronts is not None:
            self._fronts.stop()
