"""What is live is asked every minute what a user would ask, and every answer is a measurement."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.checks import probe as function
from lambdas.checks.product import Product
from lambdas.checks.rules import Checks
from lambdas.checks.web import Web
from rehearsal.world.certificates import Certificate, issue
from tests.builders import CHECKS
from tests.unit.checks.conftest import Vault
from tests.unit.checks.site import Site, answering, hanging_up

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return issue(["localhost"], tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def site(certificate: Certificate, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Return a product that fulfils its checks, login first; the test listener is elsewhere."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority_file))
    login, upload = CHECKS["smoke"]
    smoke = [
        {**login, "body_secret_arn": vault.keep("login", "canary-login")},
        {**upload, "token_secret_arn": vault.keep("token", "canary-token"), "expected_status": 200},
    ]
    with Site(certificate, answering(body="canary-answer")) as site:
        tell(monkeypatch, smoke=smoke, live_url=site.url)
        monkeypatch.setattr(function, "product", Product(Web(frozenset({"localhost"})), vault.secrets))
        yield site


def tell(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    told = Checks.from_json(json.dumps({**CHECKS, **changes}))
    monkeypatch.setattr(function, "settings", replace(function.settings, checks=told))


def run() -> dict[str, Any]:
    answer: dict[str, Any] = function.lambda_handler({}, CONTEXT)
    return answer


def published(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """Return what CloudWatch would read from the log, by check."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return {line["Check"]: line for line in lines if "Check" in line}


def test_every_check_is_asked_of_what_is_live(site: Site) -> None:
    assert run() == {"passed": ["login", "upload"], "failed": [], "not_asked": []}
    assert [b"POST /login", b"POST /receipts"] == [request.partition(b" HTTP")[0] for request in site.requests]


@pytest.mark.usefixtures("site")
def test_check_that_passes_is_a_hundred_percent(capsys: pytest.CaptureFixture[str]) -> None:
    run()
    found = published(capsys)["login"]

    assert found["Success"] == [100]
    assert 0 <= found["Milliseconds"][0] < 5000


@pytest.mark.usefixtures("site")
def test_metrics_have_the_dimensions_that_alarms_watch_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    """With one more, such as the service that Powertools adds by itself, it is another metric."""
    run()
    found = published(capsys)["upload"]

    assert (found["Service"], found["Environment"]) == ("receipts", "test")
    assert found["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": "Runback/Probe",
            "Dimensions": [["Service", "Environment", "Check"]],
            "Metrics": [{"Name": "Success", "Unit": "Percent"}, {"Name": "Milliseconds", "Unit": "Milliseconds"}],
        }
    ]


def test_check_that_fails_is_a_measurement_and_does_not_stop_the_next_one(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.behavior = answering("500 Internal Server Error")
    assert run()["failed"] == ["login", "upload"]
    assert [each["Success"] for each in published(capsys).values()] == [[0], [0]]


def test_product_that_hangs_up_is_a_measurement(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.behavior = hanging_up
    assert run()["failed"] == ["login", "upload"]
    assert {name: each["Success"] for name, each in published(capsys).items()} == {"login": [0], "upload": [0]}


def test_only_the_checks_of_the_settings_are_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload is something that a customer may not want in production every minute."""
    smoke = [{"name": name, "path": f"/{name}"} for name in ("health", "login", "upload")]
    tell(monkeypatch, smoke=smoke, live_url=site.url, probe=["upload", "health"])

    assert run()["passed"] == ["health", "upload"]
    assert len(site.requests) == 2


@pytest.mark.usefixtures("site")
def test_check_that_could_not_be_asked_says_nothing_about_the_product(
    vault: Vault, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing may be taken back because a secret was deleted; the alarm on the probe's silence tells people."""
    arn = function.settings.checks.smoke[0].body_secret_arn
    vault.client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)

    assert run() == {"passed": ["upload"], "failed": [], "not_asked": ["login"]}
    assert list(published(capsys)) == ["upload"]


def test_nothing_secret_is_logged(
    site: Site, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    site.behavior = answering("401 Unauthorized", body="canary-answer")
    run()
    logged = repr([vars(record) for record in caplog.records])

    assert "canary" in repr(site.requests)
    assert "answered 401" in logged
    assert "canary" not in f"{logged} {capsys.readouterr()}"


def test_file_of_an_upload_is_sent(site: Site) -> None:
    receipt = Path(__file__).parents[3] / "environments" / "files" / "test-receipt.jpg"
    run()
    assert receipt.read_bytes() in site.requests[1]
