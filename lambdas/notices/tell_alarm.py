"""Tell humans of an alarm that warns: nothing is rolled back for it, and nobody is woken."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.notices.alarm_rules import AlarmNews, compose_warning
from lambdas.notices.topic import Topic
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    service: str
    environment: str
    table: str


settings = Settings(environ["SERVICE"], environ["ENVIRONMENT"], environ["RECORD_TABLE"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
topic = Topic(client("sns"), environ["TOPIC_ARN"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read the event "CloudWatch Alarm State Change"; return {"told": subject}.

    Only reads but for the message, so an event that is delivered twice is told twice. When the record cannot be read
    or the message not be sent, this fails, and Lambda tries twice more in the next minutes.
    """
    message = compose_warning(
        AlarmNews.from_event(event), settings.service, settings.environment, record.read(), event["time"]
    )
    topic.publish(message)
    return {"told": message.subject}
