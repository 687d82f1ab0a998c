"""What starts the push machine: which events a rule lets through, what it makes of them, and who may use its role."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from moto.events.models import EventPattern

from lambdas.github.push_rules import PushSettings, read_push_request
from tests.infrastructure.template import Resources, of_type, statements

Templates = Mapping[str, dict[str, Any]]

DETAIL: dict[str, Any] = {
    "delivery": "7c1e9a60-4a1b-11ef-8f21-5c6d7e8f9a0b",
    "repository_id": 412906233,
    "repository": "your-org/receipt-vault",
    "ref": "refs/heads/main",
    "commit": "2" * 40,
    "before": "1" * 40,
    "created": False,
    "deleted": False,
    "forced": False,
    "sender": 'jane "the merger" doe',
    "pushed_at": "2026-03-01T10:00:00Z",
    "compare": "https://github.com/your-org/receipt-vault/compare/1...2",
    "fork": False,
}
EVENT = {"account": "111122223333", "source": "github.com", "detail-type": "push", "detail": DETAIL}


@pytest.fixture
def staging(templates: Templates) -> Resources:
    """Return staging's resources by logical id."""
    found: Resources = templates["staging"]["Resources"]
    return found


def rule(resources: Resources, name: str) -> dict[str, Any]:
    """Return the rule of this name, without service and environment."""
    (found,) = [each for each in of_type(resources, "AWS::Events::Rule").values() if each["Name"].endswith(f"-{name}")]
    return found


def machine(resources: Resources, name: str) -> str:
    """Return the logical id of a machine."""
    machines = of_type(resources, "AWS::StepFunctions::StateMachine")
    (found,) = [logical_id for logical_id, each in machines.items() if each["StateMachineName"].endswith(f"-{name}")]
    return found


def given(target: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input that EventBridge makes of an event."""
    text = target["InputTransformer"]["InputTemplate"]
    for name, path in target["InputTransformer"]["InputPathsMap"].items():
        text = text.replace(f"<{name}>", json.dumps(event["detail"][path.removeprefix("$.detail.")]))
    made: dict[str, Any] = json.loads(text)
    return made


def test_a_push_starts_the_push_machine_of_staging(staging: Resources) -> None:
    pushed = rule(staging, "pushed")
    (target,) = pushed["Targets"]

    assert pushed["EventBusName"] == "receipt-vault-github"
    assert pushed["State"] == "ENABLED"
    assert target["Arn"] == {"Ref": machine(staging, "push")}
    assert EventPattern.load(json.dumps(pushed["EventPattern"])).matches_event(EVENT)


@pytest.mark.parametrize(
    "change",
    [
        {"account": "444455556666"},
        {"source": "somebody.else"},
        {"detail-type": "create"},
        *(
            {"detail": {**DETAIL, **each}}
            for each in (
                {"repository_id": 7},
                {"ref": "refs/heads/other"},
                {"ref": "refs/heads/main-2"},
                {"ref": "refs/tags/v1"},
                {"deleted": True},
                {"fork": True},
            )
        ),
        {"detail": {name: value for name, value in DETAIL.items() if name != "fork"}},
    ],
)
def test_other_events_start_nothing(change: dict[str, Any], staging: Resources) -> None:
    """Whatever puts events on the bus: the webhook may be wrong, and GitHub Actions run what somebody has pushed."""
    pattern = EventPattern.load(json.dumps(rule(staging, "pushed")["EventPattern"]))

    assert not pattern.matches_event({**EVENT, **change})


def test_what_the_rule_makes_of_a_push_is_understood(staging: Resources) -> None:
    (target,) = rule(staging, "pushed")["Targets"]
    functions = of_type(staging, "AWS::Lambda::Function").values()
    (told,) = [each for each in functions if each["FunctionName"].endswith("-take-push")]
    settings = PushSettings.from_json(told["Environment"]["Variables"]["PUSHES"])

    request = read_push_request(given(target, EVENT), settings, "2026-03-01T10:00:05Z")
    assert (request.problem, request.refusal) == ("", "")
    assert request.push is not None
    assert (request.push.commit, request.push.before) == (DETAIL["commit"], DETAIL["before"])
    assert (request.push.sender, request.push.pushed_at) == (DETAIL["sender"], DETAIL["pushed_at"])


@pytest.mark.parametrize(("environment", "name"), [("staging", "pushed"), ("production", "validated")])
def test_a_push_that_cannot_be_delivered_is_kept(environment: str, name: str, templates: Templates) -> None:
    resources = templates[environment]["Resources"]
    (target,) = rule(resources, name)["Targets"]
    (queue,) = of_type(resources, "AWS::SQS::Queue")

    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": [queue, "Arn"]}}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 185}


def test_only_the_rule_on_the_bus_may_start_the_machine(staging: Resources) -> None:
    """The ARN of a rule on a bus of its own has the bus in it."""
    (target,) = rule(staging, "pushed")["Targets"]
    role = target["RoleArn"]["Fn::GetAtt"][0]
    (trust,) = staging[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    (allowed,) = statements(staging, role)

    arn = "arn:aws:events:eu-west-1:111122223333:rule/receipt-vault-github/receipt-vault-staging-pushed"
    assert trust["Condition"] == {
        "ArnEquals": {"aws:SourceArn": arn},
        "StringEquals": {"aws:SourceAccount": "111122223333"},
    }
    assert (allowed["Action"], allowed["Resource"]) == (["states:StartExecution"], [target["Arn"]])


def test_a_release_that_staging_has_brought_to_a_good_end_starts_the_push_machine_of_production(
    resources: Resources,
) -> None:
    validated = rule(resources, "validated")
    (target,) = validated["Targets"]

    assert "EventBusName" not in validated
    assert validated["EventPattern"] == {
        "account": ["111122223333"],
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {
            "stateMachineArn": ["arn:aws:states:eu-west-1:111122223333:stateMachine:receipt-vault-staging-deploy"],
            "status": ["SUCCEEDED"],
        },
    }
    assert target["Arn"] == {"Ref": machine(resources, "push")}
    assert json.loads(target["Input"]) == {"source": "validated", "environment": "staging"}


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_what_was_missed_is_looked_for_every_few_minutes(environment: str, templates: Templates) -> None:
    resources = templates[environment]["Resources"]
    looking = rule(resources, "reconcile")
    (target,) = looking["Targets"]

    assert looking["ScheduleExpression"] == "rate(5 minutes)"
    assert resources[target["Arn"]["Ref"]]["Type"] == "AWS::Lambda::Version"
    assert "DeadLetterConfig" not in target
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}


def test_each_environment_starts_by_what_its_settings_say_and_nothing_else(templates: Templates) -> None:
    found = {
        environment: {
            name
            for each in of_type(template["Resources"], "AWS::Events::Rule").values()
            if (name := each["Name"].removeprefix(f"receipt-vault-{environment}-")) in {"pushed", "validated"}
        }
        for environment, template in templates.items()
        if environment in {"production", "staging"}
    }

    assert found == {"production": {"validated"}, "staging": {"pushed"}}


@pytest.mark.parametrize(
    ("function", "tables"),
    [
        ("take-push", {"production", "staging"}),
        ("start-release", {"production", "staging"}),
        ("reconcile", {"production", "staging"}),
        ("check-release", {"production"}),
    ],
)
def test_the_record_of_staging_is_only_read(function: str, tables: set[str], resources: Resources) -> None:
    functions = of_type(resources, "AWS::Lambda::Function").values()
    (found,) = [each for each in functions if each["FunctionName"] == f"receipt-vault-production-{function}"]
    role = found["Role"]["Fn::GetAtt"][0]
    by_table: dict[str, set[str]] = {}
    for statement in statements(resources, role):
        for resource in statement["Resource"]:
            if isinstance(resource, str) and ":table/" in resource:
                name = resource.rpartition("/")[2].removeprefix("receipt-vault-").removesuffix("-record")
                by_table.setdefault(name, set()).update(statement["Action"])

    assert set(by_table) == tables
    assert by_table.get("staging", set()) <= {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}
