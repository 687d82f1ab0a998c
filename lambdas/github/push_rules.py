"""
Which push becomes the next release of an environment, and which never becomes one. All pure.

One push waits at most: the newest. It is released when nobody holds the environment and the rollback window of the live
release lets another one begin. What has been released here once, however that ended, is not started again by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from json import loads
from re import fullmatch
from typing import Any, Self

from lambdas.errors import EnvironmentBusy, RollbackWindowOpen
from lambdas.release.rules import (
    WINDOW_PAUSE_SECONDS,
    EnvironmentRecord,
    InWindow,
    as_timestamp,
    check_deploy_claim,
    describe_json,
    is_moment,
    later,
    parse_moment,
    read_request,
    seconds_since,
)

COMMIT_FORM = r"[0-9a-f]{40}"
_NO_COMMIT = "0" * 40

LONGEST_RUN_SECONDS = 12 * 3600
"""After so long an execution that takes pushes lets another one go on: its history has room for 25,000 events."""

_LONGEST_WAIT_SECONDS = 24 * 3600
"""How long a push waits for the environment before this one, which may never release it."""

_MOST_UNANSWERED = 3
"""How often a release may end because a function did not answer, before a human is to look why."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 60, 3600
"""How long a push rests when its release could not begin: twice as long each time, because people hear of each."""

_RETRY_FAILED_SECONDS = 1800
"""How long an execution that failed, and told a human, is left alone before the next one tries what it could not."""

_EXAMPLE = '{"commit": "4f2c1e9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e"}, or {} to look whether a push waits'


class Starts(StrEnum):
    """What starts a release by itself, as settings say."""

    PUSH = "push"
    VALIDATED = "validated"
    TAG = "tag"
    BY_HAND = "by-hand"


class Source(StrEnum):
    """Who has told of a commit."""

    GITHUB = "github.com"
    """A push, as GitHub told it."""
    VALIDATED = "validated"
    """The environment before has released one well."""
    RECONCILE = "reconcile"
    """Nobody has: it was found by a look."""
    HUMAN = "human"


@dataclass(frozen=True)
class PushSettings:
    """What settings say of pushes. `after` is the environment that goes before this one, or empty."""

    starts: Starts
    ref: str
    after: str
    after_table: str
    repository_id: int

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the environment variable PUSHES."""
        given = loads(text)
        return cls(
            starts=Starts(given["starts"]),
            ref=given["ref"],
            after=given["after"],
            after_table=given["after_table"],
            repository_id=int(given["repository_id"]),
        )

    def wants(self, ref: str) -> bool:
        """Say whether a push to this ref starts a release here."""
        if self.starts not in (Starts.PUSH, Starts.TAG):
            return False
        return ref.startswith(self.ref[:-1]) if self.ref.endswith("*") else ref == self.ref


@dataclass(frozen=True)
class Push:
    """
    A commit that is to be released. `pushed_at` orders pushes: GitHub's time, or that of the look that found it.

    `before` is what the ref pointed at until then. `attempts` counts releases that could not begin, and there is no
    other one before `again_at`.
    """

    commit: str
    pushed_at: str
    source: Source
    ref: str = ""
    sender: str = ""
    delivery: str = ""
    before: str = ""
    attempts: int = 0
    again_at: str = ""

    @property
    def release_input(self) -> dict[str, str]:
        """Return what the deploy machine is started with."""
        return {"version": self.commit, **({"pushed_by": self.sender} if self.sender else {})}


@dataclass(frozen=True)
class Started:
    """A push whose release was started. It is written down before: a start that is lost is made up for."""

    push: Push
    name: str
    execution: str
    at: str

    @property
    def release_id(self) -> str:
        """The id that the deploy machine gives to its release."""
        return read_request({"version": self.push.commit}, self.name).release_id


@dataclass(frozen=True)
class PushQueue:
    """
    All that is kept of pushes that are not released yet.

    `token` grows with every change. `runner` is the execution that takes pushes, since `runner_since`; empty if there
    is none. `newest` is the last push that was taken, and stays when it is released: an older one comes too late.
    `looked` says that a look has seen what there is, so that only what came later can have been missed.
    """

    token: int = 0
    runner: str = ""
    runner_since: str = ""
    starts: int = 0
    pending: Push | None = None
    started: Started | None = None
    newest: Push | None = None
    looked: bool = False

    @property
    def has_work(self) -> bool:
        """Say whether there is something that an execution has to take care of."""
        return self.pending is not None or self.started is not None


@dataclass(frozen=True)
class Ending:
    """How the release of a commit ended in an environment. `release_id` is empty if it got none."""

    outcome: str
    release_id: str = ""

    @property
    def is_good(self) -> bool:
        """Say whether it went live, and stayed so until the next one."""
        return self.outcome == "promoted"


def endings_of(
    commit: str, releases: Iterable[Mapping[str, Any]], requests: Iterable[Mapping[str, Any]], record: EnvironmentRecord
) -> tuple[Ending, ...]:
    """
    Return how the releases of a commit ended; that of one which is under way is empty.

    `releases` and `requests` are what the record has of versions that begin like the commit. A release that has no end,
    and does not hold the environment, never got it: it is none. A request counts when it has ended before that.
    """
    held = record.work.release_id if record.work.holder else None
    found = [
        Ending(each.get("outcome", ""), _id_of(each))
        for each in releases
        if _is_of(each, commit) and (each.get("outcome") or _id_of(each) == held)
    ]
    return (*found, *(Ending(each["outcome"], _id_of(each)) for each in requests if _is_end(each, commit)))


def _id_of(item: Mapping[str, Any]) -> str:
    return str(item.get("release_id", str(item["item"]).partition("#")[2]))


def _is_of(item: Mapping[str, Any], commit: str) -> bool:
    version = str(item.get("version", ""))
    return bool(version) and commit.startswith(version)


def _is_end(request: Mapping[str, Any], commit: str) -> bool:
    return _is_of(request, commit) and bool(request.get("outcome"))


# What is asked for


@dataclass(frozen=True)
class PushRequest:
    """
    What an event, a look or a human has told of. Without a `push`, it is to be looked whether one waits.

    `problem` is for an input that is not understood, `refusal` for a push that nothing is to be started for.
    """

    source: Source = Source.HUMAN
    push: Push | None = None
    problem: str = ""
    refusal: str = ""


_FIELDS: Mapping[Source, frozenset[str]] = {
    Source.GITHUB: frozenset(
        {"commit", "ref", "sender", "delivery", "pushed_at", "before", "repository_id", "deleted", "fork"}
    ),
    Source.VALIDATED: frozenset({"environment"}),
    Source.RECONCILE: frozenset({"commit"}),
    Source.HUMAN: frozenset({"commit"}),
}
_REQUIRED = ("commit", "ref", "pushed_at", "repository_id", "deleted", "fork")
_LONGEST_TEXT = 300


def read_push_request(given: Any, settings: PushSettings, now: str) -> PushRequest:  # noqa: ANN401  anybody can type anything
    """
    Check the input of the push machine.

    A rule has looked at a push before. It is looked at once more: a rule can be edited in the console.
    """
    problem = _problem_of(given)
    if problem:
        return PushRequest(problem=f"{problem} Valid inputs are {_EXAMPLE}.")
    source = Source(given.get("source", Source.HUMAN))
    if source is Source.VALIDATED:
        return PushRequest(source, refusal=_why_not_after(given["environment"], settings))
    if source is Source.GITHUB:
        if refusal := _why_unwanted(given, settings):
            return PushRequest(source, refusal=refusal)
        return PushRequest(source, _push_of(given, now))
    commit = given.get("commit", "")
    return PushRequest(source, Push(commit, now, source) if commit else None)


def _problem_of(given: Any) -> str:  # noqa: ANN401
    if not isinstance(given, dict):
        return f"The input must be a JSON object, but it is {describe_json(given)}."
    source = given.get("source", Source.HUMAN.value)
    if source not in list(Source):
        return f"Field 'source' must be one of {', '.join(Source)}, but it is {describe_json(source)}."
    known = _FIELDS[Source(source)]
    if unknown := sorted(set(given) - known - {"source"}):
        return f"Field {unknown[0]!r} is not known."
    required = {Source.GITHUB: _REQUIRED, Source.VALIDATED: ("environment",)}.get(Source(source), ())
    if missing := [name for name in required if name not in given]:
        return f"Field {missing[0]!r} is missing."
    return _problem_of_fields(given)


def _problem_of_fields(given: Mapping[str, Any]) -> str:
    for name in ("ref", "sender", "delivery", "before", "pushed_at", "environment"):
        value = given.get(name, "")
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
            return f"Field {name!r} must be text of at most {_LONGEST_TEXT} characters."
    commit = given.get("commit", "")
    if "commit" in given and (not isinstance(commit, str) or not fullmatch(COMMIT_FORM, commit)):
        return (
            f"Field 'commit' must be a whole git commit of 40 lower-case hexadecimal digits,"
            f" but it is {describe_json(commit)}."
        )
    if "pushed_at" in given and not is_moment(given["pushed_at"]):
        return f"Field 'pushed_at' must be a moment with its time zone, but it is {describe_json(given['pushed_at'])}."
    return ""


def _why_not_after(environment: str, settings: PushSettings) -> str:
    if settings.starts is not Starts.VALIDATED:
        return "What another environment has validated starts nothing here: settings say pushes.starts otherwise."
    if environment != settings.after:
        return f"This environment goes after {settings.after}, not after {environment!r}."
    return ""


def _why_unwanted(given: Mapping[str, Any], settings: PushSettings) -> str:
    if given["repository_id"] != settings.repository_id:
        return "The push is to another repository than settings name."
    if given["deleted"] is not False or given["commit"] == _NO_COMMIT:
        return "The push has deleted what it is about: there is nothing to release."
    if given["fork"] is not False:
        return "The commit is in a fork, and only what is in the repository itself is released."
    if not settings.wants(given["ref"]):
        return f"A push to {given['ref']!r} starts nothing here: settings name {settings.ref!r}."
    return ""


def _push_of(given: Mapping[str, Any], now: str) -> Push:
    """No push comes from the future: its time would keep all later ones away."""
    return Push(
        commit=given["commit"],
        pushed_at=min(given["pushed_at"], now, key=parse_moment),
        source=Source.GITHUB,
        ref=given["ref"],
        sender=given.get("sender", ""),
        delivery=given.get("delivery", ""),
        before=given.get("before", ""),
    )


# What the environment before has validated


class Validation(StrEnum):
    """What another environment says of a commit."""

    PASSED = "passed"
    """It has a release of exactly that commit which went live and was not rolled back since."""
    NOT_YET = "not_yet"
    NEVER = "never"
    """Its release there did not end well."""


def validation_of(commit: str, releases: Iterable[Mapping[str, Any]]) -> Validation:
    """Say what the releases of exactly this commit in the environment before are worth here: the latest one counts."""
    ours = [each for each in releases if each.get("version") == commit and "requested_at" in each]
    if not ours:
        return Validation.NOT_YET
    outcome = max(ours, key=lambda each: parse_moment(each["requested_at"])).get("outcome", "")
    if outcome == "promoted":
        return Validation.PASSED
    return Validation.NEVER if outcome else Validation.NOT_YET


def pushed_to(other: EnvironmentRecord, outcome: str, sender: str) -> Push | str:
    """Return what is live in the environment before as a push to this one, or why that is none."""
    live = other.live
    if live is None:
        return "The environment before has not released anything yet."
    if outcome != "promoted":
        return f"Release {live.release_id} is live in the environment before, and not promoted there."
    if not fullmatch(COMMIT_FORM, live.version):
        return (
            f"The environment before was released by hand as {live.version!r}, which is no whole commit. To release it"
            f" here, start the deploy machine."
        )
    return Push(live.version, live.since, Source.VALIDATED, sender=sender)


# Which push is the newest


class Action(StrEnum):
    """What the push machine does next."""

    RUN = "run"
    """This execution takes what waits."""
    QUEUED = "queued"
    """Another one does."""
    NOTHING = "nothing"
    REFUSED = "refused"
    INVALID = "invalid"
    STARTED = "started"
    """A release was started."""
    WAIT = "wait"
    """One cannot begin yet."""
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    """Another execution takes pushes by now."""


@dataclass(frozen=True)
class Judgement:
    """Whether a push is taken, and in words why not."""

    action: Action
    reason: str


IsBehind = Callable[[str], bool | None]
"""Whether the push's commit is an ancestor of another one, as GitHub says; None where GitHub does not say."""

_TELL_AGAIN = (Source.GITHUB, Source.RECONCILE)
"""Who may tell of the same commit again and again, without meaning anything new by it."""

_TAKEN = Judgement(Action.RUN, "It is the newest push.")


def judge_push(
    push: Push, queue: PushQueue, record: EnvironmentRecord, endings: tuple[Ending, ...], is_behind: IsBehind
) -> Judgement:
    """
    Say whether a push becomes the one that waits.

    What does not need GitHub is asked first, and GitHub's silence never keeps a push away.
    """
    if queue.started and queue.started.push.commit == push.commit:
        return Judgement(Action.NOTHING, f"Commit {push.commit} is being released already.")
    if queue.pending and queue.pending.commit == push.commit:
        return Judgement(Action.NOTHING, f"Commit {push.commit} waits for its release already.")
    if not_again := why_not_again(push.commit, record, endings):
        return not_again
    if queue.newest and queue.newest.commit == push.commit and push.source in _TELL_AGAIN:
        return Judgement(Action.NOTHING, f"Commit {push.commit} was there, or was told of, before.")
    if queue.newest and queue.newest.commit != push.commit and _is_older(push, queue.newest, is_behind):
        return Judgement(Action.NOTHING, f"The newer commit {queue.newest.commit} was pushed, and takes its place.")
    return why_behind_live(push, record, is_behind) or _TAKEN


def why_not_again(commit: str, record: EnvironmentRecord, endings: tuple[Ending, ...]) -> Judgement | None:
    """Say why a commit is not released once more: it serves, or was released here before, however that ended."""
    live = record.live
    if live and commit.startswith(live.version):
        return Judgement(Action.NOTHING, f"Commit {commit} is what serves already, with release {live.release_id}.")
    if not endings:
        return None
    bad = next((each for each in endings if each.outcome and not each.is_good), None)
    if bad is None:
        return Judgement(
            Action.NOTHING,
            f"Commit {commit} was released here before, or is being released. To release it once more, start the deploy"
            f' machine with {{"version": "{commit}"}}.',
        )
    named = f"Release {bad.release_id} of commit {commit}" if bad.release_id else f"Commit {commit}"
    return Judgement(
        Action.REFUSED,
        f"{named} ended as {bad.outcome}, and is not started again by itself. Push a new commit; or start the deploy"
        f' machine with {{"version": "{commit}"}} if you know better.',
    )


def why_behind_live(push: Push, record: EnvironmentRecord, is_behind: IsBehind) -> Judgement | None:
    """Say why a push is too old: what serves has its commit among its ancestors."""
    live = record.live
    if live is None or not is_behind(live.version):
        return None
    return Judgement(
        Action.REFUSED,
        f"Commit {push.commit} is older than {live.version}, which serves with release {live.release_id}. To go back,"
        f' start the rollback machine; to release it all the same, the deploy machine with {{"version":'
        f' "{push.commit}"}}.',
    )


def _is_older(push: Push, newest: Push, is_behind: IsBehind) -> bool:
    """
    Compare two pushes by their times.

    GitHub tells them in seconds, in which there can be several pushes. Then one may name the other as what was there
    before it, or the commits themselves say it. When nobody does, the last one that was told of is taken, and the next
    look at the branch puts that right. A look has a time of its own, so that its commit is compared in any case.
    """
    difference = seconds_since(newest.pushed_at, push.pushed_at)
    if difference < 0:
        return True
    if difference > 0 and push.source is not Source.RECONCILE:
        return False
    if push.before == newest.commit:
        return False
    return newest.before == push.commit or bool(is_behind(newest.commit))


def take(queue: PushQueue, push: Push | None, execution: str, now: str, *, runner_lives: bool) -> PushQueue:
    """Return the queue with a push in it, and this execution as the one that takes pushes if there is no other."""
    taken = replace(queue, pending=push, newest=push, looked=True) if push else queue
    if queue.runner in ("", execution) or not runner_lives:
        return replace(taken, runner=execution, runner_since=now)
    return taken


# When it is released


def wait_for_turn(record: EnvironmentRecord, execution: str, now: str, in_window: InWindow) -> tuple[str, str]:
    """
    Return until when a push has to wait at least, and why; two empty texts if a release could begin now.

    As the claim of a release will decide, so that the release does not wait in the push's stead: meanwhile a newer push
    can take its place.
    """
    try:
        again_at = check_deploy_claim(record, execution, now, in_window=in_window)
    except EnvironmentBusy as busy:
        return look_again_at(now), str(busy)
    except RollbackWindowOpen as still_open:
        return look_again_at(now), str(still_open)
    return (again_at, "The live release can still be rolled back.") if again_at else ("", "")


def rests(push: Push, now: str) -> bool:
    """Say whether the release of a push could not begin a moment ago, so that the next one has to wait a little."""
    return bool(push.again_at) and seconds_since(push.again_at, now) < 0


def look_again_at(now: str) -> str:
    """Return when to look again whether a push can be released: an operator may make room for it at any time."""
    return as_timestamp(later(now, WINDOW_PAUSE_SECONDS))


def wait_for_other(push: Push, validation: Validation, after: str, now: str) -> Judgement | None:
    """Return whether a push has to wait for the environment before, or is not released at all; None if it goes on."""
    if validation is Validation.PASSED:
        return None
    if validation is Validation.NEVER:
        return Judgement(
            Action.REFUSED, f"The release of commit {push.commit} in {after} did not end well: mend it in a new commit."
        )
    if seconds_since(push.pushed_at, now) > _LONGEST_WAIT_SECONDS:
        return Judgement(Action.REFUSED, f"{after} has not released commit {push.commit} within a day.")
    return Judgement(Action.WAIT, f"{after} has not validated commit {push.commit} yet.")


def begin(queue: PushQueue, push: Push, machine_arn: str, now: str) -> PushQueue:
    """Return the queue with the push as one whose release is started, under a name that there is only once."""
    number = queue.starts + 1
    name = f"push-{push.commit}-{number}"
    execution = f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
    return replace(queue, starts=number, pending=None, started=Started(push, name, execution, now))


def is_spent(since: str, now: str) -> bool:
    """Say whether an execution has taken pushes for so long that another one should go on."""
    return bool(since) and seconds_since(since, now) > LONGEST_RUN_SECONDS


# How it ended

_NO_TURN = frozenset({EnvironmentBusy.__name__, RollbackWindowOpen.__name__})
"""Why a release that was its turn a moment ago does not get the environment: somebody was faster."""
_UNANSWERED = frozenset({"RequestNotChecked", "GatesFailed"})
"""How the deploy machine ends when a function did not answer; when gates have failed, its request says so, too."""
_BUSY, _NO_ANSWER = "busy", "no_answer"
_COMES_AGAIN = frozenset({_BUSY, _NO_ANSWER})
"""What is no end of a commit."""


@dataclass(frozen=True)
class Execution:
    """
    An execution of a machine as Step Functions describes it; `status` is empty if it knows none.

    `failures` are the errors of its last steps, where it was asked for: they say more than that of the execution.
    """

    status: str
    error: str = ""
    failures: frozenset[str] = frozenset()

    @property
    def is_running(self) -> bool:
        """Say whether it has not ended yet."""
        return self.status == "RUNNING"


def ending_of(
    started: Started, execution: Execution, release: Mapping[str, Any], request: str, record: EnvironmentRecord
) -> Ending | None:
    """
    Say how a release that was started has ended; None while it has not.

    `release` is its history in the record, and `request` how its request ended. A release that failed with the
    environment in its hand has ended when the rollback has: that writes how. An execution that was just started may not
    be known everywhere yet.
    """
    if execution.is_running or not execution.status:
        return None
    if outcome := release.get("outcome", ""):
        return Ending(outcome, started.release_id)
    if record.work.holder and record.work.release_id == started.release_id:
        return None
    if execution.status == "SUCCEEDED":
        return Ending("promoted", started.release_id)
    return Ending(request or _end_before_the_claim(execution), started.release_id)


def _end_before_the_claim(execution: Execution) -> str:
    if execution.status in {"ABORTED", "TIMED_OUT"}:
        return "aborted"
    if execution.failures & _NO_TURN:
        return _BUSY
    return _NO_ANSWER if execution.error in _UNANSWERED else "refused"


def finish(queue: PushQueue, ending: Ending, now: str) -> tuple[PushQueue, Ending | None]:
    """
    Return the queue after a release, and what is to be remembered of its commit, if it is over.

    A release that found the environment taken waits again, unless a newer push has come meanwhile.
    """
    if queue.started is None:
        return queue, None
    push = queue.started.push
    if ending.outcome not in _COMES_AGAIN:
        return replace(queue, started=None), ending
    if ending.outcome == _NO_ANSWER and push.attempts + 1 >= _MOST_UNANSWERED:
        return replace(queue, started=None), Ending("refused", queue.started.release_id)
    pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(push.attempts, 10), _LONGEST_PAUSE_SECONDS)
    again = replace(push, attempts=push.attempts + 1, again_at=later(now, pause))
    return replace(queue, started=None, pending=queue.pending or again), None


# What was missed


def may_be_revived(queue: PushQueue, runner: Execution, now: str) -> bool:
    """Say whether another execution should take what waits: the one before is gone, and has not just failed."""
    if not queue.has_work or runner.is_running:
        return False
    return runner.status != "FAILED" or seconds_since(queue.runner_since, now) > _RETRY_FAILED_SECONDS


def first_look(queue: PushQueue, found: Push | None) -> PushQueue:
    """Return the queue that knows what there was before anybody could miss anything: that is not released by itself."""
    return queue if queue.looked else replace(queue, looked=True, newest=queue.newest or found)
