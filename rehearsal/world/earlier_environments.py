"""
What an environment that goes before has validated, where nobody rehearses it: its record, and nothing else of it.

It says of each version that a rehearsal begins with that it was released there, and well. What serves there it does not
say, so that nobody takes it for a release that has just ended.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import boto3

from rehearsal.settings import Settings

_SHORT = 12
"""A release's id begins with so many digits of its commit."""
_DAYS_AGO = timedelta(days=1)


def build(session: boto3.Session, settings: Settings, environment: str, versions: Sequence[str], now: datetime) -> None:
    """Make the record of an environment that goes before the one of the settings."""
    dynamodb, table = session.client("dynamodb"), f"{settings.service}-{environment}-record"
    dynamodb.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("environment", "item")],
        KeySchema=[
            {"AttributeName": "environment", "KeyType": "HASH"},
            {"AttributeName": "item", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for version in versions:
        release_id = f"{version[:_SHORT]}-before00"
        item = {
            "environment": environment,
            "item": f"release#{release_id}",
            "version": version,
            "requested_at": (now - _DAYS_AGO).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "outcome": "promoted",
        }
        dynamodb.put_item(TableName=table, Item={name: {"S": value} for name, value in item.items()})
