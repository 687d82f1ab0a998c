"""What CloudTrail tells of a start of one of our machines. All pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lambdas.release.caller_rules import Caller, is_same_person
from lambdas.release.restore_rules import Restore


@dataclass(frozen=True)
class Start:
    """Who has started which execution."""

    execution: str
    caller: Caller

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """
        Read the event "AWS API Call via CloudTrail" of a StartExecution that has worked.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html: a
        service that calls in its own name has no ARN, and one that calls with a role has that of the role's session.
        """
        detail = event["detail"]
        identity = detail["userIdentity"]
        caller = Caller(identity.get("arn", ""), detail["eventTime"], identity.get("invokedBy", ""))
        return cls(detail["responseElements"]["executionArn"], caller)


@dataclass(frozen=True)
class Requester:
    """Who has asked for a restore: the ARN of a human, or in words why that is not known."""

    arn: str = ""
    why_unknown: str = ""


def who_asked(restore: Restore, own: Caller | None, asked_by: Caller | None) -> Requester:
    """
    Say who has asked for a restore: who started it, or who started the rollback that did.

    `own` is who has started the restore, and `asked_by` who has started the rollback that its input names. What the
    input says counts only when a machine has started the restore: a human could write there what he likes.
    """
    if own is None:
        return Requester(why_unknown=_not_told("the restore", restore.requested_by))
    if own.is_human:
        return Requester(own.arn)
    if not restore.asked_by:
        return Requester(why_unknown=_nobody(restore.requested_by))
    if asked_by is None:
        return Requester(why_unknown=_not_told("the rollback that asked for it", restore.asked_by))
    if not asked_by.is_human:
        return Requester(why_unknown=_nobody(restore.asked_by))
    return Requester(asked_by.arn)


def _not_told(what: str, execution: str) -> str:
    return (
        f"CloudTrail has not told yet who started {what} ({execution}). That takes some minutes: try again. If it is"
        f" not known after half an hour, the account has no trail that logs management events in this Region."
    )


def _nobody(execution: str) -> str:
    return f"No human has started {execution}, but a service, so nobody can be told apart from who approves."


def has_approved_own(restore: Restore, requester: Requester) -> bool:
    """Say whether who has asked for a restore has approved it: in the console nothing prevents that."""
    approval = restore.approval
    if approval is None or not approval.approved or not approval.caller or not requester.arn:
        return False
    return is_same_person(approval.caller, requester.arn)
