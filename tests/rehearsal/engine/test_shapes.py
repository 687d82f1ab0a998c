"""A request that the service's model does not accept is named by its field, whatever moto says to it."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import Shape

from rehearsal.engine.calls import service_model
from rehearsal.engine.needs import TABLE
from rehearsal.engine.shapes import in_python, violations

ITEM = {"TableName": "record", "Item": {"environment": {"S": "production"}}}
START = {"stateMachineArn": "arn:aws:states:eu-west-1:111122223333:stateMachine:rollback", "input": "{}"}


def patterns(shape: Shape, seen: set[str]) -> Iterator[str]:
    if shape.name in seen:
        return
    seen.add(shape.name)
    if "pattern" in shape.metadata:
        yield shape.metadata["pattern"]
    of_structure = getattr(shape, "members", {}).values()
    of_collection = [getattr(shape, name) for name in ("member", "key", "value") if hasattr(shape, name)]
    for inner in (*of_structure, *of_collection):
        yield from patterns(inner, seen)


@pytest.mark.parametrize(("service", "operation"), TABLE)
def test_every_pattern_of_our_requests_can_be_read(service: str, operation: str) -> None:
    """They are written for Java; one that Python does not understand would be a finding in every rehearsal."""
    for pattern in patterns(service_model(service).operation_model(operation).input_shape, set()):
        in_python(pattern)


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("dynamodb", "PutItem", ITEM),
        ("stepfunctions", "StartExecution", START),
        (
            "autoscaling",
            "StartInstanceRefresh",
            {"AutoScalingGroupName": "grün 🟢", "Preferences": {"SkipMatching": True}},
        ),
        ("elbv2", "DescribeListeners", {}),
        ("ssm", "PutParameter", {"Name": "/p", "Value": "x", "Tags": [{"Key": "Straße 1", "Value": ""}]}),
        ("logs", "FilterLogEvents", {"logGroupName": "/a.b-c_d#1", "startTime": 0, "limit": 10_000}),
    ],
)
def test_what_the_model_accepts_has_no_violation(service: str, operation: str, parameters: dict[str, Any]) -> None:
    assert [] == list(violations(service, operation, parameters))


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "said"),
    [
        ("dynamodb", "PutItem", {"TableName": "record"}, "Item: is missing"),
        ("dynamodb", "PutItem", {**ITEM, "Table": "x"}, "Table: is not in the model"),
        ("dynamodb", "PutItem", {**ITEM, "ReturnValues": "SOME"}, "ReturnValues: is none of NONE, ALL_OLD"),
        ("dynamodb", "PutItem", {**ITEM, "TableName": ""}, "TableName: length 0 is less than 1"),
        ("dynamodb", "PutItem", {**ITEM, "Item": {"a": {"S": 1}}}, "Item.a.S: int is no string"),
        ("dynamodb", "TransactWriteItems", {"TransactItems": [{"Put": ITEM}] * 101}, "length 101 is more than 100"),
        ("dynamodb", "PutItem", {**ITEM, "Item": {"a" * 65536: {"S": "x"}}}, ": length 65536 is more than 65535"),
        ("stepfunctions", "StartExecution", {**START, "name": "x" * 81}, "name: length 81 is more than 80"),
        ("stepfunctions", "StartExecution", {**START, "traceHeader": "ä"}, "traceHeader: does not match"),
        ("sns", "Publish", {"Message": ["hello"]}, "Message: list is no string"),
        ("autoscaling", "DescribeInstanceRefreshes", {"AutoScalingGroupName": "a", "MaxRecords": True}, "bool is no"),
        (
            "autoscaling",
            "StartInstanceRefresh",
            {"AutoScalingGroupName": "a", "Preferences": {"MinHealthyPercentage": 101}},
            "Preferences.MinHealthyPercentage: 101 is more than 100",
        ),
        ("elbv2", "ModifyListener", {"ListenerArn": "a", "DefaultActions": [{}]}, "DefaultActions[0].Type: is missing"),
        (
            "elbv2",
            "ModifyListener",
            {"ListenerArn": "a", "DefaultActions": [{"Type": "forward", "Order": 0}]},
            "DefaultActions[0].Order: 0 is less than 1",
        ),
        ("logs", "FilterLogEvents", {"logGroupName": "with space"}, "logGroupName: does not match"),
        ("logs", "FilterLogEvents", {"limit": 10_001}, "limit: 10001 is more than 10000"),
        ("sns", "Shout", {}, "AWS's model has no such operation"),
    ],
)
def test_a_violation_names_its_field(service: str, operation: str, parameters: dict[str, Any], said: str) -> None:
    (found,) = violations(service, operation, parameters)
    assert said in found


def test_a_violation_does_not_tell_the_value() -> None:
    """A report is read by people who must not read every request."""
    (found,) = violations("stepfunctions", "StartExecution", {**START, "traceHeader": "geheimniß"})
    assert "geheim" not in found
