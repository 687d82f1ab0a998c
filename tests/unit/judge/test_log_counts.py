"""Counts of two versions in one log."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lambdas.checks.application_log import ApplicationLog
from lambdas.checks.rules import Count, LogRules
from lambdas.judge.evidence_rules import Evidence, Span, Tally
from lambdas.judge.log_counts import LogCounts
from tests.builders import LOGS

RULES = LogRules.from_json(dumps({**LOGS, "slow_pattern": '{ $.seconds > 3 && $.version = "{version}" }'}))
SINCE = datetime(2026, 3, 1, 10, 2, tzinfo=UTC)
SPAN = Span(SINCE, SINCE + timedelta(minutes=1), 1)


@dataclass(frozen=True)
class FakeLog(ApplicationLog):
    """A log with so many events in every second, by pattern. `most_seconds` is how far one can be read in time."""

    per_second: dict[str, int] = field(default_factory=dict)
    most_seconds: dict[str, int] = field(default_factory=dict)

    def count(self, pattern: str, start_ms: int, end_ms: int) -> Count:
        seconds = (end_ms + 1 - start_ms) // 1000
        readable = self.most_seconds.get(pattern, seconds)
        if readable < seconds:
            return Count(readable * self.per_second[pattern], until_ms=start_ms + readable * 1000)
        return Count(seconds * self.per_second[pattern])


def patterns(version: str) -> list[str]:
    given = (RULES.request_pattern, RULES.error_pattern, str(RULES.slow_pattern))
    return [pattern.replace("{version}", version) for pattern in given]


@pytest.fixture
def log() -> FakeLog:
    of_new, of_old = zip(patterns("new"), (10, 1, 2), strict=True), zip(patterns("old"), (90, 3, 4), strict=True)
    return FakeLog(boto3.client("logs"), "log", per_second=dict([*of_new, *of_old]))


def test_requests_errors_and_slow_requests_of_both_are_counted(log: FakeLog) -> None:
    assert LogCounts(log, RULES).evidence("new", "old", SPAN) == Evidence(Tally(600, 60, 120), Tally(5400, 180, 240))


@pytest.mark.parametrize("version", ["new", "old"])
def test_large_log_is_judged_by_its_beginning_for_both(log: FakeLog, version: str) -> None:
    """Requests of ten seconds beside errors of a minute would make any version look bad."""
    log.most_seconds[patterns(version)[0]] = 10
    assert LogCounts(log, RULES).evidence("new", "old", SPAN) == Evidence(Tally(100, 10, 20), Tally(900, 30, 40))


def test_log_in_which_nothing_can_be_read_in_time_is_no_evidence(log: FakeLog) -> None:
    log.most_seconds[patterns("old")[0]] = 0
    assert LogCounts(log, RULES).evidence("new", "old", SPAN) is None


def test_log_that_cannot_be_read_is_no_evidence(log: FakeLog) -> None:
    class Denied(FakeLog):
        def count(self, *_: Any) -> Count:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "FilterLogEvents")

    assert LogCounts(log, RULES).readable_evidence("new", "old", SPAN) is not None
    assert LogCounts(Denied(log.logs, log.group), RULES).readable_evidence("new", "old", SPAN) is None
