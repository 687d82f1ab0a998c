"""What was found out about the account, one thing at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from install.account import NotThere, Unreadable


class Level(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    NOTE = "note"
    """Nothing has to be done; it is said because somebody might want it otherwise."""
    MISSING = "missing"
    WRONG = "wrong"
    UNKNOWN = "cannot tell"
    """AWS did not answer; most often the credentials may not ask."""


HARMLESS = frozenset({Level.OK, Level.NOTE})


@dataclass(frozen=True)
class Finding:
    """One line of the report: `field` is where settings speak of it, `fix` what to do, empty where nothing must be."""

    level: Level
    field: str
    says: str
    fix: str = ""


def ok(field: str, says: str) -> Finding:
    """Make a finding that needs no attention."""
    return Finding(Level.OK, field, says)


def note(field: str, says: str, fix: str = "") -> Finding:
    """Make a finding that somebody may want to know."""
    return Finding(Level.NOTE, field, says, fix)


def missing(field: str, says: str, fix: str) -> Finding:
    """Make a finding about what is not there."""
    return Finding(Level.MISSING, field, says, fix)


def wrong(field: str, says: str, fix: str) -> Finding:
    """Make a finding about what is there, and would not work."""
    return Finding(Level.WRONG, field, says, fix)


def attempt(field: str, findings: Iterator[Finding], *, otherwise: str) -> Iterator[Finding]:
    """
    Pass findings on, and turn what stopped the search for them into the last one.

    `otherwise` is the fix when what settings name is not there.
    """
    try:
        yield from findings
    except NotThere as not_there:
        yield missing(field, str(not_there), otherwise)
    except Unreadable as unreadable:
        yield Finding(Level.UNKNOWN, field, str(unreadable), unreadable.fix)
