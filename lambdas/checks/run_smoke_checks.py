"""Ask a version, or the whole system, what users would ask of it."""

from dataclasses import asdict, dataclass
from os import environ
from pathlib import Path
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.rules import Check, Checks, Result, Scope, bearer_problem, judge_answer, require_passed
from lambdas.checks.secrets import Secrets
from lambdas.checks.web import Request, Web, form_body
from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease

_FILES = Path(__file__).parents[2] / "environments" / "files"


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    checks: Checks


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], Checks.from_json(environ["CHECKS"]))
web = Web(settings.checks.allowed_hosts)
secrets = Secrets(client("secretsmanager"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Occasion:
    """For which release checks run, and on which occasion."""

    lease: Lease
    release_id: str
    scope: Scope
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "scope", "now"}."""
        return cls(Lease.from_event(event), event["release_id"], Scope(event["scope"]), event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"passed": names of the checks}."""
    results = run_smoke_checks(Occasion.from_event(event))
    require_passed(results)
    return {"passed": [result.name for result in results]}


def run_smoke_checks(occasion: Occasion) -> list[Result]:
    """
    Run every check of the occasion once, also after one that fails, and write the results into the release's history.

    Safe to repeat, as far as the checks are: an upload uploads once more. Raises LeaseLost before anything is sent.
    """
    record.require_lease(occasion.lease, occasion.now)
    results = [_run(check) for check in settings.checks.of(occasion.scope)]
    record.note_release(
        occasion.release_id, {f"checks_{occasion.scope}": {"at": occasion.now, "results": [asdict(r) for r in results]}}
    )
    return results


def _run(check: Check) -> Result:
    token = secrets.text(check.token_secret_arn) if check.token_secret_arn else None
    if token is not None and (problem := bearer_problem(token)):
        return Result(check.name, 0, problem)
    return judge_answer(check, web.ask(_request(check, token), check.maximum_seconds))


def _request(check: Check, token: str | None) -> Request:
    headers = dict(check.headers)
    body = check.body.encode() if check.body is not None else None
    if check.body_secret_arn:
        body = secrets.text(check.body_secret_arn).encode()
    if check.file:
        body, headers["Content-Type"] = form_body(check.form, check.file, (_FILES / check.file).read_bytes())
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return Request(check.method, check.url, headers, body)
