import json
from dataclasses import replace
from types import MappingProxyType

import pytest

from lambdas.errors import ListenerDrifted, TargetGroupUnhealthy
from lambdas.release.rules import HealthReading, Live
from lambdas.traffic.rules import (
    Route,
    TargetHealth,
    active_color,
    intents_of,
    judge_settling,
    judge_way_back,
    require_capacity,
    require_known,
    require_live,
    weights_for_tests,
)
from tests.builders import BLUE, GREEN, LISTENER, ROUTES, TEST_LISTENER, at

(ROUTE,) = Route.all_from_json(json.dumps(ROUTES))


def test_route_is_a_listener_or_a_rule_of_one() -> None:
    site = {
        "name": "site",
        "listener_arn": None,
        "rule_arn": "rule",
        "test_listener_arn": None,
        "test_rule_arn": "test-rule",
        "blue": "site-blue",
        "green": "site-green",
    }
    assert Route.all_from_json(json.dumps([*ROUTES, site])) == (
        Route(name="api", arn=LISTENER, test_arn=TEST_LISTENER, blue=BLUE, green=GREEN),
        Route(name="site", arn="rule", test_arn="test-rule", blue="site-blue", green="site-green"),
    )


def test_all_traffic_means_a_single_target_group() -> None:
    """With weight 0 beside it, a stickiness cookie would keep clients on the other color."""
    assert ROUTE.weights("green", 100) == {GREEN: 100}


def test_share_of_a_color_leaves_the_rest_to_the_other() -> None:
    assert ROUTE.weights("green", 10) == {GREEN: 10, BLUE: 90}
    assert ROUTE.weights("blue", 10) == {BLUE: 10, GREEN: 90}


@pytest.mark.parametrize("weights", [{BLUE: 100}, {BLUE: 1, GREEN: 0}])
def test_color_with_all_traffic_is_active(weights: dict[str, int]) -> None:
    assert active_color([ROUTE], {LISTENER: weights}) == "blue"


@pytest.mark.parametrize("weights", [{BLUE: 90, GREEN: 10}, {"unknown": 100}, {}])
def test_divided_or_unknown_traffic_has_no_active_color(weights: dict[str, int]) -> None:
    with pytest.raises(ListenerDrifted, match="'api'"):
        active_color([ROUTE], {LISTENER: weights})


def test_routes_that_disagree_have_no_active_color() -> None:
    second = Route("site", "rule", "test-rule", "site-blue", "site-green")
    with pytest.raises(ListenerDrifted, match="do not agree"):
        active_color([ROUTE, second], {LISTENER: {BLUE: 100}, "rule": {"site-green": 100}})


def test_all_traffic_on_another_color_than_the_live_release_is_a_surprise() -> None:
    """Somebody has moved it, and only a human knows why."""
    live = Live("new", "2222222", "green", since=at(0))
    with pytest.raises(ListenerDrifted, match="All traffic is on blue, but release new went live on green") as raised:
        require_live([ROUTE], {LISTENER: {BLUE: 100}}, live)
    assert "Put the listener back by hand, or start a rollback." in str(raised.value)
    assert require_live([ROUTE], {LISTENER: {GREEN: 100}}, live) == "green"


def test_where_nothing_was_released_yet_either_color_may_be_active() -> None:
    assert require_live([ROUTE], {LISTENER: {BLUE: 100}}, None) == "blue"


def test_listener_moved_by_others_is_not_touched() -> None:
    with pytest.raises(ListenerDrifted, match="'api'"):
        require_known(ROUTE, {BLUE: 50, GREEN: 50}, [{BLUE: 100}, {BLUE: 90, GREEN: 10}])
    require_known(ROUTE, {BLUE: 90, GREEN: 10}, [{BLUE: 100}, {BLUE: 90, GREEN: 10}])


def test_color_takes_traffic_only_at_full_size() -> None:
    with pytest.raises(TargetGroupUnhealthy, match="1 healthy targets on route 'api', and 2"):
        require_capacity("green", ROUTE, TargetHealth(healthy=1, unknown=1), wanted=2)
    require_capacity("green", ROUTE, TargetHealth(healthy=2, unknown=0), wanted=2)


FRESH, OLD = HealthReading("blue", 2, at(6)), HealthReading("blue", 2, at(4))


@pytest.mark.parametrize(
    ("measured", "last", "may_switch", "concern"),
    [
        (TargetHealth(2, 0), None, True, ""),
        (TargetHealth(1, 0), None, True, "only 1 of 2"),
        (TargetHealth(0, 0), FRESH, False, "no healthy target"),
        (TargetHealth(0, 1), FRESH, True, "could not be read"),
        (TargetHealth(0, 1), OLD, True, "without knowing"),
        (None, FRESH, True, "could not be read"),
        (None, replace(FRESH, healthy=1), True, "could not be read"),
        (None, replace(FRESH, at=at(5)), True, "without knowing"),
        (None, HealthReading("blue", 0, at(6)), False, "could not be read"),
        (None, HealthReading("green", 2, at(6)), True, "without knowing"),
        (None, OLD, True, "without knowing"),
        (None, None, True, "without knowing"),
    ],
)
def test_way_back_is_judged_by_the_best_knowledge_there_is(
    measured: TargetHealth | None, last: HealthReading | None, concern: str, *, may_switch: bool
) -> None:
    verdict = judge_way_back("blue", measured, last, wanted=2, now=at(10))
    assert verdict.may_switch is may_switch
    assert concern in verdict.concern
    assert bool(concern) is bool(verdict.concern)


@pytest.mark.parametrize(
    ("current", "undo", "drifted"),
    [
        ({BLUE: 100}, False, False),
        ({BLUE: 100, GREEN: 0}, True, False),
        ({BLUE: 90, GREEN: 10}, True, False),
        ({BLUE: 50, GREEN: 50}, False, True),
        ({GREEN: 100}, False, True),
    ],
)
def test_settle_undoes_only_what_the_loser_meant_to_write(
    current: dict[str, int], *, undo: bool, drifted: bool
) -> None:
    verdict = judge_settling(current, {BLUE: 100}, {BLUE: 90, GREEN: 10})
    assert (verdict.undo, verdict.drifted) == (undo, drifted)


def test_without_a_loser_every_change_is_a_humans() -> None:
    assert judge_settling({GREEN: 100}, {BLUE: 100}, None).drifted


@pytest.mark.parametrize(
    ("color", "live", "forwarded"),
    [
        ("green", {BLUE: 100}, {GREEN: 100}),
        ("green", {BLUE: 1, GREEN: 99}, {GREEN: 100}),
        ("blue", {GREEN: 100}, {BLUE: 100}),
        ("green", {GREEN: 100}, {GREEN: 100, BLUE: 0}),
        ("blue", {BLUE: 100}, {BLUE: 100, GREEN: 0}),
    ],
)
def test_color_that_users_do_not_meet_stays_named_for_tests(
    color: str, live: dict[str, int], forwarded: dict[str, int]
) -> None:
    """A target group that no listener names is not health-checked, and it may be the way back."""
    assert weights_for_tests(ROUTE, color, live) == forwarded


def test_intents_are_kept_as_plain_values() -> None:
    """DynamoDB takes nothing else."""
    assert intents_of({"api": MappingProxyType({BLUE: 100})}) == {"api": {BLUE: 100}}
