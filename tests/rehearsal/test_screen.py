"""What the terminal shows: progress, within 80 columns, and nothing but lines where nobody sits before it."""

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from rehearsal.screen import Screen, how_far
from rehearsal.stage import Stage, Step
from rehearsal.world.traffic import Live

WIDTH = 80
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CONTROL = re.compile(r"\x1b\[\?25[lh]|\x1b\[\d*[A-GJK]")
"""What moves or hides the cursor, or clears a line: a log shows it as garbage."""
COLOR = re.compile(r"\x1b\[[\d;]*m")


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


class Staged:
    """A stage on which a release bakes, with as much to tell as a screen ever has."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Step], None]] = []
        names = ("Validate request", "Resume scaling of live color after the rollback", "Bake at 10 %")
        self.steps = [Step("arn", "clean-up", name, "Task", START + timedelta(hours=n)) for n, name in enumerate(names)]
        self.steps.insert(1, Step("arn", "clean-up", "Is the request valid?", "Choice", START))
        route = SimpleNamespace(arn="listener", target_group=str)
        bake = {
            "began_at": (START + timedelta(hours=2)).isoformat(),
            "ends_at": (START + timedelta(hours=4)).isoformat(),
        }
        self.stage = SimpleNamespace(
            account=SimpleNamespace(
                clock=SimpleNamespace(now=lambda: START + timedelta(hours=3), seconds=lambda: 10_800.0, speed=1200.0),
                settings=SimpleNamespace(routes=[route]),
                load_balancer=SimpleNamespace(forwards=lambda: {"listener": {"blue": 0, "green": 100}}),
            ),
            traffic=SimpleNamespace(
                live=lambda: Live(123_456, 1_234, {"green": 1_234}, {"green": 99}, {"green": (12.4, 1234.5)})
            ),
            record=SimpleNamespace(lease={"bake": bake}, release=lambda _: {}),
            steps=self.steps,
            states_of=lambda _: {},
            on_step=self.listeners.append,
        )

    def shown(self, *, terminal: bool) -> str:
        """Return what was written while one state was entered."""
        written = io.StringIO()
        console = Console(file=written, width=WIDTH, height=24, force_terminal=terminal, color_system="standard")
        with Screen(cast(Stage, self.stage), console).shown():
            for listener in self.listeners:
                for step in (*self.steps, *self.steps):
                    listener(step)
        return written.getvalue()


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> Staged:
    """Return a stage, shown to somebody at a terminal that can do what terminals can."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return Staged()


def test_a_terminal_of_80_columns_shows_all_there_is(staged: Staged) -> None:
    text = COLOR.sub("", CONTROL.sub("", staged.shown(terminal=True)))

    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" not in text
    assert "Is the request valid?" not in text
    for told in ("Resume scaling of live color after the rollback", "3600 of 7200 s", "100 %", "1234", "12", "123456"):
        assert told in text
    lines = [line.split() for line in text.splitlines()]
    assert ["green", "█" * 20, "100", "%", "99", "1234", "12", "1234"] in lines
    assert any(line[-4:] == ["123456", "requests,", "1234", "failed"] for line in lines)


LINES = [
    "03:04:05  clean-up  Validate request",
    "04:04:05  clean-up  Resume scaling of live color after the rollback",
    "05:04:05  clean-up  Bake at 10 %",
]
"""Each state once, however often a loop enters it, and no questions."""


def test_without_a_terminal_there_are_plain_lines(staged: Staged) -> None:
    assert LINES == staged.shown(terminal=False).splitlines()


@pytest.mark.parametrize(("variable", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_what_only_looks_like_a_terminal_gets_plain_lines(
    staged: Staged, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Where colors are forced, as many a CI does, rich takes a log for a terminal."""
    monkeypatch.setenv(variable, value)
    text = staged.shown(terminal=True)

    assert not CONTROL.search(text)
    assert LINES == COLOR.sub("", text).splitlines()
