"""What another environment's record says of its releases. It is only read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lambdas.release.record import from_dynamodb, to_dynamodb

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_SHORT = 12
"""A release's id begins with so many digits of its commit."""


@dataclass(frozen=True)
class Validations:
    """The record of another environment. `dynamodb` is a boto3 client."""

    dynamodb: "DynamoDBClient"
    table: str
    environment: str

    def releases(self, version: str) -> list[dict[str, Any]]:
        """Read the histories of all its releases of a version, whatever became of them."""
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="#environment = :environment AND begins_with(#item, :prefix)",
            ExpressionAttributeNames={"#environment": "environment", "#item": "item"},
            ExpressionAttributeValues=to_dynamodb(
                {":environment": self.environment, ":prefix": f"release#{version[:_SHORT]}"}
            ),
            ConsistentRead=True,
        )
        return [from_dynamodb(item) for page in pages for item in page["Items"]]
