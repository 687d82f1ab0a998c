"""Who may work on an environment, what a request must look like, and the shape of the record. All pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from json import JSONDecodeError, loads
from re import fullmatch
from typing import Any, Self

from lambdas.errors import EnvironmentBusy, RollbackWindowOpen

COLORS = ("blue", "green")


class Phase(StrEnum):
    """How far an environment's current piece of work has come."""

    PREPARING = "preparing"
    """A release is claimed and its color is brought up; all traffic is where it was."""
    SHIFTING = "shifting"
    """The release receives a part of the traffic."""
    BAKING = "baking"
    """The release receives all traffic and is observed; the old color stays alive."""
    COMMITTED = "committed"
    """The release is accepted; until the end of its window it can still be rolled back."""
    ROLLING_BACK = "rolling_back"
    """A rollback holds the environment."""
    ROLLED_BACK = "rolled_back"
    """Traffic is on the old color again."""
    ABORTED = "aborted"
    """The release was given up before traffic moved."""
    ESCALATED = "escalated"
    """Runback could not finish on its own, and has told a human."""


class PointStatus(StrEnum):
    """What a rollback point is still good for."""

    VALID = "valid"
    CONSUMED = "consumed"
    EXPIRED = "expired"


def parse_moment(text: str) -> datetime:
    """Read a moment as Step Functions writes it, such as "2026-01-02T03:04:05.678Z"."""
    return datetime.fromisoformat(text)


def later(moment: str, seconds: int) -> str:
    """Return the moment `seconds` after `moment`, in the same format."""
    return (parse_moment(moment) + timedelta(seconds=seconds)).isoformat()


def seconds_since(moment: str, now: str) -> float:
    """Return how many seconds lie between a recorded moment and now."""
    return (parse_moment(now) - parse_moment(moment)).total_seconds()


def other_color(color: str) -> str:
    """Return the color that is idle when `color` is active."""
    blue, green = COLORS
    return green if color == blue else blue


@dataclass(frozen=True)
class Lease:
    """What a step shows to prove that its execution still holds the environment."""

    holder: str
    token: int

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read the lease that a state machine hands from step to step."""
        return cls(holder=event["lease"]["holder"], token=int(event["lease"]["token"]))

    def as_event(self) -> dict[str, Any]:
        """Return the form in which a state machine hands the lease on."""
        return {"holder": self.holder, "token": self.token}


@dataclass(frozen=True)
class Work:
    """
    The lease item: who works on the environment, on which release, and how far it is.

    `token` grows with every claim and never shrinks. `intents` is what the holder was about to make of each route:
    route name → {target group ARN: weight}. `loser` is what a rollback found when it claimed: the execution that it
    took over from and that one's intents, which settle may have to undo.
    """

    token: int = 0
    holder: str | None = None
    phase: Phase | None = None
    release_id: str | None = None
    claimed_at: str | None = None
    progress_at: str | None = None
    action: str | None = None
    intents: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    loser: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lease(self) -> Lease | None:
        """Return the lease that the present holder carries, if somebody holds the environment."""
        return Lease(self.holder, self.token) if self.holder else None


@dataclass(frozen=True)
class RollbackPoint:
    """What the live release can go back to. `window_ends_at` is unset until the release is promoted."""

    status: PointStatus
    color: str
    version: str
    release_id: str
    target_groups: Mapping[str, str]
    capacity: int
    window_ends_at: str | None = None

    def in_window(self, now: str) -> bool:
        """Say whether the live release may still be rolled back without asking a human."""
        if self.status is not PointStatus.VALID:
            return False
        return self.window_ends_at is None or seconds_since(self.window_ends_at, now) < 0


@dataclass(frozen=True)
class Live:
    """The live item: which release serves, on which color, and what it can go back to."""

    release_id: str
    version: str
    color: str
    since: str
    rollback_point: RollbackPoint | None = None


@dataclass(frozen=True)
class HealthReading:
    """How many targets of the way back were healthy when somebody last looked."""

    color: str
    healthy: int
    at: str


@dataclass(frozen=True)
class EnvironmentRecord:
    """Everything that decides about the environment, read at once and consistently."""

    work: Work = field(default_factory=Work)
    live: Live | None = None
    health: HealthReading | None = None


VERSION_FORM = r"[0-9a-f]{7,40}"
_REQUEST_EXAMPLE = '{"version": "4f2c1e9"}'


@dataclass(frozen=True)
class ReleaseRequest:
    """A readable verdict on the input of the deploy machine. `problem` is empty for a valid request."""

    version: str = ""
    release_id: str = ""
    problem: str = ""


def read_request(given: Any, execution_name: str) -> ReleaseRequest:  # noqa: ANN401  an operator can type anything
    """
    Check what an operator or an event asked for.

    The release id is the short version plus eight hexadecimal digits of the execution's name: the same for a repeated
    step, another one for another execution of the same version, and short enough to be part of AWS names.
    """
    problem = _problem_of(given)
    if problem:
        return ReleaseRequest(problem=f"{problem} Example of a valid input: {_REQUEST_EXAMPLE}")
    version = given["version"]
    digest = sha256(execution_name.encode()).hexdigest()[:8]
    return ReleaseRequest(version=version, release_id=f"{version[:12]}-{digest}")


def _problem_of(given: Any) -> str:  # noqa: ANN401
    if not isinstance(given, dict):
        return f"The input must be a JSON object, but it is {describe_json(given)}."
    unknown = sorted(set(given) - {"version"})
    if unknown:
        return f"Field {unknown[0]!r} is not known."
    if "version" not in given:
        return "Field 'version' is missing: the git commit to release, as 7 to 40 lower-case hexadecimal digits."
    version = given["version"]
    if not isinstance(version, str) or not fullmatch(VERSION_FORM, version):
        return (
            f"Field 'version' must be a git commit of 7 to 40 lower-case hexadecimal digits,"
            f" but it is {describe_json(version)}."
        )
    return ""


def describe_json(value: Any) -> str:  # noqa: ANN401
    """Name a JSON value for an error message, shortened: a message must never repeat a whole payload."""
    shown = {dict: "an object", list: "a list", bool: "a boolean", type(None): "null"}.get(type(value))
    return shown or f"{type(value).__name__.replace('str', 'text').replace('int', 'number')} {str(value)[:60]!r}"


def check_deploy_claim(record: EnvironmentRecord, execution: str, now: str, *, may_expire_window: bool) -> None:
    """
    Let a deployment claim only what is free, or what it holds already.

    Raises EnvironmentBusy when another execution holds the environment, even a dead one: what that one left behind is
    cleared by the rollback machine, which the status rule or the watchdog starts. Raises RollbackWindowOpen when the
    idle color is still the way back of the live release.
    """
    work = record.work
    if work.holder == execution:
        return
    if work.holder is not None:
        raise EnvironmentBusy(
            f"Release {work.release_id} is {work.phase} under execution {work.holder}."
            f" Start again when it has ended; if it is dead already, it is cleared within two minutes."
        )
    point = record.live.rollback_point if record.live else None
    if record.live and point and point.in_window(now) and not may_expire_window:
        raise RollbackWindowOpen(
            f"Release {record.live.release_id} can be rolled back until {point.window_ends_at}, and the idle color"
            f' {point.color} is its way back. Start again after that, or set next_release_in_window = "expire".'
        )


def explain_failure(failure: Mapping[str, Any]) -> str:
    """
    Turn what a Catch block hands on into one readable line; empty for no failure.

    A function's error is {"Error": class name, "Cause": JSON with "errorMessage"}; a time-out has a plain Cause.
    """
    if not failure:
        return ""
    error, cause = failure.get("Error", "Unknown"), failure.get("Cause", "")
    try:
        details = loads(cause)
    except JSONDecodeError:
        details = None
    message = details.get("errorMessage", "") if isinstance(details, dict) else cause
    return f"{error}: {message[:1000]}" if message else str(error)
