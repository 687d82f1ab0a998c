"""Where pushes arrive is deployed and looked at like an environment, of which it has neither lease nor traffic."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdk.assembly import SETTINGS_FOLDER
from cdk.ingress_settings import IngressSettings, load_ingress
from cdk.settings import EnvironmentSettings
from install import __main__ as command
from install import doctor
from install.account import Account
from install.deploy import Refused, deploy
from install.findings import HARMLESS, Finding, Level
from lambdas.release.rules import Work
from tests.install.clients import WatchedClients, lambda_limits
from tests.install.customer import Customer, pretend_aws
from tests.install.test_deploy import HELD, User

PROVIDER = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"


@pytest.fixture(autouse=True)
def empty_aws(settings: EnvironmentSettings) -> Iterator[None]:
    """Each test has an account of its own."""
    with pretend_aws(settings):
        yield


@pytest.fixture
def ingress() -> IngressSettings:
    """Return the shipped settings of the ingress."""
    found = load_ingress(SETTINGS_FOLDER)
    assert found is not None
    return found


@pytest.fixture
def customer(settings: EnvironmentSettings, ingress: IngressSettings) -> Customer:
    """Return the owner of an account that has what the ingress needs."""
    customer = Customer(settings)
    customer.bootstrap()
    for arn in ingress.webhook_secret_arns:
        customer.secret(arn)
    return customer


@pytest.fixture
def clients(customer: Customer) -> WatchedClients:
    return WatchedClients(customer.settings.region)


def found(ingress: IngressSettings, clients: WatchedClients, part: str) -> list[Finding]:
    sections = {each.title: each.findings for each in doctor.examine(ingress, Account(clients))}
    return list(sections[part])


def provider(customer: Customer, **more: Any) -> None:
    given = {"Url": f"https://{PROVIDER.rpartition('/')[2]}", "ThumbprintList": [], "ClientIDList": [], **more}
    customer.client("iam").create_open_id_connect_provider(**given)


def user_of(settings: Any, clients: WatchedClients, folder: Path) -> User:
    return User(settings, Account(clients), folder)


def test_it_is_deployed_whoever_holds_an_environment(
    ingress: IngressSettings, customer: Customer, clients: WatchedClients, tmp_path: Path
) -> None:
    """A push that comes meanwhile is found by the environments."""
    customer.record().claim(Work(), HELD)
    user = user_of(ingress, clients, tmp_path)

    deploy(user.deployment, may_ask=True)

    stack, assembly = "Runback-receipt-vault-ingress", str(tmp_path / "ingress")
    synth, diff, deployed = user.commands
    assert ["synth", "--quiet", "--context", "environment=ingress", "--output", assembly, "--no-notices"] == synth
    assert ["diff", stack, "--app", assembly] == diff[:4]
    assert ["deploy", stack, "--app", assembly] == deployed[:4]
    assert ["Deploy this to 111122223333/eu-west-1? [y/N] "] == user.questions
    assert "WebhookUrl" in user.screen[-1]


def test_it_reserves_executions_of_its_own(ingress: IngressSettings, clients: WatchedClients, tmp_path: Path) -> None:
    clients.answers["lambda", "get_account_settings"] = lambda **_: lambda_limits(1000, 104)
    with pytest.raises(Refused, match="Runback reserves 5 more"):
        deploy(user_of(ingress, clients, tmp_path).deployment, may_ask=True)
    clients.answers["lambda", "get_account_settings"] = lambda **_: lambda_limits(1000, 105)
    deploy(user_of(ingress, clients, tmp_path).deployment, may_ask=True)


def test_an_environment_that_listens_is_refused_before_there_is_a_bus(
    settings: EnvironmentSettings, customer: Customer, clients: WatchedClients, tmp_path: Path
) -> None:
    """CloudFormation would find that out half-way."""
    user = user_of(settings, clients, tmp_path)
    with pytest.raises(Refused, match=r"no bus receipt-vault-github yet.* First: make deploy ENV=ingress"):
        deploy(user.deployment, may_ask=True)
    assert user.commands == []

    customer.bus()
    user = user_of(settings, clients, tmp_path)
    deploy(user.deployment, may_ask=True)
    assert user.verbs == ["synth", "diff", "deploy"]


@pytest.mark.parametrize("starts", ["by-hand", None])
def test_an_environment_that_does_not_listen_needs_no_bus(
    settings: EnvironmentSettings, clients: WatchedClients, tmp_path: Path, starts: str | None
) -> None:
    assert settings.pushes
    pushes = settings.pushes.model_copy(update={"starts": starts}) if starts else None
    user = user_of(settings.model_copy(update={"pushes": pushes}), clients, tmp_path)
    deploy(user.deployment, may_ask=True)
    assert "deploy" in user.verbs


def test_a_bus_that_may_not_be_looked_at_is_no_reason_to_refuse(
    settings: EnvironmentSettings, clients: WatchedClients, tmp_path: Path
) -> None:
    """Whoever deploys needs few rights of his own."""
    clients.deny("events", "describe_event_bus")
    user = user_of(settings, clients, tmp_path)
    deploy(user.deployment, may_ask=True)
    assert "deploy" in user.verbs


def test_doctor_tells_an_environment_which_bus_it_listens_on(
    settings: EnvironmentSettings, customer: Customer, clients: WatchedClients
) -> None:
    check = dict(doctor.CHECKS)["pushes"]
    (missing,) = check(settings, Account(clients))
    assert (missing.level, missing.field, missing.fix) == (Level.MISSING, "pushes", "make deploy ENV=ingress")
    customer.bus()
    (there,) = check(settings, Account(clients))
    assert (there.level, there.says) == (Level.OK, "come on the bus receipt-vault-github")


def test_doctor_finds_nothing_wrong_before_it_is_deployed(ingress: IngressSettings, clients: WatchedClients) -> None:
    findings = [each for section in doctor.examine(ingress, Account(clients)) for each in section.findings]
    assert [each for each in findings if each.level not in HARMLESS] == []
    assert "make deploy ENV=ingress" in {each.fix for each in findings}


def test_a_secret_without_a_value_is_wrong(ingress: IngressSettings, clients: WatchedClients) -> None:
    clients.change("secretsmanager", "describe_secret", lambda secret: secret.update(VersionIdsToStages={}))
    (wrong,) = found(ingress, clients, "secrets")
    assert (wrong.level, wrong.field) == (Level.WRONG, "webhook_secret_arns[0]")


def with_provider(ingress: IngressSettings) -> IngressSettings:
    assert ingress.github_actions
    actions = ingress.github_actions.model_copy(update={"provider_arn": PROVIDER})
    return ingress.model_copy(update={"github_actions": actions})


def test_an_account_cannot_have_a_second_provider(
    ingress: IngressSettings, customer: Customer, clients: WatchedClients
) -> None:
    """CloudFormation would fail; unless it is the one that the stack itself has made."""
    provider(customer, ClientIDList=["sts.amazonaws.com"])
    (wrong,) = found(ingress, clients, "GitHub Actions")
    assert (wrong.level, wrong.fix) == (Level.WRONG, f'provider_arn = "{PROVIDER}"')
    tags = [{"Key": "runback:service", "Value": "receipt-vault"}]
    customer.client("iam").tag_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER, Tags=tags)
    assert [each.level for each in found(ingress, clients, "GitHub Actions")] == [Level.OK]


@pytest.mark.parametrize(("audience", "level"), [("sts.amazonaws.com", Level.OK), ("another", Level.WRONG)])
def test_a_provider_must_know_the_audience(
    ingress: IngressSettings, customer: Customer, clients: WatchedClients, audience: str, level: Level
) -> None:
    provider(customer, ClientIDList=[audience])
    assert [each.level for each in found(with_provider(ingress), clients, "GitHub Actions")] == [level]


def test_a_provider_that_is_named_and_not_there_is_missing(ingress: IngressSettings, clients: WatchedClients) -> None:
    assert [each.level for each in found(with_provider(ingress), clients, "GitHub Actions")] == [Level.MISSING]


def test_without_actions_nothing_is_looked_for(ingress: IngressSettings, clients: WatchedClients) -> None:
    (told,) = found(ingress.model_copy(update={"github_actions": None}), clients, "GitHub Actions")
    assert told.level is Level.NOTE
    assert ("iam", "get_open_id_connect_provider") not in clients.calls


def test_it_is_named_on_the_command_line_like_an_environment(
    clients: WatchedClients, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "clients_in", lambda _: clients)
    assert command.main(["doctor", "--environment", "ingress"]) == 0
    assert "receipt-vault-ingress in 111122223333/eu-west-1" in capsys.readouterr().out


def test_without_its_file_it_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "staging.toml").touch()
    monkeypatch.setattr(command, "SETTINGS_FOLDER", tmp_path)
    assert command.main(["diff", "--environment", "ingress"]) == 2
    assert "ingress.toml: there is no such environment; this folder has staging" in capsys.readouterr().err
