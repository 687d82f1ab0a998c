"""When a deployment is refused, and what it does when it is not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cdk.settings import EnvironmentSettings
from install.account import Account
from install.deploy import Deployment, Refused, deploy, show_difference
from install.identity import WrongCredentials
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from tests.install.clients import WatchedClients, aws_client, lambda_limits
from tests.install.customer import Customer, pretend_aws

NOW = "2026-01-02T03:04:05.678Z"
HELD = Work(holder="arn:…:deploy:now", phase=Phase.BAKING, release_id="4f2c1e9-0a1b2c3d", claimed_at=NOW)


@dataclass
class User:
    """Somebody in front of a screen, and the CDK's command line, which only remembers what it was told."""

    settings: EnvironmentSettings
    account: Account
    folder: Path
    answer: str = "y"
    while_reading: Callable[[], object] = lambda: None
    exit_codes: dict[str, int] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)
    screen: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    @property
    def deployment(self) -> Deployment:
        return Deployment(self.settings, self.account, self.run, self.screen.append, self.ask, self.folder)

    @property
    def verbs(self) -> list[str]:
        return [command[0] for command in self.commands]

    def run(self, arguments: Sequence[str]) -> int:
        self.commands.append(list(arguments))
        return self.exit_codes.get(arguments[0], 0)

    def ask(self, question: str) -> str:
        self.questions.append(question)
        self.while_reading()
        return self.answer


@pytest.fixture(autouse=True)
def empty_aws(settings: EnvironmentSettings) -> Iterator[None]:
    """Each test has an account of its own."""
    with pretend_aws(settings):
        yield


@pytest.fixture
def customer(settings: EnvironmentSettings) -> Customer:
    """Return the owner of an account that is bootstrapped, and in which Runback never was."""
    customer = Customer(settings)
    customer.bootstrap()
    customer.bus()
    return customer


@pytest.fixture
def record(customer: Customer) -> ReleaseRecord:
    """Let Runback have been deployed before."""
    return customer.record()


@pytest.fixture
def clients(settings: EnvironmentSettings) -> WatchedClients:
    return WatchedClients(settings.region)


@pytest.fixture
def user(customer: Customer, clients: WatchedClients, tmp_path: Path) -> User:
    return User(customer.settings, Account(clients), tmp_path)


def test_a_first_deployment_is_shown_asked_for_and_made(user: User, tmp_path: Path) -> None:
    """There is no record yet: that is no reason to refuse."""
    deploy(user.deployment, may_ask=True)

    stack, assembly = "Runback-receipt-vault-staging", str(tmp_path / "staging")
    synth, diff, deployed = user.commands
    assert ["synth", "--quiet", "--context", "environment=staging", "--output", assembly, "--no-notices"] == synth
    assert ["diff", stack, "--app", assembly, "--method", "template", "--no-notices"] == diff
    assert ["deploy", stack, "--app", assembly, "--require-approval", "never"] == deployed[:6]
    assert ["Deploy this to 111122223333/eu-west-1? [y/N] "] == user.questions
    assert "make doctor ENV=staging" in user.screen[-1]


def test_an_update_while_nobody_holds_the_environment(user: User, record: ReleaseRecord) -> None:
    lease = record.claim(Work(), HELD)
    record.finish(lease, Phase.COMMITTED, NOW, {})

    deploy(user.deployment, may_ask=True)
    assert ["synth", "diff", "deploy"] == user.verbs


def test_held_is_refused_with_who_and_what_to_do(user: User, record: ReleaseRecord) -> None:
    record.claim(Work(), HELD)

    with pytest.raises(Refused, match=r"deploy:now \(release 4f2c1e9-0a1b2c3d, phase baking") as refused:
        deploy(user.deployment, may_ask=True, reason="I am in a hurry")
    assert "receipt-vault-staging-rollback" in str(refused.value)
    assert [] == user.commands


def test_a_release_that_begins_while_somebody_reads_the_difference(user: User, record: ReleaseRecord) -> None:
    user.while_reading = lambda: record.claim(Work(), HELD)

    with pytest.raises(Refused, match="is held by"):
        deploy(user.deployment, may_ask=True)
    assert ["synth", "diff"] == user.verbs


def test_yes_does_not_ask_but_still_shows_and_still_looks(user: User, record: ReleaseRecord) -> None:
    lease = record.claim(Work(), HELD)
    with pytest.raises(Refused):
        deploy(user.deployment, may_ask=False, yes=True)
    record.finish(Lease(lease.holder, lease.token), Phase.ABORTED, NOW, {})

    deploy(user.deployment, may_ask=False, yes=True)
    assert ["synth", "diff", "deploy"] == user.verbs
    assert [] == user.questions


@pytest.mark.parametrize("answer", ["", "n", "no", "yesterday"])
def test_anything_but_yes_deploys_nothing(user: User, answer: str) -> None:
    user.answer = answer
    with pytest.raises(Refused, match="Nothing was deployed"):
        deploy(user.deployment, may_ask=True)
    assert ["synth", "diff"] == user.verbs


def test_where_nobody_can_be_asked_yes_must_have_been_said(user: User) -> None:
    with pytest.raises(Refused, match="YES=1"):
        deploy(user.deployment, may_ask=False)
    assert [] == user.commands


@pytest.mark.parametrize(
    "command", [show_difference, lambda deployment: deploy(deployment, may_ask=True)], ids=["diff", "deploy"]
)
def test_credentials_of_another_account_get_nowhere(
    user: User, monkeypatch: pytest.MonkeyPatch, command: Callable[[Deployment], None]
) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "999988887777")
    with pytest.raises(WrongCredentials, match=r"999988887777 [\s\S]*say 111122223333"):
        command(user.deployment)
    assert [] == user.commands


def test_an_account_that_is_not_bootstrapped_is_told_how(user: User, customer: Customer) -> None:
    customer.client("ssm").delete_parameter(Name="/cdk-bootstrap/hnb659fds/version")
    with pytest.raises(Refused, match="cdk bootstrap aws://111122223333/eu-west-1"):
        deploy(user.deployment, may_ask=True)
    assert [] == user.commands


def test_an_old_bootstrap_is_not_enough(user: User) -> None:
    aws_client("ssm", "eu-west-1").put_parameter(
        Name="/cdk-bootstrap/hnb659fds/version", Value="5", Type="String", Overwrite=True
    )
    with pytest.raises(Refused, match="version 5, and 6 is needed"):
        deploy(user.deployment, may_ask=True)


def test_an_account_that_cannot_reserve_concurrency_is_refused(user: User, clients: WatchedClients) -> None:
    """CloudFormation would fail half-way, and the record's table, which is never deleted, be in the way afterwards."""
    clients.answers["lambda", "get_account_settings"] = lambda **_: lambda_limits(10, 10)
    with pytest.raises(Refused, match="Service Quotas"):
        deploy(user.deployment, may_ask=True)
    assert [] == user.commands


def test_a_limit_that_may_not_be_read_is_no_reason_to_refuse(user: User, clients: WatchedClients) -> None:
    """Whoever deploys needs few rights of his own."""
    clients.deny("lambda", "get_account_settings")
    deploy(user.deployment, may_ask=True)
    assert "deploy" in user.verbs


@pytest.mark.parametrize("code", ["AccessDeniedException", "InternalServerError"])
def test_a_record_that_cannot_be_read_is_refused(user: User, clients: WatchedClients, code: str) -> None:
    """Not to know whether a release is under way is not the same as that there is none."""
    clients.deny("dynamodb", "batch_get_item", code)
    with pytest.raises(Refused, match="cannot be told"):
        deploy(user.deployment, may_ask=True, yes=True)
    assert [] == user.commands


def test_a_record_of_another_shape_is_not_taken_for_a_free_one(user: User, clients: WatchedClients) -> None:
    clients.answers["dynamodb", "batch_get_item"] = lambda **_: {"Responses": {"another-table": []}}
    with pytest.raises(Refused, match="KeyError"):
        deploy(user.deployment, may_ask=True)


def test_a_reason_goes_on_and_is_written_down(user: User, clients: WatchedClients) -> None:
    clients.deny("dynamodb", "batch_get_item")
    deploy(user.deployment, may_ask=True, reason="the console shows no execution")
    assert "deploy" in user.verbs
    assert any("Going on because: the console shows no execution" in line for line in user.screen)


@pytest.mark.parametrize(("verb", "reached"), [("synth", 1), ("diff", 2), ("deploy", 3)])
def test_a_failure_of_the_cdk_ends_it(user: User, verb: str, reached: int) -> None:
    user.exit_codes = {verb: 1}
    with pytest.raises(Refused, match="The CDK ended with 1"):
        deploy(user.deployment, may_ask=True)
    assert reached == len(user.commands)


def test_the_difference_alone_changes_nothing(user: User) -> None:
    show_difference(user.deployment)
    assert ["synth", "diff"] == user.verbs
