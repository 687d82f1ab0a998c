"""Two environments of one account: what each has for itself, and what both see."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.account import pretend_account
from rehearsal.invariants import Invariants
from rehearsal.modelled import InVirtualTime
from rehearsal.permissions import judge_for
from rehearsal.play import beside, until_served
from rehearsal.scenarios import NEW_VERSION, OLD_VERSION, Scenario
from rehearsal.settings import Settings, UnknownEnvironment
from rehearsal.stage import Stage
from rehearsal.world import traffic
from rehearsal.world.routing import Request
from tests.rehearsal.conftest import _NO_USERS

pytestmark = pytest.mark.rehearsed

MACHINE = "AWS::StepFunctions::StateMachine"
PRODUCTION, STAGING = Settings.read("production"), Settings.read("staging")


@pytest.fixture
def stage(assembly: Path, tmp_path: Path) -> Iterator[Stage]:
    """Return production's stage, with staging beside it; the old version is healthy in both."""
    virtual = InVirtualTime()
    with pretend_account(PRODUCTION, assembly, tmp_path, virtual, version=OLD_VERSION, beside=[STAGING]) as account:
        until_served(account)
        yield Stage(account, _NO_USERS, virtual)


def test_each_environment_has_what_is_its_own_and_shares_what_is_the_account_s(stage: Stage) -> None:
    production, staging = stage.account, stage.account.beside["staging"]

    for own in ("stack", "cache", "terraform", "strain"):
        assert getattr(production, own) is not getattr(staging, own)
    for shared in ("clock", "calls", "interpreter", "load_balancer", "fleet", "database", "builds", "whole"):
        assert getattr(production, shared) is getattr(staging, shared)
    machines = [each.physical_id for each in production.whole.resources.values() if each.type == MACHINE]
    assert {stack.state_machine("deploy") for stack in (production.stack, staging.stack)} <= set(machines)


def test_a_stage_sees_the_executions_of_its_own_environment_alone(stage: Stage) -> None:
    """And the other one's end wakes who waits on this one for it."""
    staging = stage.beside["staging"]

    refused = staging.start_deployment({"version": "no version"})
    stage.until(lambda: refused.ended, "the other environment's execution did not end")
    stage.until_all_ended()

    assert ("deploy", "FAILED") == (refused.machine, refused.status)
    assert refused in staging.executions.values()
    assert {} == stage.executions


def test_a_release_of_one_environment_leaves_the_other_one_alone(stage: Stage) -> None:
    """Same versions, same names but for the environment's, same account: and no call is denied."""
    account, staging = stage.account, stage.beside["staging"]
    invariants = [
        Invariants(
            each.account.settings,
            account.clock,
            account.load_balancer,
            account.fleet,
            each.record,
            account.builds,
            each.account.terraform,
        )
        for each in (stage, staging)
    ]
    for each in invariants:
        account.calls.add_observer(each.observe)
    judge = judge_for(account)

    ended = staging.until_ended(staging.start_deployment({"version": NEW_VERSION}))
    stage.until_all_ended()

    assert "SUCCEEDED" == ended.status, ended.cause
    assert [[], []] == [each.violations for each in invariants]
    assert NEW_VERSION == staging.record.live["version"]
    assert {} == stage.record.live
    versions = {
        group.auto_scaling_group: {each.version for each in account.fleet.instances(group.auto_scaling_group)}
        for settings in (PRODUCTION, STAGING)
        for group in settings.colors.values()
    }
    assert {
        "receipt-vault-production-blue": {OLD_VERSION},
        "receipt-vault-production-green": set(),
        "receipt-vault-staging-blue": set(),
        "receipt-vault-staging-green": {NEW_VERSION},
    } == versions
    judgement = judge.of(list(account.calls.log))
    assert ([], []) == (judgement.denied, judgement.malformed)


def test_each_environment_has_its_own_log_and_cache(stage: Stage) -> None:
    """What users of the one do is not counted for the other, and a cache that is lost is lost for one of them."""
    production, staging = stage.account, stage.account.beside["staging"]
    staging.cache.stop()

    statuses = [_log_in(stage, settings) for settings in (PRODUCTION, STAGING)]
    stage.wait(1)

    assert [200, 503] == statuses
    logs = production.client("logs")
    for settings, status in zip((PRODUCTION, STAGING), statuses, strict=True):
        pattern = '{ $.path = "/auth/login" }'
        found = logs.filter_log_events(logGroupName=settings.log_group, filterPattern=pattern)["events"]
        assert [str(status) in each["message"] for each in found] == [True]


def _log_in(stage: Stage, settings: Settings) -> int:
    body = json.dumps({"email": traffic.EMAIL, "password": traffic.PASSWORD}).encode()
    plane = stage.account.world.counters
    request = Request("POST", "/auth/login", {"Content-Type": "application/json"}, body)
    return int(plane.answer(settings.routes[0].arn, request).status)


def test_a_scenario_cannot_have_an_environment_beside_itself() -> None:
    scenario = Scenario("two", "two at once", "promoted", lambda _: None, beside="staging")

    assert [STAGING] == beside(scenario, PRODUCTION)
    with pytest.raises(UnknownEnvironment, match="rehearse it on another environment"):
        beside(scenario, STAGING)
