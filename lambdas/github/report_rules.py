"""
What GitHub is told of a release: the state of its commit and its deployment, and what follows a rollback. All pure.

A report says what is so, whatever was said before. So what could not be told is made up for by the next look, and what
happened in between is left out.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from json import JSONDecodeError, loads
from re import sub
from typing import Any, Self

from lambdas.github.github_rules import AfterRollback, PullRequest, one_line, short_description
from lambdas.github.push_rules import Execution
from lambdas.release.approval_rules import ReleaseApproval
from lambdas.release.request_rules import ReleaseAsked, RequestOutcome
from lambdas.release.rules import (
    EnvironmentRecord,
    Live,
    Phase,
    Work,
    read_version,
    release_id_of,
    seconds_since,
)

GIVEN_UP_SECONDS = 24 * 3600
"""For so long it is tried to tell GitHub what it could not be told."""
_SETTLING_SECONDS = 120
"""So long after the end of a release, its rollback may still begin to say otherwise."""
_AT_WORK = frozenset({Phase.PREPARING, Phase.SHIFTING, Phase.BAKING, Phase.ROLLING_BACK})
_WAITS_FOR_COMMENT_SECONDS = 300
"""Whoever began to comment is waited for so long; then GitHub is asked whether the comment is there."""


class CommitState(StrEnum):
    """https://docs.github.com/en/rest/commits/statuses."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class DeploymentState(StrEnum):
    """https://docs.github.com/en/rest/deployments/statuses."""

    QUEUED = "queued"
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    INACTIVE = "inactive"


@dataclass(frozen=True)
class Standing:
    """
    Where a release stands. `is_over` says that it cannot come to stand elsewhere by itself.

    `rolled_back` is why it was, and empty where it was not.
    """

    commit: CommitState
    deployment: DeploymentState
    description: str
    is_over: bool = False
    rolled_back: str = ""

    @property
    def of_commit(self) -> str:
        """Return what tells one status of the commit from another."""
        return f"{self.commit}: {short_description(self.description)}"

    @property
    def of_deployment(self) -> str:
        """Return what tells one status of the deployment from another."""
        return f"{self.deployment}: {short_description(self.description)}"


class After(StrEnum):
    """How far it is with what follows a rollback."""

    BEGUN = "begun"
    """It may be half done: whoever was at it can have been stopped."""
    AGAIN = "again"
    """The same, of an attempt that is not the first one."""
    DONE = "done"


@dataclass(frozen=True)
class Reported:
    """
    What GitHub was told of a release; the record has one item for each, `github#<release_id>`.

    `failing_since` is since when it cannot be told, and empty while it can. `after_url` is the pull request that takes
    the release back, if there is one.
    """

    release_id: str
    version: str
    since: str
    execution: str = ""
    commit: str = ""
    status: str = ""
    deployment: int = 0
    deployment_status: str = ""
    after: After | None = None
    after_at: str = ""
    after_url: str = ""
    failing_since: str = ""
    problem: str = ""
    is_over: bool = False

    def as_item(self) -> dict[str, Any]:
        """Return what the record keeps."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "", 0, False)}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read what the record has kept."""
        known = {name: value for name, value in item.items() if name in cls.__dataclass_fields__}
        return cls(
            **{
                **known,
                "deployment": int(known.get("deployment", 0)),
                "after": After(known["after"]) if "after" in known else None,
            }
        )

    def tried(self, problem: str, now: str) -> Self:
        """Return it after a try to tell GitHub, with what went wrong."""
        if not problem:
            return replace(self, failing_since="", problem="")
        return replace(self, failing_since=self.failing_since or now, problem=problem)

    def is_given_up(self, now: str) -> bool:
        """Say whether it has been tried in vain for a day."""
        return bool(self.failing_since) and seconds_since(self.failing_since, now) >= GIVEN_UP_SECONDS


@dataclass(frozen=True)
class Seen:
    """A release of which an event has told: its deployment has begun or ended."""

    release_id: str
    version: str
    execution: str


def seen_in(event: Mapping[str, Any]) -> Seen | None:
    """
    Read the release of a deployment out of a status change of its execution; None out of any other event.

    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html: an input that is too long is left
    out, and then the next look finds the release in the record.
    """
    detail = event.get("detail", {})
    if not str(detail.get("stateMachineArn", "")).endswith("-deploy"):
        return None  # another machine may be given a version by mistake, and releases nothing
    try:
        version = read_version(loads(detail.get("input") or "null"))
    except JSONDecodeError:
        return None
    if not version:
        return None
    return Seen(release_id_of(version, str(detail["name"])), version, str(detail["executionArn"]))


@dataclass(frozen=True)
class Facts:
    """All that is known of a release when somebody looks."""

    release_id: str
    found: EnvironmentRecord
    history: Mapping[str, Any]
    request: ReleaseAsked | None
    approval: ReleaseApproval | None
    execution: Execution
    now: str

    @property
    def work(self) -> Work | None:
        """Return the work on this release, while somebody holds the environment to bring it up or take it back."""
        work = self.found.work
        is_ours = work.holder is not None and work.release_id == self.release_id
        return work if is_ours and work.phase in _AT_WORK else None

    @property
    def live(self) -> Live | None:
        """Return the live item if it is this release's."""
        live = self.found.live
        return live if live and live.release_id == self.release_id else None


def standing_of(facts: Facts) -> Standing:
    """Say where a release stands."""
    if facts.work:
        return _at_work(facts.work)
    outcome = facts.history.get("outcome", "")
    if outcome:
        return _ended(str(outcome), facts)
    return _not_begun(facts)


def for_github(text: str) -> str:
    """Return a text in one line, with names in place of ARNs: a repository may have more readers than an account."""
    return sub(r"arn:aws[\w-]*:\S*[/:]([\w+=,.@-]+)", r"\1", one_line(text))


def _at_work(work: Work) -> Standing:
    text = "It gets its first traffic."
    if work.phase is Phase.PREPARING:
        text = "It is brought up, and has no traffic yet."
    elif work.phase is Phase.ROLLING_BACK:
        text = "It is being rolled back."
    elif work.bake and work.bake.percent:
        text = f"It has {work.bake.percent} % of the traffic, and is observed."
    return Standing(CommitState.PENDING, DeploymentState.IN_PROGRESS, text)


def _ended(outcome: str, facts: Facts) -> Standing:
    """How it ended may be followed by a rollback while its window is open."""
    issue = for_github(str(facts.history.get("issue", "")))
    why = f": {issue}" if issue else "."
    if outcome == "promoted":
        point = facts.live.rollback_point if facts.live else None
        is_over = point is None or not point.in_window(facts.now)
        return Standing(CommitState.SUCCESS, DeploymentState.SUCCESS, "It is live.", is_over=is_over)
    settled = _is_settled(facts)
    if outcome == "rolled_back":
        return Standing(
            CommitState.FAILURE,
            DeploymentState.FAILURE,
            f"It was rolled back{why}",
            is_over=settled,
            rolled_back=issue or "The record does not say why.",
        )
    if outcome == "aborted":
        text = f"It was aborted before traffic moved{why}"
        return Standing(CommitState.FAILURE, DeploymentState.FAILURE, text, is_over=settled)
    return Standing(CommitState.ERROR, DeploymentState.ERROR, f"It was left to a human{why}", is_over=settled)


def _is_settled(facts: Facts) -> bool:
    ended = str(facts.history.get("ended_at", ""))
    return not ended or seconds_since(ended, facts.now) >= _SETTLING_SECONDS


def _not_begun(facts: Facts) -> Standing:
    """The environment was never claimed for it, or its execution is not at that yet."""
    request, approval = facts.request, facts.approval
    if request and request.outcome:
        reason = for_github(request.reason)
        if request.outcome is RequestOutcome.REFUSED:
            return _refused(f"Refused by its gates: {reason}")
        return _refused(f"Not approved: {reason}")
    if not facts.execution.is_running:
        return _stopped(facts.execution)
    if approval and approval.waits(facts.now):
        text = f"It waits for an approval until {approval.expires_at}."
        return Standing(CommitState.PENDING, DeploymentState.PENDING, text)
    if request and request.verdict == "wait":
        text = f"It waits: {for_github(request.reason)}"
        return Standing(CommitState.PENDING, DeploymentState.QUEUED, text)
    return Standing(CommitState.PENDING, DeploymentState.QUEUED, "It has been asked for.")


def _refused(text: str) -> Standing:
    return Standing(CommitState.FAILURE, DeploymentState.FAILURE, text, is_over=True)


def _stopped(execution: Execution) -> Standing:
    """Its execution has ended before it got the environment, and nobody wrote down why; or nobody knows it any more."""
    error = execution.error or execution.status.lower()
    text = f"It did not begin ({error or 'its execution is not known any more'}). Nothing was changed."
    return Standing(CommitState.ERROR, DeploymentState.ERROR, text, is_over=True)


def marker_of(release_id: str, environment: str) -> str:
    """Return what tells our comment on a commit from all others. GitHub does not show it."""
    return f"<!-- runback: {environment} {release_id} -->"


def comment_of(reported: Reported, standing: Standing, environment: str, report: str) -> str:
    """Write the comment on a commit that was rolled back."""
    return (
        f"Release `{reported.release_id}` of this commit was rolled back in **{environment}**:\n\n"
        f"{_quoted(standing.rolled_back)}\n\n"
        f"The previous version serves again. This commit is not released there again by itself: mend it in a new one."
        f" [Report]({report})\n\n{marker_of(reported.release_id, environment)}"
    )


def revert_of(reported: Reported, standing: Standing, environment: str, pull_request: PullRequest) -> tuple[str, str]:
    """Write title and body of the pull request that takes a release back."""
    title = f'Revert "{pull_request.title}" (rolled back in {environment})'
    body = (
        f"Reverts #{pull_request.number}. Release `{reported.release_id}` was rolled back in **{environment}**:\n\n"
        f"{_quoted(standing.rolled_back)}\n\n"
        "If the release held more than this pull request, the rest is not taken back.\n\n"
        f"{marker_of(reported.release_id, environment)}"
    )
    return title, body


def _quoted(text: str) -> str:
    """Quote as code, so that nothing in it calls a human, closes a ticket or looks like words of our own."""
    return f"```text\n{one_line(text).replace(chr(96), chr(39))}\n```"


def merged_with(commit: str, pull_requests: tuple[PullRequest, ...]) -> PullRequest | None:
    """Return the pull request whose merge made this commit; None where it came another way, or with several."""
    merged = [each for each in pull_requests if each.merged_at and each.merge_commit == commit]
    return merged[0] if len(merged) == 1 else None


def wants_after(reported: Reported, standing: Standing, wanted: AfterRollback, now: str) -> bool:
    """Say whether something is to follow the rollback now: not before it is over, and not while somebody is at it."""
    if not standing.rolled_back or wanted is AfterRollback.NOTHING or reported.after is After.DONE:
        return False
    return reported.after is None or seconds_since(reported.after_at, now) >= _WAITS_FOR_COMMENT_SECONDS


def console_url(execution: str) -> str:
    """Return where the console shows an execution, to whoever may log in."""
    if execution.count(":") < 4:  # noqa: PLR2004  arn:partition:service:region:…
        return ""
    _, partition, _, region, _ = execution.split(":", 4)
    host = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}.get(
        partition, "console.aws.amazon.com"
    )
    return f"https://{region}.{host}/states/home?region={region}#/v2/executions/details/{execution}"
