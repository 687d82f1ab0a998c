from typing import Any

import boto3
import pytest
from moto import mock_aws

from rehearsal.world.secrets import adopt_secret, create_secret, moving_labels

WANTED = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:receipts/production/database-a1B2c3"


def test_a_secret_is_found_under_the_arn_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """And still by its name, and after it was rotated."""
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "111122223333")
    with mock_aws():
        secrets = boto3.client("secretsmanager", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        created = secrets.create_secret(Name="receipts/production/database", SecretString="first")
        adopt_secret(created["ARN"], WANTED)
        assert "first" == secrets.get_secret_value(SecretId=WANTED)["SecretString"]
        secrets.put_secret_value(SecretId=WANTED, SecretString="second")
        found = [secrets.get_secret_value(SecretId=each) for each in (WANTED, "receipts/production/database")]
        assert [(WANTED, "second")] * 2 == [(each["ARN"], each["SecretString"]) for each in found]
        with pytest.raises(secrets.exceptions.ResourceNotFoundException):
            secrets.get_secret_value(SecretId=created["ARN"])


def test_a_secret_is_created_by_its_arn_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "111122223333")
    with mock_aws():
        secrets = boto3.client("secretsmanager", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        create_secret(secrets, WANTED, "a text")
        found = secrets.get_secret_value(SecretId=WANTED)
        found_as = (found["ARN"], found["Name"], found["SecretString"])
        assert (WANTED, "receipts/production/database", "a text") == found_as


def test_a_secret_of_another_name_is_not_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "111122223333")
    with mock_aws():
        secrets = boto3.client("secretsmanager", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        secrets.create_secret(Name="receipts/production", SecretString="first")
        with pytest.raises(ValueError, match="not the ARN of a secret called receipts/production"):
            adopt_secret("receipts/production", WANTED)
        with pytest.raises(KeyError):
            adopt_secret("receipts/production/database", WANTED)


def labels(secrets: Any, secret: str) -> dict[str, list[str]]:
    """Return the labels of each version that has any, by its text."""
    stages = secrets.describe_secret(SecretId=secret)["VersionIdsToStages"]
    read = {each: secrets.get_secret_value(SecretId=secret, VersionId=each)["SecretString"] for each in stages}
    return {read[version]: sorted(worn) for version, worn in stages.items() if worn}


def test_a_label_that_is_moved_decides_which_version_is_read() -> None:
    """As on AWS, where AWSPREVIOUS follows by itself; moto alone would go on answering with the version before."""
    with mock_aws(), moving_labels():
        secrets = boto3.client("secretsmanager", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        first = secrets.create_secret(Name="database", SecretString="first")["VersionId"]
        second = "5f0c1c3a-0000-4000-8000-000000000002"
        put = {"SecretId": "database", "ClientRequestToken": second, "SecretString": "second"}
        for _ in range(2):
            secrets.put_secret_value(**put, VersionStages=["CANDIDATE"])
            assert "first" == secrets.get_secret_value(SecretId="database")["SecretString"]
        move = {"SecretId": "database", "VersionStage": "AWSCURRENT"}
        secrets.update_secret_version_stage(**move, RemoveFromVersionId=first, MoveToVersionId=second)
        assert "second" == secrets.get_secret_value(SecretId="database")["SecretString"]
        assert "first" == secrets.get_secret_value(SecretId="database", VersionStage="AWSPREVIOUS")["SecretString"]
        with pytest.raises(secrets.exceptions.InvalidParameterException):
            secrets.update_secret_version_stage(**move, RemoveFromVersionId=first, MoveToVersionId=second)
        secrets.update_secret_version_stage(**move, RemoveFromVersionId=second, MoveToVersionId=first)
        assert "first" == secrets.get_secret_value(SecretId="database")["SecretString"]
        assert {"first": ["AWSCURRENT"], "second": ["AWSPREVIOUS", "CANDIDATE"]} == labels(secrets, "database")
        secrets.put_secret_value(SecretId="database", SecretString="third")
        assert {"first": ["AWSPREVIOUS"], "second": ["CANDIDATE"], "third": ["AWSCURRENT"]} == labels(
            secrets, "database"
        )


def test_a_version_is_never_written_over() -> None:
    with mock_aws(), moving_labels():
        secrets = boto3.client("secretsmanager", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        secrets.create_secret(Name="database", SecretString="first")
        put = {"SecretId": "database", "ClientRequestToken": "5f0c1c3a-0000-4000-8000-000000000002"}
        secrets.put_secret_value(**put, SecretString="second")
        with pytest.raises(secrets.exceptions.ResourceExistsException):
            secrets.put_secret_value(**put, SecretString="another")
