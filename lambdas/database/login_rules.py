"""Where a database is, and as whom to log in to it. All pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from json import JSONDecodeError, loads
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from lambdas.errors import LoginRefused


@dataclass(frozen=True)
class Server:
    """A database on a host. `ca_file` names the certificates, in environments/files, that it is trusted by."""

    host: str
    port: int
    name: str
    ca_file: str

    @classmethod
    def at(cls, host: str, database: Mapping[str, Any]) -> Self:
        """Return a server that has another host than the one of settings, and all else the same."""
        return cls(host, int(database.get("port", 5432)), database["name"], database["ca_file"])


@dataclass(frozen=True)
class Credentials:
    """Of a database user."""

    username: str
    password: str = field(repr=False)

    @classmethod
    def from_secret(cls, text: str) -> Self:
        """Read a secret of the form that RDS writes. Raises ValueError that does not quote it."""
        try:
            given = loads(text)
        except JSONDecodeError:
            given = None
        names = ("username", "password")
        if not isinstance(given, dict) or not all(isinstance(given.get(n), str) and given[n] for n in names):
            raise ValueError('The secret of the database must be JSON with "username" and "password", both text.')
        return cls(given["username"], given["password"])


def credentials(text: str, whose: str) -> Credentials:
    """
    Read user and password of the application or of the administrator, from JSON or from a URL `postgresql://…`.

    Raises LoginRefused that does not quote them.
    """
    try:
        if text.startswith(("postgres://", "postgresql://")):
            return _from_url(text)
        return Credentials.from_secret(text)
    except ValueError as error:
        raise LoginRefused(f"Of the {whose}: {error}") from None


def _from_url(text: str) -> Credentials:
    try:
        parts = urlsplit(text)
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        username = password = ""
    if not username or not password:
        raise ValueError("The URL in the secret of the database must have a user and a password.")
    return Credentials(username, password)
