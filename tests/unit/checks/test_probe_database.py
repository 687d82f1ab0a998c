"""The database's answer is a measurement every minute, whichever it is."""

import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.checks import probe_database as function
from lambdas.database.login_rules import Credentials
from lambdas.errors import AwsCallFailed, DataStoreUnreachable
from tests.unit.checks.conftest import Vault

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)


@dataclass
class FakeDatabase:
    """A database whose query takes a while; `asked` is with what."""

    seconds: float = 0.0125
    broken: bool = False
    asked: list[Credentials] = field(default_factory=list)

    def answer(self, credentials: Credentials) -> float:
        self.asked.append(credentials)
        if self.broken:
            raise DataStoreUnreachable("The database is broken.")
        return self.seconds


@pytest.fixture
def database(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> FakeDatabase:
    arn = vault.keep("database", json.dumps({"username": "checker", "password": "canary"}))
    told = replace(function.settings, database=replace(function.settings.database, secret_arn=arn))
    fake = FakeDatabase()
    monkeypatch.setattr(function, "settings", told)
    monkeypatch.setattr(function, "secrets", vault.secrets)
    monkeypatch.setattr(function, "postgres", fake)
    return fake


def run() -> bool:
    answer: dict[str, bool] = function.lambda_handler({}, CONTEXT)
    return answer["reachable"]


def published(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "Runback/Probe" in line]
    return [line for line in lines if "_aws" in line]


def test_answer_is_measured_with_the_dimensions_that_alarms_watch(
    database: FakeDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run()
    (found,) = published(capsys)

    assert (found["DatabaseReachable"], found["QueryMilliseconds"]) == ([1], [12.5])
    assert (found["Service"], found["Environment"]) == ("receipts", "test")
    assert found["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Service", "Environment"]]
    assert database.asked == [Credentials("checker", "canary")]


def test_database_that_does_not_answer_is_a_measurement(
    database: FakeDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """How long nothing took would only make the mean look better."""
    database.broken = True
    assert not run()
    (found,) = published(capsys)

    assert found["DatabaseReachable"] == [0]
    assert "QueryMilliseconds" not in found


def test_secret_without_a_user_is_a_database_that_cannot_be_reached(
    database: FakeDatabase, vault: Vault, capsys: pytest.CaptureFixture[str]
) -> None:
    arn = function.settings.database.secret_arn
    vault.client.put_secret_value(SecretId=arn, SecretString='{"password": "canary"}')
    assert not run()
    assert "canary" not in "".join(capsys.readouterr())
    assert database.asked == []


def test_secret_that_cannot_be_read_says_nothing_about_the_database(
    database: FakeDatabase, vault: Vault, capsys: pytest.CaptureFixture[str]
) -> None:
    vault.client.delete_secret(SecretId=function.settings.database.secret_arn, ForceDeleteWithoutRecovery=True)
    with pytest.raises(AwsCallFailed):
        run()
    assert published(capsys) == []
    assert database.asked == []


def test_nothing_secret_is_logged(
    database: FakeDatabase, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    database.broken = True
    run()
    logged = repr([vars(record) for record in caplog.records])

    assert "The database is broken" in logged
    assert "canary" not in f"{logged} {capsys.readouterr()}"
