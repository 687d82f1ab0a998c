"""What the model applications keep: the database's receipts and the cache's sessions, each only while it is up."""

import itertools
from collections.abc import Callable
from typing import Any

from rehearsal.world.stores import NOTHING_MORE, Filled, ReceiptsInMemory, ReceiptsInPostgres, StoreUnavailable


class ReceiptsInModel:
    """All instances share it, as they do a database. `is_up` is asked every time, and must not wait."""

    def __init__(self, is_up: Callable[[], bool]) -> None:
        self._is_up = is_up
        self._receipts = ReceiptsInMemory()

    def add(self, owner: str, category: str, content: bytes, filled: Filled = NOTHING_MORE) -> str:
        """Keep one receipt and return its id. Raises StoreUnavailable."""
        self._require()
        return self._receipts.add(owner, category, content, filled)

    def of(self, owner: str) -> list[dict[str, Any]]:
        """Return the newest receipts of one owner. Raises StoreUnavailable."""
        self._require()
        return self._receipts.of(owner)

    def _require(self) -> None:
        if not self._is_up():
            raise StoreUnavailable("the database: it is down")


class ReceiptsAtHost:
    """
    Those in a real database, which model applications find as late as when they first ask for it.

    asked: the URL with the host of the pretend account. local: returns the URL with the place on this machine.
    """

    def __init__(self, asked: str, local: Callable[[str], str]) -> None:
        self._asked, self._local = asked, local
        self._found: ReceiptsInPostgres | None = None

    def add(self, owner: str, category: str, content: bytes, filled: Filled = NOTHING_MORE) -> str:
        """Insert a row, which is committed on return. Raises StoreUnavailable."""
        return self._receipts().add(owner, category, content, filled)

    def of(self, owner: str) -> list[dict[str, Any]]:
        """Return the newest receipts of one owner. Raises StoreUnavailable."""
        return self._receipts().of(owner)

    def close(self) -> None:
        """Close connections; it can be used on."""
        if self._found is not None:
            self._found.close()

    def _receipts(self) -> ReceiptsInPostgres:
        if self._found is None:
            self._found = ReceiptsInPostgres(self._local(self._asked))
        return self._found


class SessionsInModel:
    """
    All instances share it, as they do a cache. `is_up` is asked every time, and must not wait.

    Like a cache that is lost it comes back empty, if anybody has asked for anything while it was down.
    """

    def __init__(self, is_up: Callable[[], bool]) -> None:
        self._is_up = is_up
        self._numbers = itertools.count(1)
        self._owners: dict[str, str] = {}

    def begin(self, email: str) -> str:
        """Return a token, the same ones in every run: nobody here guesses. Raises StoreUnavailable."""
        self._require()
        token = f"session-{next(self._numbers)}"
        self._owners[token] = email
        return token

    def owner(self, token: str) -> str | None:
        """Return the email that a token was issued for. Raises StoreUnavailable."""
        self._require()
        return self._owners.get(token)

    def _require(self) -> None:
        if not self._is_up():
            self._owners.clear()
            raise StoreUnavailable("the cache: it is down")
