"""The release record as anybody with read access to the table sees it."""

from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

_deserialize = TypeDeserializer().deserialize


@dataclass(frozen=True)
class RecordView:
    """One environment's partition. `dynamodb` is a boto3 client."""

    dynamodb: Any
    table: str
    environment: str

    def item(self, name: str) -> dict[str, Any]:
        """Read one item; empty when there is none."""
        key = {"environment": {"S": self.environment}, "item": {"S": name}}
        found = self.dynamodb.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item", {})
        return {attribute: _deserialize(value) for attribute, value in found.items()}

    @property
    def lease(self) -> dict[str, Any]:
        """Who works on the environment."""
        return self.item("lease")

    @property
    def live(self) -> dict[str, Any]:
        """Which release serves."""
        return self.item("live")

    def release(self, release_id: str) -> dict[str, Any]:
        """Read the history of one release."""
        return self.item(f"release#{release_id}")
