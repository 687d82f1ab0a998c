"""
What the roles of a stack may do, as their policies in the template say it.

Identity policies only. Service control policies, permissions boundaries, session, resource and key policies are not
looked at: a request that is allowed here can still be refused on AWS. What a policy uses and this module does not know
makes the template unsupported, so that nothing is allowed by being overlooked.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rehearsal.engine.calls import access_key_of
from rehearsal.engine.needs import Need
from rehearsal.engine.template import Resource, Stack, UnsupportedTemplate

STATEMENT_KEYS = {"Sid", "Effect", "Action", "Resource", "Condition"}
CONDITION_KEYS = {
    "aws:SourceVpce",
    "ec2:CreateAction",
    "ec2:LaunchTemplate",
    "elasticloadbalancing:CreateAction",
    "events:detail-type",
    "events:source",
    "iam:PassedToService",
    "kms:ViaService",
    "lambda:SourceFunctionArn",
}
"""What the context of a request says. A key in lower case is the same key to AWS, but not to us: write it like this."""
TAG_OF_RESOURCE = "aws:ResourceTag/"
"""What the keys begin with that say how a resource is tagged, as of a request for which `needs` knows that."""

ALLOWED = "allowed"
REFUSALS = {
    ALLOWED: "",
    "explicitDeny": "which its policy denies",
    "implicitDeny": "which its policy does not allow",
}


@dataclass(frozen=True)
class Condition:
    """One line of a Condition block: holds if the request has the key, with any of the values."""

    operator: str
    key: str
    values: tuple[str, ...]

    def holds(self, context: Mapping[str, str]) -> bool:
        """Say whether a request with this context fulfils it. A key that the request lacks fulfils nothing."""
        given = context.get(self.key)
        return given is not None and any(OPERATORS[self.operator](given, value) for value in self.values)


@dataclass(frozen=True)
class Statement:
    """One statement of a policy."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def covers(self, need: Need, context: Mapping[str, str]) -> bool:
        """Say whether it speaks about this action, on this resource, in this context."""
        return (
            any(_matches(pattern.lower(), need.action.lower()) for pattern in self.actions)
            and any(arn_matches(pattern, need.resource) for pattern in self.resources)
            and all(condition.holds(context) for condition in self.conditions)
        )


@dataclass(frozen=True)
class Principal:
    """
    Who signs with an access key: a function, a machine, an event rule or a build's project, by name, with its rights.

    `function_arn` is a function's, without version, and empty for all others.
    """

    name: str
    statements: tuple[Statement, ...]
    function_arn: str = ""
    in_vpc: bool = False

    @property
    def actions(self) -> set[str]:
        """Return every action that some statement allows, patterns as they stand."""
        return {action for each in self.statements if each.effect == "Allow" for action in each.actions}

    def decision(self, need: Need, context: Mapping[str, str]) -> str:
        """Decide in the words of IAM's simulator. A Deny outweighs every Allow."""
        known = {**context, **need.context}
        if self.function_arn:
            known["lambda:SourceFunctionArn"] = self.function_arn
        covering = {each.effect for each in self.statements if each.covers(need, known)}
        if "Deny" in covering:
            return "explicitDeny"
        return ALLOWED if "Allow" in covering else "implicitDeny"

    def refusal(self, need: Need, context: Mapping[str, str]) -> str:
        """Say why AWS would refuse; empty when it would not."""
        return REFUSALS[self.decision(need, context)]


def principals(stack: Stack) -> dict[str, Principal]:
    """
    Return who of a stack can sign requests, by access key.

    Raises UnsupportedTemplate, naming the resource, for whatever in a role or a policy is not known here.
    """
    statements = _statements_by_role(stack)
    found = {}
    for resource in stack.resources.values():
        for signer, role, principal in _signers(resource):
            found[access_key_of(signer)] = Principal(statements=tuple(statements[role]), **principal)
    return found


def _signers(resource: Resource) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield what an access key is made of, the role's ARN, and what else there is to know of a principal."""
    properties = resource.properties
    match resource.type:
        case "AWS::Lambda::Function":
            arn, in_vpc = resource.attributes["Arn"], "VpcConfig" in properties
            about = {"name": resource.physical_id, "function_arn": arn, "in_vpc": in_vpc}
            yield resource.physical_id, properties["Role"], about
        case "AWS::StepFunctions::StateMachine":
            yield properties["RoleArn"], properties["RoleArn"], {"name": resource.attributes["Name"]}
        case "AWS::Events::Rule":
            for role in {target["RoleArn"] for target in properties.get("Targets", []) if "RoleArn" in target}:
                yield role, role, {"name": resource.physical_id}
        case "AWS::CodeBuild::Project":
            yield properties["ServiceRole"], properties["ServiceRole"], {"name": resource.physical_id}


def _statements_by_role(stack: Stack) -> dict[str, list[Statement]]:
    roles = {each.physical_id: each for each in stack.resources.values() if each.type == "AWS::IAM::Role"}
    found = {name: list(_inline(role)) for name, role in roles.items()}
    for resource in stack.resources.values():
        if resource.type in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):  # CDK makes the second of what is too long
            for role in resource.properties["Roles"]:
                found[role] += read(resource.logical_id, resource.properties["PolicyDocument"])
    return {roles[name].attributes["Arn"]: statements for name, statements in found.items()}


def _inline(role: Resource) -> Iterator[Statement]:
    judged_nowhere = {"PermissionsBoundary"} if _is_of_builds(role) else {"ManagedPolicyArns", "PermissionsBoundary"}
    for name in sorted(judged_nowhere):
        if role.properties.get(name):
            raise UnsupportedTemplate(f"{role.logical_id}: the rehearsal judges no {name}")
    for policy in role.properties.get("Policies", []):
        yield from read(role.logical_id, policy["PolicyDocument"])


def _is_of_builds(role: Resource) -> bool:
    """
    Say whether it is a role of CodeBuild, which may also do what the customer's own policies say.

    Of builds only those requests are judged that we make ourselves; our own policies have to be enough for them.
    """
    trusted = role.properties.get("AssumeRolePolicyDocument", {}).get("Statement", [])
    return [each["Principal"] for each in trusted] == [{"Service": "codebuild.amazonaws.com"}]


def read(owner: str, document: Mapping[str, Any]) -> list[Statement]:
    """Read a policy's statements. Raises UnsupportedTemplate, naming its owner, for what is not known here."""
    return [_statement(owner, given) for given in _listed(document["Statement"])]


def _statement(owner: str, given: Mapping[str, Any]) -> Statement:
    if unknown := given.keys() - STATEMENT_KEYS:
        raise UnsupportedTemplate(f"{owner}: the rehearsal does not know {sorted(unknown)} of a policy statement")
    conditions = tuple(_conditions(owner, given.get("Condition", {})))
    actions, resources = tuple(_listed(given["Action"])), tuple(_listed(given["Resource"]))
    if given["Effect"] not in ("Allow", "Deny"):
        raise UnsupportedTemplate(f"{owner}: the rehearsal does not know the effect {given['Effect']}")
    for text in (*actions, *resources, *(value for each in conditions for value in each.values)):
        if "${" in text:
            raise UnsupportedTemplate(f"{owner}: the rehearsal does not know policy variables: {text}")
    return Statement(given["Effect"], actions, resources, conditions)


def _conditions(owner: str, block: Mapping[str, Mapping[str, Any]]) -> Iterator[Condition]:
    for operator, keys in block.items():
        if operator not in OPERATORS:
            raise UnsupportedTemplate(f"{owner}: the rehearsal does not know the condition operator {operator}")
        for key, values in keys.items():
            if key not in CONDITION_KEYS and not key.startswith(TAG_OF_RESOURCE):
                raise UnsupportedTemplate(f"{owner}: the rehearsal does not know the condition key {key}")
            yield Condition(operator, key, tuple(_listed(values)))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def arn_matches(pattern: str, arn: str) -> bool:
    """
    Compare as IAM does: a star never reaches over a colon, but for those within the last part, the resource itself.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    if pattern == "*":
        return True
    wanted, given = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(given) and all(map(_matches, wanted, given))


def _matches(pattern: str, text: str) -> bool:
    return bool(_compiled(pattern).fullmatch(text))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts: Iterable[str] = ({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.compile("".join(parts), re.DOTALL)


OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda given, value: given == value,
    "ArnEquals": lambda given, value: arn_matches(value, given),  # IAM's ArnEquals knows stars, as ArnLike does
}
