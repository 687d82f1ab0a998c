"""Start the release of the push that waits, when the environment is free for it."""

from dataclasses import dataclass, replace
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.github.ancestry import ancestry_of
from lambdas.github.commits import Commits
from lambdas.github.environment_before import EnvironmentBefore
from lambdas.github.github_api import github_of
from lambdas.github.github_rules import GitHubSettings
from lambdas.github.push_rules import (
    Action,
    Judgement,
    Push,
    PushQueue,
    PushSettings,
    begin,
    endings_of,
    is_spent,
    look_again_at,
    rests,
    wait_for_other,
    wait_for_turn,
    why_behind_live,
    why_not_again,
)
from lambdas.github.queue import Change, Pushes
from lambdas.observability import logger, step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import InWindow
from lambdas.rollback.executions import Executions


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    in_window: InWindow
    pushes: PushSettings
    github: GitHubSettings
    deploy_machine: str


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    InWindow(loads(environ["RELEASE"])["next_release_in_window"]),
    PushSettings.from_json(environ["PUSHES"]),
    GitHubSettings.from_json(environ["GITHUB"]),
    environ["DEPLOY_MACHINE_ARN"],
)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
pushes, commits = Pushes(record), Commits(record)
before = EnvironmentBefore.of(client("dynamodb"), settings.pushes)
executions = Executions(client("stepfunctions"))
github = github_of(settings.github, Secrets(client("secretsmanager")))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"execution", "now"}; return {"action", "reason", "again_at", "commit", "release_id"}."""
    return start_release(event["execution"], event["now"])


def start_release(execution: str, now: str) -> dict[str, str]:
    """
    Start the deploy machine for the push that waits, or say until when it has to wait.

    Safe to repeat: what is started is written down first, under a name that there is only once. Whoever comes after an
    execution that died in between starts the same again, which is no second start.
    """
    change = pushes.change(lambda queue: _decide(queue, execution, now))
    started = change.queue.started
    if change.action is Action.STARTED and started:
        executions.start(settings.deploy_machine, started.name, started.push.release_input)
    if change.action is Action.NOTHING:
        logger.info("The push starts nothing", reason=change.reason)
    return {
        "action": change.action,
        "reason": change.reason,
        "again_at": change.again_at,
        "commit": started.push.commit if started else "",
        "release_id": started.release_id if started else "",
    }


def _decide(queue: PushQueue, execution: str, now: str) -> Change:
    if queue.runner != execution:
        return Change(queue, Action.LOST, "Another execution takes pushes by now.")
    if queue.started:
        return Change(queue, Action.STARTED, "The release was started before.")
    if queue.pending is None:
        return Change(replace(queue, runner=""), Action.NOTHING, "No push waits any more.")
    if is_spent(queue.runner_since, now):
        return Change(replace(queue, runner=""), Action.LOST, "The next execution goes on, with a new history.")
    return _begin_or_wait(queue, queue.pending, execution, now)


def _begin_or_wait(queue: PushQueue, push: Push, execution: str, now: str) -> Change:
    held_up, again_at = _why_not_now(push, execution, now)
    if held_up is None:
        return Change(begin(queue, push, settings.deploy_machine, now), Action.STARTED, "The release begins.")
    if held_up.action is Action.WAIT:
        return Change(queue, Action.WAIT, held_up.reason, again_at=again_at)
    return Change(replace(queue, pending=None, runner=""), Action.NOTHING, held_up.reason)


def _why_not_now(push: Push, execution: str, now: str) -> tuple[Judgement | None, str]:
    """Return why a push is not released now, or not at all, and when to look again. GitHub is asked last."""
    found = record.read()
    known = endings_of(push.commit, commits.releases(push.commit), commits.requests(push.commit), found)
    if not_again := why_not_again(push.commit, found, known):
        return not_again, ""
    if rests(push, now):
        return Judgement(Action.WAIT, "Its release could not begin a moment ago."), look_again_at(now)
    again_at, reason = wait_for_turn(found, execution, now, settings.in_window)
    if again_at:
        return Judgement(Action.WAIT, reason), again_at
    if before:
        validation = before.validation(push.commit)
        if held_up := wait_for_other(push, validation, settings.pushes.after, now):
            return held_up, look_again_at(now)
    return why_behind_live(push, found, ancestry_of(github, push.commit)), ""
