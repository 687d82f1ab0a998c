"""What CloudTrail tells of a start of one of our machines. All pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lambdas.operate.waiting_rules import Subject, Waiting
from lambdas.release.caller_rules import Caller, is_same_person


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
    """
    Who has asked for a release or a restore: the ARN of a human, or in words why that is not known.

    `is_machine`: it is known that no human has, so that every approver is somebody else.
    """

    arn: str = ""
    why_unknown: str = ""
    is_machine: bool = False


def who_asked(waiting: Waiting, own: Caller | None, asked_by: Caller | None) -> Requester:
    """
    Say who has asked for it: who started its execution, or who started the rollback that did.

    `own` is who has started the execution, and `asked_by` who has started the rollback that its input names. What the
    input says counts only when a machine has started the restore: a human could write there what he likes. A release
    that a function or machine of ours has started comes from a push, or from a rollback: no human has asked for it. One
    that another service has started may have been made to do so by whoever wants to approve it.
    """
    if own is None:
        return Requester(why_unknown=_not_told(f"the {waiting.subject}", waiting.requested_by))
    if own.is_human:
        return Requester(own.arn)
    if waiting.subject is Subject.RELEASE and own.is_ours:
        return Requester(is_machine=True)
    return _who_asked_by_machine(waiting, asked_by)


def _who_asked_by_machine(waiting: Waiting, asked_by: Caller | None) -> Requester:
    if not waiting.asked_by:
        return Requester(why_unknown=_nobody(waiting.requested_by))
    if asked_by is None:
        return Requester(why_unknown=_not_told("the rollback that asked for it", waiting.asked_by))
    if not asked_by.is_human:
        return Requester(why_unknown=_nobody(waiting.asked_by))
    return Requester(asked_by.arn)


def _not_told(what: str, execution: str) -> str:
    return (
        f"CloudTrail has not told yet who started {what} ({execution}). That takes some minutes: try again. If it is"
        f" not known after half an hour, the account has no trail that logs management events in this Region."
    )


def _nobody(execution: str) -> str:
    return f"No human has started {execution}, but a service, so nobody can be told apart from who approves."


def has_approved_own(waiting: Waiting, requester: Requester) -> bool:
    """Say whether who has asked for it has approved it: in the console nothing prevents that."""
    approval = waiting.approval
    if approval is None or not approval.approved or not approval.caller or not requester.arn:
        return False
    return is_same_person(approval.caller, requester.arn)
