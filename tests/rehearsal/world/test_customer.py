"""Where the customer's application finds its database: where its secret says, each time that it starts."""

import json
from dataclasses import replace
from urllib.parse import urlsplit

import boto3
import pytest
from moto import mock_aws

from rehearsal.settings import Restore, Settings
from rehearsal.world import customer
from rehearsal.world.secrets import create_secret, moving_labels

APPLICATION = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:receipts/application-T5vHnY"
ADMINISTRATOR = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:receipts/administrator-e8KpGc"
SECRET = {"host": "first.example", "port": 5433, "dbname": "receiptvault", "username": "app", "password": "p@ss/w'ord"}


@pytest.fixture
def settings() -> Settings:
    read = Settings.read("production")
    return replace(read, restore=Restore(APPLICATION, ADMINISTRATOR, "app"))


def test_an_application_that_starts_later_goes_to_where_the_secret_leads_by_then(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", settings.account)
    with mock_aws(), moving_labels():
        secrets = boto3.client("secretsmanager", settings.region, aws_access_key_id="t", aws_secret_access_key="t")
        create_secret(secrets, APPLICATION, json.dumps(SECRET))
        found = urlsplit(customer.application_url(settings))
        assert ("first.example", 5433, "/receiptvault") == (found.hostname, found.port, found.path)
        version = secrets.get_secret_value(SecretId=APPLICATION)["VersionId"]
        secrets.put_secret_value(SecretId=APPLICATION, SecretString=json.dumps({**SECRET, "host": "second.example"}))
        assert "second.example" == urlsplit(customer.application_url(settings)).hostname
        current = secrets.get_secret_value(SecretId=APPLICATION)["VersionId"]
        secrets.update_secret_version_stage(
            SecretId=APPLICATION,
            VersionStage="AWSCURRENT",
            RemoveFromVersionId=current,
            MoveToVersionId=version,
        )
        assert "first.example" == urlsplit(customer.application_url(settings)).hostname


def test_without_a_secret_it_goes_where_settings_lead(settings: Settings) -> None:
    found = urlsplit(customer.application_url(replace(settings, restore=None)))
    assert (settings.database.host, settings.database.port) == (found.hostname, found.port)


def test_every_instance_has_a_name_that_the_certificate_covers(settings: Settings) -> None:
    domain = customer.database_domain(settings)
    assert settings.database.host == f"{settings.database_instance}.{domain}"
    assert {f"*.{domain}", settings.database.host} <= set(customer.host_names(settings))
    own_name = replace(settings, database=replace(settings.database, host="database.receipts.example"))
    assert customer.database_domain(own_name) is None
    assert not [host for host in customer.host_names(own_name) if host.startswith("*")]
