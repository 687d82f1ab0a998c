"""Tell humans what happened to a release. No machine waits for this, or fails because of it."""

from dataclasses import dataclass, replace
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.notices.rules import Kind, Notice, compose
from lambdas.notices.topic import Topic
from lambdas.observability import step
from lambdas.release.parameters import readable_parameter
from lambdas.release.report_rules import ReportPlace


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    service: str
    environment: str
    way_back: str
    reports: ReportPlace
    approval_url: str


settings = Settings(
    environ["SERVICE"],
    environ["ENVIRONMENT"],
    loads(environ["PARAMETERS"])["way_back"],
    ReportPlace.from_json(environ["REPORTS"]),
    environ["APPROVAL_URL"],
)
ssm = client("ssm")
topic = Topic(client("sns"), environ["TOPIC_ARN"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"kind", "release_id", "reason", "failure": of a Catch block or {}, "execution"}; return {"told": text}."""
    notice = Notice.from_event(event)
    notice = replace(
        notice,
        # a page without the commands is still better than no page
        commands=readable_parameter(ssm, settings.way_back) if notice.kind is Kind.RECORD_UNREACHABLE else "",
        report=settings.reports.link(notice.release_id),
        approval_url=settings.approval_url,
    )
    message = compose(notice, settings.service, settings.environment)
    topic.publish(message)
    return {"told": message.subject}
