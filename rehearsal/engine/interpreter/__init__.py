"""
moto's own States Language interpreter, put on the rehearsal's clock and made to behave as AWS where we rely on it.

    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}), install(clock) as interpreter:
        interpreter.on_status_change(deliver)
        ...

An interpreter of our own would be one more thing to trust. moto's is complete and public; what differs from AWS is
repaired here, one function per difference. Each says what AWS does and what moto does, and a test for each runs with
and without it, so that the upgrade which makes one unnecessary is noticed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from moto.stepfunctions.parser.utils import TMP_THREADS

from rehearsal.clock import Clock
from rehearsal.engine.interpreter import executions, integrations, language
from rehearsal.engine.interpreter.clockwork import let_tasks_take_real_time, put_on_clock
from rehearsal.engine.interpreter.observers import Interpreter, StateEnteredCallback, StatusChangeCallback
from rehearsal.engine.interpreter.patching import Fix, Patches

__all__ = ["FIXES", "Fix", "Interpreter", "StateEnteredCallback", "StatusChangeCallback", "install"]

FIXES: tuple[Fix, ...] = (*language.FIXES, *executions.FIXES, *integrations.FIXES)


@contextmanager
def install(clock: Clock, fixes: Sequence[Fix] = FIXES) -> Iterator[Interpreter]:
    """
    Run moto's interpreter on `clock`, with `fixes`; leave moto as it was found.

    Open it inside `mock_aws`: AWS clients are made once and kept for as long as this is installed. Executions still
    running at the end are abandoned: they change nothing and report nothing any more.
    """
    interpreter = Interpreter(clock)
    with Patches() as patches:
        put_on_clock(patches, clock)
        let_tasks_take_real_time(patches, clock)
        executions.tell_entered_states(patches, interpreter)
        for fix in fixes:
            fix(patches, interpreter)
        try:
            yield interpreter
        finally:
            interpreter.close()
            TMP_THREADS.clear()  # moto keeps every thread for good, and with it all that it has ever worked on
