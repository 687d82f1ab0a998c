"""Finding one's way in a synthesized template."""

from collections.abc import Iterator
from typing import Any

Resources = dict[str, dict[str, Any]]


def of_type(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of one CloudFormation type, by logical id."""
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] == kind}


def only(resources: Resources, kind: str) -> dict[str, Any]:
    """Return the properties of the only resource of its type."""
    ((_, properties),) = of_type(resources, kind).items()
    return properties


def functions(resources: Resources) -> dict[str, dict[str, Any]]:
    """Return the properties of every function, by its name without service and environment."""
    return {
        each["FunctionName"].removeprefix("receipt-vault-production-"): each
        for each in of_type(resources, "AWS::Lambda::Function").values()
    }


def machines(resources: Resources) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the logical id and the properties of every state machine, by its name without service and environment."""
    return {
        each["StateMachineName"].removeprefix("receipt-vault-production-"): (name, each)
        for name, each in of_type(resources, "AWS::StepFunctions::StateMachine").items()
    }


def policies(resources: Resources) -> dict[str, dict[str, Any]]:
    """Return all policies of roles, also those in them. The CDK puts into a managed one what is too long otherwise."""
    inline = {
        f"{role} {policy['PolicyName']}": {**policy, "Roles": [{"Ref": role}]}
        for role, properties in of_type(resources, "AWS::IAM::Role").items()
        for policy in properties.get("Policies", [])
    }
    return of_type(resources, "AWS::IAM::Policy") | of_type(resources, "AWS::IAM::ManagedPolicy") | inline


def statements(resources: Resources, role: str) -> Iterator[dict[str, Any]]:
    """Yield what a role may do: its policy statements, with actions and resources always as lists."""
    for policy in policies(resources).values():
        if {"Ref": role} in policy["Roles"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield {
                    **statement,
                    "Action": _listed(statement["Action"]),
                    "Resource": _listed(statement["Resource"]),
                }


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def role_of(properties: dict[str, Any]) -> str:
    """Return the logical id of the role that a function, a machine or a project's builds run as."""
    reference = next(properties[name] for name in ("Role", "RoleArn", "ServiceRole") if name in properties)
    logical_id: str = reference["Fn::GetAtt"][0]
    return logical_id
