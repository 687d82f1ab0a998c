"""What the certificate reads of AWS: answers as AWS gives them, also those that emulators never give."""

import json
from typing import Any

import boto3
import pytest

from lambdas.rollback.certificate_rules import FunctionState, MachineState, Need, Question, RuleState
from lambdas.rollback.event_bus import EventBus
from lambdas.rollback.lambda_functions import LambdaFunctions
from lambdas.rollback.machines import Machines
from lambdas.rollback.policy_simulator import PolicySimulator
from lambdas.rollback.subscribers import Subscribers

READ, WRITE = Need("s3:GetObject", "arn:aws:s3:::one/x"), Need("s3:PutObject", "arn:aws:s3:::two/x")
VERSION = "arn:aws:lambda:eu-west-1:123456789012:function:settle:7"


class Answers:
    """A client that gives these answers, page by page, and keeps what it was asked."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: dict[str, Any] = {}

    def get_paginator(self, _: str) -> "Answers":
        return self

    def paginate(self, **asked: Any) -> tuple[dict[str, Any], ...]:
        self.asked = asked
        return self.answers

    def describe_state_machine(self, **asked: Any) -> dict[str, Any]:
        self.asked = asked
        return self.answers[0]


def result(action: str, decision: str, **more: Any) -> dict[str, Any]:
    return {"EvaluationResults": [{"EvalActionName": action, "EvalDecision": decision, **more}]}


def test_a_decision_is_read_wherever_aws_writes_it() -> None:
    """One result for each resource, or one for all of them, with the resources below."""
    specific = [
        {"EvalResourceName": READ.resource, "EvalResourceDecision": "allowed"},
        {"EvalResourceName": WRITE.resource, "EvalResourceDecision": "implicitDeny"},
    ]
    iam = Answers(
        result("s3:GetObject", "implicitDeny", ResourceSpecificResults=specific, EvalResourceName="*"),
        result("s3:PutObject", "allowed", EvalResourceName=WRITE.resource),
        result("s3:ListBucket", "allowed"),
    )
    decided = PolicySimulator(iam).decide("role", Question((READ, WRITE)))

    assert decided == {
        READ: "allowed",
        Need("s3:GetObject", WRITE.resource): "implicitDeny",
        WRITE: "allowed",
        Need("s3:ListBucket", "*"): "allowed",
    }
    assert iam.asked["ResourceArns"] == [READ.resource, WRITE.resource]


def test_a_context_is_told_as_iam_wants_it() -> None:
    iam, context = Answers(), (("ec2:CreateAction", "RunInstances"),)
    PolicySimulator(iam).decide("role", Question((Need("ec2:CreateTags", "*", context),)))

    assert [
        {"ContextKeyName": "ec2:CreateAction", "ContextKeyValues": ["RunInstances"], "ContextKeyType": "string"}
    ] == iam.asked["ContextEntries"]


def test_every_call_of_a_machine_is_found_however_deep_it_stands() -> None:
    call = {"Type": "Task", "Parameters": {"FunctionName": VERSION}}
    definition = {"States": {"Both": {"Branches": [{"States": {"Settle": call}}]}, "Wait": {"Type": "Wait"}}}
    machine = {"status": "ACTIVE", "roleArn": "role", "definition": json.dumps(definition)}

    assert MachineState("ACTIVE", "role", {"settle": VERSION}) == Machines(Answers(machine)).describe("machine")  # type: ignore[arg-type]


def test_only_who_has_confirmed_is_told() -> None:
    confirmed = {"SubscriptionArn": "arn:aws:sns:eu-west-1:123456789012:notices:1"}
    waiting, deleted = {"SubscriptionArn": "PendingConfirmation"}, {"SubscriptionArn": "Deleted"}
    sns = Answers({"Subscriptions": [confirmed, waiting]}, {"Subscriptions": [deleted, confirmed]})

    assert 2 == Subscribers(sns).confirmed("topic")  # type: ignore[arg-type]


def test_a_rule_is_read_with_its_targets() -> None:
    events = boto3.client("events")
    events.put_rule(Name="alarm", EventPattern='{"source": ["aws.cloudwatch"]}', State="DISABLED")
    target = {"Id": "1", "Arn": "arn:aws:states:eu-west-1:123456789012:stateMachine:x", "RoleArn": "role"}
    events.put_targets(Rule="alarm", Targets=[target])

    assert RuleState("DISABLED", {target["Arn"]: "role"}) == EventBus(events).rule("alarm")
    assert None is EventBus(events).rule("none")


@pytest.mark.parametrize("reserved", [None, 2])
def test_a_function_is_read_with_its_concurrency(reserved: int | None) -> None:
    role = boto3.client("iam").create_role(RoleName="settle", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    client: Any = boto3.client("lambda")
    code = {"ZipFile": b"PK\x05\x06" + bytes(18)}
    client.create_function(FunctionName="settle", Role=role, Runtime="python3.13", Handler="a.b", Code=code)
    version = client.publish_version(FunctionName="settle")["FunctionArn"]
    if reserved is not None:
        client.put_function_concurrency(FunctionName="settle", ReservedConcurrentExecutions=reserved)

    assert FunctionState("Active", role, reserved) == LambdaFunctions(client).describe(version)
    assert None is LambdaFunctions(client).describe(f"{version}0")
