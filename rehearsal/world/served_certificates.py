"""
How long the certificates of listeners are good, as ACM tells it.

The real ones are good for two days of this machine's time, which is what TLS clients go by. ACM tells of simulated
time, and of certificates as a customer has them: months from their end.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from moto.acm.models import CertBundle

from rehearsal.clock import Clock
from rehearsal.world.overlay import Overlay

_USUAL_DAYS = 200.0


class ServedCertificates:
    """All of an account: they end together."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends = clock.now() + timedelta(days=_USUAL_DAYS)
        self._overlay = Overlay()

    def __enter__(self) -> Self:
        self._overlay.wrap(CertBundle, "describe", self._describe)
        return self

    def __exit__(self, *_: object) -> None:
        self._overlay.uninstall()

    def end_in(self, days: float) -> None:
        """Let them be good for so many more days from now on."""
        self._ends = self._clock.now() + timedelta(days=days)

    def _describe(self, original: Callable[[CertBundle], dict[str, Any]], bundle: CertBundle) -> dict[str, Any]:
        described = original(bundle)
        described["Certificate"]["NotAfter"] = _epoch(self._ends)
        return described


def _epoch(moment: datetime) -> float:
    return moment.astimezone(UTC).timestamp()
