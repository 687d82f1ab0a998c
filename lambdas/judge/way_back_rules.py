"""
Whether the way back of a release is whole while it bakes: what the certificate proved before, looked at again.

Rights and rules are not: whoever takes them away in this very hour does so on purpose. Targets fall ill, snapshots are
tidied up, and listeners are moved by hand. All pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from lambdas.errors import ListenerDrifted
from lambdas.release.rules import other_color, seconds_since
from lambdas.traffic.rules import Route, Weights, same_shares

_DUE_AFTER_SECONDS = 25
"""A release is looked at every 10, 30 or 60 seconds; of the first ones, every third look is enough."""
AVAILABLE = "available"


@dataclass(frozen=True)
class Looked:
    """The last look at the way back, as the release's history keeps it. `trouble` is empty while it was whole."""

    at: str
    percent: int
    trouble: str

    @classmethod
    def from_record(cls, history: Mapping[str, Any]) -> Self | None:
        """Read it; None before the first look."""
        item = history.get("way_back")
        return cls(item["at"], int(item["percent"]), item["trouble"]) if item else None

    def as_record(self) -> dict[str, Any]:
        """Return the form in which the history keeps it."""
        return {"way_back": asdict(self)}


@dataclass(frozen=True)
class Wanted:
    """What the way back has to be: the color that served, the healthy targets that it had, and its snapshot."""

    color: str
    healthy: int
    snapshot_id: str

    @classmethod
    def from_record(cls, history: Mapping[str, Any]) -> Self | None:
        """Read it; None where no way back was recorded."""
        point, snapshot = history.get("rollback_point"), history.get("snapshot")
        if not point or not snapshot:
            return None
        return cls(point["color"], int(point["capacity"]["desired"]), snapshot["id"])


@dataclass(frozen=True)
class Found:
    """What there is: healthy targets by route, weights by ARN of the listener or rule, the snapshot's status or ""."""

    healthy: Mapping[str, int]
    forwards: Mapping[str, Weights]
    snapshot: str


def is_due(last: Looked | None, percent: int, now: str) -> bool:
    """Say whether it is time to look. A look that was repeated by its machine looks again."""
    if last is None or last.percent != percent or last.at == now:
        return True
    return seconds_since(last.at, now) >= _DUE_AFTER_SECONDS


def is_news(last: Looked | None, found: Looked) -> bool:
    """
    Say whether somebody has to decide.

    Who let a release go on at this step, or in spite of just this at the one before, knew of it.
    """
    if not found.trouble or last is None or last.at == found.at:
        return bool(found.trouble)
    return not last.trouble or (last.percent != found.percent and last.trouble != found.trouble)


def require_shifted(wanted: Wanted, found: Found, routes: Sequence[Route], percent: int) -> None:
    """Raise ListenerDrifted unless traffic is divided as this release has divided it."""
    for route in routes:
        forwards = found.forwards.get(route.arn, {})
        if not same_shares(forwards, route.weights(other_color(wanted.color), percent)):
            raise ListenerDrifted(
                f"Route {route.name} forwards {dict(forwards)}, and {percent} % were shifted. Somebody else has moved"
                f" it while the release baked."
            )


def explain_trouble(wanted: Wanted, found: Found, routes: Sequence[Route]) -> str:
    """Say in a sentence what a rollback would miss; empty when it would miss nothing."""
    troubles = list(_troubles(wanted, found, routes))
    return f"The way back is not whole: {'; '.join(troubles)}." if troubles else ""


def _troubles(wanted: Wanted, found: Found, routes: Sequence[Route]) -> Iterator[str]:
    for route in routes:
        healthy = found.healthy[route.name]
        if healthy < wanted.healthy:
            yield f"{wanted.color} has {healthy} of {wanted.healthy} healthy targets on route {route.name}"
    if found.snapshot != AVAILABLE:
        yield f"snapshot {wanted.snapshot_id} of the database is {found.snapshot or 'gone'}"
