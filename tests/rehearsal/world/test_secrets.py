import boto3
import pytest
from moto import mock_aws

from rehearsal.world.secrets import adopt_secret, create_secret

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
