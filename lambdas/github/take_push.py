"""Judge a push, and have it wait for its release if it is the newest: the first step of the push machine."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.github.ancestry import ancestry_of
from lambdas.github.commits import Commits
from lambdas.github.environment_before import EnvironmentBefore
from lambdas.github.execution_states import ExecutionStates
from lambdas.github.github_api import github_of
from lambdas.github.github_rules import GitHubSettings
from lambdas.github.push_rules import (
    Action,
    Judgement,
    Push,
    PushQueue,
    PushSettings,
    Source,
    endings_of,
    judge_push,
    read_push_request,
    take,
)
from lambdas.github.queue import Change, Pushes
from lambdas.observability import logger, step
from lambdas.release.record import ReleaseRecord


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    pushes: PushSettings
    github: GitHubSettings


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    PushSettings.from_json(environ["PUSHES"]),
    GitHubSettings.from_json(environ["GITHUB"]),
)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
pushes, commits = Pushes(record), Commits(record)
before = EnvironmentBefore.of(client("dynamodb"), settings.pushes)
states = ExecutionStates(client("stepfunctions"))
github = github_of(settings.github, Secrets(client("secretsmanager")))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"input", "execution", "now"}; return {"action", "reason", "commit"}."""
    return take_push(event["input"], event["execution"], event["now"])


def take_push(given: Any, execution: str, now: str) -> dict[str, str]:  # noqa: ANN401  anybody can type anything
    """
    Write the push down as the one that waits, and take care of it unless another execution that lives does.

    Safe to repeat. Whatever is not released is told in a line of the log, without the input.
    """
    request = read_push_request(given, settings.pushes, now)
    if request.problem:
        return _answer(Action.INVALID, request.problem)
    if request.refusal:
        return _answer(Action.REFUSED, request.refusal)
    push = request.push
    if request.source is Source.VALIDATED:
        found = before.validated() if before else "No environment goes before this one."
        if isinstance(found, str):
            return _answer(Action.NOTHING, found)
        push = found
    elif push and request.source is Source.RECONCILE and before:
        push = replace(push, sender=before.sender_of(push.commit))
    change = pushes.change(_decision(push, execution, now))
    return _answer(change.action, change.reason, push.commit if push else "")


def _decision(push: Push | None, execution: str, now: str) -> Callable[[PushQueue], Change]:
    is_behind = ancestry_of(github, push.commit) if push else lambda _: None

    def decide(queue: PushQueue) -> Change:
        judgement = Judgement(Action.NOTHING, "No push waits.")
        if push:
            found = record.read()
            known = endings_of(push.commit, commits.releases(push.commit), commits.requests(push.commit), found)
            judgement = judge_push(push, queue, found, known, is_behind)
        is_taken = push is not None and judgement.action is Action.RUN
        if judgement.action is Action.REFUSED or not (is_taken or queue.has_work):
            return Change(queue, judgement.action, judgement.reason)
        lives = queue.runner not in ("", execution) and states.of(queue.runner).is_running
        wanted = take(queue, push if is_taken else None, execution, now, runner_lives=lives)
        if wanted.runner == execution:
            return Change(wanted, Action.RUN, judgement.reason)
        if push and not is_taken:
            return Change(queue, judgement.action, judgement.reason)
        return Change(wanted, Action.QUEUED, f"Execution {queue.runner} takes care of what waits.")

    return decide


def _answer(action: str, reason: str, commit: str = "") -> dict[str, str]:
    if action in (Action.INVALID, Action.REFUSED, Action.NOTHING):
        logger.info("The push starts nothing", action=action, reason=reason, commit=commit)
    return {"action": action, "reason": reason, "commit": commit}
