"""Write what became of a release down as a page, after one of its executions has ended."""

from dataclasses import dataclass, replace
from datetime import datetime
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.report_rules import ReportPlace
from lambdas.release.requests import Requests
from lambdas.release.rules import parse_moment
from lambdas.reports.archive import Archive
from lambdas.reports.histories import Histories
from lambdas.reports.history_rules import Execution, History, read_history
from lambdas.reports.metrics import Metrics
from lambdas.reports.page import render
from lambdas.reports.rules import Evidence, TrafficByColor, tell
from lambdas.reports.traffic_rules import queries, span, traffic_of
from lambdas.traffic.rules import Route

_PATIENT_SECONDS = 10
"""Nobody waits for a report, and its answers are large."""


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    service: str
    environment: str
    table: str
    routes: tuple[Route, ...]
    reports: ReportPlace

    @property
    def prefix(self) -> str:
        """Return what the names of all machines and functions of the environment begin with."""
        return f"{self.service}-{self.environment}"


settings = Settings(
    environ["SERVICE"],
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
    ReportPlace.from_json(environ["REPORTS"]),
)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
histories = Histories(client("stepfunctions", _PATIENT_SECONDS))
metrics = Metrics(client("cloudwatch", _PATIENT_SECONDS))
archive = Archive(client("s3", _PATIENT_SECONDS), settings.reports.bucket)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"execution_arn", "now"}; return {"written": bool, "reason": text, "report": its address or ""}.

    Raises ValueError, in words for the console, for what is no execution of a machine that has a part in releases.
    """
    execution = Execution.from_arn(event.get("execution_arn"), settings.prefix)
    return write_report(execution, event["now"])


def write_report(execution: Execution, now: str) -> dict[str, Any]:
    """
    Write the report of the release that an execution worked on, from all that is known of it by now.

    Changes nothing but the report and the note of the execution in the release's history. Safe to repeat, and the later
    of two that write at the same time knows at least as much when it comes back for the late metrics.
    """
    moment = parse_moment(now)
    asked = _history(execution, moment)
    if asked is None:
        message = (
            f"Field 'execution_arn' names execution {execution.arn}, which Step Functions does not know: it forgets an"
            " execution 90 days after its end."
        )
        raise ValueError(message)
    release_id = asked.release_id
    if not release_id or not record.note_execution(release_id, execution.arn, asked.began.isoformat()):
        return {"written": False, "reason": f"Execution {execution.arn} worked on no release.", "report": ""}
    report = settings.reports.link(release_id)
    story = tell(_evidence(release_id, asked, moment), report, settings.service, settings.environment)
    archive.put(settings.reports.key(release_id), render(story))
    return {"written": True, "reason": f"Release {release_id}: {story.headline}", "report": report}


def _evidence(release_id: str, asked: History, now: datetime) -> Evidence:
    release = record.release(release_id)
    named = {*release.get("executions", {}), *filter(None, [release.get("execution")])} - {asked.execution.arn}
    others = {arn: _history(Execution.from_arn(arn, settings.prefix), now) for arn in sorted(named)}
    known = sorted([asked, *filter(None, others.values())], key=lambda each: each.began)
    forgotten = [arn for arn, history in others.items() if history is None]
    asked_for = Requests(record).of(release_id)
    evidence = Evidence(release_id, release, known, now, traffic=None, forgotten=forgotten, asked=asked_for)
    return replace(evidence, traffic=_traffic(evidence))


def _history(execution: Execution, now: datetime) -> History | None:
    return read_history(execution, histories.events(execution.arn), now)


def _traffic(evidence: Evidence) -> TrafficByColor | None:
    asked, when = queries(settings.routes), span(evidence.began, evidence.ended, evidence.now)
    values = metrics.readable(asked, when)
    return None if values is None else traffic_of(asked, values, when.seconds)
