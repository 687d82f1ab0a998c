"""When a step of a release has been observed for long enough, and what an operator's orders make of that. All pure."""

from dataclasses import dataclass

from lambdas.errors import PauseExpired
from lambdas.release.rules import Bake, Order, OrderAction, as_timestamp, later, parse_moment, seconds_since

_EARLY_SECONDS, _EARLY_TICK_SECONDS = 60, 9
"""
A look comes every 10 s: a Wait state takes whole seconds, rounded up, and a look begins a moment after one. With 10 it
would be every 11 s, and the third look more than 30 s after the shift.
"""
_MIDDLE_SECONDS, _MIDDLE_TICK_SECONDS = 600, 30
_LATE_TICK_SECONDS = 60
"""An execution may have 25,000 events only: what was quiet for ten minutes is looked at every minute."""


@dataclass(frozen=True)
class Look:
    """What a look at a bake found: it is over, or when to look again, as a Wait state takes it."""

    done: bool
    again_at: str = ""


def bake_of(known: Bake | None, percent: int, bake_seconds: int, now: str) -> Bake:
    """Return the bake of this step: the one that is known, or one that begins now."""
    if known is not None and known.percent == percent:
        return known
    return Bake(percent, began_at=now, ends_at=later(now, bake_seconds))


def look_at_bake(bake: Bake, order: Order | None, now: str) -> Look:
    """
    Decide whether the release may go on. Time spent paused is bake time too.

    Raises PauseExpired when nobody has let a paused release go on by its deadline.
    """
    if order is not None and order.action is OrderAction.PAUSE:
        return _look_at_pause(order, now)
    ordered_on = order is not None and order.action is OrderAction.PROMOTE
    if ordered_on or seconds_since(bake.ends_at, now) >= 0:
        return Look(done=True)
    return Look(done=False, again_at=_next_tick(bake.began_at, bake.ends_at, now))


def _look_at_pause(order: Order, now: str) -> Look:
    if seconds_since(order.until, now) >= 0:
        raise PauseExpired(
            f"The release was paused at {order.at} ({order.reason}), and nobody let it go on by {order.until}."
        )
    return Look(done=False, again_at=_next_tick(order.at, order.until, now, earliest=_MIDDLE_TICK_SECONDS))


def _next_tick(since: str, until: str, now: str, earliest: int = _EARLY_TICK_SECONDS) -> str:
    tick = max(_tick_after(seconds_since(since, now)), earliest)
    return as_timestamp(min(later(now, tick), until, key=parse_moment))


def _tick_after(seconds: float) -> int:
    if seconds < _EARLY_SECONDS:
        return _EARLY_TICK_SECONDS
    return _MIDDLE_TICK_SECONDS if seconds < _MIDDLE_SECONDS else _LATE_TICK_SECONDS


def most_looks(seconds: int) -> int:
    """Return how often a bake or a pause of so many seconds is looked at, at most."""
    early = min(seconds, _EARLY_SECONDS)
    middle = min(seconds, _MIDDLE_SECONDS) - early
    late = seconds - early - middle
    ticks = (early, _EARLY_TICK_SECONDS), (middle, _MIDDLE_TICK_SECONDS), (late, _LATE_TICK_SECONDS)
    return 1 + sum(-(-length // tick) for length, tick in ticks)
