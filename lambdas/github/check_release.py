"""Look whether a release that a push has started has ended, and how, so that the next push can follow."""

from dataclasses import dataclass, replace
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.github.execution_states import ExecutionStates
from lambdas.github.push_rules import Action, Ending, PushQueue, Started, ending_of, finish, is_spent
from lambdas.github.queue import Change, PushEnd, Pushes
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.requests import Requests


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
pushes, requests = Pushes(record), Requests(record)
states = ExecutionStates(client("stepfunctions"))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"execution", "now"}; return {"action", "reason"}."""
    return check_release(event["execution"], event["now"])


def check_release(execution: str, now: str) -> dict[str, str]:
    """
    Write down how the release of the push has ended; its commit is not started again by itself.

    One that found the environment taken has not ended: it waits again. Safe to repeat.
    """

    def decide(queue: PushQueue) -> Change:
        if queue.runner != execution:
            return Change(queue, Action.LOST, "Another execution takes pushes by now.")
        if queue.started is None:
            return Change(queue, Action.ENDED, "How it ended is written down already.")
        ending = _ending(queue.started)
        if ending is None and is_spent(queue.runner_since, now):
            return Change(replace(queue, runner=""), Action.LOST, "The next execution goes on, with a new history.")
        if ending is None:
            return Change(queue, Action.RUNNING, f"Release {queue.started.release_id} has not ended yet.")
        after, remembered = finish(queue, ending, now)
        end = PushEnd(queue.started.push, remembered, now) if remembered else None
        reason = (
            f"Release {queue.started.release_id} ended as {remembered.outcome}."
            if remembered
            else "It could not begin."
        )
        return Change(after, Action.ENDED, reason, end)

    change = pushes.change(decide)
    return {"action": change.action, "reason": change.reason}


def _ending(started: Started) -> Ending | None:
    asked = requests.of(started.release_id)
    return ending_of(
        started,
        states.with_failures(started.execution),
        record.release(started.release_id),
        asked.outcome.value if asked and asked.outcome else "",
        record.read(),
    )
