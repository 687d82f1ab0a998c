"""Two of the same at once or one after the other: a second release in the middle of the first, a second rollback."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rehearsal.engine.calls import Call
from rehearsal.modelled import InVirtualTime
from rehearsal.scenarios import NEW_VERSION, OLD_VERSION, OTHER_VERSION
from rehearsal.stage import Execution
from tests.rehearsal.conftest import Quiet, quiet_account, users_of

pytestmark = pytest.mark.rehearsed


@dataclass(frozen=True)
class Moment:
    """What an account shows: how many calls there were so far, and the record."""

    calls: int
    lease: dict[str, Any]
    live: dict[str, Any]

    @classmethod
    def now(cls, account: Quiet) -> "Moment":
        record = account.stage.record
        return cls(len(account.stage.account.calls.log), record.lease, record.live)


@dataclass(frozen=True)
class Day:
    """
    An operator's day: a release, another one in the middle of it, and then two rollbacks.

    `after` is what the account showed, by what had just happened.
    """

    account: Quiet
    released: Execution
    refused: Execution
    rollbacks: tuple[Execution, Execution]
    after: dict[str, Moment]

    def changes(self, since: str, until: str) -> list[Call]:
        """Return what functions changed between two moments, but for the watchdog's readings of the way back."""
        watchdog = self.account.stage.account.stack.function("watchdog")
        changes = self.account.changes(self.after[since].calls, self.after[until].calls)
        return [call for call in changes if call.caller != watchdog]


@pytest.fixture(scope="module")
def day(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Return one day for all tests, which only look at it."""
    staging, folder = InVirtualTime(), tmp_path_factory.mktemp("day")
    with quiet_account(assembly, folder, "production", staging) as account, users_of(account, staging, folder):
        stage, after = account.stage, {}
        released = stage.start_deployment({"version": NEW_VERSION})
        stage.until_entered(released, "Prepare idle color")
        after["claim"] = Moment.now(account)
        refused = stage.start_deployment({"version": OTHER_VERSION})
        account.until_dealt_with(refused)
        after["refusal"] = Moment.now(account)
        stage.until_ended(released)
        after["release"] = Moment.now(account)
        once = stage.until_ended(stage.start_rollback({}))
        after["rollback"] = Moment.now(account)
        twice = stage.until_ended(stage.start_rollback({}))
        after["second rollback"] = Moment.now(account)
        return Day(account, released, refused, (once, twice), after)


def test_a_second_deployment_is_refused_with_a_reason(day: Day) -> None:
    release = day.after["claim"].lease["release_id"]

    assert ("FAILED", "ReleaseRefused") == (day.refused.status, day.refused.error)
    works = rf"Release {release} is (preparing|shifting) under execution {day.released.arn}\."
    assert re.search(works, str(day.refused.cause))  # it had planned its infrastructure first, beside the other one
    assert "Start again when it has ended" in str(day.refused.cause)


def test_a_refused_deployment_changes_nothing(day: Day) -> None:
    """It tells the people on call, and that is all; the release under way does not notice."""
    involved = ("validate-request", "claim-environment", "claim-rollback", "notify")
    functions = {day.account.stage.account.stack.function(name) for name in involved}
    changes = [call.action for call in day.changes("claim", "refusal") if call.caller in functions]

    assert ["Publish"] == changes
    before, after = (day.after[moment].lease for moment in ("claim", "refusal"))
    assert (before["holder"], before["token"]) == (after["holder"], after["token"])
    assert "SUCCEEDED" == day.released.status
    assert NEW_VERSION == day.after["release"].live["version"]


def test_rolling_back_twice_equals_once(day: Day) -> None:
    """Two people may have the same idea; the second one must not bring the bad version back."""
    once, twice = day.rollbacks
    assert ("SUCCEEDED", "Rolled back") == (once.status, once.states[-1])
    assert ("SUCCEEDED", "Nothing to roll back") == (twice.status, twice.states[-1])

    moves = [call for call in day.changes("release", "second rollback") if call.action == "ModifyListener"]
    assert 1 == len(moves)
    assert [] == day.changes("rollback", "second rollback")
    record_once, record_twice = day.after["rollback"], day.after["second rollback"]
    assert (record_once.lease, record_once.live) == (record_twice.lease, record_twice.live)
    assert OLD_VERSION == record_twice.live["version"]


def test_no_invariant_was_broken(day: Day) -> None:
    assert [] == day.account.invariants.violations
