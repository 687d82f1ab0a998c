"""
Target health as a load balancer finds it: by requests to the application, for a process by real HTTP ones.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
"""

import select
import socket
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rehearsal.clock import Clock
from rehearsal.world.network import HOST

PROMPT_WALL_SECONDS = 0.01
PATIENCE_WALL_SECONDS = 1.0
_POLL_WALL_SECONDS = 0.01

State = Literal["initial", "healthy", "unhealthy", "unused", "draining"]


@dataclass(frozen=True)
class TargetHealth:
    """What DescribeTargetHealth tells of one target; reason and description are None only when it is healthy."""

    state: State
    reason: str | None = None
    description: str | None = None


HEALTHY = TargetHealth("healthy")
REGISTERING = TargetHealth("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING = TargetHealth("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
NOT_IN_USE = TargetHealth(
    "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
)
NOT_REGISTERED = TargetHealth("unused", "Target.NotRegistered", "Target is not registered to the target group")
DRAINING = TargetHealth("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
UNREACHABLE = TargetHealth("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
TIMED_OUT = TargetHealth("unhealthy", "Target.Timeout", "Request timed out")


def answered_with(status: int) -> TargetHealth:
    """The health of a target whose answer the matcher does not accept, in AWS's words."""
    return TargetHealth(
        "unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"
    )


@dataclass(frozen=True)
class CheckSettings:
    """A target group's health check settings; seconds are simulated."""

    path: str
    interval_seconds: float
    timeout_seconds: float
    healthy_threshold: int
    unhealthy_threshold: int
    matcher: str

    def accepts(self, status: int) -> bool:
        """Whether the matcher, `200`, `200,202` or `200-299`, holds the status."""
        for codes in self.matcher.split(","):
            first, _, last = codes.partition("-")
            if int(first) <= status <= int(last or first):
                return True
        return False


class TargetRecord:
    """
    The load balancer's opinion of one target, result by result.

    "After your target is registered, it must pass one health check to be considered healthy"; the healthy threshold
    counts "before considering an unhealthy target healthy".
    """

    def __init__(self, settings: CheckSettings) -> None:
        self.health = REGISTERING
        self.settings = settings
        self._successes = self._failures = 0

    def add(self, result: TargetHealth) -> None:
        """Count one check's result; the opinion changes when a threshold is reached."""
        if result is HEALTHY:
            self._successes, self._failures = self._successes + 1, 0
            if self.health.state == "initial" or self._successes >= self.settings.healthy_threshold:
                self.health = HEALTHY
            return
        self._successes, self._failures = 0, self._failures + 1
        if self._failures >= self.settings.unhealthy_threshold:
            self.health = result
        elif self.health.state == "initial":
            self.health = CHECKING


class Found(NamedTuple):
    """What a health check found: HEALTHY, or what is wrong. It is known only after so many simulated seconds more."""

    health: TargetHealth
    seconds: float = 0.0


Probe = Callable[[int | None, CheckSettings, Clock], Found]
"""Makes one health check of whatever is on a port. There is no port without an instance."""


class HealthChecker:
    """
    Checks one target of one target group until it is stopped.

    port: where the target listens, asked before each check; None when its instance is gone.
    on_change: called, in the checker's thread, with this checker when its target's state has changed.
    """

    def __init__(
        self,
        clock: Clock,
        settings: CheckSettings,
        port: Callable[[], int | None],
        on_change: Callable[["HealthChecker"], None],
        probe: Probe,
    ) -> None:
        self._record = TargetRecord(settings)
        self._clock = clock
        self._port = port
        self._on_change = on_change
        self._probe = probe
        self._stopped = clock.event()
        clock.rounds(self._run, self._stopped, name="health-check").start()

    @property
    def health(self) -> TargetHealth:
        """The load balancer's opinion after the newest check."""
        return self._record.health

    def apply(self, settings: CheckSettings) -> None:
        """Go on by other settings, from the next check on."""
        self._record.settings = settings

    def stop(self) -> None:
        """Ask for no more checks; one under way may still end, its result goes nowhere."""
        self._stopped.set()

    def _run(self) -> Generator[float]:
        # AWS tells no phase of the first check after a registration; its expectation is half an interval.
        yield self._record.settings.interval_seconds / 2
        while not self._stopped.is_set():
            settings, state = self._record.settings, self.health.state
            next_check = self._clock.seconds() + settings.interval_seconds
            found = self._probe(self._port(), settings, self._clock)
            if found.seconds:
                yield found.seconds
            self._record.add(found.health)
            if self.health.state != state and not self._stopped.is_set():
                self._on_change(self)
            yield max(0.0, next_check - self._clock.seconds())


def check(port: int | None, settings: CheckSettings, clock: Clock) -> Found:
    """Make a health check of a process, however long it takes."""
    return Found(_health_of(port, settings, clock))


def _health_of(port: int | None, settings: CheckSettings, clock: Clock) -> TargetHealth:
    if port is None:
        return UNREACHABLE
    deadline = clock.seconds() + settings.timeout_seconds
    try:
        with socket.create_connection((HOST, port), timeout=PATIENCE_WALL_SECONDS) as connection:
            connection.sendall(
                f"GET {settings.path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n"
                "User-Agent: ELB-HealthChecker/2.0\r\n\r\n".encode()
            )
            if not _answers_in_time(connection, deadline, clock):
                return TIMED_OUT
            status = _status(connection)
    except TimeoutError:
        return TIMED_OUT
    except (OSError, ValueError):  # refused, reset or not HTTP
        return UNREACHABLE
    return HEALTHY if settings.accepts(status) else answered_with(status)


def _answers_in_time(connection: socket.socket, deadline: float, clock: Clock) -> bool:
    """
    Whether an answer begins before the deadline in simulated seconds, and never less than a wall second.

    At a hundred times real speed a time-out of 5 s is 50 ms, and a busy machine would fail healthy targets. So a
    target that does not answer at once gets one second at real speed; only then may simulated time run on fast, or one
    hung application would slow the whole rehearsal down to real speed.
    """
    if _readable(connection, PROMPT_WALL_SECONDS):
        return True
    with clock.at_real_speed():
        if _readable(connection, PATIENCE_WALL_SECONDS):
            return True
    while clock.seconds() < deadline:
        if _readable(connection, _POLL_WALL_SECONDS):
            return True
    return False


def _readable(connection: socket.socket, wall_seconds: float) -> bool:
    return bool(select.select([connection], [], [], wall_seconds)[0])


def _status(connection: socket.socket) -> int:
    """The status of an HTTP response. Raises ValueError when it is none."""
    until = time.monotonic() + PATIENCE_WALL_SECONDS
    head = b""
    while b"\r\n" not in head:
        received = connection.recv(4096)
        if not received or time.monotonic() > until:
            raise ValueError(head)
        head += received
    protocol, status, *_ = head.split(maxsplit=2)
    if not protocol.startswith(b"HTTP/"):
        raise ValueError(head)
    return int(status)
