"""Functions read their settings when they are imported, as in Lambda; here they are told of a small pretend account."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import builders

os.environ.update(
    {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "ENVIRONMENT": builders.ENVIRONMENT,
        "SERVICE": "receipts",
        "RECORD_TABLE": builders.TABLE,
        "ROUTES": json.dumps(builders.ROUTES),
        "COLORS": json.dumps(builders.COLORS),
        "RELEASE": json.dumps(builders.RELEASE),
        "DATABASE": json.dumps(builders.DATABASE),
        "RESTORE": json.dumps(builders.RESTORE),
        "MIGRATIONS": json.dumps(builders.MIGRATIONS),
        "RESTORE_MACHINE_ARN": builders.RESTORE_MACHINE_ARN,
        "INFRASTRUCTURE": json.dumps(builders.INFRASTRUCTURE),
        "CACHE": json.dumps(builders.CACHE),
        "CHECKS": json.dumps(builders.CHECKS),
        "LOGS": json.dumps(builders.LOGS),
        "CERTIFICATE": json.dumps({"file": str(Path(__file__).parent / "rollback/certificate.json"), "enforce": True}),
        "PARAMETERS": json.dumps(builders.PARAMETERS),
        "REPORTS": json.dumps(builders.REPORTS),
        "ALARMS": json.dumps(builders.ALARMS),
        "JUDGE": json.dumps(builders.JUDGE),
        "TOPIC_ARN": builders.TOPIC_ARN,
        "APPROVERS": json.dumps(builders.APPROVERS),
        "APPROVAL_URL": builders.APPROVAL_URL,
        "APPROVAL_MINUTES": "240",
        "GITHUB": json.dumps(builders.GITHUB),
        "GATES": json.dumps(builders.GATES),
        "SKIPPABLE": json.dumps(builders.SKIPPABLE),
        "ROLLBACK_MACHINE_ARN": builders.ROLLBACK_MACHINE_ARN,
        "PUSHES": json.dumps(builders.PUSHES),
        "DEPLOY_MACHINE_ARN": builders.DEPLOY_MACHINE_ARN,
        "PUSH_MACHINE_ARN": builders.PUSH_MACHINE_ARN,
        "INGRESS": json.dumps(builders.INGRESS),
    }
)

import boto3
from moto import mock_aws

from lambdas.release.record import ReleaseRecord


@pytest.fixture(autouse=True)
def pretend_account() -> Iterator[None]:
    """Keep every test away from AWS, and from every other test; clients share what they read of AWS's models."""
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        yield


@pytest.fixture
def record() -> ReleaseRecord:
    """Return the record of the test environment, over an empty table."""
    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName=builders.TABLE,
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
    return ReleaseRecord(dynamodb, builders.TABLE, builders.ENVIRONMENT)
