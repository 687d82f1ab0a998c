"""The clean-up's claim gives the way back up with the same write that takes the environment, or changes nothing."""

from dataclasses import replace
from typing import Any

import pytest

from lambdas.errors import ListenerDrifted
from lambdas.release import claim_clean_up as function
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import (
    EnvironmentRecord,
    Lease,
    Live,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    read_clean_up_request,
)
from tests.builders import BLUE, CLEAN_UP, DEPLOYMENT, GREEN, ROLLBACK, at
from tests.fakes import ShownListener

POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, 2, window_ends_at=at(5))
LIVE = Live("new", "2222222", "green", at(2), POINT)
NOBODY = {"holder": "", "token": 0}


@pytest.fixture(autouse=True)
def listener(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> ShownListener:
    shown = ShownListener({GREEN: 100})
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "load_balancer", shown)
    return shown


@pytest.fixture
def promoted(record: ReleaseRecord) -> Lease:
    """Return the lease that a deployment had, which has promoted release "new" and gone."""
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    record.commit(lease, LIVE, at(4))
    record.finish(lease, Phase.COMMITTED, at(4), {})
    return lease


def claim(now: str = at(6), given: object = None, execution: str = CLEAN_UP) -> dict[str, Any]:
    return function.claim_clean_up(read_clean_up_request({} if given is None else given), execution, now)


def test_clean_up_takes_the_environment_and_gives_the_way_back_up(record: ReleaseRecord, promoted: Lease) -> None:
    answer = claim()
    assert (answer["action"], answer["release_id"], answer["color"]) == ("clean", "new", "blue")
    assert answer["lease"] == {"holder": CLEAN_UP, "token": promoted.token + 1}
    found = record.read()
    assert (found.work.holder, found.work.phase, found.work.release_id) == (CLEAN_UP, Phase.CLEANING_UP, "new")
    assert found.live == replace(LIVE, rollback_point=replace(POINT, status=PointStatus.EXPIRED))


@pytest.mark.usefixtures("promoted")
def test_repeated_claim_gives_the_same_lease(listener: ShownListener) -> None:
    """The answer of the first attempt can be lost; whether the listener has moved since is for the next step to see."""
    first = claim()
    listener.weights = {BLUE: 100}
    second = claim(now=at(7))
    assert (first["action"], first["lease"]) == (second["action"], second["lease"])


@pytest.mark.parametrize("given", [{}, {"release_id": "new"}, {"release_id": "older"}, []])
@pytest.mark.usefixtures("promoted")
def test_clean_up_that_has_nothing_to_do_yet_changes_nothing(record: ReleaseRecord, given: object) -> None:
    before = record.read()
    answer = claim(at(4, 59), given)
    assert answer["action"] != "clean"
    assert answer["lease"] == NOBODY
    assert record.read() == before


def test_empty_record_has_nothing_to_clean_up(record: ReleaseRecord) -> None:
    assert claim()["action"] == "nothing"
    assert record.read() == EnvironmentRecord()


@pytest.mark.usefixtures("promoted")
@pytest.mark.parametrize("shown", [{BLUE: 100}, {BLUE: 30, GREEN: 70}])
def test_drifted_listener_keeps_its_way_back(
    record: ReleaseRecord, listener: ShownListener, shown: dict[str, int]
) -> None:
    """Somebody has moved traffic to the very color that would be scaled in."""
    listener.weights = shown
    before = record.read()
    with pytest.raises(ListenerDrifted):
        claim()
    assert record.read() == before


@pytest.mark.usefixtures("promoted")
def test_rollback_goes_first(record: ReleaseRecord) -> None:
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))
    before = record.read()
    answer = claim()
    assert (answer["action"], answer["again_at"]) == ("wait", "2026-03-01T10:07:00Z")
    assert answer["lease"] == NOBODY
    assert record.read() == before


class ClaimedInBetween(ReleaseRecord):
    """A record in which a rollback claims right after the environment was seen to be free."""

    def read(self) -> EnvironmentRecord:
        found = super().read()
        if found.work.holder is None:
            super().claim(found.work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))
        return found


@pytest.mark.usefixtures("promoted")
def test_rollback_that_was_faster_finds_its_way_back_untouched(
    record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "record", ClaimedInBetween(record.dynamodb, record.table, record.environment))
    answer = claim()
    assert (answer["action"], answer["again_at"], answer["lease"]) == ("wait", "2026-03-01T10:07:00Z", NOBODY)
    found = record.read()
    assert (found.work.holder, found.live) == (ROLLBACK, LIVE)
