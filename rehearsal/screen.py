"""
The rehearsal as it happens, within 80 columns: a live screen in a terminal, plain lines everywhere else.

A log is no terminal, even if it shows colors, as that of a CI does.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rehearsal.report import shown_weights
from rehearsal.stage import Stage, Step

_REFRESH_SECONDS = 0.25
_PLAIN_EVERY_SECONDS = 5.0
_STEPS_SHOWN = 12
_QUESTION = "Choice"
_REPORTED_AFTER = {"Check snapshot": "snapshot_progress", "Check idle color": "refresh"}
"""The steps that look how far something slow is, and where in a release's history they write it."""


class Screen:
    """Shows one stage."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        self._waits = {
            (machine, name): float(state["Seconds"])
            for machine in ("deploy", "rollback", "clean-up", "operate")
            for name, state in stage.states_of(machine).items()
            if "Seconds" in state
        }
        self._is_live = console.is_terminal and not console.is_dumb_terminal and not os.environ.get("CI")
        self._told: set[tuple[str, str]] = set()
        self._reported: Step | None = None
        self._how_far = ""
        self._ended = threading.Event()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the stage while the scenario plays."""
        show = self._redraw if self._is_live else self._print
        thread = threading.Thread(target=show, daemon=True)
        if not self._is_live:
            self._stage.on_step(self._print_step)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell states as they are entered, and nothing else: in virtual time there is nothing to watch meanwhile."""
        self._stage.on_step(self._print_step)
        yield

    def _redraw(self) -> None:
        with Live(console=self._console, auto_refresh=False) as live:
            while not self._ended.wait(_REFRESH_SECONDS):
                live.update(self._picture(), refresh=True)
            live.update(self._picture(), refresh=True)

    def _print(self) -> None:
        traffic_printed = time.monotonic()
        while not self._ended.wait(_REFRESH_SECONDS):
            if self._look_how_far():
                self._console.print(f"{'':21}{self._how_far}", highlight=False, soft_wrap=True)
            if time.monotonic() - traffic_printed >= _PLAIN_EVERY_SECONDS:
                traffic_printed = time.monotonic()
                self._console.print(self._traffic_line(), highlight=False, soft_wrap=True)

    def _print_step(self, step: Step) -> None:
        if (step.execution, step.state) in self._told or step.type == _QUESTION:
            return
        self._told.add((step.execution, step.state))
        self._console.print(f"{self._moment(step)}  {step.machine:9} {step.state}", highlight=False, soft_wrap=True)

    def _look_how_far(self) -> bool:
        """Read what the last step that looks after something slow has written; say whether that is news."""
        steps = [step for step in list(self._stage.steps)[:-1] if step.state in _REPORTED_AFTER]
        if not steps or steps[-1] is self._reported:
            return False
        self._reported = steps[-1]
        release_id = self._stage.record.lease.get("release_id", "")
        before, self._how_far = self._how_far, how_far(self._stage.record.release(release_id), steps[-1].state)
        return self._how_far not in ("", before)

    def _picture(self) -> RenderableType:
        steps = list(self._stage.steps)
        table = Table.grid(padding=(0, 2))
        for step in _entered_once(steps[:-1])[1 - _STEPS_SHOWN :]:
            table.add_row(self._moment(step), step.machine, step.state, style="dim")
        if not steps:
            return self._traffic_line()
        current = steps[-1]
        table.add_row(self._moment(current), current.machine, Text(current.state, style="bold"))
        self._look_how_far()
        return Group(table, self._progress(current), Text(self._how_far), self._traffic_table(), self._traffic_line())

    def _progress(self, step: Step) -> RenderableType:
        now = self._stage.account.clock.now()
        bake = self._stage.record.lease.get("bake") if step.state.startswith("Bake") else None
        if bake:
            began, ends = (datetime.fromisoformat(bake[moment]) for moment in ("began_at", "ends_at"))
        elif (step.machine, step.state) in self._waits:
            began, ends = step.at, step.at + timedelta(seconds=self._waits[step.machine, step.state])
        else:
            return Text("")
        seconds = (ends - began).total_seconds()
        elapsed = min((now - began).total_seconds(), seconds)
        row = Table.grid(padding=(0, 2))
        row.add_row(ProgressBar(total=seconds, completed=elapsed, width=40), f"{elapsed:.0f} of {seconds:.0f} s")
        return row

    def _traffic_table(self) -> RenderableType:
        weights = shown_weights(self._stage.account)
        live = self._stage.traffic.live()
        table = Table.grid(padding=(0, 2))
        table.add_row("", "weight", "requests/s", "errors", "p50 ms", "p99 ms", style="dim")
        for color in ("blue", "green"):
            median, p99 = (f"{each:.0f}" for each in live.latency[color]) if color in live.latency else ("", "")
            table.add_row(
                Text(color, style=color),
                Text("█" * (weights[color] // 5), style=color) + Text(f" {weights[color]} %"),
                str(live.last_second.get(color, 0)),
                str(live.failed_by_color.get(color, 0)),
                median,
                p99,
            )
        return table

    def _traffic_line(self) -> str:
        clock, live = self._stage.account.clock, self._stage.traffic.live()
        rates = "  ".join(
            f"{color} {weight:3} % {live.last_second.get(color, 0):2}/s"
            for color, weight in shown_weights(self._stage.account).items()
        )
        counted = f"{live.requests} requests, {live.failed} failed"
        return f"{clock.now():%H:%M:%S}  ×{clock.speed:<4.0f}  {rates}  {counted}"

    def _moment(self, step: Step) -> str:
        return step.at.strftime("%H:%M:%S")


def _entered_once(steps: Iterable[Step]) -> list[Step]:
    """Leave out what was there before, as in a loop that looks whether something is done, and what only decides."""
    found = {(step.execution, step.state): step for step in reversed(list(steps)) if step.type != _QUESTION}
    return list(found.values())[::-1]


def how_far(release: Mapping[str, Any], step: str) -> str:
    """Say how far that is which a step looks after, from the release's history; empty when it does not say."""
    found = release.get(_REPORTED_AFTER[step])
    if not found:
        return ""
    if step == "Check snapshot":
        return f"snapshot {found['status']}, {found['percent']} %"
    return f"instance refresh {found['status']}, {found['percent']} %; {release['healthy']} healthy targets"
