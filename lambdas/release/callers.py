"""
Who has started which execution, in the release record: one item for each, `caller#<execution>`.

Step Functions does not tell an execution who has started it. CloudTrail does, some minutes later.
"""

from dataclasses import asdict, dataclass

from lambdas.release.caller_rules import Caller
from lambdas.release.record import ReleaseRecord, from_dynamodb, to_dynamodb


@dataclass(frozen=True)
class Callers:
    """Those who work on the environment that `record` is about."""

    record: ReleaseRecord

    def of(self, execution: str) -> Caller | None:
        """Return who has started an execution; None while nobody has told."""
        answer = self.record.dynamodb.get_item(
            TableName=self.record.table, Key=to_dynamodb(self.record.plain_key(_item(execution))), ConsistentRead=True
        )
        item = from_dynamodb(answer.get("Item", {}))
        return Caller.from_item(item) if item else None

    def note(self, execution: str, caller: Caller) -> None:
        """Write down who has started an execution. Safe to repeat: a start has one event, which never changes."""
        item = {**self.record.plain_key(_item(execution)), **asdict(caller)}
        self.record.dynamodb.put_item(TableName=self.record.table, Item=to_dynamodb(item))


def _item(execution: str) -> str:
    return f"caller#{execution}"
