"""Wait for a condition instead of sleeping for a guess."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def eventually(condition: Callable[[], Value], seconds: float = 60.0) -> Value:
    """
    Return the condition's first true value; fail the test when there is none within so many wall seconds.

    Only a test that fails waits that long: what must be quick is better measured on the simulated clock than promised
    here, because a busy machine is no failure.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {value!r} after {seconds} s: {condition}")
        time.sleep(0.02)
    return value
