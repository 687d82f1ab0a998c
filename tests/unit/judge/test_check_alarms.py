"""A release does not begin while a critical alarm is on, unless somebody says why."""

from typing import Any

import pytest

from lambdas.errors import AlarmsAreOn, AlarmsMissing, LeaseLost
from lambdas.judge import check_alarms as function
from lambdas.judge.alarms import Alarms
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from tests.builders import ROLLBACK, at
from tests.unit.judge.cloudwatch import CRITICAL, WARNING, FakeCloudWatch

GREEN = CRITICAL[1]


@pytest.fixture(autouse=True)
def wired(record: ReleaseRecord, cloudwatch: FakeCloudWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "alarms", Alarms(cloudwatch.client(), function.settings.alarms))


def check(lease: Lease, despite: str = "") -> dict[str, Any]:
    event = {"lease": lease.as_event(), "release_id": "new", "despite_alarms": despite, "now": at(3)}
    answer: dict[str, Any] = function.lambda_handler.__wrapped__(event, None)
    return answer


def test_release_begins_while_no_critical_alarm_is_on(
    record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease
) -> None:
    before = record.release("new")
    cloudwatch.on = {WARNING: at(0)}
    assert check(lease) == {"on": []}
    assert check(lease, "just in case") == {"on": []}
    assert record.release("new") == before


@pytest.mark.parametrize("name", CRITICAL)
def test_every_critical_alarm_stops_it(
    record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease, name: str
) -> None:
    before = record.release("new")
    cloudwatch.on = {name: at(0)}
    with pytest.raises(AlarmsAreOn) as refused:
        check(lease)
    assert f"{name} is on since 2026-03-01T10:00:00Z" in str(refused.value)
    assert '{"version": "…", "despite_alarms": "<reason>"}' in str(refused.value)
    assert record.release("new") == before


def test_reason_lets_it_begin_and_is_recorded(record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease) -> None:
    cloudwatch.on = {GREEN: at(0)}
    for _ in range(2):
        assert check(lease, "this mends it") == {"on": [GREEN]}
    assert record.release("new")["despite_alarms"] == {"at": at(3), "reason": "this mends it", "on": [GREEN]}


def test_reason_is_none_for_alarms_that_are_gone(cloudwatch: FakeCloudWatch, lease: Lease) -> None:
    cloudwatch.alarms.remove(GREEN)
    with pytest.raises(AlarmsMissing):
        check(lease, "this mends it")


def test_loser_reads_nothing(record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease) -> None:
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        check(lease)
    assert cloudwatch.asked == []
