"""
How a rehearsal is staged: what stands behind the pretend account, and whose time passes.

Packaged: the functions as they are deployed, in processes of their own, applications, a database and users that send
real requests, on a clock that hurries while everything waits. This is what `make rehearse` does.

Modelled: the same functions in this process, and models of everything else behind the same interfaces; on the same
clock, or in virtual time, in which nothing sleeps and a seed decides who goes next.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3

from rehearsal.circumstances import Circumstances
from rehearsal.clock import Clock
from rehearsal.engine.calls import Calls
from rehearsal.engine.sandbox import Runtime
from rehearsal.settings import Settings
from rehearsal.world.customer import World
from rehearsal.world.traffic import Live, Sample

RUNTIME_DIR = Path("build") / "runtime"
"""What a runtime of functions keeps between runs."""

VIRTUAL = "virtual"
"""The mode of a clock on which nothing takes wall time, so that no figure is one of this machine's."""


@dataclass(frozen=True)
class Speeds:
    """
    Simulated seconds in a wall second: while everything waits, and while a release bakes under traffic.

    Users who are real live in wall seconds: at `judging`, while the release has a part of the traffic, there are
    requests enough to judge that part by; at `baking` it has all of it. `idle` is for the end of a scenario, when
    nothing is left but a clean-up that waits for the end of the window: still slow enough for what looks every minute.
    """

    waiting: float = 60.0
    judging: float = 30.0
    baking: float = 100.0
    idle: float = 240.0


class Traffic(Protocol):
    """Users who send requests, and what they saw."""

    samples_path: Path
    requests_per_second: float

    def is_running(self) -> bool:
        """Unless stopped they should be: users that are gone see no failure."""
        ...

    def stop(self) -> None:
        """Send no more, and leave a complete file of samples; safe to repeat."""
        ...

    def so_far(self) -> list[Sample]:
        """Return every sample that is known by now."""
        ...

    def live(self) -> Live:
        """Return what a screen shows, and go on from where the last call stopped."""
        ...


class Staging(Protocol):
    """
    Everything in which one way to stage a rehearsal differs from another.

    `patience_seconds` is how long a scenario waits for anything before it is stuck, by the clock's `stamp`.
    """

    patience_seconds: float
    speeds: Speeds
    requests_per_second: float

    def with_users(self, requests_per_second: float | None) -> "Staging":
        """Return this staging with users who send so much in a simulated second; None: what it is made for."""
        ...

    def clock(self) -> AbstractContextManager[Clock]:
        """Begin the time; the account is built in it."""
        ...

    def begin(self, settings: Settings) -> None:
        """Do what is to be done while the account is empty."""
        ...

    def world(
        self,
        settings: Settings,
        clock: Clock,
        calls: Calls,
        folder: Path,
        circumstances: Circumstances,
        beside: Sequence[Settings] = (),
    ) -> AbstractContextManager[World]:
        """
        Start what the customer's part of the account stands on; `customer.build` then makes the resources.

        `beside` are other environments in the same account, for which the world has its `beside`.
        """
        ...

    def runtime(self, session: boto3.Session, world: World) -> AbstractContextManager[Runtime]:
        """Begin to run functions."""
        ...

    def traffic(
        self,
        clock: Clock,
        world: World,
        listener: str,
        samples: Path,
        sticky_share: float,
    ) -> AbstractContextManager[Traffic]:
        """Let users send requests to a listener, or to the listener of a rule; as many as usual, unless told."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Return what a report says about the time of a rehearsal."""
        ...
