"""Whatever an account's alarms look at is measured in it: by load balancer, application, functions and machines."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rehearsal.account import Account
from rehearsal.engine.metrics import Metric
from rehearsal.modelled import InVirtualTime
from rehearsal.scenarios import OLD_VERSION
from rehearsal.world.application import Behaviour
from tests.rehearsal.conftest import quiet_account, users_of

pytestmark = pytest.mark.rehearsed

BALANCER = ("LoadBalancer", "app/receipt-vault-production/50dc6c495c0c9188")
OF_BLUE = (BALANCER, ("TargetGroup", "targetgroup/receipt-vault-production-blue/73e2d6bc24d8a067"))
SERVICE = ("service", "receipt-vault-production")
BLUE_GROUP = (("AutoScalingGroupName", "receipt-vault-production-blue"),)
RATE = 5.0
PATHS = ("/health", "/auth/login", "/api/v2/receipts")


@dataclass(frozen=True)
class Measured:
    """An account of which nothing is released, with users of the old version."""

    account: Account
    since: datetime

    def values(
        self, namespace: str, name: str, dimensions: tuple[tuple[str, str], ...], stat: str, period: int = 60
    ) -> list[float]:
        """Of the whole minutes, or parts of one, since the users began."""
        start = self.since.replace(second=0, microsecond=0) + timedelta(minutes=1)
        metric = Metric(namespace, name, frozenset(dimensions))
        return list(self.account.metrics.values(metric, stat, period, start, start + timedelta(hours=1)).values())


@pytest.fixture
def measured(assembly: Path, tmp_path: Path) -> Iterator[Measured]:
    staging = InVirtualTime(seed=1).with_users(RATE)
    with quiet_account(assembly, tmp_path, "production", staging) as quiet, users_of(quiet, staging, tmp_path):
        yield Measured(quiet.stage.account, quiet.stage.account.clock.now())


def test_everything_is_measured(measured: Measured) -> None:
    measured.account.clock.sleep(240)

    (requests, *_) = measured.values("AWS/ApplicationELB", "RequestCount", OF_BLUE, "Sum")
    assert 60 * RATE <= requests < 70 * RATE  # the probe is a user, too
    assert requests == sum(measured.values("ReceiptVault", "Requests", BLUE_GROUP, "Sum", period=10)[:6])
    assert [0.0] * 6 == measured.values("ReceiptVault", "Errors", BLUE_GROUP, "Sum", period=10)[:6]
    assert [2.0] == measured.values("AWS/ApplicationELB", "HealthyHostCount", OF_BLUE, "Minimum")[:1]
    for namespace, name in (("AWS/EC2", "CPUUtilization"), ("CWAgent", "mem_used_percent")):
        assert [2.0] == measured.values(namespace, name, BLUE_GROUP, "SampleCount")[:1]
    of_database = (("DBInstanceIdentifier", measured.account.settings.database.instance),)
    assert [50.0] == measured.values("AWS/RDS", "DatabaseConnections", of_database, "Maximum")[:1]


def test_functions_publish_what_they_do(measured: Measured) -> None:
    account = measured.account
    start = account.clock.now() - timedelta(minutes=1)
    account.client("stepfunctions").start_execution(
        stateMachineArn=account.stack.state_machine("deploy"), input='{"version": "5d6e7f8"}'
    )
    account.clock.sleep(60)
    steps = Metric("Runback", "Completed", frozenset({("Step", "validate_request"), SERVICE}))
    assert {1.0} == set(account.metrics.values(steps, "Sum", 60, start, start + timedelta(minutes=5)).values())


def test_a_version_that_turns_bad_is_seen_in_its_metrics(measured: Measured) -> None:
    measured.account.clock.sleep(60)
    slow = Behaviour(error_rates=dict.fromkeys(PATHS, 0.5), delay_seconds=dict.fromkeys(PATHS, 3.5), slow_share=0.2)
    measured.account.fleet.behave(OLD_VERSION, slow)
    measured.account.clock.sleep(240)

    errors = measured.values("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", OF_BLUE, "Sum")
    assert errors[1] > 60 * RATE / 3
    assert measured.values("ReceiptVault", "Errors", BLUE_GROUP, "Sum", period=60)[1] > 60 * RATE / 3
    assert measured.values("ReceiptVault", "ResponseTime", BLUE_GROUP, "p95", period=60)[1] > 3
    assert measured.values("ReceiptVault", "ResponseTime", BLUE_GROUP, "p50", period=60)[1] < 0.1
