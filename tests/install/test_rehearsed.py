"""Doctor and deploy beside a real release, in the rehearsal's account, where Runback runs as it is shipped."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdk.settings import EnvironmentSettings
from install.account import Account
from install.deploy import Deployment, Refused, deploy
from install.doctor import examine
from install.findings import HARMLESS, Finding
from rehearsal.engine.calls import Call
from rehearsal.scenarios import NEW_VERSION
from tests.install.clients import WatchedClients
from tests.install.customer import Customer
from tests.rehearsal.conftest import quiet_account

pytestmark = pytest.mark.rehearsed


@dataclass(frozen=True)
class Seen:
    """What was found, and which calls it took."""

    findings: list[Finding]
    calls: list[Call]

    @property
    def complaints(self) -> list[Finding]:
        return [each for each in self.findings if each.level not in HARMLESS]

    @property
    def says(self) -> str:
        return "\n".join(f"{each.field}: {each.says}" for each in self.findings)


@dataclass(frozen=True)
class Day:
    """What doctor saw before, in the middle of and after a release, and how a deployment was refused meanwhile."""

    before: Seen
    during: Seen
    refusal: str
    after: Seen


@pytest.fixture(scope="module")
def day(assembly: Path, tmp_path_factory: pytest.TempPathFactory, settings: EnvironmentSettings) -> Iterator[Day]:
    with quiet_account(assembly, tmp_path_factory.mktemp("day")) as quiet:
        stage, customer = quiet.stage, Customer(settings)
        clients = WatchedClients(settings.region)
        del clients.answers["autoscaling", "describe_instance_refreshes"]  # the rehearsal's fleet knows its own
        log = stage.account.calls.log
        _complete(customer)

        def look() -> Seen:
            since = len(log)
            findings = [each for part in examine(settings, Account(clients)) for each in part.findings]
            return Seen(findings, [call for call in log[since:] if call.caller is None])

        before = look()
        release = stage.start_deployment({"version": NEW_VERSION})
        stage.until_entered(release, "Prepare idle color")
        during = look()
        with pytest.raises(Refused) as refused:
            deploy(_deployment(settings, clients), may_ask=True)
        stage.until_all_ended()
        yield Day(before, during, str(refused.value), look())


def _complete(customer: Customer) -> None:
    """Add what the rehearsal's account does not have: no function there looks at it."""
    customer.bootstrap()
    customer.network()
    customer.name_database()


def _deployment(settings: EnvironmentSettings, clients: WatchedClients) -> Deployment:
    def refuse_to_run(_: object) -> int:
        raise AssertionError("the CDK was called")

    return Deployment(settings, Account(clients), run=refuse_to_run, say=lambda _: None, ask=lambda _: "y")


def test_nothing_is_missing_before_and_after_a_release(day: Day) -> None:
    """What a release leaves behind, such as a pinned launch template version, is no fault."""
    assert [] == day.before.complaints
    assert [] == day.after.complaints
    assert "routes[0].listener_arn: forwards to blue" in day.before.says
    assert "routes[0].listener_arn: forwards to green" in day.after.says


def test_the_holder_is_named_while_there_is_one(day: Day) -> None:
    assert "environment: is held by nobody" in day.before.says
    assert "phase preparing" in day.during.says
    assert "environment: is held by nobody" in day.after.says


def test_no_deployment_in_the_middle_of_a_release(day: Day) -> None:
    assert (
        "staging is held by arn:aws:states:eu-west-1:111122223333:execution:receipt-vault-staging-deploy:"
        in day.refusal
    )
    assert "phase preparing" in day.refusal


def test_doctor_only_reads(day: Day) -> None:
    """As the account saw it, whatever the code believes of itself."""
    calls = [call for seen in (day.before, day.after) for call in seen.calls]
    assert len(calls) > 50
    assert {call.service for call in calls if call.mutating} <= {"stepfunctions", "events"}
    assert "GetSecretValue" not in {call.action for call in calls}
