"""Ask a human whether a release may begin: keep what lets its execution go on, and send what there is to know."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.errors import AwsCallFailed, GitHubRefused, GitHubUnavailable
from lambdas.gates.summary_rules import MOST_COMMITS, Asking, Duration, not_compared, summarize, tell_changes
from lambdas.github.github_api import GitHub, github_of
from lambdas.github.github_rules import GitHubSettings
from lambdas.notices.rules import Kind, Notice, compose
from lambdas.notices.topic import Topic
from lambdas.observability import FAILED_REQUEST, describe, step
from lambdas.release.approval_rules import ReleaseApproval, expiry
from lambdas.release.record import ReleaseRecord
from lambdas.release.release_approvals import ReleaseApprovals
from lambdas.release.request_rules import ReleaseAsked
from lambdas.release.requests import Requests
from lambdas.release.rules import Live


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    service: str
    environment: str
    table: str
    minutes: int
    duration: Duration
    github: GitHubSettings | None
    approval_url: str


settings = Settings(
    environ["SERVICE"],
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    int(environ["APPROVAL_MINUTES"]),
    Duration.from_json(environ["RELEASE"], environ["DATABASE"]),
    GitHubSettings.from_json(environ["GITHUB"]) if environ["GITHUB"] else None,
    environ["APPROVAL_URL"],
)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
requests, releases = Requests(record), ReleaseApprovals(record)
github: GitHub | None = github_of(settings.github, Secrets(client("secretsmanager"))) if settings.github else None
topic = Topic(client("sns"), environ["TOPIC_ARN"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"task_token", "data": all that the machine knows, "execution", "now"}.

    The machine waits for SendTaskSuccess with {"approved": bool, "by", "reason"}, which is sent for a human's answer;
    what is returned here is dropped. Raises EnvironmentBusy when the release does not wait any more.
    """
    ask_release_approval(Asking.from_event(event), event["task_token"])
    return {"asked": True}


def ask_release_approval(asking: Asking, task_token: str) -> None:
    """
    Keep the question and tell people of it, once.

    Safe to repeat: the last token is the one that the machine waits for, and who was told is not told again. What
    cannot be said of the changes keeps nobody from asking.
    """
    requests.note(
        ReleaseAsked(asking.release_id, asking.version, asking.execution, asking.now, pushed_by=asking.pushed_by)
    )
    before = releases.of(asking.release_id)
    found, request = record.read(), requests.of(asking.release_id)
    expires_at = expiry(asking.now, settings.minutes)
    gates = request.gates if request else ()
    summary = summarize(asking, found, _changes(found.live, asking), gates, settings.duration, expires_at)
    asked = ReleaseApproval(
        asking.release_id,
        asking.execution,
        asking.now,
        expires_at,
        pushed_by=asking.pushed_by,
        summary=summary,
        told_at=before.told_at if before else "",
        task_token=task_token,
    )
    releases.ask(asked)
    if not asked.told_at:
        notice = Notice(
            Kind.RELEASE_ASKED, asking.release_id, summary, asking.execution, approval_url=settings.approval_url
        )
        topic.publish(compose(notice, settings.service, settings.environment))
        releases.note_told(asking.release_id, asking.now)


def _changes(live: Live | None, asking: Asking) -> str:
    if github is None or live is None or live.version == asking.version:
        return ""
    try:
        return tell_changes(github.compare(live.version, asking.version, commits=MOST_COMMITS))
    except (GitHubUnavailable, GitHubRefused, AwsCallFailed) as error:
        return not_compared(str(error))
    except FAILED_REQUEST as error:
        return not_compared(describe(error))
