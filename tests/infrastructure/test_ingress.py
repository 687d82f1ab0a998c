"""The stack at which pushes arrive: who may call it, what it may do, and who may put events on its bus."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cdk.assembly import SETTINGS_FOLDER, synthesize
from cdk.functions import FUNCTIONS
from cdk.ingress import MOST_AT_ONCE
from tests.infrastructure.template import Resources, of_type, only, role_of, statements

BUS_ARN = "arn:aws:events:eu-west-1:111122223333:event-bus/receipt-vault-github"
ONLY_PUSHES = {"StringEquals": {"events:source": "github.com", "events:detail-type": "push"}}


@pytest.fixture(scope="session")
def resources(templates: Mapping[str, dict[str, Any]]) -> Resources:
    """Return the ingress's resources by logical id."""
    found: Resources = templates["ingress"]["Resources"]
    return found


def ref(resources: Resources, kind: str, attribute: str = "Arn") -> dict[str, Any]:
    """Return how the template refers to the only resource of a type."""
    ((logical_id, _),) = of_type(resources, kind).items()
    return {"Fn::GetAtt": [logical_id, attribute]}


def actions_role(resources: Resources) -> tuple[str, dict[str, Any]]:
    (found,) = [
        (name, each) for name, each in of_type(resources, "AWS::IAM::Role").items() if "GitHub Actions" in str(each)
    ]
    return found


def test_anybody_can_call_the_address_and_nothing_but_the_address(resources: Resources) -> None:
    """
    GitHub cannot sign as IAM wants it. A URL needs both permissions.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
    """
    function = ref(resources, "AWS::Lambda::Function")
    assert only(resources, "AWS::Lambda::Url") == {"AuthType": "NONE", "TargetFunctionArn": function}
    assert list(of_type(resources, "AWS::Lambda::Permission").values()) == [
        {
            "Action": "lambda:InvokeFunctionUrl",
            "FunctionName": function,
            "FunctionUrlAuthType": "NONE",
            "Principal": "*",
        },
        {
            "Action": "lambda:InvokeFunction",
            "FunctionName": function,
            "InvokedViaFunctionUrl": True,
            "Principal": "*",
        },
    ]


def test_a_flood_of_requests_takes_nothing_from_other_functions(resources: Resources) -> None:
    function = only(resources, "AWS::Lambda::Function")
    assert function["ReservedConcurrentExecutions"] == MOST_AT_ONCE == 5
    assert function["Timeout"] == 10  # GitHub waits no longer


def test_the_function_may_read_its_secrets_remember_and_put_pushes_on_its_bus(resources: Resources) -> None:
    role = role_of(only(resources, "AWS::Lambda::Function"))
    log = ref(resources, "AWS::Logs::LogGroup")
    found = [
        (statement["Action"], statement["Resource"], statement.get("Condition"))
        for statement in statements(resources, role)
    ]
    secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:receipt-vault/github-webhook-Qm7ZtE"  # noqa: S105
    assert found == [
        (["logs:CreateLogStream", "logs:PutLogEvents"], [log], None),
        (["secretsmanager:GetSecretValue"], [secret], None),
        (["dynamodb:PutItem", "dynamodb:UpdateItem"], [ref(resources, "AWS::DynamoDB::Table")], None),
        (["events:PutEvents"], [BUS_ARN], ONLY_PUSHES),
        (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], ["*"], None),
    ]


def test_the_function_is_told_what_the_stack_has(resources: Resources) -> None:
    function = only(resources, "AWS::Lambda::Function")
    told = json.loads(function["Environment"]["Variables"]["INGRESS"])
    assert function["Handler"] == "lambdas.github.receive_webhook.lambda_handler"
    assert told == {
        "repository_id": 412906233,
        "refs": ["refs/heads/main", "refs/tags/v*"],
        "secret_arns": ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:receipt-vault/github-webhook-Qm7ZtE"],
        "bus": only(resources, "AWS::Events::EventBus")["Name"],
        "table": only(resources, "AWS::DynamoDB::Table")["TableName"],
    }


def test_deliveries_are_forgotten_by_the_attribute_that_the_function_writes(resources: Resources) -> None:
    table = only(resources, "AWS::DynamoDB::Table")
    assert table["KeySchema"] == [{"AttributeName": "delivery", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_nobody_else_puts_anything_on_the_bus(resources: Resources) -> None:
    """Whoever may put events on buses of this account could release a commit otherwise."""
    (webhook,) = [role_of(only(resources, "AWS::Lambda::Function"))]
    actions, _ = actions_role(resources)
    bus = ref(resources, "AWS::Events::EventBus")
    policies = [each["Statement"] for each in of_type(resources, "AWS::Events::EventBusPolicy").values()]
    whoever = {"Action": "events:PutEvents", "Effect": "Deny", "Principal": {"AWS": "*"}, "Resource": bus}
    roles = [{"Fn::GetAtt": [each, "Arn"]} for each in (webhook, actions)]
    assert policies == [
        {**whoever, "Sid": "NobodyElse", "Condition": {"ArnNotEquals": {"aws:PrincipalArn": roles}}},
        {**whoever, "Sid": "NothingButPushes", "Condition": {"StringNotEquals": {"events:source": "github.com"}}},
    ]


def test_pushes_are_archived_and_what_is_lost_is_kept(resources: Resources) -> None:
    queue = ref(resources, "AWS::SQS::Queue")
    assert only(resources, "AWS::Events::EventBus")["DeadLetterConfig"] == {"Arn": queue}
    archive = only(resources, "AWS::Events::Archive")
    assert archive["RetentionDays"] == 30
    assert archive["EventPattern"] == {"account": ["111122223333"], "source": ["github.com"]}
    assert archive["SourceArn"] == ref(resources, "AWS::Events::EventBus")
    (_, allowed) = only(resources, "AWS::SQS::QueuePolicy")["PolicyDocument"]["Statement"]
    assert allowed["Condition"] == {
        "ArnEquals": {"aws:SourceArn": BUS_ARN},
        "StringEquals": {"aws:SourceAccount": "111122223333"},
    }


def test_humans_hear_of_what_is_lost_and_not_of_what_is_forged(resources: Resources) -> None:
    """Whoever knows the address could wake them otherwise."""
    topic, _ = next(iter(of_type(resources, "AWS::SNS::Topic").items()))
    found = of_type(resources, "AWS::CloudWatch::Alarm").values()
    assert {each["AlarmName"]: each["MetricName"] for each in found} == {
        "receipt-vault-ingress-lost-events": "ApproximateNumberOfMessagesVisible",
        "receipt-vault-ingress-webhooks-failing": "Url5xxCount",
        "receipt-vault-ingress-webhooks-throttled": "Throttles",
    }
    assert all(each["AlarmActions"] == [{"Ref": topic}] for each in found)
    assert all(each["Threshold"] == 1 and each["TreatMissingData"] == "notBreaching" for each in found)
    assert only(resources, "AWS::SNS::Subscription")["Endpoint"] == "oncall@receiptvault.pro"


def test_only_runs_for_these_refs_of_this_repository_take_the_role(resources: Resources) -> None:
    """The repository by its number, too: a name that was given up can be taken by anybody."""
    logical_id, role = actions_role(resources)
    issuer = "token.actions.githubusercontent.com"
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust == {
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{issuer}"},
        "Condition": {
            "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:repository_id": "412906233"},
            "StringLike": {
                f"{issuer}:sub": [
                    "repo:your-org/receipt-vault:ref:refs/heads/main",
                    "repo:your-org@*/receipt-vault@412906233:ref:refs/heads/main",
                    "repo:your-org/receipt-vault:ref:refs/tags/v*",
                    "repo:your-org@*/receipt-vault@412906233:ref:refs/tags/v*",
                ]
            },
        },
    }
    (provider,) = of_type(resources, "AWS::IAM::OIDCProvider")
    assert resources[logical_id]["DependsOn"] == [provider]
    assert only(resources, "AWS::IAM::OIDCProvider") == {
        "ClientIdList": ["sts.amazonaws.com"],
        "Url": f"https://{issuer}",
    }


def test_a_workflow_may_put_pushes_on_the_bus_and_nothing_else(resources: Resources) -> None:
    role, _ = actions_role(resources)
    (statement,) = statements(resources, role)
    assert statement == {
        "Action": ["events:PutEvents"],
        "Effect": "Allow",
        "Resource": [BUS_ARN],
        "Condition": ONLY_PUSHES,
    }


def test_whoever_sets_the_webhook_up_is_told_its_address(templates: Mapping[str, dict[str, Any]]) -> None:
    assert templates["ingress"]["Outputs"].keys() == {"WebhookUrl", "GitHubActionsRole"}


def test_no_environment_has_the_function(templates: Mapping[str, dict[str, Any]]) -> None:
    """Anybody can call it, so it must not have an environment's rights."""
    assert not [spec for spec in FUNCTIONS if "receive_webhook" in spec.module]
    assert "receive-webhook" not in json.dumps(templates["production"]["Resources"])


def written(folder: Path, *changes: tuple[str, str]) -> dict[str, Any]:
    """Build the ingress with these changes of its settings, and return the template's resources."""
    text = (SETTINGS_FOLDER / "ingress.toml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "ingress.toml").write_text(text, encoding="utf-8")
    (template,) = synthesize(folder / "out", ("ingress",), folder).glob("*.template.json")
    found: dict[str, Any] = json.loads(template.read_text(encoding="utf-8"))["Resources"]
    return found


def test_a_provider_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    """An account can have one."""
    provider = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
    resources = written(tmp_path, ("# provider_arn", "provider_arn"))
    _, role = actions_role(resources)
    assert of_type(resources, "AWS::IAM::OIDCProvider") == {}
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Federated": provider}


def test_without_actions_there_is_no_role_for_them(tmp_path: Path) -> None:
    resources = written(tmp_path, ("[github_actions]", ""))
    (role,) = of_type(resources, "AWS::IAM::Role")
    (policy, _) = of_type(resources, "AWS::Events::EventBusPolicy").values()
    assert policy["Statement"]["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [{"Fn::GetAtt": [role, "Arn"]}]}}


def test_without_its_file_there_is_no_ingress(tmp_path: Path) -> None:
    """Releases begin by hand then."""
    assert list(synthesize(tmp_path / "out", ("ingress",), tmp_path).glob("*.template.json")) == []
