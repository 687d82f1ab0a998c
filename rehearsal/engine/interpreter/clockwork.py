"""The names by which moto's Step Functions modules tell, spend and share time, replaced by ones on a clock."""

import datetime as dt
import threading
import time
from contextlib import nullcontext
from types import ModuleType
from typing import Any

from moto.core import utils
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.eval.environment import Environment

from rehearsal.clock import Clock
from rehearsal.engine.interpreter.patching import Patches


def put_on_clock(patches: Patches, clock: Clock) -> None:
    """
    Let every wait, time-out and timestamp of the interpreter count simulated time.

    Locks stay real: moto never waits for time while it holds one.
    """
    clock_datetime = _datetime_on(clock)
    replacements: list[tuple[object, object]] = [
        (threading, _Overlay(threading, Thread=clock.thread, Event=clock.event)),
        (threading.Thread, clock.thread),
        (threading.Event, clock.event),
        (time, _Overlay(time, sleep=clock.sleep, time=lambda: clock.now().timestamp(), monotonic=clock.seconds)),
        (dt, _Overlay(dt, datetime=clock_datetime)),
        (dt.datetime, clock_datetime),
        (utils.utcnow, clock_datetime.utcnow),
    ]
    for original, replacement in replacements:
        patches.set_everywhere(original, replacement)


def let_tasks_take_real_time(patches: Patches, clock: Clock) -> None:
    """
    Run at real speed while a Task works, from its first moment to its last.

    The function's own process holds the clock, too, but the way to it and back takes real milliseconds as well: at a
    hundred times the speed a short stall of this machine would be a false time-out. A Task that waits for somebody
    else, for a token or for another execution, goes fast.
    """
    original = ExecutionState._evaluate_with_timeout

    def evaluate(self: ExecutionState, env: Environment) -> None:
        works = isinstance(self, StateTask) and getattr(self.resource, "condition", None) is None
        with clock.at_real_speed() if works else nullcontext():
            original(self, env)

    patches.set(ExecutionState, "_evaluate_with_timeout", evaluate)


class _Overlay:
    """A module with a few names replaced."""

    def __init__(self, module: ModuleType, **replaced: object) -> None:
        self._module = module
        vars(self).update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _datetime_on(clock: Clock) -> type[dt.datetime]:
    class ClockDatetime(dt.datetime):
        """The rehearsal's time zone is UTC: a naive `now()` would differ from host to host."""

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            now = clock.now()
            return now.astimezone(tz) if tz else now.replace(tzinfo=None)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now()

    return ClockDatetime
