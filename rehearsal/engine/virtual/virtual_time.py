"""The clock that jumps, and moto's interpreter put on it."""

import random
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Self, cast

import botocore.endpoint
from moto.moto_api._internal import mock_random

from rehearsal.clock import ClockEvent
from rehearsal.engine.interpreter.clockwork import put_on_clock
from rehearsal.engine.interpreter.patching import Patches
from rehearsal.engine.virtual.choices import Chooser
from rehearsal.engine.virtual.scheduler import Scheduler
from rehearsal.engine.virtual.threads import VirtualEvent, VirtualLock, VirtualRLock, VirtualRounds, VirtualThread
from rehearsal.engine.virtual.trace import Trace

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
"""When virtual time begins, unless told otherwise. It is no wall time, which would make every run another one."""


class VirtualClock:
    """A `rehearsal.clock.Clock` that stands still while anybody runs, and jumps when all wait."""

    def __init__(self, scheduler: Scheduler, start: datetime = START) -> None:
        self._scheduler = scheduler
        self._start = start

    def now(self) -> datetime:
        """Tell the virtual time of day, aware, in UTC."""
        return self._start + timedelta(microseconds=self._scheduler.microseconds)

    def seconds(self) -> float:
        """Count the virtual seconds since the clock started."""
        return self._scheduler.seconds

    def stamp(self) -> float:
        """Tell the virtual seconds: there is no other time."""
        return self._scheduler.seconds

    def seconds_at(self, stamp: float) -> float:
        """Return the stamp: there is no other time."""
        return stamp

    def sleep(self, seconds: float) -> None:
        """Return after so many virtual seconds. Even 0 lets others run."""
        self._scheduler.wait("time", seconds)

    def event(self) -> ClockEvent:
        """Make an event that is not set."""
        return VirtualEvent(self._scheduler)

    def thread(
        self,
        target: Callable[..., object],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        daemon: bool | None = None,
    ) -> threading.Thread:
        """Make a thread, not yet started. It is a daemon, whatever `daemon` says."""
        del daemon
        return VirtualThread(self._scheduler, target, args, kwargs, name)

    def rounds(
        self, rounds: Callable[[], Generator[float | None]], until: ClockEvent, *, name: str
    ) -> threading.Thread:
        """Make work, not yet started, that is done by whatever thread runs when a round is due."""
        return VirtualRounds(self._scheduler, rounds, cast(VirtualEvent, until), name)

    def at_real_speed(self) -> AbstractContextManager[None]:
        """Change nothing: no virtual time passes while anybody works."""
        return nullcontext()

    def pace(self, speed: float) -> None:
        """Change nothing but refuse what TwoSpeedClock refuses: waiting takes no wall time, at whatever speed."""
        if speed <= 0:
            raise ValueError(f"a clock's speed must be positive, not {speed}")

    @property
    def speed(self) -> float:
        """Simulated seconds per wall second while all wait."""
        return float("inf")


class VirtualTime:
    """
    Virtual time for moto's interpreter while the context is open; the thread that opens it is the main participant.

    Whatever anybody gets by chance (jitter, UUIDs, moto's ids) follows the seed, too. Open it around
    `mock_aws` and `interpreter.install(virtual.clock)`, which need nothing special then. At the end moto is as it was
    found, and threads that still run are ended where they stand.
    """

    def __init__(self, seed: int = 0, start: datetime = START) -> None:
        self._chance = random.Random(seed)
        self._seed = seed
        self._scheduler = Scheduler(seed)
        self._open = ExitStack()
        self.clock = VirtualClock(self._scheduler, start)

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            patches = opening.enter_context(Patches())
            opening.enter_context(_seeded(self._seed))
            _repeat_uuids(patches, self._chance)
            _replace_threading(patches, self.clock, self._scheduler)
            _let_retries_wait(patches, self.clock)
            put_on_clock(patches, self.clock)
            opening.callback(self._scheduler.close)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    @property
    def trace(self) -> Trace:
        """What has happened so far."""
        return self._scheduler.trace

    def reseed(self, seed: int) -> None:
        """Let chance begin anew, as in a copy of a process in which an account was built before."""
        self._chance.seed(seed)
        self._scheduler.reseed(seed)
        mock_random.seed(seed)
        random.seed(seed)

    def choose_by(self, chooser: Chooser) -> None:
        """Leave it to another chooser from now on who runs next, and how long requests are under way."""
        self._scheduler.choose_by(chooser)

    def travel(self, function: str, service: str, action: str, usual_seconds: float, *, writes: bool) -> None:
        """Let a function's request to AWS be under way, in which others can come in between."""
        self._scheduler.travel(function, service, action, usual_seconds, writes=writes)

    def sleep(self, seconds: float) -> None:
        """Let so many virtual seconds pass."""
        self.clock.sleep(seconds)

    def run_until(self, condition: Callable[[], bool], seconds: float | None = None) -> bool:
        """
        Let the others run until `condition` holds, for at most so many virtual seconds; say whether it came to hold.

        The main participant looks after every step of another one. Raises Deadlock when nobody can run any more.
        """
        return self._scheduler.run_until(condition, seconds)

    def settle(self) -> None:
        """Let the others do all that they can do now, without any time passing."""
        self._scheduler.settle()

    def record(self, what: str) -> None:
        """Add to the trace what the running thread has done. UUIDs and memory addresses are left out."""
        self._scheduler.record(what)


def _replace_threading(patches: Patches, clock: VirtualClock, scheduler: Scheduler) -> None:
    """Replace locks, too: one that a waiting thread holds would stop the only thread that may run."""
    virtual = {
        "Thread": clock.thread,
        "Event": clock.event,
        "Lock": lambda: VirtualLock(scheduler),
        "RLock": lambda: VirtualRLock(scheduler),
    }
    for name, replacement in virtual.items():
        patches.set_everywhere(getattr(threading, name), replacement)
    patches.set_everywhere(threading, SimpleNamespace(**{**vars(threading), **virtual}))


def _let_retries_wait(patches: Patches, clock: VirtualClock) -> None:
    """Let botocore's pause before it tries again be virtual."""
    patches.set(botocore.endpoint, "time", SimpleNamespace(**{**vars(time), "sleep": clock.sleep}))


def _repeat_uuids(patches: Patches, chance: random.Random) -> None:
    """Give everybody the same UUIDs for the same seed: task tokens, ids of events and of requests."""
    really_unique = uuid.uuid4
    patches.set(uuid, "uuid4", lambda: uuid.UUID(int=chance.getrandbits(128), version=4))
    patches.set_everywhere(really_unique, uuid.uuid4)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let moto make the same ids, the interpreter and botocore the same pauses; go on as if nothing had been."""
    ids, chance = mock_random.getstate(), random.getstate()
    mock_random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        mock_random.setstate(ids)
        random.setstate(chance)
