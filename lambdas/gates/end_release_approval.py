"""Write down that a release does not begin: a human said no, nobody answered, or nobody could be asked."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.approval_rules import ApprovalStatus, ReleaseApproval
from lambdas.release.record import ReleaseRecord
from lambdas.release.release_approvals import ReleaseApprovals
from lambdas.release.rules import explain_failure


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
releases = ReleaseApprovals(ReleaseRecord(client("dynamodb"), settings.table, settings.environment))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"release_id", "status": "rejected", "expired" or "lost", "failure": of a Catch block or {}, "now"}.

    Return {"reason": in words}.
    """
    return end_release_approval(event["release_id"], ApprovalStatus(event["status"]), explain_failure(event["failure"]))


def end_release_approval(release_id: str, status: ApprovalStatus, failure: str) -> dict[str, Any]:
    """
    End the request as aborted, and let nobody answer it any more. Safe to repeat.

    An answer that was written at the last moment stays as it is, and the reason names it.
    """
    reason = _reason(release_id, status, releases.of(release_id), failure)
    releases.end(release_id, status, reason)
    return {"reason": reason}


def _reason(release_id: str, status: ApprovalStatus, asked: ReleaseApproval | None, failure: str) -> str:
    answer = asked.approval if asked else None
    if answer and not answer.approved:
        return f"{answer.caller or answer.by} has rejected release {release_id}: {answer.reason}"
    if status is ApprovalStatus.LOST:
        return f"Nobody could be asked whether release {release_id} may begin. {failure}"
    until = f" until {asked.expires_at}" if asked else ""
    return f"Nobody has approved release {release_id}{until}."
