"""Every check of an occasion is asked once, with the secrets that it needs and none that anybody else could read."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lambdas.checks import run_smoke_checks as function
from lambdas.checks.product import Product
from lambdas.checks.rules import Answer, Checks, Scope
from lambdas.checks.web import Request
from lambdas.errors import AwsCallFailed, LeaseLost, SmokeCheckFailed
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from tests.builders import CHECKS, ROLLBACK, at
from tests.unit.checks.conftest import Vault

RECEIPT = Path(__file__).parents[3] / "environments" / "files" / "test-receipt.jpg"
LOGIN = '{"email": "smoke@receipts.example", "password": "canary-login"}'
BEARER = "canary-token"


@dataclass
class FakeWeb:
    """The product, as `lambdas.checks.web.Web` asks it."""

    answers: dict[str, Answer] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def ask(self, request: Request, maximum_seconds: float) -> Answer:
        assert request.url not in self.requests
        self.requests[request.url] = request
        self.seconds[request.url] = maximum_seconds
        expected = 201 if request.url.endswith("/receipts") else 200
        return self.answers.get(request.url, Answer(expected, 0.25, "canary-answer"))


@pytest.fixture
def web(record: ReleaseRecord, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> FakeWeb:
    """Return a product that does what it should, asked with the secrets in the vault."""
    login, upload = CHECKS["smoke"]
    smoke = [
        {**login, "body_secret_arn": vault.keep("login", f"{LOGIN}\n")},
        {**upload, "token_secret_arn": vault.keep("token", f"{BEARER}\n"), "maximum_seconds": 10},
    ]
    tell(monkeypatch, {**CHECKS, "smoke": smoke})
    fake = FakeWeb()
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "product", Product(fake, vault.secrets))
    return fake


def tell(monkeypatch: pytest.MonkeyPatch, checks: dict[str, Any]) -> None:
    told = Checks.from_json(json.dumps(checks))
    monkeypatch.setattr(function, "settings", replace(function.settings, checks=told))


def run(lease: Lease, scope: str = "new_version") -> dict[str, Any]:
    event = {"lease": lease.as_event(), "release_id": "new", "scope": scope, "now": at(5)}
    answer: dict[str, Any] = function.lambda_handler.__wrapped__(event, None)
    return answer


TEST, LIVE = "https://api.receipts.example:8443", "https://api.receipts.example"


@pytest.mark.parametrize(
    ("scope", "urls"),
    [
        ("system", [f"{LIVE}/health"]),
        ("new_version", [f"{TEST}/login", f"{TEST}/receipts"]),
        ("live", [f"{LIVE}/health", f"{LIVE}/login", f"{LIVE}/receipts"]),
        ("rolled_back", [f"{LIVE}/health", f"{LIVE}/login", f"{LIVE}/receipts"]),
    ],
)
def test_every_check_of_the_occasion_is_asked(web: FakeWeb, lease: Lease, scope: str, urls: list[str]) -> None:
    assert len(run(lease, scope)["passed"]) == len(urls)
    assert urls == list(web.requests)


def test_check_sends_its_secret_as_body(web: FakeWeb, lease: Lease) -> None:
    """Without the line end that an editor put behind it."""
    run(lease)
    assert web.requests[f"{TEST}/login"] == Request("POST", f"{TEST}/login", {}, LOGIN.encode())


def test_check_sends_its_file_as_a_form_and_its_token_as_bearer(web: FakeWeb, lease: Lease) -> None:
    run(lease)
    request = web.requests[f"{TEST}/receipts"]
    assert request.body is not None
    assert RECEIPT.read_bytes() in request.body
    assert b'name="category"\r\n\r\ntest\r\n' in request.body
    assert request.headers["Authorization"] == f"Bearer {BEARER}"
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")


def test_check_sends_headers_and_body_as_they_are_written(
    web: FakeWeb, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = {
        "name": "search",
        "method": "POST",
        "path": "/search",
        "headers": {"Accept": "text/html"},
        "body": "größe",
    }
    tell(monkeypatch, {**CHECKS, "smoke": [search]})
    run(lease)
    expected = Request("POST", f"{TEST}/search", {"Accept": "text/html"}, "größe".encode())
    assert web.requests == {f"{TEST}/search": expected}


def test_check_is_given_its_own_time(web: FakeWeb, lease: Lease) -> None:
    run(lease)
    assert web.seconds == {f"{TEST}/login": 5, f"{TEST}/receipts": 10}


def test_history_says_how_every_check_went(record: ReleaseRecord, web: FakeWeb, lease: Lease) -> None:
    web.answers[f"{TEST}/login"] = Answer(500, 0.5, "canary-answer")
    with pytest.raises(SmokeCheckFailed):
        run(lease)
    run(lease, "system")
    history = record.release("new")
    assert history["checks_new_version"] == {
        "at": at(5),
        "results": [
            {"name": "login", "milliseconds": 500, "problem": "answered 500, not 200"},
            {"name": "upload", "milliseconds": 250, "problem": ""},
        ],
    }
    assert history["checks_system"]["results"] == [{"name": "site", "milliseconds": 250, "problem": ""}]


def test_secrets_and_answers_go_nowhere_but_to_the_product(
    record: ReleaseRecord, web: FakeWeb, lease: Lease, capsys: pytest.CaptureFixture[str]
) -> None:
    """Histories of executions and logs have more readers than secrets."""
    web.answers[f"{LIVE}/login"] = Answer(401, 0.1, "canary-answer")
    with pytest.raises(SmokeCheckFailed) as raised:
        run(lease, "live")
    assert "canary" in repr([request.body for request in web.requests.values()])
    assert "canary" not in f"{raised.value!r} {record.release('new')} {capsys.readouterr()}"


def test_one_look_at_the_error_is_enough(web: FakeWeb, lease: Lease) -> None:
    """A check that fails must not hide the next one."""
    web.answers = {
        f"{LIVE}/health": Answer(503, 0.1),
        f"{LIVE}/receipts": Answer(0, 10, failure="did not answer within 10 s"),
    }
    with pytest.raises(SmokeCheckFailed) as raised:
        run(lease, "live")
    assert str(raised.value) == "site answered 503, not 200; upload did not answer within 10 s."
    assert len(web.requests) == 3


def test_passed_checks_are_named(web: FakeWeb, lease: Lease) -> None:
    assert run(lease, "live") == {"passed": ["site", "login", "upload"]}
    assert len(web.requests) == 3


def test_token_that_cannot_be_sent_fails_its_check_alone(
    vault: Vault, record: ReleaseRecord, web: FakeWeb, lease: Lease
) -> None:
    arn = function.settings.checks.of(Scope.NEW_VERSION)[1].token_secret_arn
    vault.client.put_secret_value(SecretId=arn, SecretString="canary\nsecond line")
    with pytest.raises(SmokeCheckFailed, match="upload has a token secret") as raised:
        run(lease)
    assert list(web.requests) == [f"{TEST}/login"]
    assert "canary" not in f"{raised.value!r} {record.release('new')}"


def test_secret_of_bytes_is_named(vault: Vault, web: FakeWeb, lease: Lease) -> None:
    arn = function.settings.checks.of(Scope.NEW_VERSION)[0].body_secret_arn
    vault.client.put_secret_value(SecretId=arn, SecretBinary=b"canary")
    with pytest.raises(AwsCallFailed) as raised:
        run(lease)
    assert str(raised.value) == f"The secret {arn} holds bytes, and should hold text."
    assert web.requests == {}


def test_secret_that_does_not_exist_is_named(vault: Vault, web: FakeWeb, lease: Lease) -> None:
    arn = function.settings.checks.of(Scope.NEW_VERSION)[0].body_secret_arn
    vault.client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    with pytest.raises(AwsCallFailed) as raised:
        run(lease)
    assert str(raised.value) == f"The secret {arn} cannot be read: ResourceNotFoundException."
    assert web.requests == {}


def test_loser_sends_nothing(record: ReleaseRecord, web: FakeWeb, lease: Lease) -> None:
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        run(lease)
    assert web.requests == {}
    assert record.release("new") == {}


def test_repeated_step_asks_again_and_keeps_the_last_results(record: ReleaseRecord, web: FakeWeb, lease: Lease) -> None:
    web.answers[f"{TEST}/login"] = Answer(500, 0.5)
    with pytest.raises(SmokeCheckFailed):
        run(lease)
    web.answers, web.requests = {}, {}
    run(lease)
    assert {each["problem"] for each in record.release("new")["checks_new_version"]["results"]} == {""}
