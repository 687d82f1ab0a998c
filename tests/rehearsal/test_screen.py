"""What the terminal says about waits that have a progress of their own."""

from typing import Any

import pytest

from rehearsal.screen import how_far


@pytest.mark.parametrize(
    ("step", "release", "expected"),
    [
        ("Check snapshot", {"snapshot_progress": {"status": "creating", "percent": 40}}, "snapshot creating, 40 %"),
        (
            "Check idle color",
            {"refresh": {"status": "InProgress", "percent": 50}, "healthy": 1},
            "instance refresh InProgress, 50 %; 1 healthy targets",
        ),
        ("Check idle color", {"snapshot_progress": {"status": "available", "percent": 100}}, ""),
        ("Check snapshot", {}, ""),
    ],
)
def test_how_far_something_slow_is(step: str, release: dict[str, Any], expected: str) -> None:
    assert expected == how_far(release, step)
