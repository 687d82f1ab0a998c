"""Who may answer a release or a restore by URL, and of whose starts it is written down who has made them."""

from collections.abc import Mapping
from typing import Any

from tests.infrastructure.template import Resources, functions, of_type, only

APPROVER = "arn:aws:iam::111122223333:role/receipt-vault-production-approver"
EXECUTIONS = "arn:aws:states:eu-west-1:111122223333:execution:receipt-vault-production"


def function_of(resources: Resources, name: str) -> dict[str, Any]:
    """Return how the template refers to a function that has no version."""
    (logical_id,) = [
        logical_id
        for logical_id, each in of_type(resources, "AWS::Lambda::Function").items()
        if each["FunctionName"] == f"receipt-vault-production-{name}"
    ]
    return {"Fn::GetAtt": [logical_id, "Arn"]}


def test_only_signed_requests_reach_the_url(resources: Resources) -> None:
    """Without that Lambda does not say who has called."""
    assert only(resources, "AWS::Lambda::Url") == {
        "AuthType": "AWS_IAM",
        "TargetFunctionArn": function_of(resources, "answer-by-url"),
    }


def test_approvers_may_call_the_url_and_nothing_but_the_url(resources: Resources) -> None:
    """
    A URL needs both actions. Who could call the function without it could name any caller.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
    """
    function = function_of(resources, "answer-by-url")
    granted = [
        each for each in of_type(resources, "AWS::Lambda::Permission").values() if each["FunctionName"] == function
    ]

    assert granted == [
        {
            "Action": "lambda:InvokeFunctionUrl",
            "FunctionName": function,
            "FunctionUrlAuthType": "AWS_IAM",
            "Principal": APPROVER,
        },
        {
            "Action": "lambda:InvokeFunction",
            "FunctionName": function,
            "InvokedViaFunctionUrl": True,
            "Principal": APPROVER,
        },
    ]


def test_whoever_asks_for_an_approval_is_told_the_url(resources: Resources) -> None:
    ((url, _),) = of_type(resources, "AWS::Lambda::Url").items()
    for name in ("notify", "ask-release-approval"):
        told = functions(resources)[name]["Environment"]["Variables"]["APPROVAL_URL"]

        assert told == {"Fn::GetAtt": [url, "FunctionUrl"]}


def test_it_is_noted_who_starts_what_asks_for_an_approval_or_gives_an_answer(resources: Resources) -> None:
    (rule,) = [
        each
        for each in of_type(resources, "AWS::Events::Rule").values()
        if each["Name"] == "receipt-vault-production-caller"
    ]
    (target,) = rule["Targets"]

    assert rule["State"] == "ENABLED"
    assert rule["EventPattern"] == {
        "account": ["111122223333"],
        "source": ["aws.states"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            "eventSource": ["states.amazonaws.com"],
            "eventName": ["StartExecution"],
            "responseElements": {
                "executionArn": [
                    {"prefix": f"{EXECUTIONS}-restore-database:"},
                    {"prefix": f"{EXECUTIONS}-rollback:"},
                    {"prefix": f"{EXECUTIONS}-operate:"},
                    {"prefix": f"{EXECUTIONS}-deploy:"},
                ]
            },
        },
    }
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 185}
    assert "DeadLetterConfig" not in target


def test_without_approvers_there_is_no_url(templates: Mapping[str, dict[str, Any]]) -> None:
    """Staging has none, and nobody is told of one."""
    resources = templates["staging"]["Resources"]
    names = {each["FunctionName"] for each in of_type(resources, "AWS::Lambda::Function").values()}
    variables = [
        each["Environment"]["Variables"].get("APPROVAL_URL")
        for each in of_type(resources, "AWS::Lambda::Function").values()
    ]

    assert of_type(resources, "AWS::Lambda::Url") == {}
    assert not [name for name in names if name.endswith(("-answer-by-url", "-note-caller"))]
    assert set(variables) == {None, ""}
