"""An account that was closed is gone: a run of hundreds of rehearsals is no larger than one of a few."""

import gc
from collections import Counter
from pathlib import Path

import pytest

from tests.rehearsal.conftest import quiet_account

pytestmark = pytest.mark.rehearsed

KEPT = {"rehearsal.world.application.Identity", "rehearsal.engine.in_process._Output"}
"""What the last application and the last function leave, and the next one replaces."""


def there() -> Counter[str]:
    """Count what there is of the rehearsal's own, by its class."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    return Counter(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds if _is_own(kind))


def _is_own(kind: type) -> bool:
    return str(kind.__module__).startswith("rehearsal.")


def test_a_closed_account_leaves_nothing_in_memory(assembly: Path, tmp_path: Path) -> None:
    """After executions have run, and functions have kept their connections to the application."""
    before = there()
    with quiet_account(assembly, tmp_path) as quiet:
        quiet.stage.until_ended(quiet.stage.start_rollback({}))
        quiet.stage.wait(120.0)
    del quiet
    assert (there() - before).keys() <= KEPT
