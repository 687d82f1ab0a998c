"""What happened in virtual time, in order, so that two runs can be compared."""

import re
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

_LONGEST_TEXT = 80
_DIFFERS_BY_RUN = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b0x[0-9a-f]+\b")


class Moment(NamedTuple):
    """One entry: at how many virtual seconds which thread did what."""

    seconds: float
    thread: str
    what: str


class Trace(list[Moment]):
    """The moments so far, the first one first. No entry holds a UUID, a memory address or wall time."""

    @property
    def digest(self) -> str:
        """Return a hash that is the same in every process for the same moments."""
        lines = (f"{moment.seconds:.6f} {moment.thread}: {moment.what}\n" for moment in self)
        return sha256("".join(lines).encode()).hexdigest()


@lru_cache(maxsize=1024)
def repeatable(text: str) -> str:
    """Return a short text that is the same in every run: UUIDs and memory addresses become `*`."""
    return _DIFFERS_BY_RUN.sub("*", text)[:_LONGEST_TEXT]
