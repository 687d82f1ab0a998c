"""Take what GitHub sends to the function URL, and forward a push that GitHub has signed. It starts nothing itself."""

from dataclasses import dataclass
from http import HTTPStatus
from json import loads
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.errors import AwsCallFailed
from lambdas.github.deliveries import Deliveries
from lambdas.github.push_bus import PushBus
from lambdas.github.webhook_rules import (
    DUPLICATE,
    FORWARDED,
    Outcome,
    Push,
    Subscription,
    Verdict,
    WebhookRequest,
    forget_at,
    judge,
    why_refused_unread,
)
from lambdas.github.webhook_secrets import WebhookSecrets
from lambdas.observability import FAILED_REQUEST, describe, logger, step


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    repository_id: int
    refs: tuple[str, ...]
    secret_arns: tuple[str, ...]
    bus: str
    table: str

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the JSON of the stack."""
        given = loads(text)
        lists = {name: tuple(given[name]) for name in ("refs", "secret_arns")}
        return cls(given["repository_id"], **lists, bus=given["bus"], table=given["table"])


settings = Settings.from_json(environ["INGRESS"])
wanted = Subscription(settings.repository_id, settings.refs)
secrets = WebhookSecrets(Secrets(client("secretsmanager")), settings.secret_arns)
deliveries = Deliveries(client("dynamodb"), settings.table)
bus = PushBus(client("events"), settings.bus)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read a request to the function URL; return the HTTP answer {"verdict", "reason"}.

    202 when it was forwarded, or is nothing to forward; 200 when it came before; 4xx when it is not believed; 503 when
    AWS does not answer, and nothing is lost: it can be delivered again, and the branch is looked at on a schedule.
    """
    request = WebhookRequest.from_event(event)
    outcome = receive(request)
    log = logger.info if outcome.verdict is not Verdict.FAILED else logger.error
    log("Webhook %s: %s", outcome.verdict.value, outcome.reason)
    return outcome.as_answer()


def receive(request: WebhookRequest) -> Outcome:
    """Judge a request, and forward the push in it. The log gets the reason, and never a header or the body."""
    refusal = why_refused_unread(request)
    if refusal:
        return refusal
    try:
        known, problems = secrets.current(request.now)
        for problem in problems:
            logger.error(problem)
        push = judge(request, known, wanted)
        return push if isinstance(push, Outcome) else forward(push, request)
    except AwsCallFailed as error:
        return _failed(str(error))
    except FAILED_REQUEST as error:
        return _failed(describe(error))


def forward(push: Push, request: WebhookRequest) -> Outcome:
    """
    Put the push on the bus, once for each push that GitHub tells of.

    Whoever dies between the writes leaves a delivery that is forwarded again when GitHub repeats it; the environments
    know a push that comes twice.
    """
    logger.append_keys(delivery=push.delivery, ref=push.ref, commit=push.commit)
    if not deliveries.begin(request.digest, push.delivery, request.now, forget_at(request.now)):
        return DUPLICATE
    bus.put(push)
    deliveries.finish(request.digest, request.now)
    return FORWARDED


def _failed(why: str) -> Outcome:
    """Tell the log what the sender need not know."""
    logger.error("AWS did not answer: %s", why)
    reason = "The push could not be forwarded. Deliver it again; the branch is looked at every few minutes anyway."
    return Outcome(HTTPStatus.SERVICE_UNAVAILABLE, Verdict.FAILED, reason)
