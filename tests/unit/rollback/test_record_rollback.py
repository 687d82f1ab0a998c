"""What stands in the record when the old color serves again."""

import pytest

from lambdas.errors import LeaseLost
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Live, Phase, PointStatus, RollbackPoint, Work
from lambdas.rollback import record_rollback as function
from tests.builders import BLUE, DEPLOYMENT, OTHER_ROLLBACK, ROLLBACK, at
from tests.fakes import FakeParameters

POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2)
LIVE = Live("new", "2222222", "green", at(2), POINT)


@pytest.fixture
def parameters(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> FakeParameters:
    fake = FakeParameters()
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "parameters", fake)
    return fake


def rolling_back(record: ReleaseRecord, preempted: str = "new") -> Lease:
    first = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id=preempted))
    record.begin_shifting(first, LIVE, Phase.SHIFTING, {}, at(2))
    loser = {"holder": DEPLOYMENT, "release_id": preempted, "intents": {}}
    work = Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new", loser=loser)
    return record.claim(record.read().work, work)


def test_old_release_is_live_again_and_the_way_back_is_used_up(
    record: ReleaseRecord, parameters: FakeParameters
) -> None:
    function.record_rollback(rolling_back(record), "new", "errors", at(6))
    found = record.read()
    assert found.live is not None
    assert (found.live.release_id, found.live.version, found.live.color) == ("old", "1111111", "blue")
    assert found.live.rollback_point is not None
    assert found.live.rollback_point.status is PointStatus.CONSUMED
    assert (found.work.holder, found.work.phase) == (None, Phase.ROLLED_BACK)
    assert (parameters.active, parameters.previous) == ("blue", "green")
    assert record.release("new")["outcome"] == "rolled_back"


@pytest.mark.usefixtures("parameters")
def test_repeating_a_recorded_rollback_changes_nothing(record: ReleaseRecord) -> None:
    lease = rolling_back(record)
    function.record_rollback(lease, "new", "errors", at(6))
    before = record.read()
    function.record_rollback(lease, "new", "errors", at(7))
    assert record.read() == before


@pytest.mark.usefixtures("parameters")
def test_release_that_was_preempted_while_preparing_is_aborted(record: ReleaseRecord) -> None:
    function.record_rollback(rolling_back(record, preempted="next"), "new", "errors", at(6))
    assert record.release("next")["outcome"] == "aborted"


def test_rollback_that_was_taken_over_records_nothing(record: ReleaseRecord, parameters: FakeParameters) -> None:
    lease = rolling_back(record)
    record.claim(record.read().work, Work(holder=OTHER_ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))
    with pytest.raises(LeaseLost):
        function.record_rollback(lease, "new", "errors", at(6))
    assert record.read().live == LIVE
    assert parameters.active == ""
