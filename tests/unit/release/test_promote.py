"""Promotion makes the window begin, once."""

import pytest

from lambdas.errors import LeaseLost, ListenerDrifted
from lambdas.release import promote as function
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Live, Phase, PointStatus, RollbackPoint, Work
from tests.builders import BLUE, DEPLOYMENT, GREEN, ROLLBACK, at
from tests.fakes import FakeParameters, ShownListener

LIVE = Live("new", "2222222", "green", at(2), RollbackPoint(PointStatus.VALID, "blue", "1", "old", {"api": BLUE}, 2))


@pytest.fixture(autouse=True)
def listener(monkeypatch: pytest.MonkeyPatch) -> ShownListener:
    shown = ShownListener({GREEN: 100})
    monkeypatch.setattr(function, "load_balancer", shown)
    return shown


@pytest.fixture
def parameters(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> FakeParameters:
    fake = FakeParameters()
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "parameters", fake)
    return fake


@pytest.fixture
def baking(record: ReleaseRecord) -> Lease:
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    record.begin_shifting(lease, LIVE, Phase.BAKING, {}, at(2))
    return lease


def test_promoted_release_is_live_for_its_window(
    record: ReleaseRecord, parameters: FakeParameters, baking: Lease
) -> None:
    ends_at = function.promote(baking, "new", at(3))
    assert ends_at == "2026-03-01T11:03:00+00:00"
    found = record.read()
    assert found.work.phase is Phase.COMMITTED
    assert found.live is not None
    assert found.live.rollback_point is not None
    assert found.live.rollback_point.in_window(at(59))
    assert (parameters.active, parameters.previous) == ("green", "blue")
    assert record.release("new")["outcome"] == "promoted"


@pytest.mark.usefixtures("parameters")
def test_repeated_promotion_does_not_prolong_the_window(baking: Lease) -> None:
    first = function.promote(baking, "new", at(3))
    assert function.promote(baking, "new", at(8)) == first


def test_release_that_was_rolled_back_meanwhile_is_not_promoted(
    record: ReleaseRecord, parameters: FakeParameters, baking: Lease
) -> None:
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))
    with pytest.raises(LeaseLost):
        function.promote(baking, "new", at(3))
    assert parameters.active == ""
    assert record.read().live == LIVE


def test_promotion_that_comes_after_a_rollback_leaves_the_history_alone(
    record: ReleaseRecord, baking: Lease, parameters: FakeParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has passed its own check of the lease, and was then slow."""

    def roll_back_meanwhile(active: str, previous: str) -> None:  # noqa: ARG001
        held = record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))
        record.finish(held, Phase.ROLLED_BACK, at(4), {"new": {"outcome": "rolled_back"}})

    monkeypatch.setattr(parameters, "point_at", roll_back_meanwhile)
    with pytest.raises(LeaseLost):
        function.promote(baking, "new", at(3))
    assert record.release("new")["outcome"] == "rolled_back"
    assert "promoted_at" not in record.release("new")


@pytest.mark.parametrize("shown", [{BLUE: 100}, {BLUE: 30, GREEN: 70}])
def test_release_whose_listener_was_moved_during_the_bake_is_not_promoted(
    record: ReleaseRecord,
    parameters: FakeParameters,
    baking: Lease,
    listener: ShownListener,
    shown: dict[str, int],
) -> None:
    """The console would be green for a release that is not live."""
    listener.weights = shown
    with pytest.raises(ListenerDrifted):
        function.promote(baking, "new", at(3))
    assert parameters.active == ""
    assert record.read().work.phase is Phase.BAKING
