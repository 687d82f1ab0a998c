"""Queries of settings, run as the application; what they answer stays here."""

from dataclasses import dataclass

from lambdas.database.data_rules import CheckQuery
from lambdas.database.postgres import Session
from lambdas.database.restored_rules import problem_of
from lambdas.errors import QueryFailed

_CANCELED = "57014"


@dataclass(frozen=True)
class Queries:
    """`session` is one of the application, with its own settings."""

    session: Session

    def problem(self, query: CheckQuery) -> str:
        """Say why the answer to a check query is not the expected one; empty when it is."""
        try:
            with self.session.transaction("READ ONLY"):
                # no more of a large answer than shows that it is too large
                self._declare(query.name, query.sql)
                return problem_of(query, self.session.rows(query.name, "FETCH 2 FROM asked"))
        except QueryFailed as error:
            return f"{query.name} failed with SQLSTATE {error.code}"

    def warm(self, sql: str) -> bool:
        """
        Run a query to its end, so that what it needs is read from the snapshot now; its rows stay on the server.

        Say whether it came to its end: one that takes too long has read as far as it came.
        """
        try:
            with self.session.transaction("READ ONLY"):
                self._declare("a warm query", sql)
                self.session.rows("a warm query", "MOVE ALL FROM asked")
        except QueryFailed as error:
            if error.code != _CANCELED:
                raise
            return False
        return True

    def _declare(self, what: str, sql: str) -> None:
        self.session.rows(what, f"DECLARE asked NO SCROLL CURSOR FOR {sql}")
