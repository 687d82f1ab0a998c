"""Who runs next, and what time it is: one thread at a time, as a chooser says."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

from rehearsal.engine.virtual.choices import Chooser, Request, Steady
from rehearsal.engine.virtual.trace import Moment, Trace, repeatable

SECONDS_TO_END = 5.0
"""Wall seconds in which a thread that is left over has to end once it is told to."""

LONGEST_TURN_SECONDS = 60.0
"""Wall seconds after which a thread that neither waits nor ends is taken for stuck."""

_MICROSECONDS = 1_000_000
_NOT_TELLING = (str(Path(__file__).parent), threading.__file__)


class Deadlock(Exception):
    """All threads wait, and no time that could pass would wake one."""


class Stuck(Exception):
    """A thread works for ever, or waits for something outside virtual time, which is over then."""


class NotTakingPart(Exception):
    """A thread that virtual time does not know would have to wait in it, or wakes one that does."""


class ThreadsLeft(Exception):
    """Virtual time is over, but some of its threads would not end."""


class Ended(BaseException):
    """Thrown into threads that are left over; no Exception, so that moto does not catch it."""


class Participant:
    """A thread that runs only while it holds the baton, or a guest: work that others do for it when its turn comes."""

    def __init__(
        self,
        name: str,
        thread: threading.Thread,
        start: Callable[[], None] | None = None,
        abandon: Callable[[], None] | None = None,
        turn: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.thread = thread
        """Of a guest: who did its last turn."""
        self._start = start
        self._abandon = abandon
        self.turn = turn
        """Of a guest: what it does whenever its turn comes."""
        self.is_ready = False
        """It has nothing to wait for but its turn."""
        self.was_woken = False
        """Its last wait was over before its deadline."""
        self.deadline: int | None = None
        self.waits_for = ""
        self.waits_since = 0
        self._baton = threading.Lock()
        self._baton.acquire()

    @property
    def has_begun(self) -> bool:
        """Say whether the system knows the thread: it is started no sooner than at its first turn."""
        return self._start is None

    def abandon(self) -> None:
        """Let it never begin."""
        if self._abandon is not None:
            self._abandon()

    def give_baton(self) -> None:
        """Let it run. Whoever gives the baton away runs no longer."""
        if self._start is not None:
            start, self._start = self._start, None
            start()
        self._baton.release()

    def take_baton(self, wall_seconds: float = -1) -> bool:
        """Stand still until somebody gives the baton; say whether that came within so many wall seconds."""
        return self._baton.acquire(timeout=wall_seconds)


class Scheduler:
    """
    Passes one baton among the participants, and owns the time.

    Only who holds the baton touches any of this, so that no lock is needed. The main participant is the thread that
    makes the scheduler. It alone is told of a deadlock, and it may look at the world after every step of another one.
    """

    def __init__(self, seed: int) -> None:
        self.trace = Trace()
        self.microseconds = 0
        self._chooser: Chooser = Steady(seed)
        self._main = Participant("main", threading.current_thread())
        self._running = self._main
        self._participants = [self._main]
        self._threads_so_far = 0
        self._turns_so_far = 0
        self._main_looks = False
        self._deadlock: Deadlock | None = None
        self._is_closing = False

    def reseed(self, seed: int) -> None:
        """Let the choice of who runs next begin anew."""
        self._chooser.begin(seed)

    def choose_by(self, chooser: Chooser) -> None:
        """Leave all choices to another chooser from now on."""
        self._chooser = chooser

    def travel(self, function: str, service: str, action: str, usual_seconds: float, *, writes: bool) -> None:
        """Let the running participant's request to AWS be under way for as long as the chooser says."""
        who = self._running_participant().name
        request = Request(who, function, service, action, writes, self.seconds, usual_seconds)
        self.wait("time", self._chooser.under_way(request))

    @property
    def seconds(self) -> float:
        """Virtual seconds since the beginning."""
        return self.microseconds / _MICROSECONDS

    def record(self, what: str) -> None:
        """Add a moment of the running participant to the trace."""
        self.trace.append(Moment(self.seconds, self._running.name, repeatable(what)))

    def wait(self, waits_for: str, seconds: float | None = None) -> bool:
        """Stand still until woken, or for so many virtual seconds; say whether it was woken in time."""
        me = self._running_before_the_end()
        if me.turn is not None:
            raise NotTakingPart(f"{me.name} has no thread of its own that could wait for {waits_for} within its turn")
        self._begin_to_wait(me, waits_for, seconds)
        self._record_wait(waits_for, seconds)
        self._pass_baton(me)
        self.record("goes on" if me.was_woken else "has waited long enough")
        return me.was_woken

    def wake(self, participant: Participant) -> None:
        """Let one that waits go on once it has its turn. Whoever calls keeps the baton."""
        if not self._is_closing:
            self._running_participant()
        participant.is_ready = participant.was_woken = True

    def run_until(self, condition: Callable[[], bool], seconds: float | None = None) -> bool:
        """Let the others run, and look after each of their steps; say whether it came true in so many seconds."""
        me = self._running_before_the_end()
        if me is not self._main:
            raise NotTakingPart(f"only the main participant may run the others until something holds, not {me.name}")
        deadline = None if seconds is None else self.microseconds + _to_microseconds(seconds)
        while not condition():
            if deadline is not None and self.microseconds >= deadline:
                return False
            self._begin_to_wait(me, "a condition", None if deadline is None else self._seconds_until(deadline))
            self._main_looks = True
            try:
                self._pass_baton(me)
            finally:
                self._main_looks = False
        return True

    def let_guest_wait(self, waits_for: str, seconds: float | None) -> None:
        """Have the guest whose turn it is wait as a thread does, from the end of its turn on."""
        guest = self._running_participant()
        self._begin_to_wait(guest, waits_for, seconds)
        self._record_wait(waits_for, seconds)

    def settle(self) -> None:
        """Let the others do all that they can do now, without any time passing."""
        self.run_until(lambda: not any(each.is_ready for each in self._participants))

    def running(self) -> Participant:
        """Return the participant that calls this."""
        return self._running_participant()

    def add(self, thread: threading.Thread, start: Callable[[], None], abandon: Callable[[], None]) -> Participant:
        """
        Take a thread in. It must begin with `begin` and end with `end`.

        `start` is called at its first turn, `abandon` when virtual time ends before. So the process can be forked, and
        go on in each copy, as long as only the main participant has had its turn.
        """
        return self._added(thread.name, thread, start, abandon)

    def invite(self, name: str, turn: Callable[[], None], abandon: Callable[[], None]) -> Participant:
        """
        Take a guest in: `turn` is called in the thread of whoever gives the baton away, without a change of thread.

        A turn must not wait. At its end the guest waits, by `let_guest_wait`, or has left, by `see_off`.
        """
        return self._added(name, threading.current_thread(), abandon=abandon, turn=turn)

    def see_off(self, guest: Participant) -> None:
        """Let a guest have no more turns."""
        self.record("ends")
        self._participants.remove(guest)

    def _added(
        self,
        name: str,
        thread: threading.Thread,
        start: Callable[[], None] | None = None,
        abandon: Callable[[], None] | None = None,
        turn: Callable[[], None] | None = None,
    ) -> Participant:
        self._running_before_the_end()
        self._threads_so_far += 1
        participant = Participant(f"{self._threads_so_far} {repeatable(name)}", thread, start, abandon, turn)
        participant.is_ready = True
        self._participants.append(participant)
        self.record(f"starts {participant.name}")
        return participant

    def begin(self, me: Participant) -> None:
        """Stand still until it is the new thread's turn for the first time."""
        me.take_baton()
        me.is_ready = False
        if self._is_closing:
            raise Ended

    def end(self, me: Participant) -> None:
        """Give the baton away for the last time."""
        self.record("ends")
        self._participants.remove(me)
        self._give_baton_to(self._next_thread())

    def close(self) -> None:
        """
        End all threads but the main one, each where it stands.

        Raises ThreadsLeft when one of them does not end.
        """
        self._running_participant()
        self._is_closing = True
        for stands_nowhere in [each for each in self._participants if not each.has_begun or each.turn is not None]:
            self._participants.remove(stands_nowhere)
            stands_nowhere.abandon()
        while self._participants[1:]:
            self._give_baton_to(self._participants[-1])
            if not self._main.take_baton(SECONDS_TO_END):
                left = self._participants[1:]
                self._running = self._main
                raise ThreadsLeft(f"threads would not end with virtual time:\n{self._where(left)}")

    def _running_participant(self) -> Participant:
        if threading.current_thread() is not self._running.thread:
            raise NotTakingPart(
                f"{threading.current_thread().name} takes no part in virtual time, and may not wait in it or wake "
                "others. Start threads with the clock's thread()."
            )
        return self._running

    def _running_before_the_end(self) -> Participant:
        if not self._is_closing:
            return self._running_participant()
        me = threading.current_thread()
        if any(each.thread is me for each in self._participants[1:]):
            raise Ended
        raise NotTakingPart(f"virtual time is over, also for {me.name}")

    def _record_wait(self, waits_for: str, seconds: float | None) -> None:
        self.record(f"waits for {waits_for}" + ("" if seconds is None else f" at most {seconds:.6f} s"))

    def _begin_to_wait(self, me: Participant, waits_for: str, seconds: float | None) -> None:
        me.waits_for, me.waits_since = waits_for, self.microseconds
        me.deadline = None if seconds is None else self.microseconds + _to_microseconds(seconds)
        me.was_woken = False

    def _pass_baton(self, me: Participant) -> None:
        following = self._next_thread()
        if following is me:
            self._running = me
        else:
            self._give_baton_to(following)
            self._stand_still(me)
        me.is_ready, me.deadline = False, None
        if me is self._main and self._deadlock is not None:
            error, self._deadlock = self._deadlock, None
            raise error
        if self._is_closing:
            raise Ended

    def _stand_still(self, me: Participant) -> None:
        turns = None
        while not me.take_baton(LONGEST_TURN_SECONDS if me is self._main else -1):
            if turns == self._turns_so_far:
                stuck, self._running = self._running, self._main
                self._is_closing = True
                raise Stuck(f"{stuck.name} neither waits in virtual time nor ends, {self._place_of(stuck)}")
            turns = self._turns_so_far

    def _give_baton_to(self, following: Participant) -> None:
        self._turns_so_far += 1
        self._running = following
        following.give_baton()

    def _next_thread(self) -> Participant:
        """Do the turns of guests until it is a thread's turn."""
        me = threading.current_thread()
        while (following := self._next()).turn is not None:
            self._turns_so_far += 1
            self._running, following.thread = following, me
            following.is_ready, following.deadline = False, None
            following.turn()
        return following

    def _next(self) -> Participant:
        """Choose among those that can run, or let time pass until one can."""
        if self._is_closing or (self._main_looks and self._running is not self._main):
            return self._main
        ready = self._ready()
        if not ready:
            self._jump_to_first_deadline()
            ready = self._ready()
        if ready:
            return ready[self._chooser.next_of([each.name for each in ready])]
        self._deadlock = Deadlock(
            f"nobody can run at {self.seconds:.6f} s, and no time-out would wake anybody:\n"
            + self._where(self._participants)
        )
        return self._main

    def _ready(self) -> list[Participant]:
        now, ready = self.microseconds, []
        for each in self._participants:
            if each.is_ready:
                ready.append(each)
            elif (deadline := each.deadline) is not None and deadline <= now:
                each.is_ready = True
                ready.append(each)
        return ready

    def _jump_to_first_deadline(self) -> None:
        deadlines = [each.deadline for each in self._participants if each.deadline is not None]
        self.microseconds = min(deadlines, default=self.microseconds)

    def _seconds_until(self, microseconds: int) -> float:
        return (microseconds - self.microseconds) / _MICROSECONDS

    def _where(self, participants: list[Participant]) -> str:
        return "\n".join(
            f"  {each.name} waits for {each.waits_for} since {each.waits_since / _MICROSECONDS:.6f} s"
            f" {'between two turns' if each.turn else self._place_of(each)}"
            for each in participants
        )

    def _place_of(self, participant: Participant) -> str:
        """Say where a thread stands: the innermost line that is neither ours nor threading's."""
        frame = sys._current_frames().get(participant.thread.ident or 0)
        while frame is not None and frame.f_code.co_filename.startswith(_NOT_TELLING):
            frame = frame.f_back
        return f"at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}" if frame else "nowhere"


def _to_microseconds(seconds: float) -> int:
    """Whole microseconds, so that three waits of 0.1 s end at 0.3 s."""
    return round(seconds * _MICROSECONDS)
