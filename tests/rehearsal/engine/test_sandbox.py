"""The platform below the functions is shared by rehearsals that run at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rehearsal.engine.sandbox import link_runtime

AT_ONCE = 8


def test_rehearsals_that_begin_at_once_share_a_runtime(tmp_path: Path) -> None:
    """The first two on a new machine, as two workers of one test run are."""
    together = threading.Barrier(AT_ONCE)

    def begin(_: int) -> Path:
        together.wait()
        return link_runtime(tmp_path / "runtime")

    with ThreadPoolExecutor(AT_ONCE) as rehearsals:
        folders = set(rehearsals.map(begin, range(AT_ONCE)))

    assert {tmp_path / "runtime"} == folders
    names = {path.name for path in (tmp_path / "runtime").iterdir()}
    assert {"awslambdaric", "boto3", "botocore"} <= names
    assert [] == [name for name in names if name.startswith(".")]
