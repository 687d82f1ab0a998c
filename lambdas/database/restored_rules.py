"""Whether a restored database holds what it should, and where its sequences go on. All pure."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import pbkdf2_hmac, sha256
from hmac import digest
from typing import Any
from unicodedata import normalize

from lambdas.database.data_rules import CheckQuery
from lambdas.errors import RestoredDataWrong

_ITERATIONS = 4096
"""As many as PostgreSQL itself takes, scram_iterations."""


def problem_of(query: CheckQuery, rows: Sequence[Sequence[Any]]) -> str:
    """Say why an answer is not the expected one, without repeating it; empty when it is."""
    if len(rows) != 1 or len(rows[0]) != 1:
        return f"{query.name} must answer one value"
    value = rows[0][0]
    if query.at_least is not None:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return f"{query.name} did not answer a number"
        return "" if value >= query.at_least else f"{query.name} answered less than {query.at_least:g}"
    is_expected = value == query.expected and isinstance(value, bool) is isinstance(query.expected, bool)
    return "" if is_expected else f"{query.name} did not answer {query.expected!r}"


def require_right(problems: Sequence[str]) -> None:
    """Raise RestoredDataWrong that names every check query that was not answered as expected."""
    found = [problem for problem in problems if problem]
    if found:
        raise RestoredDataWrong(
            f"The restored database is not what it should be: {'; '.join(found)}. Nobody uses it; look at it by hand,"
            " or restore to another point."
        )


@dataclass(frozen=True)
class SequenceState:
    """How far a sequence is. `is_called`: `last` was given out already, and is not the next one."""

    last: int
    is_called: bool
    increment: int
    cycles: bool = False


def advanced(forward: SequenceState, restored: SequenceState) -> tuple[int, bool] | None:
    """
    Return where a restored sequence has to go on, so that it gives out nothing that the forward server has; or None.

    Never backwards. A sequence that cycles knows no backwards, so it goes on where the forward server is, which is
    always later.
    """
    place, other = (forward.last, forward.is_called), (restored.last, restored.is_called)
    if place == other:
        return None
    if restored.cycles:
        return place
    sign = 1 if restored.increment > 0 else -1
    is_ahead = (sign * forward.last, forward.is_called) > (sign * restored.last, restored.is_called)
    return place if is_ahead else None


def scram_verifier(password: str, salt: bytes) -> str:
    """
    Return what PostgreSQL keeps of a password, so that the password itself is in no statement, and so in no log of it.

    Texts beyond ASCII are normalized first, as RFC 4013 has it; what that forbids or drops, no generated password has.
    https://www.postgresql.org/docs/current/catalog-pg-authid.html
    """
    salted = pbkdf2_hmac("sha256", normalize("NFKC", password).encode(), salt, _ITERATIONS)
    stored = sha256(digest(salted, b"Client Key", "sha256")).digest()
    server = digest(salted, b"Server Key", "sha256")
    shown = [b64encode(each).decode() for each in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{shown[0]}${shown[1]}:{shown[2]}"
