"""What the machines are built for: the part of the settings that shapes states rather than data."""

from dataclasses import dataclass

from lambdas.gates.gate_rules import LOOK_AGAIN_SECONDS
from lambdas.release.bake_rules import most_looks
from lambdas.release.rules import WINDOW_PAUSE_SECONDS

CHECK_EVERY_SECONDS = 15
"""How often a release looks whether something slow is ready: a snapshot, an instance refresh."""

MOST_EVENTS = 20_000
"""Of the 25,000 that an execution may have: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
_EVENTS_OF_A_LOOK = 9
"""A Task is entered, scheduled, started, ended and exited; a Choice and a Wait are entered and exited."""
_EVENTS_OF_GATES = 36
"""
Three Tasks in a Parallel, each with what answers in its place; the Parallel is entered, started, ended and exited.

Then a Task that decides, a Choice and a Wait.
"""
_EVENTS_WITHOUT_LOOPS = 1500
"""More than all states of the deploy machine have, each entered once, and each Task tried as often as it may be."""


@dataclass(frozen=True)
class ShiftStep:
    """One step of a release: `weight` percent of the traffic for the new color, observed for `bake_seconds`."""

    weight: int
    bake_seconds: int


@dataclass(frozen=True)
class ReleasePlan:
    """
    The steps of a release, in order. The last one has weight 100.

    `can_restore`: settings say how the database is brought back, so that it has to be proven that it could be.
    `can_migrate`: settings name what migrates the database. `can_apply`: settings say where the infrastructure is
    described. `has_gates`: settings say what has to be so before a release begins. `approval_minutes` is how long it
    waits for a human's approval, where settings ask for one.
    """

    steps: tuple[ShiftStep, ...]
    can_restore: bool = False
    can_migrate: bool = False
    can_apply: bool = False
    has_gates: bool = False
    approval_minutes: int | None = None


@dataclass(frozen=True)
class RestorePlan:
    """How long a restore of the database waits: for a human's approval, and for requests that are under way."""

    approval_minutes: int
    drain_seconds: int


@dataclass(frozen=True)
class LongestRelease:
    """How long each thing may take that a release waits for."""

    window_seconds: int
    snapshot_seconds: int
    prepare_seconds: int
    bakes_seconds: tuple[int, ...]
    pause_seconds: int
    builds_seconds: int = 0
    """A plan and its apply. An abort waits for the rest of that apply, and not for another one."""
    migrations_seconds: int = 0
    """Migrations, and what an abort waits for them."""
    approval_seconds: int = 0
    """What a human may take to approve the release: one state waits for it, without looking."""
    gates_seconds: int = 0
    """What a release may wait at its gates, all times that it comes to them."""

    @property
    def seconds(self) -> int:
        """All of it, one after the other."""
        waits = self.window_seconds + self.snapshot_seconds + self.prepare_seconds + self.pause_seconds
        waits += self.builds_seconds + self.migrations_seconds + self.approval_seconds + self.gates_seconds
        return waits + sum(self.bakes_seconds)

    @property
    def events(self) -> int:
        """How many events the history of such a release may have."""
        looks = (
            self.window_seconds // WINDOW_PAUSE_SECONDS
            + (self.snapshot_seconds + self.prepare_seconds + self.builds_seconds + self.migrations_seconds)
            // CHECK_EVERY_SECONDS
            + sum(map(most_looks, (*self.bakes_seconds, self.pause_seconds)))
        )
        at_gates = _EVENTS_OF_GATES * (self.gates_seconds // LOOK_AGAIN_SECONDS)
        return _EVENTS_WITHOUT_LOOPS + _EVENTS_OF_A_LOOK * looks + at_gates
