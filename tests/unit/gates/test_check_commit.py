"""The gates of a commit, asked of GitHub, of where it was built, and of the environment before."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lambdas.errors import GitHubUnavailable
from lambdas.gates import check_commit as function
from lambdas.gates.artifacts import Artifacts
from lambdas.gates.validations import Validations
from lambdas.github.github_rules import Check
from lambdas.release.record import to_dynamodb
from tests.builders import GATES, at

COMMIT = "4f2c1e9a0b3d5c7e9f1a2b4c6d8e0f1a2b3c4d5e"
BUCKET = "receipts-releases"
GREEN = {"tests": "", "benchmarks": "", "coverage": "Coverage 91.5 %", "terraform-plan": ""}


class FakeGitHub:
    """What GitHub says of the commit; `problem` is what asking it raises."""

    def __init__(self) -> None:
        self.conclusions = dict.fromkeys(GREEN, "success")
        self.problem: Exception | None = None
        self.asked: list[str] = []

    def checks(self, commit: str) -> tuple[Check, ...]:
        self.asked.append(commit)
        if self.problem:
            raise self.problem
        return tuple(Check(name, "completed", self.conclusions[name], said, "") for name, said in GREEN.items())


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> FakeGitHub:
    github = FakeGitHub()
    monkeypatch.setattr(function, "github", github)
    return github


@pytest.fixture(autouse=True)
def surroundings(github: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the commit be built, and validated in staging."""
    dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
    dynamodb.create_table(
        TableName=GATES["validated_table"],
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "environment", "KeyType": "HASH"},
            {"AttributeName": "item", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "environment", "AttributeType": "S"},
            {"AttributeName": "item", "AttributeType": "S"},
        ],
    )
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=BUCKET, Key=f"{COMMIT}.tar.gz", Body=b"it")
    monkeypatch.setattr(function, "artifacts", Artifacts(s3, boto3.client("ecr")))
    monkeypatch.setattr(function, "validations", Validations(dynamodb, GATES["validated_table"], "staging"))
    release_in_staging("promoted")
    return github


def release_in_staging(outcome: str, *, minute: int = 0, version: str = COMMIT) -> None:
    item = {
        "environment": "staging",
        "item": f"release#{version[:12]}-0a1b2c3{minute}",
        "version": version,
        "requested_at": at(minute),
        "outcome": outcome,
    }
    boto3.client("dynamodb").put_item(TableName=GATES["validated_table"], Item=to_dynamodb(item))


def look(*, version: str = COMMIT, infrastructure: bool = True, skips: tuple[str, ...] = ()) -> dict[str, Any]:
    event = {
        "version": version,
        "release_id": "4f2c1e9a0b3d-0a1b2c3d",
        "infrastructure": infrastructure,
        "emergency_skips": list(skips),
        "now": at(1),
    }
    answer = function.lambda_handler.__wrapped__(event, None)
    json.dumps(answer)
    return {each["gate"]: each for each in answer["results"]}


def statuses(**more: Any) -> dict[str, str]:
    return {gate: each["status"] for gate, each in look(**more).items()}


ALL_PASSED = dict.fromkeys(
    ("commit_checks.tests", "commit_checks.benchmarks", "coverage", "artifact", "validated", "plan_reviewed"), "passed"
)


def test_good_commit_passes_every_gate_and_github_is_asked_once(github: FakeGitHub) -> None:
    assert statuses() == ALL_PASSED
    assert github.asked == [COMMIT]


def test_failed_check_fails_its_gate_alone(github: FakeGitHub) -> None:
    github.conclusions["tests"] = "failure"
    assert statuses() == {**ALL_PASSED, "commit_checks.tests": "failed"}


@pytest.mark.parametrize("problem", [GitHubUnavailable("GitHub did not answer."), KeyError("token ghp_secret")])
def test_github_that_cannot_be_asked_is_an_error_of_its_gates_and_of_no_other(
    github: FakeGitHub, problem: Exception
) -> None:
    """What went wrong with our own code is told without its words, which can hold anything."""
    github.problem = problem
    found = look()
    errors = {gate for gate, each in found.items() if each["status"] == "error"}
    assert errors == set(ALL_PASSED) - {"artifact", "validated"}
    assert "secret" not in json.dumps(found)


def test_environment_without_github_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "github", None)
    assert "[github]" in look()["commit_checks.tests"]["detail"]


def test_version_that_was_not_built_fails() -> None:
    release_in_staging("promoted", version="1" * 40)
    assert statuses(version="1" * 40)["artifact"] == "failed"


def test_bucket_that_is_not_to_be_seen_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 answers 403 for what is not there to whoever may not list the bucket: that is no proof of either."""

    class Forbidden:
        def head_object(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")

    monkeypatch.setattr(function, "artifacts", Artifacts(Forbidden(), None))
    assert statuses()["artifact"] == "error"


def test_validation_is_read_of_the_latest_release_of_the_commit() -> None:
    release_in_staging("rolled_back", minute=5)
    assert statuses()["validated"] == "failed"
    release_in_staging("promoted", minute=9)
    assert statuses()["validated"] == "passed"


def test_commit_that_staging_does_not_know_is_not_validated() -> None:
    assert statuses(version="2" * 40)["validated"] == "failed"


def test_record_that_cannot_be_read_is_an_error() -> None:
    boto3.client("dynamodb").delete_table(TableName=GATES["validated_table"])
    assert statuses()["validated"] == "error"


def test_plan_is_not_asked_for_by_a_release_without_infrastructure(github: FakeGitHub) -> None:
    github.conclusions["terraform-plan"] = "failure"
    assert statuses()["plan_reviewed"] == "failed"
    assert statuses(infrastructure=False)["plan_reviewed"] == "passed"


def test_skipped_gates_are_not_looked_at(github: FakeGitHub) -> None:
    github.problem = GitHubUnavailable("GitHub did not answer.")
    found = statuses(skips=("commit_checks", "coverage", "plan_reviewed"))
    assert {gate for gate, status in found.items() if status == "skipped"} == set(ALL_PASSED) - {
        "artifact",
        "validated",
    }
    assert github.asked == []


def test_image_is_looked_up_by_its_tag() -> None:
    ecr = boto3.client("ecr")
    artifacts = Artifacts(boto3.client("s3"), ecr)
    ecr.create_repository(repositoryName="receipts/api")
    assert not artifacts.exists(f"ecr://receipts/api:{COMMIT}")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    ecr.put_image(repositoryName="receipts/api", imageManifest=json.dumps(manifest), imageTag=COMMIT)
    assert artifacts.exists(f"ecr://receipts/api:{COMMIT}")
    with pytest.raises(ClientError):
        artifacts.exists("ecr://nobody/knows:this")
