"""What has GitHub told of releases, and what cannot be held up by it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from cdk.functions import FUNCTIONS
from tests.infrastructure.template import Resources, functions, machines, of_type


def rule(resources: Resources, name: str) -> dict[str, Any]:
    (found,) = [
        each
        for each in of_type(resources, "AWS::Events::Rule").values()
        if each["Name"] == f"receipt-vault-production-{name}"
    ]
    return found


def test_it_looks_every_minute_and_does_not_repeat_a_look(resources: Resources) -> None:
    found = rule(resources, "report-status")
    (target,) = found["Targets"]

    assert (found["State"], found["ScheduleExpression"]) == ("ENABLED", "rate(1 minute)")
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}
    assert "DeadLetterConfig" not in target


def test_it_looks_at_once_when_a_release_begins_or_ends_or_is_rolled_back(resources: Resources) -> None:
    found = rule(resources, "report-status-soon")
    watched = [{"Ref": machines(resources)[name][0]} for name in ("deploy", "rollback")]

    assert found["EventPattern"] == {
        "account": ["111122223333"],
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": watched},
    }


def test_no_machine_calls_what_tells_github(resources: Resources) -> None:
    """Otherwise a host that is slow would hold a release up."""
    (spec,) = [each for each in FUNCTIONS if each.module == "github.report_status"]
    assert spec.machines == frozenset()
    definitions = json.dumps([machine["DefinitionString"] for _, machine in machines(resources).values()])
    assert "ReportStatus" not in definitions


def test_two_looks_at_once_tell_nothing_twice(resources: Resources) -> None:
    assert functions(resources)["report-status"]["ReservedConcurrentExecutions"] == 1


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_whoever_tells_is_told_whom(environment: str, templates: Mapping[str, dict[str, Any]]) -> None:
    found = of_type(templates[environment]["Resources"], "AWS::Lambda::Function").values()
    (telling,) = [each for each in found if each["FunctionName"].endswith("-report-status")]
    given = json.loads(telling["Environment"]["Variables"]["GITHUB"])
    assert (given["repository"], given["after_rollback"]) == ("your-org/receipt-vault", "comment")
    assert "token" not in {*given} - {"token_secret_arn"}
