"""What the commands answer to their user, and to the shell."""

import json
from collections.abc import Iterator

import pytest

from cdk.settings import EnvironmentSettings
from install import __main__ as command
from tests.install.clients import WatchedClients
from tests.install.customer import Customer, pretend_aws


@pytest.fixture(scope="module", autouse=True)
def customer(settings: EnvironmentSettings) -> Iterator[Customer]:
    """Return the owner of an account in which nothing is missing."""
    with pretend_aws(settings):
        customer = Customer(settings)
        customer.build()
        yield customer


@pytest.fixture
def clients(settings: EnvironmentSettings, monkeypatch: pytest.MonkeyPatch) -> WatchedClients:
    """Let the command ask through these."""
    clients = WatchedClients(settings.region)
    monkeypatch.setattr(command, "clients_in", lambda _: clients)
    return clients


@pytest.mark.usefixtures("clients")
def test_a_good_account_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == command.main(["doctor", "--environment", "staging"])
    assert "Ready: " in capsys.readouterr().out


@pytest.mark.parametrize("code", ["ListenerNotFound", "AccessDenied"])
def test_what_is_missing_or_was_not_seen_fails(clients: WatchedClients, code: str) -> None:
    """A script that deploys afterwards looks at nothing else."""
    clients.deny("elbv2", "describe_listeners", code)
    assert 1 == command.main(["doctor", "--environment", "staging"])


@pytest.mark.usefixtures("clients")
def test_a_program_gets_nothing_but_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == command.main(["doctor", "--environment", "staging", "--json"])
    assert {"ok", "note"} == {each["level"] for each in json.loads(capsys.readouterr().out)}


@pytest.mark.usefixtures("clients")
def test_credentials_of_another_account_are_told_of_both(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "999988887777")
    assert 2 == command.main(["doctor", "--environment", "staging"])
    said = capsys.readouterr().err
    assert "of account 999988887777" in said
    assert "settings of staging say 111122223333" in said


def test_expired_credentials_are_no_stack_trace(clients: WatchedClients, capsys: pytest.CaptureFixture[str]) -> None:
    clients.deny("sts", "get_caller_identity", "ExpiredToken")
    assert 2 == command.main(["diff", "--environment", "staging"])
    assert "AWS_PROFILE" in capsys.readouterr().err


def test_an_unknown_environment_is_answered_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == command.main(["doctor", "--environment", "stagging"])
    assert "this folder has production, staging" in capsys.readouterr().err


@pytest.mark.usefixtures("clients")
def test_a_refusal_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """No terminal is there in a pipeline: nobody can be asked."""
    assert 1 == command.main(["deploy", "--environment", "staging"])
    assert "YES=1" in capsys.readouterr().err
