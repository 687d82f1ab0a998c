"""
What GitHub was told, in the release record: beside the other items of the environment.

| item | holds |
| --- | --- |
| `github` | which releases GitHub has not been told the end of (`open`), and until when it wants to be left alone |
| `github#<id>` | what it was told of one release (`report_rules.Reported`) |

One function writes these items, and one of it at a time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from lambdas.github.report_rules import After, Reported
from lambdas.release.record import ReleaseRecord, from_dynamodb, raise_unless_condition_failed, to_dynamodb

_INDEX = "github"


@dataclass(frozen=True)
class Open:
    """Releases whose end GitHub was not told, and until when it wants to be left alone; "" when it does not say so."""

    releases: frozenset[str] = frozenset()
    quiet_until: str = ""


@dataclass(frozen=True)
class GitHubReports:
    """What GitHub was told of the environment that `record` is about."""

    record: ReleaseRecord

    def open(self) -> Open:
        """Read what is not told to its end."""
        item = self._item(_INDEX)
        return Open(frozenset(item.get("open", ())), str(item.get("quiet_until", "")))

    def of(self, release_id: str) -> Reported | None:
        """Read what was told of a release; None where nothing was."""
        item = self._item(f"{_INDEX}#{release_id}")
        return Reported.from_item(item) if item else None

    def keep(self, reported: Reported) -> None:
        """Write down what was told. A release is in the list for as long as there may be more to tell of it."""
        item = {**self.record.plain_key(f"{_INDEX}#{reported.release_id}"), **reported.as_item()}
        if not reported.is_over:
            self._change_open("ADD", [reported.release_id])
        self.record.dynamodb.put_item(TableName=self.record.table, Item=to_dynamodb(item))
        if reported.is_over:
            self._change_open("DELETE", [reported.release_id])

    def begin_after(self, reported: Reported, now: str) -> Reported | None:
        """
        Write down that what follows a rollback is begun, before GitHub is asked for it; None where somebody else has.

        So it is done once: who finds it begun, long ago, asks GitHub whether it is done.
        """
        begun = replace(reported, after=After.AGAIN if reported.after else After.BEGUN, after_at=now)
        put: Any = {
            "TableName": self.record.table,
            "Item": to_dynamodb(
                {**self.record.plain_key(f"{_INDEX}#{reported.release_id}"), **begun.as_item()},
            ),
            "ConditionExpression": "#after_at = :before" if reported.after_at else "attribute_not_exists(#after_at)",
            "ExpressionAttributeNames": {"#after_at": "after_at"},
        }
        if reported.after_at:
            put["ExpressionAttributeValues"] = to_dynamodb({":before": reported.after_at})
        try:
            self.record.dynamodb.put_item(**put)
        except ClientError as error:
            raise_unless_condition_failed(error)
            return None
        return begun

    def be_quiet(self, until: str) -> None:
        """Leave GitHub alone until then."""
        self.record.dynamodb.update_item(
            TableName=self.record.table,
            Key=self._key(_INDEX),
            UpdateExpression="SET #until = :until",
            ExpressionAttributeNames={"#until": "quiet_until"},
            ExpressionAttributeValues=to_dynamodb({":until": until}),
        )

    def _change_open(self, action: str, releases: Iterable[str]) -> None:
        self.record.dynamodb.update_item(
            TableName=self.record.table,
            Key=self._key(_INDEX),
            UpdateExpression=f"{action} #open :ids",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":ids": {"SS": list(releases)}},
        )

    def _item(self, item: str) -> Mapping[str, Any]:
        answer = self.record.dynamodb.get_item(TableName=self.record.table, Key=self._key(item), ConsistentRead=True)
        return from_dynamodb(answer.get("Item", {}))

    def _key(self, item: str) -> dict[str, Any]:
        return to_dynamodb(self.record.plain_key(item))
