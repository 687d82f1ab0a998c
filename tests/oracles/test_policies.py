"""parliament has seen every policy: actions exist, and the resources that they name are ones that they work on."""

import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)  # it leaves a file open while it is imported
    from parliament import analyze_policy_string

from cdk.settings_files import INGRESS
from rehearsal.engine.intrinsics import Intrinsics
from tests.infrastructure import template
from tests.infrastructure.template import Resources
from tests.statemachines.definitions import ENVIRONMENTS

PLACE = "eu-west-1:111122223333"
ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{PLACE}:table/it",
    "AWS::IAM::Role": "arn:aws:iam::111122223333:role/it",
    "AWS::Lambda::Function": f"arn:aws:lambda:{PLACE}:function:it",
    "AWS::Lambda::Version": f"arn:aws:lambda:{PLACE}:function:it:1",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{PLACE}:log-group:/it:*",
    "AWS::SNS::Topic": f"arn:aws:sns:{PLACE}:it",
    "AWS::SQS::Queue": f"arn:aws:sqs:{PLACE}:it",
    "AWS::StepFunctions::StateMachine": f"arn:aws:states:{PLACE}:stateMachine:it",
}
"""What a reference to a resource of the stack stands for."""


def policies(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every policy that grants something, with references replaced by ARNs."""

    def arn_of(logical_id: str, _: str = "") -> str:
        kind = resources[logical_id]["Type"] if logical_id in resources else "AWS::Partition"
        return "aws" if kind == "AWS::Partition" else ARNS[kind]

    resolve = Intrinsics(arn_of, arn_of, conditions={}, no_value=None).resolve
    for name, properties in template.policies(resources).items():
        yield name, resolve(properties["PolicyDocument"])


OTHER_KINDS = {
    "arn:*:states:*:*:express:*:*:*",
    "arn:*:elasticloadbalancing:*:*:listener/net/*/*/*",
    "arn:*:elasticloadbalancing:*:*:listener-rule/net/*/*/*/*",
}
"""parliament wants every kind of resource that an action works on; these are kinds that we do not have."""

CONNECT_TO_NETWORK = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
"""
Allowed on everything to Lambda, denied to the function's code by a condition that parliament does not know yet.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
"""


# elasticloadbalancing:CreateAction is a condition of AddTags that parliament does not know yet either:
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticloadbalancingv2.html


def findings(policy: Mapping[str, Any]) -> list[str]:
    analyzed = analyze_policy_string(json.dumps(policy))
    return [f"{each.issue} {each.detail}" for each in analyzed.findings if not excused(each.issue, each.detail)]


def excused(issue: str, detail: Any) -> bool:
    if issue == "RESOURCE_MISMATCH":
        return all(each["required_format"] in OTHER_KINDS for each in detail)
    if issue == "RESOURCE_STAR":
        return set(detail) <= CONNECT_TO_NETWORK
    action = str(detail).rpartition(" ")[2]
    if "elasticloadbalancing:CreateAction" in detail:
        return action == "elasticloadbalancing:AddTags"
    return "lambda:SourceFunctionArn" in detail and action in CONNECT_TO_NETWORK


@pytest.mark.parametrize("stack", [*ENVIRONMENTS, INGRESS])
def test_parliament_has_nothing_to_say(templates: Mapping[str, Any], stack: str) -> None:
    """It knows every action's resources, so a policy that is too wide, or that allows nothing, is a finding."""
    found = {name: findings(policy) for name, policy in policies(templates[stack]["Resources"])}
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.parametrize(
    ("action", "resource", "finding"),
    [
        ("elasticloadbalancing:ModifyListner", "*", "UNKNOWN_ACTION"),
        ("elasticloadbalancing:ModifyListener", "*", "RESOURCE_STAR"),
        ("elasticloadbalancing:ModifyListener", f"arn:aws:sqs:{PLACE}:it", "RESOURCE_MISMATCH"),
    ],
)
def test_parliament_sees_what_is_wrong(action: str, resource: str, finding: str) -> None:
    statement = {"Effect": "Allow", "Action": [action], "Resource": [resource]}
    assert findings({"Version": "2012-10-17", "Statement": [statement]})[0].startswith(finding)
