"""The release record as anybody with read access to the table sees it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from moto.dynamodb.models import dynamodb_backends


@dataclass(frozen=True)
class RecordView:
    """
    One environment's partition, read where moto keeps it: who only looks on must not be seen among the requests.

    `lock` is the account's, under which nobody writes.
    """

    lock: AbstractContextManager[Any]
    account: str
    region: str
    table: str
    environment: str

    def item(self, name: str) -> dict[str, Any]:
        """Read one item; empty when there is none."""
        key = {"environment": {"S": self.environment}, "item": {"S": name}}
        with self.lock:
            found = dynamodb_backends[self.account][self.region].get_item(self.table, key)
            return {} if found is None else found.to_regular_json()

    @property
    def lease(self) -> dict[str, Any]:
        """Who works on the environment."""
        return self.item("lease")

    @property
    def live(self) -> dict[str, Any]:
        """Which release serves."""
        return self.item("live")

    def request(self, execution_arn: str) -> dict[str, Any]:
        """Read what is kept of the release that an execution asks for; empty when nothing is."""
        with self.lock:
            kept = [each.to_regular_json() for each in self._table().all_items()]
        asked = (each for each in kept if each["item"].startswith("request#"))
        return next((each for each in asked if each.get("execution") == execution_arn), {})

    def _table(self) -> Any:
        return dynamodb_backends[self.account][self.region].get_table(self.table)

    def release(self, release_id: str) -> dict[str, Any]:
        """Read the history of one release."""
        return self.item(f"release#{release_id}")
