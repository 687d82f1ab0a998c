"""Which metrics are asked for, and what is made of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lambdas.reports.story import Traffic
from lambdas.reports.traffic_rules import NOBODY, Query, Values, queries, span, traffic_of
from lambdas.traffic.rules import Route
from tests.builders import BLUE, GREEN, LISTENER, TEST_LISTENER
from tests.unit.reports.histories import BEGAN, NOW, after

API = Route("api", LISTENER, TEST_LISTENER, BLUE, GREEN)
RULE = LISTENER.replace(":listener/", ":listener-rule/") + "/9683b2d02a6cabee"
SITE = Route("site", RULE, TEST_LISTENER, BLUE.replace("blue", "site-blue"), GREEN.replace("green", "site-green"))
ELSEWHERE = replace(API, name="elsewhere", arn=LISTENER.replace("app/receipts/50dc", "app/other/99dc"))


def measured(asked: list[Query], moment: datetime, **values: float) -> Values:
    """Return that every query for a metric or percentile found this value, for both colors and everywhere."""
    found = {query: values.get(query.statistic if query.statistic != "Sum" else query.metric) for query in asked}
    return {query.id: {moment: value} for query, value in found.items() if value is not None}


def test_metrics_are_those_of_each_target_group_and_of_the_load_balancer() -> None:
    asked = queries([API])
    of_green = {(each.metric, each.statistic) for each in asked if each.color == "green"}
    assert of_green == {
        ("RequestCount", "Sum"),
        ("HTTPCode_Target_5XX_Count", "Sum"),
        ("TargetConnectionErrorCount", "Sum"),
        *(("TargetResponseTime", percentile) for percentile in ("p50", "p95", "p99")),
    }
    assert {each.target_group for each in asked} == {
        "targetgroup/receipts-blue/73e2d6bc24d8a067",
        "targetgroup/receipts-green/d1b0f4a96c3e5728",
        "",
    }
    assert {each.load_balancer for each in asked} == {"app/receipts/50dc6c495c0c9188"}
    assert [each.metric for each in asked if each.color == NOBODY] == ["HTTPCode_ELB_5XX_Count"]
    assert len({each.id for each in asked}) == len(asked)


def test_routes_of_one_load_balancer_ask_for_its_own_errors_once() -> None:
    assert [each.load_balancer for each in queries([API, SITE]) if each.color == NOBODY] == [
        "app/receipts/50dc6c495c0c9188"
    ]
    assert len([each for each in queries([API, ELSEWHERE]) if each.color == NOBODY]) == 2


def test_target_group_that_two_routes_share_is_counted_once() -> None:
    assert queries([API, replace(API, name="again")]) == queries([API])


def test_listener_of_something_else_is_named() -> None:
    with pytest.raises(ValueError, match=r"'api' has .*/net/receipts/.* no Application Load Balancer"):
        queries([replace(API, arn=LISTENER.replace("/app/", "/net/"))])


def test_minutes_around_the_release_are_looked_at_too() -> None:
    asked = span(after(10), after(310), NOW)
    assert (asked.since, asked.until, asked.seconds) == (BEGAN - timedelta(minutes=2), after(600), 60)


def test_minute_that_is_not_over_is_not_looked_at() -> None:
    assert span(BEGAN, after(310), after(330)).until == after(300)


@pytest.mark.parametrize(("days", "seconds"), [(14, 60), (15, 300), (62, 300), (63, 3600)])
def test_old_metrics_are_asked_for_in_the_steps_in_which_they_are_kept(days: int, seconds: int) -> None:
    asked = span(after(100), after(400), BEGAN + timedelta(days=days))
    assert asked.seconds == seconds
    assert asked.since.timestamp() % seconds == asked.until.timestamp() % seconds == 0
    assert asked.since <= BEGAN


def test_routes_of_a_color_are_added_up_and_the_slowest_counts() -> None:
    asked = queries([API, SITE])
    values = dict(measured(asked, BEGAN, RequestCount=30, HTTPCode_Target_5XX_Count=2, p50=0.010, p95=0.05, p99=0.1))
    slow = next(each for each in asked if each.color == "green" and each.statistic == "p95")
    values[slow.id] = {BEGAN: 0.25}
    traffic = traffic_of(asked, values, 60)
    assert traffic["green"] == [Traffic(BEGAN, 60, 60, 4, 10, 250, 100)]
    assert traffic["blue"] == [Traffic(BEGAN, 60, 60, 4, 10, 50, 100)]


def test_minute_without_traffic_is_a_gap() -> None:
    asked = queries([API])
    requests = next(each for each in asked if (each.color, each.metric) == ("green", "RequestCount"))
    traffic = traffic_of(asked, {requests.id: {after(120): 5.0, BEGAN: 3.0}}, 60)
    assert traffic == {"green": [Traffic(BEGAN, 60, 3, 0), Traffic(after(120), 60, 5, 0)]}


def test_target_that_cannot_be_reached_is_one_error_of_its_color() -> None:
    """The load balancer then answers itself, and counts that too."""
    asked = queries([API])
    values = measured(asked, BEGAN, RequestCount=10, TargetConnectionErrorCount=2, HTTPCode_ELB_5XX_Count=7)
    traffic = traffic_of(asked, values, 60)
    assert [each.errors for color in ("blue", "green") for each in traffic[color]] == [2, 2]
    assert traffic[NOBODY] == [Traffic(BEGAN, 60, 3, 3)]


def test_load_balancer_that_only_spoke_for_targets_did_not_fail_itself() -> None:
    asked = queries([API])
    values = measured(asked, BEGAN, RequestCount=10, TargetConnectionErrorCount=2, HTTPCode_ELB_5XX_Count=3)
    assert NOBODY not in traffic_of(asked, values, 60)


def test_nothing_measured_is_no_traffic() -> None:
    assert traffic_of(queries([API]), {}, 60) == {}


def test_moments_are_utc() -> None:
    assert span(BEGAN, BEGAN, NOW).since.tzinfo is UTC
