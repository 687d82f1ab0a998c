"""What a database server of the pretend account can do, be it a process or a model, and how one is named in a URL."""

from typing import Any, Protocol
from urllib.parse import quote


class Server(Protocol):
    """What answers for one instance: `world.postgres` has the real one, `model.postgres` one without a process."""

    @property
    def port(self) -> int:
        """Where it listens, on loopback; the same after it was killed and started."""
        ...

    def create(self, master: str, password: str, database: str | None) -> None:
        """Start an empty server with its master user, who is no superuser on RDS, and perhaps a database of his."""
        ...

    def create_application(self, database: str, username: str, password: str, schema: str) -> None:
        """Create a role that may have tables in the database, and those of `schema`, which are SQL, as its own."""
        ...

    def create_visitor(self, database: str, username: str, password: str) -> None:
        """Create a role that may connect to the database, and nothing else, not even what everybody may."""
        ...

    def run(self, database: str, statement: str) -> list[Any] | None:
        """Run SQL as who owns the server, and return the rows; None where nobody answers, or where there are none."""
        ...

    def start(self) -> None:
        """Let it recover after a `kill`, with all that was committed."""
        ...

    def kill(self) -> None:
        """Break its connections, and refuse new ones. Safe to repeat."""
        ...

    def copy_as(self, name: str) -> None:
        """Keep a copy of all data, as of the end of the copying, by this name. Raises CopyFailed."""
        ...

    def copy_again(self, name: str, other_name: str) -> None:
        """Keep a copy that there is by another name, too. Raises KeyError."""
        ...

    def restore(self, source: Any, name: str) -> None:
        """Start with the data of a copy, by this name, of another server of the same kind; the copy stays."""
        ...

    @property
    def keeps_log(self) -> bool:
        """Whether it can be brought to a moment between two copies: a model has no rows that could differ then."""
        ...

    def roll_forward(self, source: Any, name: str, until: float) -> None:
        """
        Start with the data of a copy of another server as they became by a moment of the wall, by the other's log.

        until: seconds since the epoch, after the copy was made and before now.
        """
        ...

    def remove(self) -> None:
        """End it, and throw its data and copies away."""
        ...


def url(username: str, password: str, host: str, port: int, database: str) -> str:
    """Return what a client connects with, `postgresql://…`."""
    credentials = f"{quote(username, safe='')}:{quote(password, safe='')}"
    return f"postgresql://{credentials}@{host}:{port}/{quote(database, safe='')}"
