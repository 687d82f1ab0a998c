"""A deployment claims, is refused, or waits without the lease."""

from dataclasses import replace
from typing import Any

import pytest

from lambdas.errors import EnvironmentBusy, ListenerDrifted, RollbackWindowOpen
from lambdas.release import claim_environment as function
from lambdas.release.record import Orders, ReleaseRecord
from lambdas.release.rules import InWindow, Live, Phase, PointStatus, RollbackPoint, Work
from lambdas.traffic.freeze_rules import ListenerRule
from tests.builders import BLUE, DEPLOYMENT, GREEN, OTHER_DEPLOYMENT, at
from tests.fakes import KeptRules, ShownListener

POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, 2, window_ends_at=at(30))
LIVE = Live("new", "2222222", "green", at(2), POINT)


@pytest.fixture(autouse=True)
def listener(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> ShownListener:
    """Let release "new" be live within its window, and releases wait for its end."""
    shown = ShownListener({GREEN: 100})
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "load_balancer", shown)
    monkeypatch.setattr(function, "listeners", KeptRules())
    monkeypatch.setattr(function, "settings", replace(function.settings, in_window=InWindow.WAIT))
    lease = record.claim(Work(), Work(holder=OTHER_DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    record.commit(lease, LIVE, at(4))
    record.finish(lease, Phase.COMMITTED, at(4), {})
    return shown


def claim(now: str) -> dict[str, Any]:
    return function.claim_environment(function.Claim(DEPLOYMENT, "next", "3333333", now))


def test_waiting_release_holds_nothing(record: ReleaseRecord) -> None:
    before = record.read()
    answer = claim(at(5))
    assert answer == {
        "lease": {"holder": "", "token": 0},
        "active": "",
        "idle": "",
        "again_at": "2026-03-01T10:06:00Z",
    }
    assert record.read() == before
    assert record.release("next") == {}


@pytest.mark.parametrize("now", [at(30), at(31)])
def test_release_claims_at_the_end_of_the_window(record: ReleaseRecord, now: str) -> None:
    answer = claim(now)
    assert answer == {"lease": {"holder": DEPLOYMENT, "token": 2}, "active": "green", "idle": "blue", "again_at": ""}
    assert record.read().work.phase is Phase.PREPARING


def test_release_claims_as_soon_as_an_operator_has_ended_the_window(record: ReleaseRecord) -> None:
    assert claim(at(5))["again_at"] != ""
    record.end_window(record.read().work, LIVE, Orders("new", [], [{"action": "end-window"}]))
    assert claim(at(6))["lease"] == {"holder": DEPLOYMENT, "token": 2}


def test_waiting_release_is_refused_when_another_one_was_faster(record: ReleaseRecord) -> None:
    claim(at(5))
    record.claim(record.read().work, Work(holder=OTHER_DEPLOYMENT, phase=Phase.PREPARING, release_id="other"))
    with pytest.raises(EnvironmentBusy):
        claim(at(30))
    assert record.read().work.holder == OTHER_DEPLOYMENT


def test_window_refuses_where_settings_do_not_say_wait(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "settings", replace(function.settings, in_window=InWindow.REFUSE))
    before = record.read()
    with pytest.raises(RollbackWindowOpen):
        claim(at(5))
    assert record.read() == before


def test_repeated_claim_gets_the_same_lease() -> None:
    assert claim(at(30)) == claim(at(30))


def test_listener_that_was_moved_is_refused(record: ReleaseRecord, listener: ShownListener) -> None:
    listener.weights = {BLUE: 100}
    before = record.read()
    with pytest.raises(ListenerDrifted):
        claim(at(30))
    assert record.read() == before


def test_release_does_not_begin_while_no_user_reaches_the_application(
    record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore that died has left its freeze: nobody could judge a release that no user meets."""
    left = ListenerRule("arn:left-over", priority=1, answers_everything=True)
    monkeypatch.setattr(function, "listeners", KeptRules([left]))
    before = record.read()
    with pytest.raises(ListenerDrifted, match="rule arn:left-over answers every request"):
        claim(at(30))
    assert record.read() == before


def test_other_rules_are_no_reason_to_refuse_a_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """A customer may use the reserved priority, or answer requests after it."""
    theirs = [ListenerRule("arn:first", priority=1), ListenerRule("arn:later", priority=9, answers_everything=True)]
    monkeypatch.setattr(function, "listeners", KeptRules(theirs))
    assert claim(at(30))["active"] == "green"
