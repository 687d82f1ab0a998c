"""Plays executions of the machines step by step, with faults, and lets a step stop in its middle and go on later."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lambdas.errors import AwsCallFailed
from lambdas.rollback import watchdog
from tests.protocol.machines import PLAYS, Failed, Play, Step, Wait, seconds_of
from tests.protocol.world import Event, World, execution_of

_MINUTE, _FEW = 60, 2
_MOST_SECONDS = 600
_LONGEST_END_SECONDS = 4 * 3600


class Fault(StrEnum):
    """What can happen to a step."""

    NONE = "works"
    FAILS = "fails before it has done anything, as often as it is tried"
    ANSWER_LOST = "works, and is tried again because its answer was lost"
    CRASHES = "ends in its middle, and is tried again"
    CRASHES_FOR_GOOD = "ends in its middle, as often as it is tried"
    STALLS = "stops in its middle, and goes on later"
    STALLS_AT_WRITE = "stops between a decision and its write, and goes on later"


class _Killed(BaseException):
    """Ends the thread of a step that nobody waits for any more."""


class _Thread:
    """One step in a thread of its own: it stands still before its nth call or write until it may go on, or is ended."""

    def __init__(self, world: World, work: Callable[[], Any], calls: int, *, of_writes: bool = False) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self.is_over = False
        self._world, self._work, self._left = world, work, calls
        self._of_writes = of_writes
        self._may_go, self._stands = threading.Event(), threading.Event()
        self._kills = False
        self._caller = dict(world.caller.__dict__)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._play(self._thread.start)

    def go_on(self) -> None:
        """Let it work to its end."""
        self._play(self._may_go.set)

    def kill(self) -> None:
        """End it where it stands."""
        self._kills = True
        self._play(self._may_go.set)

    def _play(self, begin: Callable[[], None]) -> None:
        former, self._world.gate = self._world.gate, self._pass
        self._stands.clear()
        begin()
        self._stands.wait()
        self._world.gate = former

    def _run(self) -> None:
        self._world.caller.__dict__.update(self._caller)
        try:
            self.result = self._work()
        except _Killed:
            pass
        except Exception as error:  # noqa: BLE001  it is the step's, and is handed on
            self.error = error
        self.is_over = True
        self._stands.set()

    def _pass(self, writes: bool) -> None:  # noqa: FBT001  the gate of a world
        self._left -= writes or not self._of_writes
        if self._left != 0 or (self._of_writes and not writes):
            return
        self._stands.set()
        self._may_go.wait()
        if self._kills:
            raise _Killed


@dataclass(repr=False)
class Execution:
    """An execution of a machine. `stalled` is its present step, while that stands still."""

    arn: str
    machine: str
    play: Play
    wakes_at: float = 0.0
    pending: Step | None = None
    entered_at: str = ""
    stalled: _Thread | None = None
    ends_at: float = 0.0

    def __repr__(self) -> str:
        """Say which execution it is, for the trace of a falsifying example."""
        return f"<{self.arn.rpartition('-test-')[2]}, next {self.pending.name if self.pending else 'nothing'}>"


@dataclass
class Engine:
    """All executions of a world, and the functions of those that were stopped, which still work for a while."""

    world: World
    executions: dict[str, Execution] = field(default_factory=dict)
    orphans: list[tuple[float, _Thread]] = field(default_factory=list)
    counted: int = 0

    def start(self, machine: str, given: Any, name: str = "") -> Execution | None:
        """Start a machine, under a name that is used once only."""
        self.counted += 1
        arn = execution_of(machine, name or f"{machine}-{self.counted}")
        if arn in self.world.status:
            return None
        self.world.status[arn] = "RUNNING"
        return self._begin(machine, arn, given)

    def _begin(self, machine: str, arn: str, given: Any) -> Execution:
        self.world.given[arn] = given
        execution = Execution(arn, machine, PLAYS[machine](self.world, arn, given))
        self.executions[arn] = execution
        self._take(execution, lambda: next(execution.play))
        return execution

    def running(self) -> list[Execution]:
        """Return the executions that have not ended."""
        return [each for each in self.executions.values() if self.runs(each)]

    def runs(self, execution: Execution) -> bool:
        """Say whether an execution has not ended."""
        return self.world.status[execution.arn] == "RUNNING"

    def few(self, machine: str) -> bool:
        """Say whether so few executions of a machine run that one more is worth it."""
        return sum(each.machine == machine for each in self.running()) < _FEW

    def play_until(self, is_reached: Callable[[], bool]) -> None:
        """Play what runs, without a fault, until something holds, or it has had time enough for that."""
        until = self.world.seconds + _MOST_SECONDS
        while not is_reached() and self.world.seconds < until:
            for execution in self.ready():
                self.advance(execution)
            self.pass_time(1)

    def ready(self) -> list[Execution]:
        """Return the executions that could go on now."""
        return [
            each
            for each in self.executions.values()
            if self.runs(each) and each.stalled is None and each.wakes_at <= self.world.seconds
        ]

    def stalled(self) -> list[Execution]:
        """Return the executions whose step stands still."""
        return [each for each in self.executions.values() if self.runs(each) and each.stalled is not None]

    def advance(self, execution: Execution, fault: Fault = Fault.NONE, calls: int = 1) -> None:
        """Play the next step of an execution; `calls` is before which of its calls a fault strikes."""
        self.world.seconds += 1
        step = execution.pending
        assert step is not None
        execution.entered_at = execution.entered_at or self.world.now
        now = execution.entered_at

        def work() -> Any:
            return step.work(now)

        self.world.caller.execution = execution.arn
        self.world.caller.sick = frozenset(self.world.sick)
        try:
            self._strike(execution, step, work, fault, calls)
        finally:
            self.world.caller.execution = ""
        self._collect()

    def _strike(self, execution: Execution, step: Step, work: Callable[[], Any], fault: Fault, calls: int) -> None:
        if fault is Fault.FAILS:
            self._answer(execution, None, AwsCallFailed(f"{step.name} fails"))
            return
        if fault in (Fault.NONE, Fault.ANSWER_LOST):
            self._try(execution, work, twice=fault is Fault.ANSWER_LOST)
            return
        thread = _Thread(self.world, work, calls, of_writes=fault is Fault.STALLS_AT_WRITE)
        if thread.is_over:
            self._answer(execution, thread.result, thread.error)
        elif fault in (Fault.STALLS, Fault.STALLS_AT_WRITE):
            execution.stalled, execution.ends_at = thread, self.world.seconds + step.seconds
        else:
            thread.kill()
            if fault is Fault.CRASHES:
                self._try(execution, work)
            else:
                self._answer(execution, None, AwsCallFailed(f"{step.name} crashes"))

    def _try(self, execution: Execution, work: Callable[[], Any], *, twice: bool = False) -> None:
        result, error = None, None
        for _ in range(2 if twice else 1):
            try:
                result, error = work(), None
            except AssertionError:
                raise
            except Exception as failure:  # noqa: BLE001  the machine's Catch decides
                error = failure
        self._answer(execution, result, error)

    def _answer(self, execution: Execution, result: Any, error: Exception | None) -> None:
        if not self.runs(execution):
            return
        if error is not None:
            self._take(execution, lambda: execution.play.throw(error))
        else:
            self._take(execution, lambda: execution.play.send(result))

    def _take(self, execution: Execution, resume: Callable[[], Step | Wait]) -> None:
        """Follow a machine to its next Task; Wait states only say from when on that may begin."""
        execution.entered_at = ""
        try:
            state = resume()
            while isinstance(state, Wait):
                execution.wakes_at = seconds_of(state.until)
                state = execution.play.send(None)
            execution.pending = state
        except StopIteration:
            self.world.status[execution.arn] = "SUCCEEDED"
        except Failed:
            self._end(execution, "FAILED")

    def _end(self, execution: Execution, status: str) -> None:
        self.world.status[execution.arn] = status
        if execution.machine != "operate":
            given = {"source": "execution-status", "execution_arn": execution.arn, "status": status}
            self.world.events.append(Event(given))

    def go_on(self, execution: Execution) -> None:
        """Let the step that stands still work to its end."""
        thread = execution.stalled
        assert thread is not None
        execution.stalled = None
        thread.go_on()
        self._answer(execution, thread.result, thread.error)
        self._collect()

    def stop(self, execution: Execution) -> None:
        """Stop an execution, as a human or a time-out does. What its function has begun goes on for a while."""
        self._orphan(execution)
        self._end(execution, "ABORTED")

    def _orphan(self, execution: Execution) -> None:
        if execution.stalled is not None:
            self.orphans.append((execution.ends_at, execution.stalled))
            execution.stalled = None

    def let_orphan_go_on(self) -> None:
        """Let a late function of a stopped execution work to its end."""
        _, thread = self.orphans.pop(0)
        thread.go_on()
        self._collect()

    def pass_time(self, seconds: float) -> None:
        """Let time pass: functions that stand still for too long are ended by their time-outs."""
        self.world.seconds += seconds
        late = [thread for ends_at, thread in self.orphans if ends_at <= self.world.seconds]
        self.orphans = [each for each in self.orphans if each[0] > self.world.seconds]
        for thread in late:
            thread.kill()
        for execution in self.stalled():
            if execution.ends_at <= self.world.seconds and execution.stalled is not None:
                execution.stalled.kill()
                execution.stalled = None

    def look(self) -> None:
        """Let the watchdog look once."""
        watchdog.watch(self.world.now[:19] + "Z")
        self._collect()

    def _collect(self) -> None:
        """Take over what was started and stopped meanwhile."""
        for execution in self.executions.values():
            if execution.stalled is not None and not self.runs(execution):
                self._orphan(execution)
        while self.world.started:
            started = self.world.started.pop(0)
            self._begin(started.machine, started.execution, started.given)

    def come_to_rest(self) -> None:
        """Play everything to its end without a further fault, and without a further event: the watchdog looks."""
        self.world.events.clear()
        until = self.world.seconds + _LONGEST_END_SECONDS
        next_look = self.world.seconds
        while self.world.seconds < until:
            ready = self.ready()
            for execution in ready:
                if self.runs(execution):
                    self.advance(execution)
            self.world.events.clear()
            if ready:
                continue
            if self.world.seconds >= next_look:
                self.look()
                next_look += _MINUTE
            elif not self.running() and self.world.read().work.holder is None:
                return
            else:
                waking = [each.wakes_at for each in self.running()]
                ahead = [moment for moment in (*waking, next_look) if moment > self.world.seconds]
                self.pass_time(min(ahead) - self.world.seconds)

    def close(self) -> None:
        """End all threads."""
        for _, thread in self.orphans:
            thread.kill()
        for execution in self.executions.values():
            if execution.stalled is not None:
                execution.stalled.kill()
                execution.stalled = None
            execution.play.close()
