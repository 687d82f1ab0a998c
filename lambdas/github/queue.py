"""
The pushes that wait for their release, in the release record: beside the other items of the environment.

| item | holds |
| --- | --- |
| `pushes` | the queue (`push_rules.PushQueue`), in one item, so that it changes as a whole or not at all |
| `pushed#<commit>` | how the release that a push had started has ended |

A push has no lease: it holds nothing. Every write is on condition that nobody else has written since the queue was
read.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.errors import AwsCallFailed
from lambdas.github.push_rules import Action, Ending, Push, PushQueue, Source, Started
from lambdas.release.record import Item, ReleaseRecord, from_dynamodb, raise_unless_condition_failed, to_dynamodb

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import PutTypeDef, TransactWriteItemTypeDef

_QUEUE = "pushes"
_MOST_TRIES = 8
"""How often a change is tried that others keep crossing; then the machine waits a little, and tries again."""


@dataclass(frozen=True)
class PushEnd:
    """What is remembered of a commit whose release is over."""

    push: Push
    ending: Ending
    at: str


@dataclass(frozen=True)
class Pushes:
    """The queue of the environment that `record` is about."""

    record: ReleaseRecord

    def read(self) -> PushQueue:
        """Read the queue; an empty one when there never was a push."""
        return _queue(self._item(_QUEUE))

    def change(self, decide: "Callable[[PushQueue], Change]") -> "Change":
        """
        Decide from the queue what becomes of it, and write that, unless somebody else has written meanwhile.

        Then it is decided anew, from what is there now. Returns what was decided last, and is written.
        """
        for _ in range(_MOST_TRIES):
            observed = self.read()
            change = decide(observed)
            if change.queue == observed and change.end is None:
                return change
            if self._write(observed, change):
                return change
        raise AwsCallFailed("Others have changed the queue of pushes again and again, so this change was not made.")

    def sender_of(self, commit: str) -> str:
        """Return who has pushed a commit that is being released, or was; empty where nobody has."""
        queue = self.read()
        for push in (queue.started.push if queue.started else None, queue.pending, queue.newest):
            if push is not None and push.commit == commit and push.sender:
                return push.sender
        return str(self._item(f"pushed#{commit}").get("sender", ""))

    def _write(self, observed: PushQueue, change: "Change") -> bool:
        """Return whether it is written. Two that are decided from one reading are never both."""
        wanted = replace(change.queue, token=observed.token + 1)
        put: PutTypeDef = {
            "TableName": self.record.table,
            "Item": to_dynamodb({**self.record.plain_key(_QUEUE), **_plain(wanted)}),
            "ConditionExpression": "#token = :observed" if observed.token else "attribute_not_exists(#token)",
            "ExpressionAttributeNames": {"#token": "token"},
        }
        if observed.token:
            put["ExpressionAttributeValues"] = to_dynamodb({":observed": observed.token})
        writes: list[TransactWriteItemTypeDef] = [{"Put": put}]
        if change.end:
            writes.append({"Put": {"TableName": self.record.table, "Item": to_dynamodb(self._end(change.end))}})
        try:
            self.record.dynamodb.transact_write_items(TransactItems=writes)
        except ClientError as error:
            if not _was_crossed(error):
                raise_unless_condition_failed(error)
            return False
        return True

    def _end(self, end: PushEnd) -> Item:
        return {
            **self.record.plain_key(f"pushed#{end.push.commit}"),
            "version": end.push.commit,
            "outcome": end.ending.outcome,
            "release_id": end.ending.release_id,
            "sender": end.push.sender,
            "at": end.at,
        }

    def _item(self, item: str) -> Item:
        answer = self.record.dynamodb.get_item(
            TableName=self.record.table, Key=to_dynamodb(self.record.plain_key(item)), ConsistentRead=True
        )
        return from_dynamodb(answer.get("Item", {}))


@dataclass(frozen=True)
class Change:
    """
    What becomes of the queue, and why, in the words of the step that has decided it.

    `end` is what is to be remembered of a commit whose release is over, and `again_at` when to decide anew.
    """

    queue: PushQueue
    action: Action
    reason: str = ""
    end: PushEnd | None = None
    again_at: str = ""


def _was_crossed(error: ClientError) -> bool:
    """
    Say whether another transaction worked on the same item at the same moment.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
    """
    reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
    return error.response["Error"]["Code"] == "TransactionCanceledException" and "TransactionConflict" in reasons


def _plain(queue: PushQueue) -> Item:
    return {name: value for name, value in asdict(queue).items() if value is not None}


def _queue(item: Item) -> PushQueue:
    if not item:
        return PushQueue()
    return PushQueue(
        token=int(item["token"]),
        runner=item["runner"],
        runner_since=item["runner_since"],
        starts=int(item["starts"]),
        pending=_push(item["pending"]) if "pending" in item else None,
        started=_started(item["started"]) if "started" in item else None,
        newest=_push(item["newest"]) if "newest" in item else None,
        looked=item["looked"],
    )


def _started(item: Mapping[str, Any]) -> Started:
    return Started(_push(item["push"]), item["name"], item["execution"], item["at"])


def _push(item: Mapping[str, Any]) -> Push:
    return Push(**{**item, "source": Source(item["source"]), "attempts": int(item["attempts"])})
