"""The protocol's own guards, taken away one by one: each time somebody breaks it, so the model would notice."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from lambdas.operate import free_environment
from lambdas.release import claim_clean_up, claim_environment
from lambdas.release import rules as release_rules
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Live
from lambdas.rollback import claim_rollback, record_rollback, watchdog
from lambdas.rollback import rules as rollback_rules
from lambdas.traffic import settle, switch_listener
from lambdas.traffic.rules import Route, Settling, WayBackHealth
from tests.builders import BLUE, GREEN, LISTENER
from tests.protocol.engine import Engine, Fault
from tests.protocol.protocol import Protocol
from tests.protocol.witness import Witness
from tests.protocol.world import World

FINDS = settings(
    max_examples=300,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    report_multiple_bugs=False,
    print_blob=False,
)


def _no_lease_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ReleaseRecord._lease_update

    def update(*given: Any, **named: Any) -> Any:
        write = real(*given, **named)
        del write["Update"]["ConditionExpression"]
        return write

    monkeypatch.setattr(ReleaseRecord, "_lease_update", update)


def _no_condition_on_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ReleaseRecord._conditional_put

    def put(*given: Any) -> Any:
        return {**real(*given), "ConditionExpression": ""}

    monkeypatch.setattr(ReleaseRecord, "_conditional_put", put)


def _anybody_may_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_environment, "check_deploy_claim", lambda *_, **__: "")


def _settle_undoes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "judge_settling", lambda *_: Settling())


def _old_color_at_weight_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def weights(route: Route, color: str, percent: int) -> dict[str, int]:
        other = route.green if color == "blue" else route.blue
        return {route.target_group(color): percent, other: 100 - percent}

    monkeypatch.setattr(Route, "weights", weights)


def _back_to_a_color_that_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch_listener, "judge_way_back", lambda *_: WayBackHealth(may_switch=True))


def _clean_up_in_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_rules, "_window_still_open", lambda *_: "")


def _clean_up_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_clean_up, "decide_clean_up", _always_clean)


def _always_clean(*_: Any) -> release_rules.CleanUpVerdict:
    return release_rules.CleanUpVerdict(release_rules.CleanUp.CLEAN, "always")


def _the_point_is_not_consumed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = record_rollback.restored

    def restored(live: Live | None, now: str) -> Live:
        back = real(live, now)
        assert back.rollback_point is not None
        valid = replace(back.rollback_point, status=release_rules.PointStatus.VALID)
        return replace(back, rollback_point=valid)

    monkeypatch.setattr(record_rollback, "restored", restored)


def _a_second_rollback_never_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback_rules, "STALE_AFTER_SECONDS", -1)


def _the_watchdog_sees_nobody_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_lost_holder", lambda *_: "")


def _late_events_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback_rules, "_why_too_late", lambda *_: "")


def _the_living_are_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_environment, "_why_not", lambda *_: None)


def _a_rollback_forgets_whom_it_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    real = claim_rollback.claimed_work

    def claimed(record: Any, verdict: Any, execution: str, now: str) -> Any:
        return replace(real(record, verdict, execution, now), loser={})

    monkeypatch.setattr(claim_rollback, "claimed_work", claimed)


GUARDS: Mapping[str, Callable[[pytest.MonkeyPatch], None]] = {
    each.__name__.removeprefix("_"): each
    for each in (
        _no_lease_comparison,
        _no_condition_on_the_claim,
        _anybody_may_claim,
        _old_color_at_weight_zero,
        _back_to_a_color_that_is_not_healthy,
        _clean_up_in_the_window,
        _clean_up_before_the_commit,
        _the_point_is_not_consumed,
        _a_second_rollback_never_joins,
        _the_watchdog_sees_nobody_dead,
        _late_events_count,
        _the_living_are_freed,
    )
}
LATE_WRITES = (_settle_undoes_nothing, _a_rollback_forgets_whom_it_beat)


@pytest.mark.parametrize("missing", GUARDS)
def test_without_this_guard_the_protocol_is_broken(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    GUARDS[missing](monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Protocol, settings=FINDS)


def _after_a_late_write(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a shift's write come after the rollback that has beaten it; return what does not hold in the end."""
    world = World()
    world.install(monkeypatch)
    engine, witness = Engine(world), Witness(world)
    witness.watch()
    deployment = engine.start("deploy", "2222222")
    assert deployment is not None
    while deployment.pending is not None and deployment.pending.name != "shift to 10":
        engine.advance(deployment)
    engine.advance(deployment, Fault.STALLS_AT_WRITE, 2)
    assert world.weights[LISTENER] == {BLUE: 100}
    rollback = engine.start("rollback", {})
    assert rollback is not None
    engine.advance(rollback)
    engine.advance(rollback)
    engine.go_on(deployment)
    assert world.weights[LISTENER] == {BLUE: 90, GREEN: 10}
    engine.come_to_rest()
    witness.conclude()
    engine.close()
    return [*witness.problems, *world.pages]


def test_a_late_write_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _after_a_late_write(monkeypatch) == []


@pytest.mark.parametrize("without", LATE_WRITES)
def test_without_settle_a_late_write_stays_or_a_human_is_called(
    without: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So rare a coincidence is not left to chance."""
    without(monkeypatch)
    assert _after_a_late_write(monkeypatch) != []
