"""What is counted, over which time, and how it is told."""

from dataclasses import replace
from datetime import UTC, datetime
from json import dumps

import pytest

from lambdas.judge.evidence_rules import (
    FAILED,
    NOTHING_YET,
    SLOW,
    Evidence,
    JudgeSettings,
    Query,
    Source,
    Tally,
    WhenInconclusive,
    added_up,
    as_record,
    described,
    queries,
    span_of,
)
from lambdas.traffic.rules import Route
from tests.builders import BLUE, JUDGE, ROUTES, at

SETTINGS = JudgeSettings.from_json(dumps(JUDGE))
BY_BALANCER = replace(SETTINGS, source=Source.LOAD_BALANCER, metrics=None)
API = Route.all_from_json(dumps(ROUTES))
LOAD_BALANCER = "app/receipts/50dc6c495c0c9188"


def moment(minute: int, second: int) -> datetime:
    return datetime(2026, 3, 1, 10, minute, second, tzinfo=UTC)


def test_settings_are_read_as_they_ship() -> None:
    assert SETTINGS.source is Source.APPLICATION
    assert SETTINGS.when_inconclusive is WhenInconclusive.HOLD
    assert SETTINGS.metrics is not None
    assert SETTINGS.metrics.response_time == "ResponseTime"
    without = JudgeSettings.from_json(dumps({**JUDGE, "source": "load_balancer", "metrics": None}))
    assert without == BY_BALANCER


def test_the_application_is_asked_by_group() -> None:
    dimensions = {"AutoScalingGroupName": "receipts-green"}
    assert queries(SETTINGS, API, "receipts-green", "green") == [
        Query("requests", "Receipts", "Requests", dimensions),
        Query("errors", "Receipts", "Errors", dimensions),
        Query("slow", "Receipts", "ResponseTime", dimensions, "TC(3:)"),
    ]


@pytest.mark.parametrize("rule", ["", "/7a1b2c3d4e5f6071"])
def test_the_load_balancer_is_asked_by_target_group_of_every_route(rule: str) -> None:
    """The ARN of a rule names its load balancer, too."""
    arn = API[0].arn.replace(":listener/", ":listener-rule/") + rule if rule else API[0].arn
    route = replace(API[0], arn=arn)
    dimensions = {"LoadBalancer": LOAD_BALANCER, "TargetGroup": BLUE.rpartition(":")[2]}
    found = queries(replace(BY_BALANCER, slow_seconds=0.5), (route, route), "receipts-blue", "blue")
    assert (
        found
        == [
            Query("requests", "AWS/ApplicationELB", "RequestCount", dimensions),
            Query("errors", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", dimensions),
            Query("errors", "AWS/ApplicationELB", "TargetConnectionErrorCount", dimensions),
            Query("slow", "AWS/ApplicationELB", "TargetResponseTime", dimensions, "TC(0.5:)"),
        ]
        * 2
    )


def test_counts_of_all_routes_and_of_connections_are_added_up() -> None:
    asked = queries(BY_BALANCER, API * 2, "receipts-blue", "blue")
    assert added_up(asked, [100, 1, 2, 4, 50, 3, 0, 5]) == Tally(150, 6, 9)


def test_a_count_that_is_ahead_makes_no_more_errors_than_requests() -> None:
    assert Tally.counted(10, 12, 11) == Tally(10, 10, 10)


def test_the_period_in_which_the_step_began_is_counted() -> None:
    span = span_of(SETTINGS, at(2, 7), at(3, 4))
    assert (span.since, span.until, span.period_seconds) == (moment(2, 5), moment(2, 55), 5)


def test_only_periods_that_are_published_are_counted() -> None:
    assert span_of(SETTINGS, at(2, 7), at(2, 14)).is_empty
    assert not span_of(SETTINGS, at(2, 7), at(2, 15)).is_empty


def test_the_load_balancer_has_minutes_and_is_late() -> None:
    assert span_of(BY_BALANCER, at(2, 7), at(3, 59)).is_empty
    span = span_of(BY_BALANCER, at(2, 7), at(4))
    assert (span.since, span.until, span.period_seconds) == (moment(2, 0), moment(3, 0), 60)


def test_the_log_is_counted_by_the_second() -> None:
    span = span_of(replace(BY_BALANCER, source=Source.LOGS), at(2, 7), at(3, 4))
    assert (span.since, span.until) == (moment(2, 7), moment(2, 54))


@pytest.mark.parametrize(
    ("tally", "words"),
    [
        (Tally(512, 41), "green: 41 of 512 requests failed (8.0 %)"),
        (Tally(4610, 3), "green: 3 of 4,610 requests failed (0.1 %)"),
        (Tally(), "green: no requests"),
    ],
)
def test_counts_are_told_with_their_share(tally: Tally, words: str) -> None:
    assert described("green", tally, FAILED) == words


def test_slow_requests_are_told_as_such_and_briefly_if_so_wanted() -> None:
    assert described("blue", Tally(200, 0, 9), SLOW) == "blue: 9 of 200 requests were slow (4.5 %)"
    assert described("blue", Tally(200, 0, 9), SLOW, briefly=True) == "blue: 9 of 200 (4.5 %)"


def test_history_keeps_whole_numbers() -> None:
    assert as_record(Evidence(Tally(3, 2, 1), Tally(6, 5, 4))) == {
        "new": {"requests": 3, "errors": 2, "slow": 1},
        "old": {"requests": 6, "errors": 5, "slow": 4},
    }
    assert as_record(None) == {}
    assert as_record(NOTHING_YET)["new"]["requests"] == 0
