"""Look into the application's log whether a version answers with too many errors."""

from dataclasses import dataclass
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.application_log import ApplicationLog
from lambdas.checks.rules import Count, ErrorRate, LogRules, judge_error_rate, require_few_errors
from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, later, parse_moment


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    log: LogRules


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], LogRules.from_json(environ["LOGS"]))
log = ApplicationLog(client("logs", read_seconds=10), settings.log.group)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Question:
    """Which version to look for. Only what it answered after `since`, if given, counts."""

    lease: Lease
    release_id: str
    version: str
    since: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "version", "since": moment or "", "now"}."""
        return cls(Lease.from_event(event), event["release_id"], event["version"], event["since"], event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"requests", "errors"} of the version. Raises ErrorRateTooHigh."""
    question = Question.from_event(event)
    rate = check_error_rate(question)
    require_few_errors(rate, settings.log, question.version)
    return {"requests": rate.requests, "errors": rate.errors}


def check_error_rate(question: Question) -> ErrorRate:
    """
    Count requests and errors of a version in the last minutes, and write their share into the release's history.

    A log that is too large to be read in time is judged by its beginning. Raises LeaseLost before anything is read.
    """
    record.require_lease(question.lease, question.now)
    start_ms, end_ms = _start_ms(question), _milliseconds(question.now)
    requests = log.count(_of(settings.log.request_pattern, question.version), start_ms, end_ms)
    errors = Count(0)
    if requests.events:
        judged_until_ms = end_ms if requests.until_ms is None else requests.until_ms
        errors = log.count(_of(settings.log.error_pattern, question.version), start_ms, judged_until_ms)
    rate = judge_error_rate(requests, errors, settings.log)
    record.note_release(question.release_id, {"error_rate": {"at": question.now, **_as_record(rate)}})
    return rate


def _start_ms(question: Question) -> int:
    window_begins = later(question.now, -settings.log.window_seconds)
    return max(_milliseconds(moment) for moment in (window_begins, question.since) if moment)


def _milliseconds(moment: str) -> int:
    return round(parse_moment(moment).timestamp() * 1000)


def _of(pattern: str, version: str) -> str:
    return pattern.replace("{version}", version)


def _as_record(rate: ErrorRate) -> dict[str, int | str]:
    judged = "unknown" if rate.percent is None else f"{rate.percent:.1f} %"
    return {"requests": rate.requests, "errors": rate.errors, "judged": judged}
