"""The queue of pushes in the record: whoever changes it has seen what he changes."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lambdas.errors import AwsCallFailed
from lambdas.github.push_rules import Action, Ending, Push, PushQueue, Source, Started
from lambdas.github.queue import Change, PushEnd, Pushes
from lambdas.release.record import ReleaseRecord
from tests.builders import DEPLOYMENT, TABLE, at
from tests.fakes import LosesAnswers

ONE = Push("1" * 40, at(1), Source.GITHUB, "refs/heads/main", "jane", "delivery", "0" * 40)
TWO = Push("2" * 40, at(2), Source.RECONCILE, attempts=2)
FULL = PushQueue(
    runner="the runner",
    runner_since=at(3),
    starts=7,
    pending=TWO,
    started=Started(ONE, "push-1", DEPLOYMENT, at(4)),
    newest=TWO,
    looked=True,
)


def becomes(queue: PushQueue, end: PushEnd | None = None) -> Any:
    return lambda _: Change(queue, Action.RUN, "", end)


def test_what_is_written_is_read_again(record: ReleaseRecord) -> None:
    pushes = Pushes(record)
    assert pushes.read() == PushQueue()

    pushes.change(becomes(FULL))
    found = pushes.read()
    assert (found.token, found.pending, found.started, found.newest) == (1, TWO, FULL.started, TWO)
    assert (found.runner, found.runner_since, found.starts, found.looked) == ("the runner", at(3), 7, True)


def test_what_is_taken_out_of_the_queue_is_gone(record: ReleaseRecord) -> None:
    pushes = Pushes(record)
    pushes.change(becomes(FULL))
    pushes.change(becomes(PushQueue(token=1)))

    assert pushes.read() == PushQueue(token=2)


def test_who_was_crossed_decides_anew_from_what_is_there(record: ReleaseRecord) -> None:
    """Otherwise the push of one of two that come at once would be lost."""
    pushes = Pushes(record)
    seen: list[Push | None] = []

    def decide(queue: PushQueue) -> Change:
        if not seen:
            Pushes(record).change(becomes(PushQueue(pending=ONE)))
        seen.append(queue.pending)
        return Change(PushQueue(token=queue.token, pending=TWO), Action.RUN)

    pushes.change(decide)
    assert seen == [None, ONE]
    assert pushes.read().pending == TWO


def test_who_is_crossed_every_time_is_tried_again_by_the_machine(record: ReleaseRecord) -> None:
    pushes = Pushes(record)

    def decide(queue: PushQueue) -> Change:
        Pushes(record).change(lambda other: Change(PushQueue(token=other.token, starts=other.starts + 1), Action.RUN))
        return Change(PushQueue(token=queue.token, pending=TWO), Action.RUN)

    with pytest.raises(AwsCallFailed, match="again and again"):
        pushes.change(decide)
    assert pushes.read().pending is None


def test_another_transaction_at_the_same_moment_is_no_failure() -> None:
    """As https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html says."""
    dynamodb = boto3.client("dynamodb")
    with Stubber(dynamodb) as stubber:
        stubber.add_response("get_item", {})
        stubber.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields={"CancellationReasons": [{"Code": "TransactionConflict"}]},
        )
        stubber.add_response("get_item", {})
        stubber.add_response("transact_write_items", {})
        Pushes(ReleaseRecord(dynamodb, TABLE, "test")).change(becomes(FULL))
        stubber.assert_no_pending_responses()


def test_a_lost_answer_changes_nothing_more(record: ReleaseRecord) -> None:
    losing: Any = LosesAnswers(record.dynamodb, "transact_write_items")
    Pushes(ReleaseRecord(losing, record.table, record.environment)).change(
        lambda queue: Change(queue if queue.pending else PushQueue(token=queue.token, pending=ONE), Action.RUN)
    )

    assert Pushes(record).read().pending == ONE


def test_an_end_is_remembered_together_with_the_queue_or_not_at_all(record: ReleaseRecord) -> None:
    pushes = Pushes(record)
    end = PushEnd(ONE, Ending("refused", "111111111111-0a1b2c3d"), at(5))
    pushes.change(becomes(PushQueue(), end))

    assert pushes.sender_of(ONE.commit) == "jane"
    assert pushes.read().token == 1


def test_who_pushed_is_known_while_a_commit_is_released_and_afterwards(record: ReleaseRecord) -> None:
    pushes = Pushes(record)
    pushes.change(becomes(FULL))

    assert pushes.sender_of(ONE.commit) == "jane"
    assert pushes.sender_of(TWO.commit) == ""
    assert pushes.sender_of("3" * 40) == ""
