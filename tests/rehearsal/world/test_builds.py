"""A build takes its time, does its work as its project's role, and ends as builds of CodeBuild do."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import RLock
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.policy_simulator import PolicySimulator
from rehearsal.world.builds import TOKEN_SECONDS, Build, BuildFailed, Builds
from tests.rehearsal.world.conftest import ACCOUNT, REGION, client
from tests.waiting import eventually

PROJECT = "receipts-production-plan"
CONNECTION = f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/0f1e2d3c-4b5a-6978-8f9e-0d1c2b3a4958"
COMMIT = "5d6e7f8"
RIGHTS = ["logs:*", "codeconnections:GetConnection", "codeconnections:GetConnectionToken", "s3:PutObject"]
WORK_SECONDS = 20.0


class World:
    """The account with one project."""

    def __init__(self, clock: TwoSpeedClock, builds: Builds) -> None:
        self.clock, self.builds, self.codebuild = clock, builds, client("codebuild")
        self.done: list[str] = []
        self.fails = False
        self.builds.does(PROJECT, self._work)

    def _work(self, build: Build) -> Iterator[float]:
        yield WORK_SECONDS
        if self.fails:
            raise BuildFailed("terraform has said something")
        self.builds.client("s3", build).put_object(Bucket="plans", Key=build.variables["KEY"], Body=b"a plan")
        self.done.append(build.source_version)

    def start(self, request: str = "one", key: str = "plans/a", project: str = PROJECT) -> str:
        variables = [{"name": "KEY", "value": key, "type": "PLAINTEXT"}]
        asked = {"sourceVersion": COMMIT, "environmentVariablesOverride": variables, "idempotencyToken": request}
        return str(self.codebuild.start_build(projectName=project, **asked)["build"]["id"])

    def read(self, build_id: str) -> dict[str, Any]:
        (found,) = self.codebuild.batch_get_builds(ids=[build_id])["builds"]
        return dict(found)

    def ended(self, build_id: str) -> dict[str, Any]:
        eventually(lambda: self.read(build_id)["buildComplete"])
        return self.read(build_id)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    clock = TwoSpeedClock(speed=200.0)
    with mock_aws(), PolicySimulator():
        create_project()
        client("s3").create_bucket(Bucket="plans", CreateBucketConfiguration={"LocationConstraint": REGION})
        with Builds(clock, ACCOUNT, REGION, account_lock=RLock(), log_directory=tmp_path) as builds:
            yield World(clock, builds)


def create_project() -> None:
    role = client("iam").create_role(RoleName="plan", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    allow(RIGHTS)
    auth = {"type": "CODECONNECTIONS", "resource": CONNECTION}
    client("codebuild").create_project(
        name=PROJECT,
        source={"type": "GITHUB", "location": "https://github.com/receipts/infrastructure", "auth": auth},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{"name": "KEY", "value": "none"}, {"name": "OWN", "value": "of the project"}],
        },
        serviceRole=role,
        timeoutInMinutes=30,
    )


def allow(actions: list[str]) -> None:
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("iam").put_role_policy(RoleName="plan", PolicyName="rights", PolicyDocument=document)


def test_a_build_takes_its_time_and_does_its_work(world: World) -> None:
    """At once it is queued: who looks then must wait."""
    build_id = world.start()
    began = world.read(build_id)
    assert ("IN_PROGRESS", False) == (began["buildStatus"], began["buildComplete"])
    assert not world.done
    ended = world.ended(build_id)
    assert ("SUCCEEDED", "COMPLETED", COMMIT) == (ended["buildStatus"], ended["currentPhase"], ended["sourceVersion"])
    assert (ended["endTime"] - ended["startTime"]).total_seconds() >= WORK_SECONDS
    assert b"a plan" == client("s3").get_object(Bucket="plans", Key="plans/a")["Body"].read()
    assert {"KEY": "plans/a", "OWN": "of the project"} == {
        each["name"]: each["value"] for each in ended["environment"]["environmentVariables"]
    }


def test_the_same_token_is_the_same_build_for_five_minutes(world: World) -> None:
    """After that it is another one: whoever relies on the token alone applies twice."""
    build_id = world.start()
    assert build_id == world.start()
    with pytest.raises(ClientError, match="InvalidInputException"):
        world.start(key="plans/b")
    world.clock.sleep(TOKEN_SECONDS + 1)
    again = world.start()
    assert [again, build_id] == world.codebuild.list_builds_for_project(projectName=PROJECT)["ids"]


def test_commands_that_fail_are_named_by_phase_and_not_by_their_text(world: World, tmp_path: Path) -> None:
    """CodeBuild knows an exit status alone: what Terraform said is in the log."""
    world.fails = True
    ended = world.ended(world.start())
    (failed,) = (each for each in ended["phases"] if each.get("phaseStatus", "SUCCEEDED") != "SUCCEEDED")
    assert ("FAILED", "BUILD") == (ended["buildStatus"], failed["phaseType"])
    assert "exit status 1" in failed["contexts"][0]["message"]
    assert "terraform has said something" in (tmp_path / f"{PROJECT}.log").read_text(encoding="utf-8")


def test_a_build_can_be_stopped(world: World) -> None:
    build_id = world.start()
    world.codebuild.stop_build(id=build_id)
    assert "STOPPED" == world.ended(build_id)["buildStatus"]
    assert not world.done


def test_a_build_that_takes_too_long_is_ended(world: World) -> None:
    def work(_: Build) -> Iterator[float]:
        yield 3600.0

    world.builds.does(PROJECT, work)
    assert "TIMED_OUT" == world.ended(world.start())["buildStatus"]


@pytest.mark.parametrize("right", ["logs:*", "codeconnections:GetConnection", "codeconnections:GetConnectionToken"])
def test_a_role_without_what_codebuild_itself_needs_builds_nothing(world: World, right: str) -> None:
    allow([each for each in RIGHTS if each != right])
    ended = world.ended(world.start())
    assert "FAILED" == ended["buildStatus"]
    assert not world.done


def test_what_is_not_there_is_said(world: World) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        world.start(project="receipts-production-apply")
    missing = f"{PROJECT}:0f1e2d3c-4b5a-6978-8f9e-0d1c2b3a4958"
    assert [missing] == world.codebuild.batch_get_builds(ids=[missing])["buildsNotFound"]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        world.codebuild.stop_build(id=missing)
