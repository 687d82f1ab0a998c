"""Builds, as CodeBuild is asked for them and tells of them; botocore checks every request and answer."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lambdas.infrastructure.builds import Builds

BUILD = {
    "id": "receipts-test-apply:one",
    "buildStatus": "IN_PROGRESS",
    "currentPhase": "BUILD",
    "logs": {"deepLink": "https://console/logs"},
    "environment": {
        "type": "LINUX_CONTAINER",
        "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
        "computeType": "BUILD_GENERAL1_SMALL",
        "environmentVariables": [{"name": "RUNBACK_PLAN_DIGEST", "value": "d1", "type": "PLAINTEXT"}],
    },
}


@pytest.fixture
def asked() -> Iterator[Stubber]:
    stubber = Stubber(boto3.client("codebuild"))
    with stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_build_is_started_once_at_a_commit_with_variables(asked: Stubber) -> None:
    asked.add_response(
        "start_build",
        {"build": BUILD},
        {
            "projectName": "receipts-test-apply",
            "idempotencyToken": "d1",
            "sourceVersion": "4f2c1e9",
            "environmentVariablesOverride": [
                {"name": "A", "value": "1", "type": "PLAINTEXT"},
                {"name": "B", "value": "", "type": "PLAINTEXT"},
            ],
        },
    )

    assert Builds(asked.client).start("receipts-test-apply", "d1", "4f2c1e9", {"B": "", "A": "1"}) == BUILD["id"]


def test_build_without_a_commit_is_the_projects_own(asked: Stubber) -> None:
    asked.add_response(
        "start_build",
        {"build": BUILD},
        {"projectName": "migrate", "idempotencyToken": "t", "environmentVariablesOverride": []},
    )

    Builds(asked.client).start("migrate", "t", "", {})


def test_running_build(asked: Stubber) -> None:
    asked.add_response("batch_get_builds", {"builds": [BUILD]}, {"ids": [BUILD["id"]]})

    build = Builds(asked.client).read(str(BUILD["id"]))

    assert (build.is_running, build.succeeded, build.phase, build.link) == (
        True,
        False,
        "BUILD",
        "https://console/logs",
    )
    assert build.applies("d1")
    assert not build.applies("d2")


def test_failed_build_says_where_and_why(asked: Stubber) -> None:
    phases: list[dict[str, Any]] = [
        {"phaseType": "INSTALL", "phaseStatus": "SUCCEEDED"},
        {
            "phaseType": "BUILD",
            "phaseStatus": "FAILED",
            "contexts": [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": "terraform apply: exit status 1"}],
        },
        {"phaseType": "COMPLETED"},
    ]
    failed = {**BUILD, "buildStatus": "FAILED", "currentPhase": "COMPLETED", "phases": phases}
    asked.add_response("batch_get_builds", {"builds": [failed]})

    build = Builds(asked.client).read(str(BUILD["id"]))

    assert not build.is_running
    assert build.describe() == (
        "Build receipts-test-apply:one ended FAILED in phase BUILD: COMMAND_EXECUTION_ERROR terraform apply: exit"
        " status 1. Its log: https://console/logs"
    )


def test_build_that_cannot_be_found_yet_may_be_running(asked: Stubber) -> None:
    asked.add_response("batch_get_builds", {"builds": [], "buildsNotFound": ["one"]})

    assert Builds(asked.client).read("one").is_running


def test_newest_build_of_a_project(asked: Stubber) -> None:
    asked.add_response(
        "list_builds_for_project",
        {"ids": [BUILD["id"], "older"]},
        {"projectName": "receipts-test-apply", "sortOrder": "DESCENDING"},
    )
    asked.add_response("batch_get_builds", {"builds": [BUILD]}, {"ids": [BUILD["id"]]})
    asked.add_response("list_builds_for_project", {})
    builds = Builds(asked.client)

    newest = builds.latest("receipts-test-apply")

    assert newest is not None
    assert newest.build_id == BUILD["id"]
    assert builds.latest("receipts-test-apply") is None
