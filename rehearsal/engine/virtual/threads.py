"""What stands in for the names of `threading`: threads, events and locks that wait in virtual time."""

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from rehearsal.engine.virtual.scheduler import Ended, Participant, Scheduler


class Waiting:
    """The participants that wait for one thing."""

    def __init__(self, scheduler: Scheduler, what: str) -> None:
        self._scheduler = scheduler
        self._what = what
        self._participants: list[Participant] = []

    def wait(self, seconds: float | None) -> bool:
        """Say whether the thing came within so many seconds."""
        me = self._scheduler.running()
        self._participants.append(me)
        try:
            return self._scheduler.wait(self._what, seconds)
        finally:
            self.leave(me)

    def wait_as_guest(self, seconds: float | None) -> None:
        """Let the guest whose turn it is wait, from the end of its turn on."""
        self._participants.append(self._scheduler.running())
        self._scheduler.let_guest_wait(self._what, seconds)

    def leave(self, participant: Participant) -> None:
        """Let one wait no longer, who may have been woken already."""
        if participant in self._participants:
            self._participants.remove(participant)

    def wake_all(self) -> None:
        """Tell that the thing came. All who wait now get to know it, also if it is gone again when their turn comes."""
        waiting, self._participants = self._participants, []
        for participant in waiting:
            self._scheduler.wake(participant)


class VirtualEvent:
    """`threading.Event`. moto sets and clears at once: that must wake all who wait."""

    def __init__(self, scheduler: Scheduler, what: str = "an event") -> None:
        self._waiting = Waiting(scheduler, what)
        self._is_set = False

    def is_set(self) -> bool:
        """Say whether a wait would return at once."""
        return self._is_set

    def set(self) -> None:
        """Wake all who wait."""
        self._is_set = True
        self._waiting.wake_all()

    def clear(self) -> None:
        """Let the next wait block."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Say whether the event was set at any moment of the wait, even if it was cleared again at once."""
        return self._is_set or self._waiting.wait(timeout)

    def wait_as_guest(self, timeout: float | None) -> None:
        """Let the guest whose turn it is wait from the end of its turn on, for an event that is not set."""
        self._waiting.wait_as_guest(timeout)

    def leave(self, participant: Participant) -> None:
        """Let a guest wait no longer."""
        self._waiting.leave(participant)


class VirtualLock:
    """`threading.Lock`: a thread that sleeps while it holds one blocks the others in virtual time only."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting = Waiting(scheduler, "a lock")
        self._is_taken = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002  - as in threading
        """Take the lock; say whether it was free in time."""
        deadline = None if timeout < 0 else self._scheduler.seconds + timeout
        while self._is_taken:
            remaining = None if deadline is None else deadline - self._scheduler.seconds
            if not blocking or not self._waiting.wait(remaining):
                return False
        self._is_taken = True
        return True

    def release(self) -> None:
        """Let another one take it."""
        if not self._is_taken:
            raise RuntimeError("release of a lock that nobody holds")
        self._is_taken = False
        self._waiting.wake_all()

    def locked(self) -> bool:
        """Say whether somebody holds it."""
        return self._is_taken

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()


class VirtualRLock:
    """`threading.RLock`: its owner may take it again."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._lock = VirtualLock(scheduler)
        self._owner: threading.Thread | None = None
        self._times_taken = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002  - as in threading
        """Take the lock once more; say whether it was free, or ours, in time."""
        me = threading.current_thread()
        if self._owner is not me:
            if not self._lock.acquire(blocking, timeout):
                return False
            self._owner = me
        self._times_taken += 1
        return True

    def release(self) -> None:
        """Let another one take it, if it was released as often as it was taken."""
        if self._owner is not threading.current_thread():
            raise RuntimeError("release of a lock that this thread does not hold")
        self._times_taken -= 1
        if not self._times_taken:
            self._owner = None
            self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()


class _NotAwaited(threading.Event):
    """Who starts a thread need not see it begin: it stands still at once, until it has the baton."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return True


class VirtualThread(threading.Thread):
    """
    A thread that takes part in virtual time from its start to its end.

    It is a daemon in any case: one that would not end must not keep the process.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        target: Callable[..., object],
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        name: str | None,
    ) -> None:
        name = name or getattr(target, "__qualname__", repr(target))
        super().__init__(target=target, args=tuple(args), kwargs=dict(kwargs or {}), name=name, daemon=True)
        self._started = _NotAwaited()
        self._scheduler = scheduler
        self._participant: Participant | None = None
        self._has_ended = VirtualEvent(scheduler, f"the end of {self.name}")

    def start(self) -> None:
        """Let the thread run when its turn comes. Whoever starts it goes on first."""
        self._participant = self._scheduler.add(self, super().start, self._has_ended.set)

    def run(self) -> None:
        """Run, and give the baton away at the end, whatever happens."""
        participant = self._participant
        assert participant is not None, "a thread is started, not run"
        try:
            self._scheduler.begin(participant)
            super().run()
        except Ended:
            pass
        except BaseException as error:  # noqa: BLE001  - reported as threading does, but before others go on
            self._scheduler.record(f"fails with {type(error).__name__}")
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, self)))
        finally:
            self._has_ended.set()
            self._scheduler.end(participant)

    def is_alive(self) -> bool:
        """Say whether it was started and has not ended, which never depends on how fast this machine is."""
        return self._participant is not None and not self._has_ended.is_set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end, or for so many virtual seconds."""
        if self._has_ended.wait(timeout) and self._participant is not None and self._participant.has_begun:
            super().join()


class VirtualRounds(threading.Thread):
    """
    Work that is done in rounds, with nothing but waits in between, as a guest of whatever thread runs.

    It takes its turns, and leaves its trace, as a thread that waits for `until` between its rounds; to switch to one
    and back takes longer than most rounds do. Within a round it waits for nothing, and does not ask whose thread it is.
    """

    def __init__(
        self, scheduler: Scheduler, rounds: Callable[[], Generator[float | None]], until: VirtualEvent, name: str
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._scheduler = scheduler
        self._until = until
        self._rounds = rounds()
        self._guest: Participant | None = None
        self._waits = False
        self._has_ended = VirtualEvent(scheduler, f"the end of {name}")

    def start(self) -> None:
        """Let the first round begin when its turn comes. Whoever starts it goes on first."""
        self._guest = self._scheduler.invite(self.name, self._turn, self._abandoned)

    def is_alive(self) -> bool:
        """Say whether it was started and has not ended."""
        return self._guest is not None and not self._has_ended.is_set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end, or for so many virtual seconds."""
        self._has_ended.wait(timeout)

    def _turn(self) -> None:
        """Do rounds until one leaves something to wait for."""
        guest = self._guest
        assert guest is not None, "rounds are started, not made"
        if self._waits:
            self._scheduler.record("goes on" if guest.was_woken else "has waited long enough")
            self._until.leave(guest)
        try:
            for seconds in self._rounds:
                if not self._until.is_set():
                    self._until.wait_as_guest(seconds)
                    self._waits = True
                    return
        except Exception as error:  # noqa: BLE001  - reported as threading does; an interrupt is for the host
            self._scheduler.record(f"fails with {type(error).__name__}")
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, self)))
        self._has_ended.set()
        self._scheduler.see_off(guest)

    def _abandoned(self) -> None:
        self._rounds.close()
        self._has_ended.set()
