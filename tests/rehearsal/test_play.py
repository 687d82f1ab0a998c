"""A rehearsal begins when the old version is up, however long that took, and ends when nothing goes on any more."""

import json
from pathlib import Path

import pytest

from rehearsal.account import pretend_account
from rehearsal.modelled import InVirtualTime
from rehearsal.play import until_served
from rehearsal.scenarios import OLD_VERSION
from rehearsal.settings import Settings
from rehearsal.stage import Stage
from tests.rehearsal.conftest import _NO_USERS, Quiet

pytestmark = pytest.mark.rehearsed

_SLOW_SECONDS = 15 * 60.0
"""A busy machine may need so many simulated seconds for what is to be there before a rehearsal."""


def test_what_is_wrong_before_the_old_version_is_up_alarms_nobody(assembly: Path, tmp_path: Path) -> None:
    """Hosts that nobody has opened yet answer no probe. That is no outage, and no rollback is to look at it."""
    settings, virtual = Settings.read("staging"), InVirtualTime()
    with pretend_account(settings, assembly, tmp_path, virtual, version=OLD_VERSION) as account:
        account.clock.sleep(_SLOW_SECONDS)
        until_served(account)
        account.clock.sleep(_SLOW_SECONDS)
        alarms = account.client("cloudwatch").describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        found = [*alarms["MetricAlarms"], *alarms["CompositeAlarms"]]

        assert {"OK"} == {each["StateValue"] for each in found}
        assert not account.interpreter.executions


def test_what_goes_wrong_once_it_is_up_does_alarm(assembly: Path, tmp_path: Path) -> None:
    settings, virtual = Settings.read("staging"), InVirtualTime()
    with pretend_account(settings, assembly, tmp_path, virtual, version=OLD_VERSION) as account:
        until_served(account)
        account.database.stop(settings.database_instance)
        account.clock.sleep(_SLOW_SECONDS)

        assert account.interpreter.executions


def test_what_was_started_before_the_play_is_waited_for_as_well(quiet: Quiet) -> None:
    """Somebody may start a machine before anybody looks on: its end is an end that rules deliver."""
    account = quiet.stage.account
    arn = account.client("stepfunctions").start_execution(
        stateMachineArn=account.stack.state_machine("clean-up"), input=json.dumps({})
    )["executionArn"]
    account.clock.sleep(_SLOW_SECONDS)

    late = Stage(account, _NO_USERS, InVirtualTime())
    late.until_all_ended()

    assert late.executions[arn].ended
