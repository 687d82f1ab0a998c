"""Humans who sign requests, each with credentials of a role's session that is named after them."""

from collections.abc import Mapping
from dataclasses import dataclass

SECRET = "rehearsal"  # noqa: S105  that of everybody in a pretend account


@dataclass(frozen=True)
class Person:
    """
    Somebody who has taken a role. `role` is its ARN; whoever takes another one is another Person of the same name.

    `access_key` has 20 capitals and digits, as moto wants it, and begins as no function's does.
    """

    name: str
    role: str
    access_key: str

    @property
    def arn(self) -> str:
        """Return the ARN by which AWS names who has signed: it has the role's name, but not its path."""
        partition, account = self.role.split(":")[1], self.role.split(":")[4]
        return f"arn:{partition}:sts::{account}:assumed-role/{self.role.rpartition('/')[2]}/{self.name}"


@dataclass(frozen=True)
class People:
    """Those who work in an account: an operator, the operator again in the approver's role, and an approver."""

    operator: Person
    operator_as_approver: Person
    approver: Person

    @property
    def by_access_key(self) -> Mapping[str, Person]:
        """Return each by what a request is signed with."""
        return {each.access_key: each for each in (self.operator, self.operator_as_approver, self.approver)}


def people_of(account: str, approver_role: str) -> People:
    """Return those of an account; where settings name no role of approvers, theirs is one that nobody lets in."""
    operator_role = f"arn:aws:iam::{account}:role/operator"
    approver_role = approver_role or f"arn:aws:iam::{account}:role/approver"
    return People(
        operator=Person("jo", operator_role, "OPERATOR000000000000"),
        operator_as_approver=Person("jo", approver_role, "OPERATOR0APPROVER000"),
        approver=Person("kim", approver_role, "APPROVER000000000000"),
    )
