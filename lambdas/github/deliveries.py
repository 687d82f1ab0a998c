"""Which deliveries of GitHub have been forwarded, in a table that forgets them after days."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True)
class Deliveries:
    """`dynamodb` is a boto3 client."""

    dynamodb: "DynamoDBClient"
    table: str

    def begin(self, digest: str, delivery: str, now: datetime, forget_at: int) -> bool:
        """
        Write a delivery down before it is forwarded; False if it was forwarded before.

        One that was begun and not forwarded is begun again: GitHub's own repetition must not be lost for it.
        """
        item = {
            "delivery": {"S": digest},
            "github_id": {"S": delivery},
            "received_at": {"S": _text(now)},
            "expires": {"N": str(forget_at)},
        }
        try:
            self.dynamodb.put_item(
                TableName=self.table,
                Item=item,
                ConditionExpression="attribute_not_exists(forwarded_at)",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def finish(self, digest: str, now: datetime) -> None:
        """Write down that a delivery was forwarded. Safe to repeat."""
        self.dynamodb.update_item(
            TableName=self.table,
            Key={"delivery": {"S": digest}},
            UpdateExpression="SET forwarded_at = :now",
            ExpressionAttributeValues={":now": {"S": _text(now)}},
        )


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
