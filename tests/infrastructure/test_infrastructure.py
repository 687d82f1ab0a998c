"""Who plans may not apply, nobody's code stands in a build, and plans are for those who inspect and apply them."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from cdk.infrastructure import BUILDSPECS
from tests.infrastructure.template import Resources, of_type, role_of, statements

PLANS = "arn:aws:s3:::receipt-vault-production-plans-111122223333-eu-west-1/plans/*"
STATE = "arn:aws:s3:::receipt-vault-production-terraform-state"


def project(resources: Resources, name: str) -> dict[str, Any]:
    (found,) = [
        each
        for each in of_type(resources, "AWS::CodeBuild::Project").values()
        if each["Name"] == f"receipt-vault-production-{name}"
    ]
    return found


def role_of_project(resources: Resources, name: str) -> str:
    logical_id: str = project(resources, name)["ServiceRole"]["Fn::GetAtt"][0]
    return logical_id


def allowed(resources: Resources, name: str) -> dict[str, list[Any]]:
    return {
        action: statement["Resource"]
        for statement in statements(resources, role_of_project(resources, name))
        for action in statement["Action"]
        if not action.startswith("logs:")
    }


CHECKING_OUT = {
    f"codeconnections:{action}": [
        "arn:aws:codeconnections:eu-west-1:111122223333:connection/7f0c1a52-9d3e-4b68-8f21-5c6d7e8f9a0b"
    ]
    for action in ("GetConnection", "GetConnectionToken")
}


def test_planner_reads_the_state_and_writes_its_plan(resources: Resources) -> None:
    """A pushed commit brings code that runs while it is planned."""
    assert allowed(resources, "plan") == {
        **CHECKING_OUT,
        "s3:PutObject": [PLANS],
        "s3:GetObject": [f"{STATE}/*"],
        "s3:ListBucket": [STATE],
    }


def test_applier_reads_plans_and_writes_the_state(resources: Resources) -> None:
    found = [
        (action, statement["Resource"])
        for statement in statements(resources, role_of_project(resources, "apply"))
        for action in statement["Action"]
        if action.startswith("s3:")
    ]

    assert ("s3:GetObject", [PLANS]) in found
    assert ("s3:PutObject", [f"{STATE}/*"]) in found
    assert ("s3:PutObject", [PLANS]) not in found


@pytest.mark.parametrize("name", ["plan", "apply"])
def test_what_terraform_may_do_is_in_the_customers_policies(name: str, resources: Resources) -> None:
    role = resources[role_of_project(resources, name)]["Properties"]

    assert role["ManagedPolicyArns"] == [f"arn:aws:iam::111122223333:policy/receipt-vault-production-terraform-{name}"]
    (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "codebuild.amazonaws.com"}
    assert trusted["Condition"]["ArnLike"]["aws:SourceArn"].endswith(f":project/receipt-vault-production-{name}")


def test_both_builds_have_roles_of_their_own(resources: Resources) -> None:
    assert role_of_project(resources, "plan") != role_of_project(resources, "apply")


@pytest.mark.parametrize("name", ["plan", "apply"])
def test_commands_stand_in_the_project_and_not_in_the_repository(name: str, resources: Resources) -> None:
    """Whoever can push could otherwise write them, for the role that applies."""
    source = project(resources, name)["Source"]

    assert source["BuildSpec"] == (BUILDSPECS / f"{name}.yml").read_text(encoding="utf-8")
    assert source["Location"] == "https://github.com/your-org/receipt-vault.git"
    assert source["Auth"]["Type"] == "CODECONNECTIONS"
    assert source["GitCloneDepth"] == 0


def test_one_apply_runs_at_a_time(resources: Resources) -> None:
    assert project(resources, "apply")["ConcurrentBuildLimit"] == 1


@pytest.mark.parametrize("name", ["plan", "apply"])
def test_build_knows_what_settings_say(name: str, resources: Resources) -> None:
    environment = project(resources, name)["Environment"]

    assert {each["Name"]: each["Value"] for each in environment["EnvironmentVariables"]} == {
        "RUNBACK_DIRECTORY": "terraform/environments/production",
        "RUNBACK_VAR_FILE": "production.tfvars",
        "RUNBACK_TERRAFORM_VERSION": "1.11.4",
        "RUNBACK_TERRAFORM_SHA256": "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc",
        "RUNBACK_PLAN_BUCKET": "receipt-vault-production-plans-111122223333-eu-west-1",
    }
    assert not environment.get("PrivilegedMode", False)


@pytest.mark.parametrize("name", ["plan", "apply"])
def test_build_is_ended_before_anybody_stops_waiting_for_it(name: str, resources: Resources) -> None:
    """Nobody waits for it any more after 40 minutes."""
    found = project(resources, name)

    assert (found["TimeoutInMinutes"], found["QueuedTimeoutInMinutes"]) == (30, 5)


def test_plans_are_encrypted_for_the_builds_and_the_inspector_alone(resources: Resources) -> None:
    """They hold what Terraform's state holds, secrets too."""
    (key,) = [
        each
        for each in of_type(resources, "AWS::KMS::Key").values()
        if each["Description"].startswith("Encrypts the plans")
    ]
    (inspector,) = [
        role_of(each)
        for each in of_type(resources, "AWS::Lambda::Function").values()
        if each["FunctionName"].endswith("-check-plan")
    ]

    reading = {
        principal["Fn::GetAtt"][0]
        for statement in key["KeyPolicy"]["Statement"]
        if statement["Action"] == "kms:Decrypt"
        for principal in statement["Principal"]["AWS"]
    }

    roles = {role_of_project(resources, name) for name in ("plan", "apply")}
    assert reading == {*roles, inspector}


def test_plans_are_private_and_forgotten(resources: Resources) -> None:
    (bucket,) = [
        each
        for each in of_type(resources, "AWS::S3::Bucket").values()
        if each["BucketName"].startswith("receipt-vault-production-plans-")
    ]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 30


@pytest.mark.parametrize("name", ["plan", "apply"])
def test_buildspec_stops_at_the_first_command_that_fails(name: str) -> None:
    """CodeBuild goes on to the next phase by default."""
    spec = yaml.safe_load((BUILDSPECS / f"{name}.yml").read_text(encoding="utf-8"))

    assert spec["version"] == 0.2
    assert {each["on-failure"] for each in spec["phases"].values()} == {"ABORT"}
    assert "post_build" not in spec["phases"]


def test_environment_without_the_table_has_nothing_of_it(templates: Mapping[str, dict[str, Any]]) -> None:
    staging = templates["staging"]["Resources"]

    assert of_type(staging, "AWS::CodeBuild::Project") == {}
    assert not [each for each in of_type(staging, "AWS::S3::Bucket").values() if "-plans-" in each["BucketName"]]
