"""
What botocore and moto work out anew for every request, worked out once: for thousands of rehearsals in one process.

Nothing of it changes an answer, which a test proves by rehearsing with and without. Each says why.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from rehearsal.engine.shortcuts import answering, connecting, copying, histories, receiving, sending, storing


@contextmanager
def taken() -> Iterator[None]:
    """Take all shortcuts while the context is open."""
    with ExitStack() as patches:
        for part in (sending, receiving, answering, histories, storing, connecting):
            for owner, name, replacement in part.shortcuts():
                patches.enter_context(mock.patch.object(owner, name, replacement))
        patches.enter_context(copying.quicker())
        yield
