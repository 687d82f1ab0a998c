"""Play one scenario from beginning to end: the account, the traffic, the scenario, the report."""

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from rehearsal.account import Account, pretend_account
from rehearsal.invariants import Invariants
from rehearsal.permissions import judge_for
from rehearsal.report import Report, make_report
from rehearsal.scenarios import OLD_VERSION, Scenario
from rehearsal.secrecy import told
from rehearsal.settings import Settings, UnknownEnvironment
from rehearsal.stage import Stage, Stuck
from rehearsal.staging import Staging
from rehearsal.world import customer
from rehearsal.world.customer import CAPACITY

_OLD_VERSION_UP_WITHIN_SECONDS = 600
_USERS_FIRST = 10
"""Requests before a scenario begins: what nobody could notice proves nothing."""

Show = Callable[[Stage], AbstractContextManager[None]]
Conclude = Callable[[Report, Stage], object]
"""Is called at the end, while the account can still be asked."""


def nothing_more(report: Report, stage: Stage) -> None:
    """Conclude with nothing."""
    del report, stage


def play(
    scenario: Scenario,
    settings: Settings,
    assembly: Path,
    folder: Path,
    show: Show,
    staging: Staging,
    conclude: Conclude = nothing_more,
) -> Report:
    """
    Rehearse a scenario and write its report. `folder` receives report.json, the raw samples and all logs.

    Raises Stuck when the scenario cannot go on, and UnsupportedTemplate, before it is played, when the template holds
    what a rehearsal cannot make real or judge.
    """
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with pretend_account(
        settings,
        assembly,
        folder,
        staging,
        version=OLD_VERSION,
        circumstances=scenario.circumstances,
        beside=beside(scenario, settings),
    ) as account:
        return perform(scenario, account, staging, show, started, conclude)


def beside(scenario: Scenario, settings: Settings) -> list[Settings]:
    """Return the settings of the environments that a scenario needs beside the one that it is rehearsed on."""
    named = [scenario.beside] if scenario.beside else []
    if settings.environment in named:
        raise UnknownEnvironment(f"{scenario.name} has {scenario.beside} beside it: rehearse it on another environment")
    return [Settings.read(each) for each in named]


def perform(
    scenario: Scenario,
    account: Account,
    staging: Staging,
    show: Show,
    started: float,
    conclude: Conclude = nothing_more,
) -> Report:
    """Play a scenario in an account that was built for it, once. `started` is when that began, `time.monotonic`."""
    until_served(account)
    listener, samples = account.settings.routes[0].arn, account.folder / "samples.jsonl"
    staging = staging.with_users(scenario.circumstances.requests_per_second)
    sticky_share = scenario.circumstances.sticky_share
    with staging.traffic(account.clock, account.world, listener, samples, sticky_share) as traffic:
        stage = Stage(account, traffic, staging)
        stage.until_answered(lambda samples: len(samples) >= _USERS_FIRST, "the users got no answers")
        invariants = _invariants(stage)
        others = [_invariants(each) for each in stage.beside.values()]
        judge = judge_for(account)
        with show(stage):
            scenario.play(stage)
            stage.until_all_ended()
        if not traffic.is_running():
            raise Stuck("The users were gone before the end; samples.log says why")
        traffic.stop()
        invariants.conclude(told(account))
        for each in others:
            each.conclude([])
            invariants.add(each)
        judgement = judge.of(list(account.calls.log))
        report = make_report(
            scenario.name, scenario.expected, stage, invariants, judgement, staging, time.monotonic() - started
        )
        conclude(report, stage)
    report.write(account.folder)
    return report


def _invariants(stage: Stage) -> Invariants:
    """Begin to watch the environment of a stage."""
    account = stage.account
    invariants = Invariants(
        account.settings,
        account.clock,
        account.load_balancer,
        account.fleet,
        stage.record,
        account.builds,
        account.terraform,
    )
    account.calls.add_observer(invariants.observe)
    return invariants


def until_served(account: Account) -> None:
    """
    Let functions find hosts, database and cache, and wait until the old version is healthy in all environments.

    Only now the account is one in which something can be rehearsed: alarms take all to have been well until here,
    however long it took. Raises Stuck when the old version does not come up.
    """
    environments = (account, *account.beside.values())
    for each in environments:
        customer.open_to_functions(each.settings, each.world)
    for each in environments:
        _until_healthy(each)
    account.alarms.assume_well(until=account.clock.now())


def _until_healthy(account: Account) -> None:
    """Wait, on the rehearsal's clock, until the old version is healthy."""
    blue = account.settings.routes[0].blue
    for _ in range(_OLD_VERSION_UP_WITHIN_SECONDS):
        if account.load_balancer.healthy_targets(blue) == CAPACITY:
            return
        account.clock.sleep(1)
    raise Stuck("the old version did not come up; its logs are beside the report")
