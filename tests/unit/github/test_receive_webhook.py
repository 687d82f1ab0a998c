"""A push reaches the bus once, however often and in whatever state of AWS its webhook comes."""

import json
from collections.abc import Callable
from io import StringIO
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lambdas.checks.secrets import Secrets
from lambdas.github import receive_webhook as function
from lambdas.github.deliveries import Deliveries
from lambdas.github.push_bus import PushBus
from lambdas.github.webhook_secrets import WebhookSecrets
from lambdas.observability import logger
from tests.builders import INGRESS
from tests.unit.github.webhooks import COMMIT, DELIVERY, NEXT_SECRET, NOW, PUSHED_AT, SECRET, event, payload, raw

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)
TABLE, BUS = str(INGRESS["table"]), str(INGRESS["bus"])


class Aws:
    """The services that the function asks, in moto, and which requests of theirs fail from now on."""

    def __init__(self) -> None:
        self.put: list[dict[str, Any]] = []
        self.failing: set[str] = set()
        self.asked: list[str] = []
        self.clients = {name: self._client(name) for name in ("dynamodb", "events", "secretsmanager")}

    def _client(self, service: str) -> Any:
        client: Any = boto3.client(service)  # type: ignore[call-overload]
        client.meta.events.register("before-parameter-build.*", self._ask)
        return client

    def _ask(self, model: Any, params: dict[str, Any], **_: Any) -> None:
        self.asked.append(model.name)
        if model.name in self.failing:
            raise ClientError({"Error": {"Code": "InternalFailure", "Message": "not now"}}, model.name)
        if model.name == "PutEvents":
            self.put += params["Entries"]

    def answer(self, operation: str, response: dict[str, Any]) -> None:
        """Let EventBridge answer so, whatever it is asked."""
        self.clients["events"].meta.events.register(
            f"before-call.events.{operation}", lambda **_: (SimpleNamespace(status_code=200), response)
        )


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """Return an account in which the stack is deployed."""
    aws = Aws()
    aws.clients["dynamodb"].create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "delivery", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "delivery", "AttributeType": "S"}],
    )
    aws.clients["events"].create_event_bus(Name=BUS)
    for name, secret in zip(("github-webhook", "github-webhook-next"), (SECRET, NEXT_SECRET), strict=True):
        aws.clients["secretsmanager"].create_secret(Name=name, SecretString=f"{secret.decode()}\n")
    secrets = WebhookSecrets(Secrets(aws.clients["secretsmanager"]), function.settings.secret_arns)
    monkeypatch.setattr(function, "secrets", secrets)
    monkeypatch.setattr(function, "deliveries", Deliveries(aws.clients["dynamodb"], TABLE))
    monkeypatch.setattr(function, "bus", PushBus(aws.clients["events"], BUS))
    aws.asked.clear()
    return aws


def sends(given: dict[str, Any]) -> tuple[int, str]:
    """Return the status and the verdict of what comes back."""
    answer = function.lambda_handler(given, CONTEXT)
    return answer["statusCode"], json.loads(answer["body"])["verdict"]


def test_a_push_is_put_on_the_bus(aws: Aws) -> None:
    assert sends(event()) == (202, "forwarded")
    ((entry),) = aws.put
    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == (BUS, "github.com", "push")
    assert json.loads(entry["Detail"])["commit"] == COMMIT
    assert json.loads(entry["Detail"])["delivery"] == DELIVERY


def test_a_delivery_that_comes_again_is_not_forwarded_again(aws: Aws) -> None:
    """Neither when GitHub delivers it again, nor when somebody else does so with other headers."""
    assert sends(event()) == (202, "forwarded")
    assert sends(event()) == (200, "duplicate")
    assert sends(event(x_github_delivery="00000000-0000-0000-0000-000000000000")) == (200, "duplicate")
    assert len(aws.put) == 1


def test_the_same_commit_can_be_pushed_again(aws: Aws) -> None:
    """To a branch that somebody has put back in between: that is another push."""
    sends(event())
    assert sends(event(raw(payload(repository__pushed_at=PUSHED_AT + 1)))) == (202, "forwarded")
    assert len(aws.put) == 2


def test_a_delivery_that_is_remembered_is_forgotten_after_days(aws: Aws) -> None:
    sends(event())
    (item,) = aws.clients["dynamodb"].scan(TableName=TABLE)["Items"]
    assert item["github_id"] == {"S": DELIVERY}
    assert int(item["expires"]["N"]) == int(NOW.timestamp()) + 4 * 86400
    assert item["forwarded_at"] == {"S": "2026-03-02T10:00:05.000Z"}


@pytest.mark.parametrize("operation", ["GetSecretValue", "PutItem", "PutEvents", "UpdateItem"])
def test_what_aws_did_not_do_is_done_when_github_delivers_again(aws: Aws, operation: str) -> None:
    """Nothing is lost by half a delivery: at worst a push is put on the bus twice, which the environments know."""
    aws.failing.add(operation)
    assert sends(event()) == (503, "failed")
    aws.failing.clear()
    assert sends(event()) == (202, "forwarded")
    assert sends(event()) == (200, "duplicate")
    assert {json.loads(each["Detail"])["commit"] for each in aws.put} == {COMMIT}


def test_an_event_that_the_bus_did_not_take_is_not_forwarded(aws: Aws) -> None:
    """EventBridge says so in an answer that is no error."""
    entry = {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}
    aws.answer("PutEvents", {"FailedEntryCount": 1, "Entries": [entry]})
    assert sends(event()) == (503, "failed")
    (item,) = aws.clients["dynamodb"].scan(TableName=TABLE)["Items"]
    assert "forwarded_at" not in item


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (event(secret=b"somebody else's secret"), (401, "refused")),
        (event(x_hub_signature_256=None), (401, "refused")),
        (event(method="GET"), (405, "refused")),
        (event(b"{}"), (400, "refused")),
        (event(raw(payload(repository__id=7))), (202, "ignored")),
        (event(raw(payload(ref="refs/heads/other"))), (202, "ignored")),
        (event(x_github_event="ping"), (202, "ignored")),
    ],
)
def test_what_is_not_forwarded_leaves_nothing(aws: Aws, given: dict[str, Any], expected: tuple[int, str]) -> None:
    assert sends(given) == expected
    assert set(aws.asked) <= {"GetSecretValue"}
    assert aws.put == []


def test_what_is_too_large_or_unsigned_does_not_ask_for_a_secret(aws: Aws) -> None:
    """Whoever floods the address makes no requests to Secrets Manager with it."""
    sends({**event(), "body": "x" * 2_000_000})
    sends(event(x_hub_signature_256=None))
    assert aws.asked == []


def test_a_flood_of_forged_webhooks_asks_for_the_secrets_once(aws: Aws) -> None:
    for _ in range(20):
        assert sends(event(secret=b"somebody else's secret")) == (401, "refused")
    assert aws.asked == ["GetSecretValue", "GetSecretValue"]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    stream = StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return stream.getvalue


@pytest.mark.parametrize(
    "given",
    [
        event(),
        event(secret=b"somebody else's secret"),
        event(raw(payload(ref="refs/heads/canary"))),
        event(raw(payload(sender__login="canary!"))),
        event(b"canary"),
        event(x_github_event="canary"),
        event(x_github_delivery="canary"),
        event(content_type="canary"),
    ],
)
@pytest.mark.usefixtures("aws")
def test_the_log_says_why_without_the_payload(given: dict[str, Any], logged: Callable[[], str]) -> None:
    """Neither what is secret, nor what somebody wants to be read there."""
    _, verdict = sends(given)
    lines = logged()
    assert f"Webhook {verdict}: " in lines
    assert "canary" not in lines
    assert "GitHub-Hookshot" not in lines
    assert given["headers"]["x-hub-signature-256"] not in lines
    assert SECRET.decode() not in lines


@pytest.mark.usefixtures("aws")
def test_a_forwarded_push_is_found_in_the_log_by_its_delivery(logged: Callable[[], str]) -> None:
    sends(event())
    (line,) = [json.loads(each) for each in logged().splitlines() if "Webhook forwarded" in each]
    assert (line["delivery"], line["ref"], line["commit"]) == (DELIVERY, "refs/heads/main", COMMIT)


def test_a_failure_says_why_in_the_log_and_not_to_the_sender(aws: Aws, logged: Callable[[], str]) -> None:
    aws.failing.add("PutEvents")
    answer = function.lambda_handler(event(), CONTEXT)
    assert "not now" not in answer["body"]
    assert "PutEvents: InternalFailure: not now" in logged()
