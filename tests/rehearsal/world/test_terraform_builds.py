"""What builds leave behind is the same whether the commands that ship have run, or the model of them."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import RLock
from typing import Any

import pytest
from moto import mock_aws

from cdk.infrastructure import BUILDSPECS
from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.policy_simulator import PolicySimulator
from rehearsal.scenarios import NEW_VERSION
from rehearsal.settings import Settings
from rehearsal.world.builds import Builds
from rehearsal.world.customer_infrastructure import BUCKET, LISTENER, QUEUE, SECURITY_GROUP, STATE_PASSWORD
from rehearsal.world.terraform import Terraform
from rehearsal.world.terraform_builds import building
from tests.rehearsal.world.conftest import client
from tests.waiting import eventually

pytestmark = pytest.mark.rehearsed

SETTINGS = Settings.read("production")
PLANS, KEY = "plans", "plans/release-1/release/"
GROWN = {SECURITY_GROUP: {"name": "another"}, QUEUE: {"name": "thumbnails"}, BUCKET: {"force_destroy": True}}


class World:
    """An account with the two projects, as the template would make them."""

    def __init__(self, builds: Builds, terraform: Terraform) -> None:
        self.builds, self.terraform = builds, terraform

    def build(self, work: str, **variables: str) -> str:
        """Return how it ended."""
        given = {"RUNBACK_PLAN_KEY": KEY, "RUNBACK_TARGETS": "", **variables}
        codebuild = client("codebuild")
        started = codebuild.start_build(
            projectName=f"{SETTINGS.prefix}-{work}",
            sourceVersion=NEW_VERSION,
            environmentVariablesOverride=[{"name": name, "value": each} for name, each in given.items()],
        )["build"]["id"]
        eventually(lambda: codebuild.batch_get_builds(ids=[started])["builds"][0]["buildComplete"])
        return str(codebuild.batch_get_builds(ids=[started])["builds"][0]["buildStatus"])

    def apply(self, **variables: str) -> str:
        inspected = hashlib.sha256(self.kept("plan.json")).hexdigest()
        digests = {"RUNBACK_PLAN_DIGEST": self.kept("digest").decode().strip(), "RUNBACK_INSPECTED_DIGEST": inspected}
        return self.build("apply", **{**digests, **variables})

    def kept(self, name: str) -> bytes:
        body: bytes = client("s3").get_object(Bucket=PLANS, Key=f"{KEY}{name}")["Body"].read()
        return body

    @property
    def planned(self) -> dict[str, Any]:
        return {each["address"]: each["change"] for each in json.loads(self.kept("plan.json"))["resource_changes"]}

    def logs(self, work: str) -> str:
        return (self.builds._log_directory / f"{SETTINGS.prefix}-{work}.log").read_text(encoding="utf-8")


@pytest.fixture(params=["model", "shipped"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """Containers are in a folder that is named from here, as `make rehearse` names its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOTO_ACCOUNT_ID", SETTINGS.account)
    clock = TwoSpeedClock(speed=200.0)
    (tmp_path / "logs").mkdir()
    with mock_aws(), PolicySimulator():
        client("s3").create_bucket(Bucket=PLANS, CreateBucketConfiguration={"LocationConstraint": SETTINGS.region})
        role = client("iam").create_role(RoleName="builds", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        client("iam").put_role_policy(RoleName="builds", PolicyName="all", PolicyDocument=document)
        with building(
            SETTINGS,
            clock,
            account_lock=RLock(),
            log_directory=tmp_path / "logs",
            commits={NEW_VERSION: GROWN},
            containers=Path("containers") if request.param == "shipped" else None,
        ) as (builds, terraform):
            for work in ("plan", "apply"):
                _create_project(work, role)
            yield World(builds, terraform)


def _create_project(work: str, role: str) -> None:
    variables = {
        "RUNBACK_DIRECTORY": "infrastructure",
        "RUNBACK_VAR_FILE": "production.tfvars",
        "RUNBACK_TERRAFORM_VERSION": "1.11.4",
        "RUNBACK_PLAN_BUCKET": PLANS,
    }
    client("codebuild").create_project(
        name=f"{SETTINGS.prefix}-{work}",
        source={
            "type": "GITHUB",
            "location": "https://github.com/receipts/infrastructure.git",
            "buildspec": (BUILDSPECS / f"{work}.yml").read_text(encoding="utf-8"),
        },
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{"name": name, "value": each} for name, each in variables.items()],
        },
        serviceRole=role,
    )


def test_a_plan_is_kept_with_its_digest_and_applied(world: World) -> None:
    assert "SUCCEEDED" == world.build("plan")
    verbs = {address: change["actions"] for address, change in world.planned.items() if change["actions"] != ["no-op"]}
    assert {SECURITY_GROUP: ["update"], QUEUE: ["create"], BUCKET: ["update"]} == verbs
    assert hashlib.sha256(world.kept("plan.bin")).hexdigest() == world.kept("digest").decode().strip()
    assert not world.terraform.applied
    assert "SUCCEEDED" == world.apply()
    assert world.terraform.is_at(NEW_VERSION)
    assert {SECURITY_GROUP, QUEUE, BUCKET} == {each.address for each in world.terraform.applied}


def test_targets_limit_it(world: World) -> None:
    assert "SUCCEEDED" == world.build("plan", RUNBACK_TARGETS="module.storage module.network")
    assert {"module.network.aws_vpc.main", BUCKET} == world.planned.keys()


def test_an_apply_that_fails_leaves_what_it_had_made(world: World) -> None:
    world.terraform.fails_at.add(QUEUE)
    assert "SUCCEEDED" == world.build("plan")
    assert "FAILED" == world.apply()
    assert [SECURITY_GROUP] == [each.address for each in world.terraform.applied]
    assert "another" == world.terraform.state[SECURITY_GROUP]["name"]
    assert QUEUE not in world.terraform.state
    assert "unexpected state" in world.logs("apply")


def _somebody_applies(world: World) -> dict[str, str]:
    world.terraform.change_by_hand(LISTENER, ssl_policy="older")
    return {}


@pytest.mark.parametrize(
    "happens",
    [
        _somebody_applies,
        lambda _: {"RUNBACK_PLAN_DIGEST": "0" * 64},
        lambda _: {"RUNBACK_INSPECTED_DIGEST": "0" * 64},
    ],
    ids=["stale", "another plan", "not inspected"],
)
def test_a_plan_that_is_not_the_inspected_one_is_not_applied(
    world: World, happens: Callable[[World], dict[str, str]]
) -> None:
    assert "SUCCEEDED" == world.build("plan")
    assert "FAILED" == world.apply(**happens(world))
    assert not world.terraform.applied


def test_a_secret_is_in_the_plan_and_in_no_log(world: World) -> None:
    assert "SUCCEEDED" == world.build("plan")
    assert STATE_PASSWORD.encode() in world.kept("plan.json")
    assert "SUCCEEDED" == world.apply()
    assert STATE_PASSWORD not in world.logs("plan") + world.logs("apply")
