"""
What is left to chance in virtual time: who runs next among those who can, and how long a function's request takes.

A function gives the baton away only in its requests to AWS. Where two functions work at the same time, how long their
requests are under way decides whose comes first; so both belong to one chooser, which can be told, recorded, replayed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

Choice = int | float
"""The place in the list of those who could run, or the seconds that a request is under way."""

LONGEST_SECONDS = 2.9
"""How long a request may be under way: functions give up after 3 s, see lambdas/clients.py."""

LONGEST_WORK_SECONDS = 6.0
"""How long all requests of one invocation may be: the shortest time-out of a function that changes traffic is 8 s."""

_ANOTHER_INVOCATION_SECONDS = 12.0
"""After so long without a request, the next one of a participant is that of another invocation."""

_IMPATIENT = frozenset({"cloudwatch"})
"""Services whose requests are given up earlier by who asks them on the way back; these are never held up."""

_LEAST_SECONDS = 0.001


@dataclass(frozen=True)
class Request:
    """A function's request to AWS that sets out: by which participant, when, and how long it would usually take."""

    who: str
    function: str
    service: str
    action: str
    writes: bool
    at_seconds: float
    usual_seconds: float


class Chooser(Protocol):
    """Decides all that virtual time leaves open; the same for the same seed and the same questions."""

    def begin(self, seed: int) -> None:
        """Begin anew."""

    def next_of(self, ready: Sequence[str]) -> int:
        """Return the place of who runs next in the list of all who can, by name. There is at least one."""

    def under_way(self, request: Request) -> float:
        """Return how many seconds a request takes to arrive."""


class Steady:
    """Everybody who can run is as likely to be next, and each request takes what it usually takes."""

    def __init__(self, seed: int = 0) -> None:
        self._chance = Random(seed)

    def begin(self, seed: int) -> None:
        """Begin anew."""
        self._chance.seed(seed)

    def next_of(self, ready: Sequence[str]) -> int:
        """Give everybody the same chance."""
        return self._chance.choice(range(len(ready)))

    def under_way(self, request: Request) -> float:
        """Return the usual time."""
        return request.usual_seconds


class Uniform(Steady):
    """
    Whose request arrives next is equally likely for all that are under way, at every moment.

    Requests that all take the same time would keep two functions in step for ever. The exponential distribution has no
    memory: how long one is under way already says nothing of when it arrives.
    """

    def under_way(self, request: Request) -> float:
        """Return a time that is the usual one on average."""
        return _bounded(self._chance.expovariate(1 / request.usual_seconds))


class Biased(Steady):
    """
    Looks for what goes wrong between a look and a write: the moments right before and after one are drawn out.

    As in probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010) participants have priorities by chance,
    here as paces, that change at a few places; these are not anywhere, but at writes. Whoever is held up there starves
    while all others do what they have to, for as long as a function on AWS could: neither a request nor an invocation
    takes longer than what would be given up there.
    """

    share_held = 0.2
    """How likely a request is to be held up that writes, or that follows one which did."""

    paces = (1.0, 1.0, 4.0, 20.0)
    """How much slower than usual participants may be."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._forget()

    def begin(self, seed: int) -> None:
        """Begin anew."""
        super().begin(seed)
        self._forget()

    def under_way(self, request: Request) -> float:
        """Hold a request up if it writes, or follows a write of the same participant, and if chance says so."""
        pace = self._pace_of(request.who)
        around_a_write = request.writes or self._has_written.get(request.who, False)
        self._has_written[request.who] = request.writes
        seconds = self._chance.expovariate(1 / (request.usual_seconds * pace))
        if around_a_write and self._chance.random() < self.share_held:
            seconds = self._chance.uniform(10 * request.usual_seconds, LONGEST_SECONDS)
            self._paces[request.who] = self._chance.choice(self.paces)
        return self._within_the_time_out(request, _bounded(seconds))

    def _forget(self) -> None:
        self._paces: dict[str, float] = {}
        self._has_written: dict[str, bool] = {}
        self._worked: dict[tuple[str, str], tuple[float, float]] = {}

    def _pace_of(self, who: str) -> float:
        if who not in self._paces:
            self._paces[who] = self._chance.choice(self.paces)
        return self._paces[who]

    def _within_the_time_out(self, request: Request, seconds: float) -> float:
        """Let no invocation be held up for longer than it could last."""
        if request.service in _IMPATIENT:
            return request.usual_seconds
        doing = (request.who, request.function)
        last, so_far = self._worked.get(doing, (request.at_seconds, 0.0))
        if request.at_seconds - last > _ANOTHER_INVOCATION_SECONDS:
            so_far = 0.0
        seconds = min(seconds, max(request.usual_seconds, LONGEST_WORK_SECONDS - so_far))
        self._worked[doing] = (request.at_seconds + seconds, so_far + seconds)
        return seconds


class Replayed:
    """Chooses as was chosen before, and from the end of that on as another one does."""

    def __init__(self, choices: Iterable[Choice], then: Chooser | None = None) -> None:
        self._left = list(choices)[::-1]
        self._then = then or Steady()

    def begin(self, seed: int) -> None:
        """Let chance begin anew for what comes after the choices that are given."""
        self._then.begin(seed)

    def next_of(self, ready: Sequence[str]) -> int:
        """Return the place that was chosen, or the last one if there are fewer now."""
        if not self._left:
            return self._then.next_of(ready)
        return min(int(self._left.pop()), len(ready) - 1) if len(ready) > 1 else 0

    def under_way(self, request: Request) -> float:
        """Return the seconds that were chosen."""
        return float(self._left.pop()) if self._left else self._then.under_way(request)


class Recorded:
    """Chooses as another one does, and keeps all that was chosen."""

    def __init__(self, chooser: Chooser) -> None:
        self.choices: list[Choice] = []
        self._chooser = chooser

    def begin(self, seed: int) -> None:
        """Begin anew, with nothing chosen yet."""
        self.choices.clear()
        self._chooser.begin(seed)

    def next_of(self, ready: Sequence[str]) -> int:
        """Choose, and keep the place if there was another one."""
        place = self._chooser.next_of(ready)
        if len(ready) > 1:
            self.choices.append(place)
        return place

    def under_way(self, request: Request) -> float:
        """Choose, and keep the seconds."""
        seconds = self._chooser.under_way(request)
        self.choices.append(seconds)
        return seconds


def _bounded(seconds: float) -> float:
    """Let a request take some time, and no more than who sent it would wait; microseconds are virtual time's unit."""
    return round(min(max(seconds, _LEAST_SECONDS), LONGEST_SECONDS), 6)
