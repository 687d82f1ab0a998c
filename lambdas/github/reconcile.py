"""Find, every few minutes and without any event, a push that nobody has told of, and one that nobody takes care of."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.github.ancestry import NO_ANSWER, ancestry_of
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
    Starts,
    endings_of,
    first_look,
    judge_push,
    may_be_revived,
)
from lambdas.github.queue import Change, Pushes
from lambdas.observability import logger, step
from lambdas.release.record import ReleaseRecord
from lambdas.rollback.executions import Executions


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    pushes: PushSettings
    github: GitHubSettings
    push_machine: str


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    PushSettings.from_json(environ["PUSHES"]),
    GitHubSettings.from_json(environ["GITHUB"]),
    environ["PUSH_MACHINE_ARN"],
)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
pushes, commits = Pushes(record), Commits(record)
before = EnvironmentBefore.of(client("dynamodb"), settings.pushes)
_stepfunctions = client("stepfunctions")
states, executions = ExecutionStates(_stepfunctions), Executions(_stepfunctions)
github = github_of(settings.github, Secrets(client("secretsmanager")))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read the scheduled event's "time"; return {"started": the name of the execution or "", "reason"}."""
    return reconcile(event["time"])


def reconcile(now: str) -> dict[str, str]:
    """
    Start the push machine for what was missed. It judges once more, so starting it once too often releases nothing.

    The name of the execution holds the minute: a repeated event starts it once, and what failed is tried again.
    """
    queue = pushes.read()
    if queue.has_work:
        if may_be_revived(queue, states.of(queue.runner), now):
            return _start("", now, "Nobody takes care of what waits.")
        return _answer("", "An execution takes care of what waits, or has just told humans why it cannot.")
    found = _what_there_is(now)
    if not queue.looked and not isinstance(found, str):
        pushes.change(lambda observed: Change(first_look(observed, found), Action.NOTHING))
        return _answer("", "This was the first look: what there is already was not missed.")
    if not isinstance(found, Push):
        return _answer("", found or "There is nothing to release.")
    judgement = _judge(found, queue)
    if judgement.action is Action.RUN:
        return _start(found.commit, now, "Nobody has told of this commit.")
    return _answer("", judgement.reason)


def _what_there_is(now: str) -> Push | str | None:
    """Return the commit that should be released by now, None if there is none, or in words why that is not known."""
    if settings.pushes.starts is Starts.PUSH:
        try:
            return Push(github.head(settings.pushes.ref), now, Source.RECONCILE)
        except NO_ANSWER as error:
            return f"GitHub does not say what {settings.pushes.ref} points at: {error}"
    if settings.pushes.starts is Starts.VALIDATED and before:
        validated = before.validated()
        return None if isinstance(validated, str) else validated
    return f"With pushes.starts = {settings.pushes.starts.value!r} nothing is looked for."


def _judge(found: Push, queue: PushQueue) -> Judgement:
    environment = record.read()
    known = endings_of(found.commit, commits.releases(found.commit), commits.requests(found.commit), environment)
    return judge_push(found, queue, environment, known, ancestry_of(github, found.commit))


def _start(commit: str, now: str, reason: str) -> dict[str, str]:
    minute = now[:16].replace(":", "-")
    name = f"reconcile-{commit}-{minute}" if commit else f"reconcile-{minute}"
    given = {"source": Source.RECONCILE.value, **({"commit": commit} if commit else {})}
    executions.start(settings.push_machine, name, given)
    return _answer(name, reason)


def _answer(started: str, reason: str) -> dict[str, str]:
    logger.info("Looked for missed pushes", started=started, reason=reason)
    return {"started": started, "reason": reason}
