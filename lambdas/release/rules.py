"""Who may work on an environment, what a request must look like, and the shape of the record. All pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from json import loads
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
    CLEANING_UP = "cleaning_up"
    """The way back of a release whose window is over is given up, and its old color scaled in."""
    ROLLING_BACK = "rolling_back"
    """A rollback holds the environment."""
    ROLLED_BACK = "rolled_back"
    """Traffic is on the old color again."""
    ABORTED = "aborted"
    """The release was given up before traffic moved."""
    ESCALATED = "escalated"
    """Runback could not finish on its own, and has told a human."""
    RESTORING = "restoring"
    """The database is brought back to a former state; all traffic is answered with 503 meanwhile."""
    RESTORED = "restored"
    """The database was brought back, and traffic flows again."""
    RESTORE_FAILED = "restore_failed"
    """The database could not be brought back; what served before serves again."""
    FROZEN = "frozen"
    """A restore of the database could not be ended, and traffic is answered with 503 until a human goes on with it."""


OUTCOMES: Mapping[Phase, str] = {
    Phase.COMMITTED: "promoted",
    Phase.ABORTED: "aborted",
    Phase.ROLLED_BACK: "rolled_back",
    Phase.ESCALATED: "escalated",
}
"""What a release's history says of its end, by the phase in which the work on it ended."""


KEEPS_FREEZE = "keep_frozen"
"""The action of a rollback that has found a dead restore: it writes that down, and moves nothing."""


class PointStatus(StrEnum):
    """What a rollback point is still good for."""

    VALID = "valid"
    CONSUMED = "consumed"
    EXPIRED = "expired"


class OrderAction(StrEnum):
    """What an operator can order a release to do, or Runback about a release."""

    PAUSE = "pause"
    """Hold the release where it is, until somebody resumes it or the deadline passes."""
    RESUME = "resume"
    """Let a paused release go on."""
    PROMOTE = "promote"
    """Skip what is left of all bakes; every check still runs."""
    ABORT = "abort"
    """Give the release up: aborted before the first shift, rolled back from then on."""
    APPROVE = "approve"
    """Let a release begin, or a restore of the database, which loses what was written since its recovery point."""
    REJECT = "reject"
    """Let it not begin."""
    END_WINDOW = "end-window"
    """Give up the way back of the live release before the end of its window."""
    RELEASE_ENVIRONMENT = "release-environment"
    """Take the lease from an execution that is dead."""
    BEGIN_MAINTENANCE = "begin-maintenance"
    """For some time no release begins, and critical alarms page instead of rolling back."""
    END_MAINTENANCE = "end-maintenance"
    """End that before its time."""


def parse_moment(text: str) -> datetime:
    """Read a moment as Step Functions writes it, such as "2026-01-02T03:04:05.678Z"."""
    return datetime.fromisoformat(text)


def is_moment(text: str) -> bool:
    """Say whether a text is a moment that can be compared with others: with its zone, and not at the end of time."""
    try:
        moment = parse_moment(text)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return moment.tzinfo is not None


def later(moment: str, seconds: int) -> str:
    """Return the moment `seconds` after `moment`, in the same format."""
    return (parse_moment(moment) + timedelta(seconds=seconds)).isoformat()


def as_timestamp(moment: str) -> str:
    """
    Return the first whole second that is not before a moment, as a Wait state takes it: "2026-01-02T03:04:06Z".

    https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html
    """
    rounded = parse_moment(moment).astimezone(UTC) + timedelta(microseconds=999_999)
    return rounded.strftime("%Y-%m-%dT%H:%M:%SZ")


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
class Bake:
    """Which step of a release is observed, since when, and until when at the earliest."""

    percent: int
    began_at: str
    ends_at: str


@dataclass(frozen=True)
class Order:
    """What an operator wants of the holder. `by` is the execution that gave the order, `until` a pause's deadline."""

    action: OrderAction
    at: str
    reason: str
    by: str
    until: str = ""


@dataclass(frozen=True)
class Work:
    """
    The lease item: who works on the environment, on which release, and how far it is.

    `token` grows with every claim and never shrinks. `intents` is what the holder was about to make of each route:
    route name → {target group ARN: weight}. `loser` is what a rollback found when it claimed: the execution that it
    took over from and that one's intents, which settle may have to undo. `bake` and `order` are the holder's, and go
    with it: whoever claims begins without them. `infrastructure`: a human has asked a rollback to take that back, too.
    `database` is why a human has asked a rollback to have the database brought back after it, and `asked_by` which one
    he has asked; None when nobody has.
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
    bake: Bake | None = None
    order: Order | None = None
    infrastructure: bool | None = None
    database: str | None = None
    asked_by: str | None = None

    @property
    def lease(self) -> Lease | None:
        """Return the lease that the present holder carries, if somebody holds the environment."""
        return Lease(self.holder, self.token) if self.holder else None

    @property
    def is_frozen(self) -> bool:
        """Say whether a restore of the database has frozen all traffic, or may have: nothing else is to be moved."""
        if self.phase is Phase.ROLLING_BACK:
            return self.action == KEEPS_FREEZE
        return self.phase in (Phase.RESTORING, Phase.FROZEN)


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
    """
    The live item: which release serves, on which color, and what it can go back to.

    `no_automatic_rollback` is why only a human may go back from it, as its request says; None where that may be done at
    once.
    """

    release_id: str
    version: str
    color: str
    since: str
    rollback_point: RollbackPoint | None = None
    no_automatic_rollback: str | None = None

    @property
    def input_to_go_back(self) -> str:
        """Return the input with which a human has the rollback machine go back from it."""
        if not self.no_automatic_rollback:
            return "{}"
        return f'{{"release_id": "{self.release_id}", "reason": "…"}}'


@dataclass(frozen=True)
class HealthReading:
    """How many targets of the way back were healthy when somebody last looked."""

    color: str
    healthy: int
    at: str


@dataclass(frozen=True)
class Maintenance:
    """Until when people work on what the environment stands on, and why. `by` is the execution that said so."""

    until: str
    reason: str
    by: str

    def lasts(self, now: str) -> bool:
        """Say whether it is not over yet."""
        return seconds_since(self.until, now) < 0


@dataclass(frozen=True)
class EnvironmentRecord:
    """Everything that decides about the environment, read at once and consistently."""

    work: Work = field(default_factory=Work)
    live: Live | None = None
    health: HealthReading | None = None
    maintenance: Maintenance | None = None

    def maintained(self, now: str) -> Maintenance | None:
        """Return the maintenance that is under way."""
        return self.maintenance if self.maintenance and self.maintenance.lasts(now) else None


VERSION_FORM = r"[0-9a-f]{7,40}"
_LONGEST_REASON = 1000
_LONGEST_CAUSE = 4000
"""A step's own words can name many things that are missing, each with its remedy; all of them are what helps."""
_LONGEST_LOGIN = 100
_REQUEST_FIELDS = frozenset(
    {
        *("version", "despite_alarms", "infrastructure", "migrations", "no_automatic_rollback"),
        *("pushed_by", "emergency", "skip_gates"),
    }
)
SKIPS_APPROVAL = "approval"
"""What an emergency names in `skip_gates` to begin without the approval of another human."""
_REQUEST_EXAMPLE = '{"version": "4f2c1e9"}'


class Migrations(StrEnum):
    """What a release does to the schema of the database, as who asks for the release declares it."""

    NONE = "none"
    BACKWARD_COMPATIBLE = "backward-compatible"
    """The old version works with the new schema, too."""
    BREAKING = "breaking"
    """It does not, so that going back is no remedy by itself."""


@dataclass(frozen=True)
class ReleaseRequest:
    """
    A readable verdict on the input of the deploy machine. `problem` is empty for a valid request.

    `no_automatic_rollback` is why breaking migrations are accepted all the same; empty for any others.
    """

    version: str = ""
    release_id: str = ""
    problem: str = ""
    despite_alarms: str = ""
    """Why it is to be released although a critical alarm is on; empty when it is not."""
    migrations: Migrations = Migrations.NONE
    no_automatic_rollback: str = ""
    infrastructure: bool = False
    """Whether Terraform is to apply what the version says of its infrastructure."""
    pushed_by: str = ""
    """Who pushed the commit, as GitHub calls them; empty when a human has started the release."""
    emergency: str = ""
    """Why the release goes without the gates in `skip_gates`; empty when it does not."""
    skip_gates: tuple[str, ...] = ()
    skips_approval: bool = False
    """Whether the approval of the release by another human is among them."""


def read_request(
    given: Any,  # noqa: ANN401  an operator can type anything
    execution_name: str,
    *,
    can_migrate: bool = True,
    can_apply: bool = False,
    skippable: Sequence[str] = (),
) -> ReleaseRequest:
    """
    Check what an operator or an event asked for.

    `can_migrate`: the environment has a hook for migrations. `can_apply`: its settings say where the infrastructure of
    a version is described, which is then applied unless the request says otherwise. `skippable` is what an emergency
    may go without: the environment's gates, and its approval.
    """
    problem = (
        _problem_of(given)
        or _problem_of_migrations(given, can_migrate=can_migrate)
        or _problem_of_infrastructure(given, can_apply=can_apply)
        or _problem_of_emergency(given, skippable)
    )
    if problem:
        return ReleaseRequest(problem=f"{problem} Example of a valid input: {_REQUEST_EXAMPLE}")
    version = given["version"]
    return ReleaseRequest(
        version=version,
        release_id=release_id_of(version, execution_name),
        despite_alarms=given.get("despite_alarms", "").strip(),
        migrations=Migrations(given.get("migrations", Migrations.NONE)),
        no_automatic_rollback=given.get("no_automatic_rollback", "").strip(),
        infrastructure=given.get("infrastructure", can_apply),
        pushed_by=given.get("pushed_by", ""),
        emergency=given.get("emergency", "").strip(),
        skip_gates=tuple(given.get("skip_gates", ())),
        skips_approval=SKIPS_APPROVAL in given.get("skip_gates", ()),
    )


def release_id_of(version: str, execution_name: str) -> str:
    """
    Return the id of the release that an execution of the deploy machine makes.

    It is the short version plus eight hexadecimal digits of the execution's name: the same for a repeated step, another
    one for another execution of the same version, and short enough to be part of AWS names.
    """
    return f"{version[:12]}-{sha256(execution_name.encode()).hexdigest()[:8]}"


def read_version(given: Any) -> str:  # noqa: ANN401
    """Return the version in the input of the deploy machine, whatever else is wrong with it; "" where there is none."""
    version = given.get("version") if isinstance(given, dict) else None
    return version if isinstance(version, str) and fullmatch(VERSION_FORM, version) else ""


def _problem_of(given: Any) -> str:  # noqa: ANN401
    if not isinstance(given, dict):
        return f"The input must be a JSON object, but it is {describe_json(given)}."
    unknown = sorted(set(given) - _REQUEST_FIELDS)
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
    pushed_by = given.get("pushed_by", "")
    if not isinstance(pushed_by, str) or len(pushed_by) > _LONGEST_LOGIN:
        return f"Field 'pushed_by' must be the name of who pushed the commit, but it is {describe_json(pushed_by)}."
    return _problem_of_reason(given["despite_alarms"]) if "despite_alarms" in given else ""


def _problem_of_emergency(given: Mapping[str, Any], skippable: Sequence[str]) -> str:
    """Both or neither: nobody skips a gate without a reason, nor gives a reason that skips nothing."""
    if "emergency" not in given and "skip_gates" not in given:
        return ""
    if not skippable:
        return (
            "Fields 'emergency' and 'skip_gates' are for environments with gates or approvals of releases, and this one"
            " has neither: remove them."
        )
    reason, gates = given.get("emergency"), given.get("skip_gates")
    if not isinstance(reason, str) or not reason.strip() or len(reason) > _LONGEST_REASON:
        return (
            f"Field 'emergency' must be the reason, in 1 to {_LONGEST_REASON} characters, to release without the gates"
            f" in 'skip_gates', but it is {describe_json(reason)}."
        )
    if not isinstance(gates, list) or not gates or not all(isinstance(gate, str) for gate in gates):
        return (
            f"Field 'skip_gates' must be a list of what the emergency goes without, out of {', '.join(skippable)},"
            f" but it is {describe_json(gates) if gates else 'empty'}."
        )
    unknown = next((gate for gate in gates if gate not in skippable), None)
    if unknown is not None:
        return (
            f"Field 'skip_gates' names {describe_json(unknown)}, which is no gate of this environment; it has"
            f" {', '.join(skippable)}."
        )
    return ""


def _problem_of_reason(reason: Any) -> str:  # noqa: ANN401
    if not isinstance(reason, str) or not reason.strip() or len(reason) > _LONGEST_REASON:
        return (
            f"Field 'despite_alarms' must be the reason, in 1 to {_LONGEST_REASON} characters, to release while a"
            f" critical alarm is on, but it is {describe_json(reason)}."
        )
    return ""


def _problem_of_infrastructure(given: Mapping[str, Any], *, can_apply: bool) -> str:
    wanted = given.get("infrastructure", False)
    if not isinstance(wanted, bool):
        return f"Field 'infrastructure' must be true or false, but it is {describe_json(wanted)}."
    if wanted and not can_apply:
        return (
            "Field 'infrastructure' is true, but this environment has no settings of one: add the table"
            " [infrastructure] to its file, and deploy Runback."
        )
    return ""


def _problem_of_migrations(given: Mapping[str, Any], *, can_migrate: bool) -> str:
    declared = given.get("migrations", Migrations.NONE)
    if declared not in list(Migrations):
        return f"Field 'migrations' must be one of {', '.join(Migrations)}, but it is {describe_json(declared)}."
    if declared != Migrations.NONE and not can_migrate:
        return (
            f"Field 'migrations' is {declared!r}, but this environment has no settings of migrations: add the table"
            f" [migrations] to its file, and deploy Runback."
        )
    if declared == Migrations.BREAKING:
        return _problem_of_consent(given.get("no_automatic_rollback"))
    if "no_automatic_rollback" in given:
        return f"Field 'no_automatic_rollback' goes with migrations {Migrations.BREAKING.value!r} only."
    return ""


def _problem_of_consent(reason: Any) -> str:  # noqa: ANN401
    if isinstance(reason, str) and reason.strip() and len(reason) <= _LONGEST_REASON:
        return ""
    return (
        f"Migrations are {Migrations.BREAKING.value!r}: the old version does not work with the database after them, so"
        f" such a release is not rolled back by itself. To release it all the same, add field 'no_automatic_rollback'"
        f" with the reason, in 1 to {_LONGEST_REASON} characters."
    )


def describe_json(value: Any) -> str:  # noqa: ANN401
    """Name a JSON value for an error message, shortened: a message must never repeat a whole payload."""
    shown = {dict: "an object", list: "a list", bool: "a boolean", type(None): "null"}.get(type(value))
    return shown or f"{type(value).__name__.replace('str', 'text').replace('int', 'number')} {str(value)[:60]!r}"


class InWindow(StrEnum):
    """What becomes of a release that comes while the live one can still be rolled back."""

    REFUSE = "refuse"
    EXPIRE = "expire"
    """It gives the live release's way back up."""
    WAIT = "wait"
    """It waits for the end of the window, without the lease."""


WINDOW_PAUSE_SECONDS = 60
"""How long a release waits at most before it looks again: an operator may end the window at any time."""


def check_deploy_claim(record: EnvironmentRecord, execution: str, now: str, *, in_window: InWindow) -> str:
    """
    Let a deployment claim only what is free, or what it holds already.

    Return "", or when to look again, if it should wait: for the end of a window, or for the clean-up that follows it.
    Raises EnvironmentBusy when another execution holds the environment, even a dead one: what that one left behind is
    cleared by the rollback machine, which the status rule or the watchdog starts. Raises RollbackWindowOpen when the
    idle color is still the way back of the live release.
    """
    work = record.work
    if work.holder == execution:
        return ""
    if maintenance := record.maintained(now):
        raise EnvironmentBusy(
            f"Maintenance is under way until {maintenance.until} ({maintenance.reason}). Start again after it, or end"
            f" it with the order end-maintenance."
        )
    if work.is_frozen:
        raise EnvironmentBusy(f"{frozen_by(work)} Release again when traffic flows.")
    if in_window is InWindow.WAIT and work.phase is Phase.CLEANING_UP and work.holder is not None:
        return as_timestamp(later(now, WINDOW_PAUSE_SECONDS))
    if work.holder is not None:
        raise EnvironmentBusy(
            f"Release {work.release_id} is {work.phase} under execution {work.holder}."
            f" Start again when it has ended; if it is dead already, it is cleared within two minutes."
        )
    point = record.live.rollback_point if record.live else None
    if record.live and point and point.in_window(now) and point.window_ends_at is None:
        raise RollbackWindowOpen(
            f"Release {record.live.release_id} received traffic and was never promoted. Bring it to its end first:"
            f" look at the listener, then start the rollback machine with the input {record.live.input_to_go_back}"
            f"{_or_keep_it(record.live)}."
        )
    ends_at = _window_still_open(record.live, now)
    if record.live and point and ends_at and in_window is InWindow.REFUSE:
        raise RollbackWindowOpen(
            f"Release {record.live.release_id} can be rolled back until {ends_at}, and the idle color {point.color} is"
            f" its way back. Start again after that, or give the way back up with the order end-window."
        )
    if ends_at and in_window is InWindow.WAIT:
        return as_timestamp(min(later(now, WINDOW_PAUSE_SECONDS), ends_at, key=parse_moment))
    return ""


def _or_keep_it(live: Live) -> str:
    return ", or keep the release with the order end-window" if live.no_automatic_rollback else ""


def frozen_by(work: Work) -> str:
    """Say which restore has frozen the traffic, and which inputs of its machine go on with it or give it up."""
    if work.holder is not None and work.phase is Phase.RESTORING:
        return (
            f"The database of release {work.release_id} is being restored by execution {work.holder}, and traffic is"
            f" frozen meanwhile."
        )
    named = f'"release_id": "{work.release_id}", "reason": "…"'
    return (
        f"Traffic is frozen: the restore of the database of release {work.release_id} did not come to its end. To go on"
        f" with it, start the restore-database machine with {{{named}}}; to bring the instance back that served before,"
        f' with {{{named}, "undo": true}}.'
    )


BUSY_PAUSE_SECONDS = 60
"""How long a clean-up keeps out of the way of whoever holds the environment, before it decides anew."""

_CLEAN_UP_EXAMPLE = '{} or {"release_id": "4f2c1e9-0a1b2c3d"}'


class CleanUp(StrEnum):
    """What the clean-up machine does after it has looked at the record."""

    CLEAN = "clean"
    """The way back is given up, and the old color is scaled in."""
    WAIT = "wait"
    """The window is open still, or somebody works on the environment: decide anew later."""
    NOTHING = "nothing"
    """There is nothing to clean up."""
    INVALID = "invalid"
    """The input is not understood."""


@dataclass(frozen=True)
class CleanUpRequest:
    """After which release to clean up; empty for whatever is live. `problem` is empty for a valid request."""

    release_id: str = ""
    problem: str = ""


@dataclass(frozen=True)
class CleanUpVerdict:
    """What to do, why, in words for the console, and when to decide anew if that is later."""

    action: CleanUp
    reason: str
    again_at: str = ""


def read_clean_up_request(given: Any) -> CleanUpRequest:  # noqa: ANN401  an operator can type anything
    """Check the input of the clean-up machine."""
    problem = _problem_of_clean_up(given)
    if problem:
        return CleanUpRequest(problem=f"{problem} Example of a valid input: {_CLEAN_UP_EXAMPLE}")
    return CleanUpRequest(release_id=given.get("release_id", ""))


def _problem_of_clean_up(given: Any) -> str:  # noqa: ANN401
    if not isinstance(given, dict):
        return f"The input must be a JSON object, but it is {describe_json(given)}."
    unknown = sorted(set(given) - {"release_id"})
    if unknown:
        return f"Field {unknown[0]!r} is not known."
    release_id = given.get("release_id", "")
    if not isinstance(release_id, str):
        return f"Field 'release_id' must be text, but it is {describe_json(release_id)}."
    return ""


def decide_clean_up(request: CleanUpRequest, record: EnvironmentRecord, execution: str, now: str) -> CleanUpVerdict:
    """
    Decide whether the old color is a way back still, and whose turn it is.

    A clean-up never takes the environment from anybody: a rollback or the next release goes first, and may leave
    nothing to clean up.
    """
    if request.problem:
        return CleanUpVerdict(CleanUp.INVALID, request.problem)
    work, live = record.work, record.live
    if live and work.holder == execution:
        return CleanUpVerdict(CleanUp.CLEAN, f"This execution cleans up after release {live.release_id} already.")
    if reason := _why_nothing_to_clean(request, live) or _why_left_to_human(request, work):
        return CleanUpVerdict(CleanUp.NOTHING, reason)
    if ends_at := _window_still_open(live, now):
        return CleanUpVerdict(CleanUp.WAIT, f"The rollback window is open until {ends_at}.", as_timestamp(ends_at))
    if work.holder is not None or work.is_frozen:
        return wait_for_others(_what_is_waited_for(work), now)
    return CleanUpVerdict(CleanUp.CLEAN, "The rollback window is over.")


def _why_nothing_to_clean(request: CleanUpRequest, live: Live | None) -> str:
    point = live.rollback_point if live else None
    if live is None or point is None:
        return "No release has left an old color behind."
    if request.release_id not in ("", live.release_id):
        return f"Release {request.release_id} is not live any more."
    if point.status is PointStatus.CONSUMED:
        return f"Release {point.release_id} was rolled back; its rollback point is consumed."
    if point.window_ends_at is None:
        return f"Release {live.release_id} is not promoted, so the old color is its way back."
    return ""


def _why_left_to_human(request: CleanUpRequest, work: Work) -> str:
    """Take no way back away by itself while a human decides what becomes of the environment."""
    if work.phase is Phase.ESCALATED and request.release_id:
        return "The environment was left to a human. Start this machine with the input {} when the old color may go."
    return ""


def _what_is_waited_for(work: Work) -> str:
    return frozen_by(work) if work.is_frozen else f"Execution {work.holder} works on the environment."


def _window_still_open(live: Live | None, now: str) -> str:
    """Return when the window of a valid rollback point ends, or "" when it is over."""
    point = live.rollback_point if live else None
    return (point.window_ends_at or "") if point and point.in_window(now) else ""


def wait_for_others(reason: str, now: str) -> CleanUpVerdict:
    """Keep out of the way of whoever holds the environment."""
    return CleanUpVerdict(CleanUp.WAIT, reason, as_timestamp(later(now, BUSY_PAUSE_SECONDS)))


def clean_up_work(live: Live, execution: str, now: str) -> Work:
    """Return the lease item of a clean-up."""
    return Work(holder=execution, phase=Phase.CLEANING_UP, release_id=live.release_id, claimed_at=now, progress_at=now)


def last_user_of_idle_color(live: Live | None) -> str:
    """Return the release that last brought the idle color to its full size; "" before the first one."""
    point = live.rollback_point if live else None
    if live is None or point is None:
        return ""
    return point.release_id if point.status is PointStatus.CONSUMED else live.release_id


def expired(live: Live) -> Live:
    """Return the live item with its way back given up."""
    if live.rollback_point is None:
        return live
    return replace(live, rollback_point=replace(live.rollback_point, status=PointStatus.EXPIRED))


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
    except (ValueError, RecursionError):  # also a number of too many digits, and what is nested too deeply
        details = None
    message = details.get("errorMessage", "") if isinstance(details, dict) else cause
    if not isinstance(message, str):  # anybody can type a cause
        message = cause
    return f"{error}: {message[:_LONGEST_CAUSE]}" if message else str(error)
