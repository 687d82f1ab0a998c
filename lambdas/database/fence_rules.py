"""
Whether a database that was closed to its application is still written. All pure.

The cluster's next transaction id is the one thing that every write moves at once. On RDS it moves without any writer of
ours, too: RDS writes heartbeats to a database of its own, and autovacuum writes statistics. So a transaction id that
stands still proves that nobody writes; one that moves accuses whoever could have moved it, and nobody else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MARKER = "runback_fence"
"""
A role without any right. Whoever the fence closed is a member of it, so that the lift opens exactly those again.

Membership is written in the same transaction as NOLOGIN, overwrites nothing that others could have noted on a role, and
is in every snapshot that is taken behind the fence, which thus can be opened, too.
"""

MEASURED_SECONDS = 2
"""What lies between two readings. More than the second for which PostgreSQL may hold statistics back."""

_MOST_NAMED = 10


@dataclass(frozen=True)
class Writer:
    """
    A session, or another process, that could write; without what it was told to do.

    `holds_transaction`: it has written in a transaction that is still open. `since_last_change` is in seconds: for how
    long it has been doing what it does now, or nothing.
    """

    pid: int
    role: str
    database: str
    application: str
    address: str
    kind: str
    is_active: bool
    holds_transaction: bool
    since_last_change: float

    def __str__(self) -> str:
        """Describe it for whoever has to end it."""
        application = f" of {self.application!r}" if self.application else ""
        address = f" from {self.address}" if self.address else ""
        kind = "session" if self.kind == "client backend" else self.kind
        return f"{kind} {self.pid}{application} as {self.role or 'nobody'}{address} in {self.database or 'no database'}"


@dataclass(frozen=True)
class Prepared:
    """A transaction that was prepared for a two-phase commit: it outlives its session, and can still be committed."""

    name: str
    role: str
    database: str

    def __str__(self) -> str:
        """Describe it for whoever has to commit it or to roll it back."""
        return f"prepared transaction {self.name!r} of {self.role} in {self.database}"


@dataclass(frozen=True)
class Reading:
    """
    What a server tells of its writing at one moment, which is `at`, in seconds.

    `next_transaction` is that of the whole server, `written_rows` how many rows of users' tables were ever written in
    the database of settings, as far as sessions have reported it.
    """

    at: float
    next_transaction: int
    written_rows: int
    writers: tuple[Writer, ...]
    prepared: tuple[Prepared, ...]


def still_writing(before: Reading, after: Reading, closed: Iterable[str], database: str) -> str:
    """
    Say who still writes, or could at any moment; empty when two readings prove that nobody does.

    A session of a closed role or a prepared transaction counts, whatever it does. A session of somebody else counts
    when it holds a transaction, and when it did anything between readings between which the transaction id moved. Who
    came and went in between has reported its rows when it went. An idle session of somebody else may write later: who
    is to be kept from that must be among the roles of settings.
    """
    roles, seconds = frozenset(closed), after.at - before.at
    moved = after.next_transaction != before.next_transaction
    found = [str(each) for each in after.prepared]
    for writer in after.writers:
        at_work = writer.is_active or writer.since_last_change <= seconds
        of_this = writer.database == database
        if writer.role in roles or (of_this and (writer.holds_transaction or (moved and at_work))):
            found.append(str(writer))
    if not found and after.written_rows != before.written_rows:
        rows = after.written_rows - before.written_rows
        found.append(f"somebody who is gone again, and wrote {rows} rows of {database} within {seconds:.0f} seconds")
    return _listed(found)


def missing_roles(wanted: Sequence[str], existing: Iterable[str]) -> str:
    """Name the roles of settings that a server does not have; empty for none."""
    return ", ".join(sorted(set(wanted) - set(existing)))


def _listed(found: Sequence[str]) -> str:
    more = [f"{len(found) - _MOST_NAMED} more"] if len(found) > _MOST_NAMED else []
    return "; ".join([*found[:_MOST_NAMED], *more])
