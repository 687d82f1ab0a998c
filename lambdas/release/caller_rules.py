"""Who has started an execution, as CloudTrail tells it minutes later, and whether two identities are one human."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_OUR_ROLES = ":assumed-role/Runback-"


@dataclass(frozen=True)
class Caller:
    """
    Who has called AWS: the ARN of a user or of a role's session, such as arn:aws:sts::…:assumed-role/operator/jane.

    `invoked_by` is the service that called for it, such as "states.amazonaws.com", and "" for a human or a script.
    """

    arn: str
    at: str
    invoked_by: str = ""

    @property
    def is_human(self) -> bool:
        """
        Say whether it may be a human: neither a service, nor a function of ours, whose code signs with its role.

        CloudFormation begins the name of each role with that of its stack, which begins so in every environment.
        """
        return bool(self.arn) and not self.invoked_by and not self.is_ours

    @property
    def is_ours(self) -> bool:
        """Say whether it is a function or a machine of ours, and so for sure no human."""
        return _OUR_ROLES in self.arn

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read what the record has kept."""
        return cls(arn=item["arn"], at=item["at"], invoked_by=item.get("invoked_by", ""))


def is_same_person(one: str, other: str) -> bool:
    """
    Say whether two ARNs may be one human: that cannot be proven, so what may be is taken for true.

    A role alone says nothing, because many people share it: what counts is the last part of the ARN. That is the name
    of an IAM user or of a role's session; IAM Identity Center names the session after the user, and so does the
    console when a user switches roles. So one human in two roles is found, too.
    """
    return name_of(one).casefold() == name_of(other).casefold()


def name_of(arn: str) -> str:
    """Return the name of a user or of a role's session; of the account's root user there is only the ARN."""
    return arn.rpartition("/")[2]


def may_approve(arn: str, approvers: tuple[str, ...]) -> bool:
    """Say whether a caller is one of these users, or a session of one of these roles."""
    return any(arn == approver or _is_session_of(approver, arn) for approver in approvers)


def _is_session_of(role: str, arn: str) -> bool:
    """The ARN of a session has the role's name, but not its path."""
    beginning, _, name = role.partition(":role/")
    _, partition, _, _, account, *_ = beginning.split(":")
    sessions = f"arn:{partition}:sts::{account}:assumed-role/{name.rpartition('/')[2]}/"
    return bool(name) and arn.startswith(sessions)
