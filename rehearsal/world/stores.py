"""Where the receipt application keeps things: receipts in PostgreSQL, sessions in Redis, or both in its own memory."""

import hashlib
import hmac
import secrets
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from socket import create_connection
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import redis
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection
from redis.backoff import NoBackoff
from redis.retry import Retry

SESSION_SECONDS = 24 * 3600
"""Wall seconds: long enough for every rehearsal."""

_NEWEST = 20
"""Receipts in a list, so that answers stay small however long the rehearsal."""
_MOST_CONNECTIONS = 10
_TIMEOUT_SECONDS = 3.0
_TOKEN_KEY = b"rehearsal: the same on every instance, so that a session survives a switch of color"


class StoreUnavailable(Exception):
    """The database or the cache does not answer, or not as it should."""


Filled = Mapping[str, str]
"""Column → text of a receipt, beside the columns that every version knows."""
NOTHING_MORE: Filled = {}


class Receipts(Protocol):
    """Where receipts are kept."""

    def add(self, owner: str, category: str, content: bytes, filled: Filled = NOTHING_MORE) -> str:
        """Keep one receipt and return its id. Raises StoreUnavailable."""
        ...

    def of(self, owner: str) -> list[dict[str, Any]]:
        """
        Return the newest receipts of one owner, as `{"id", "owner", "category", "sha256"}`, the newest last.

        Raises StoreUnavailable.
        """
        ...


class ReceiptsInMemory:
    """Keeps the receipts that a list shows, and no more: a long rehearsal must not fill the machine."""

    def __init__(self) -> None:
        self._newest: defaultdict[str, deque[dict[str, Any]]] = defaultdict(lambda: deque(maxlen=_NEWEST))
        self._lock = threading.Lock()
        self._added = 0

    def add(self, owner: str, category: str, content: bytes, filled: Filled = NOTHING_MORE) -> str:
        """Forget the oldest receipt of its owner once there are too many."""
        del filled
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            self._added += 1
            receipt_id = f"r-{self._added:08d}"
            receipt = {"id": receipt_id, "owner": owner, "category": category, "sha256": digest}
            self._newest[owner].append(receipt)
            return receipt_id

    def of(self, owner: str) -> list[dict[str, Any]]:
        """Return what is kept."""
        with self._lock:
            return list(self._newest.get(owner, ()))


class ReceiptsInPostgres:
    """
    Keeps receipts in the table `receipts` of a database.

    dsn: `postgresql://user:password@host:port/database`. It connects when first asked, so that an instance starts
    without its database, and again after the database was away.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = urlsplit(dsn)
        self._slots = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._idle: list[Connection] = []

    def add(self, owner: str, category: str, content: bytes, filled: Filled = NOTHING_MORE) -> str:
        """Insert a row, which is committed on return."""
        values = {**filled, "owner": owner, "category": category, "content": content}
        columns, places = (", ".join(part) for part in (values, (f":{each}" for each in values)))
        statement = f"INSERT INTO receipts ({columns}) VALUES ({places}) RETURNING id"  # noqa: S608  columns are ours
        ((receipt_id,),) = self._run(statement, **values)
        return str(receipt_id)

    def of(self, owner: str) -> list[dict[str, Any]]:
        """Let the server compute the digests."""
        rows = self._run(
            "SELECT id, category, encode(sha256(content), 'hex') FROM receipts"
            " WHERE owner = :owner ORDER BY id DESC LIMIT :newest",
            owner=owner,
            newest=_NEWEST,
        )
        return [{"id": str(id_), "owner": owner, "category": each, "sha256": sha} for id_, each, sha in reversed(rows)]

    def close(self) -> None:
        """Close idle connections; it can be used on."""
        while self._idle:
            _close(self._idle.pop())

    def _run(self, statement: str, **parameters: Any) -> list[Any]:
        with self._slots, self._connection() as connection:
            rows: list[Any] = connection.run(statement, **parameters)
            return rows

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Give an idle connection, or a new one; what failed once is not used again, nor what is as old."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except (InterfaceError, DatabaseError, OSError) as error:
            self.close()
            _close(connection)
            raise StoreUnavailable(f"the database: {error}") from error
        self._idle.append(connection)

    def _connect(self) -> Connection:
        """Make a connection of our own, because the driver leaves one open that is not let in."""
        assert self._dsn.username is not None
        with ExitStack() as unless_connected:
            try:
                plain = create_connection((self._dsn.hostname, self._dsn.port), _TIMEOUT_SECONDS)
                unless_connected.callback(plain.close)
                connected = Connection(
                    unquote(self._dsn.username),
                    sock=plain,
                    database=unquote(self._dsn.path.removeprefix("/")),
                    password=unquote(self._dsn.password or ""),
                )
            except (InterfaceError, DatabaseError, OSError) as error:
                raise StoreUnavailable(f"the database: {error}") from error
            unless_connected.pop_all()
            return connected


def _close(connection: Connection) -> None:
    """Close it, or what is left of it."""
    with suppress(InterfaceError, OSError):
        connection.close()


class Sessions(Protocol):
    """Who is logged in, on whatever instance."""

    def begin(self, email: str) -> str:
        """Return a new session's token. Raises StoreUnavailable."""
        ...

    def owner(self, token: str) -> str | None:
        """Return the email that a token was issued for, None when it was not issued by us. Raises StoreUnavailable."""
        ...


class SignedSessions:
    """Keeps nothing: the token itself says whose it is, signed, so that every instance can tell that it is ours."""

    def begin(self, email: str) -> str:
        """Sign the email."""
        return f"{email}:{hmac.new(_TOKEN_KEY, email.encode(), hashlib.sha256).hexdigest()}"

    def owner(self, token: str) -> str | None:
        """Sign once more and compare."""
        email = token.rpartition(":")[0]
        return email if email and hmac.compare_digest(self.begin(email).encode(), token.encode()) else None


class SessionsInRedis:
    """Keeps tokens in a cache at `address`, `host:port`; without the cache nobody is logged in."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._client = redis.Redis(
            host,
            int(port),
            decode_responses=True,
            socket_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),  # once, on a new connection: those from before an outage are all broken
        )

    def begin(self, email: str) -> str:
        """Draw a token that cannot be guessed."""
        token = secrets.token_urlsafe(24)
        try:
            self._client.set(_key(token), email, ex=SESSION_SECONDS)
        except redis.RedisError as error:
            raise StoreUnavailable(f"the cache: {error}") from error
        return token

    def owner(self, token: str) -> str | None:
        """Look the token up."""
        try:
            found = self._client.get(_key(token))
        except redis.RedisError as error:
            raise StoreUnavailable(f"the cache: {error}") from error
        return found if isinstance(found, str) else None


def _key(token: str) -> str:
    return f"session:{token}"
