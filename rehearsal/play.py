"""Play one scenario from beginning to end: the account, the traffic, the scenario, the report."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rehearsal.account import Account, pretend_account
from rehearsal.invariants import Invariants
from rehearsal.permissions import judge_for
from rehearsal.report import Report, make_report
from rehearsal.scenarios import OLD_VERSION, REQUESTS_PER_SECOND, Scenario
from rehearsal.secrecy import told
from rehearsal.settings import Settings
from rehearsal.stage import Speeds, Stage, Stuck
from rehearsal.world.customer import CAPACITY
from rehearsal.world.traffic import Traffic

_OLD_VERSION_UP_WITHIN_SECONDS = 600

Show = Callable[[Stage], AbstractContextManager[None]]


def play(scenario: Scenario, settings: Settings, assembly: Path, folder: Path, show: Show) -> Report:
    """
    Rehearse a scenario and write its report. `folder` receives report.json, the raw samples and all logs.

    Raises Stuck when the scenario cannot go on, and UnsupportedTemplate, before it is played, when the template holds
    what a rehearsal cannot make real or judge.
    """
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    speeds = Speeds()
    with (
        pretend_account(
            settings,
            assembly,
            folder,
            version=OLD_VERSION,
            speed=speeds.waiting,
            circumstances=scenario.circumstances,
        ) as account,
        _traffic(account, folder, scenario.circumstances.sticky_share) as traffic,
    ):
        stage = Stage(account, traffic, speeds)
        invariants = Invariants(settings, account.clock, account.load_balancer, account.fleet, stage.record)
        account.calls.add_observer(invariants.observe)
        judge = judge_for(account)
        with show(stage):
            scenario.play(stage)
            stage.until_all_ended()
        if not traffic.is_running():
            raise Stuck("The users were gone before the end; samples.log says why")
        traffic.stop()
        invariants.conclude(told(account))
        judgement = judge.of(list(account.calls.log))
        report = make_report(
            scenario.name, scenario.expected, stage, invariants, judgement, speeds, time.monotonic() - started
        )
    report.write(folder)
    return report


@contextmanager
def _traffic(account: Account, folder: Path, sticky_share: float) -> Iterator[Traffic]:
    """Send real requests to the first route, once the old version answers them."""
    _until_served(account)
    url = account.load_balancer.url(account.settings.routes[0].arn)
    traffic = Traffic.start(url, REQUESTS_PER_SECOND, folder / "samples.jsonl", sticky_share)
    try:
        yield traffic
    finally:
        traffic.stop()


def _until_served(account: Account) -> None:
    """Wait, on the rehearsal's clock, until the old version is healthy."""
    blue = account.settings.routes[0].blue
    for _ in range(_OLD_VERSION_UP_WITHIN_SECONDS):
        if account.load_balancer.healthy_targets(blue) == CAPACITY:
            return
        account.clock.sleep(1)
    raise Stuck("the old version did not come up; its logs are beside the report")
