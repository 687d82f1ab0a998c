"""The share of errors of one version, out of a log that may be large, slow, or empty."""

from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lambdas.checks import application_log
from lambdas.checks import check_error_rate as function
from lambdas.checks.application_log import ApplicationLog
from lambdas.checks.rules import Count
from lambdas.errors import ErrorRateTooHigh, LeaseLost
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from tests.builders import LOGS, NEW_VERSION, ROLLBACK, at

REQUESTS = f'{{ $.version = "{NEW_VERSION}" }}'
ERRORS = f'{{ $.level = "ERROR" && $.version = "{NEW_VERSION}" }}'
NOW_MS = 1772359800000  # at(10)
MINUTE_MS = 60_000


def test_moments_of_this_file_are_the_same_in_milliseconds() -> None:
    assert function._milliseconds(at(10)) == NOW_MS


@dataclass
class FakeLogs:
    """CloudWatch Logs: timestamps by pattern and page. It checks requests against AWS's own model of them."""

    pages: dict[str, list[list[int]]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def filter_log_events(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        pages = self.pages[request["filterPattern"]]
        page = int(request.get("nextToken", "0"))
        events = [{"timestamp": each, "message": "{}"} for each in pages[page]]
        more = {"nextToken": str(page + 1)} if page + 1 < len(pages) else {}
        answer = {"events": events, **more}
        client: Any = boto3.client("logs")
        with Stubber(client) as stubber:
            stubber.add_response("filter_log_events", answer, request)
            found: dict[str, Any] = client.filter_log_events(**request)
        return found

    def patterns(self) -> list[str]:
        """Return what was asked for, page by page."""
        return [request["filterPattern"] for request in self.asked]


@pytest.fixture
def logs(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> FakeLogs:
    """Return a log in which 100 requests of the new version are on one page, and no error."""
    fake = FakeLogs({REQUESTS: [[NOW_MS] * 100], ERRORS: [[]]})
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "log", ApplicationLog(fake, LOGS["group"]))
    return fake


def check(lease: Lease, since: str = "", now: str = at(10)) -> dict[str, Any]:
    event = {"lease": lease.as_event(), "release_id": "new", "version": NEW_VERSION, "since": since, "now": now}
    answer: dict[str, Any] = function.lambda_handler.__wrapped__(event, None)
    return answer


def test_requests_and_errors_are_those_of_the_version(logs: FakeLogs, lease: Lease) -> None:
    logs.pages[ERRORS] = [[NOW_MS] * 5]
    assert check(lease) == {"requests": 100, "errors": 5}
    assert logs.patterns() == [REQUESTS, ERRORS]


def test_request_reads_the_window_of_the_application_s_log(logs: FakeLogs, lease: Lease) -> None:
    check(lease)
    assert logs.asked[0] == {
        "logGroupName": "/receipts/test/application",
        "filterPattern": REQUESTS,
        "startTime": NOW_MS - 10 * MINUTE_MS,
        "endTime": NOW_MS,
        "limit": 10_000,
    }


@pytest.mark.parametrize(("since", "minutes"), [("", 10), (at(4), 6), (at(0), 10), ("2026-03-01T09:00:00.000Z", 10)])
def test_only_what_is_new_and_in_the_window_counts(logs: FakeLogs, lease: Lease, since: str, minutes: int) -> None:
    """A version that came back is not blamed for what it did before."""
    check(lease, since)
    assert {request["startTime"] for request in logs.asked} == {NOW_MS - minutes * MINUTE_MS}


def test_too_many_errors_are_told_with_both_numbers(record: ReleaseRecord, logs: FakeLogs, lease: Lease) -> None:
    logs.pages[ERRORS] = [[NOW_MS] * 6]
    with pytest.raises(ErrorRateTooHigh, match=f"6 of 100 requests to version {NEW_VERSION} are errors"):
        check(lease)
    assert record.release("new")["error_rate"] == {"at": at(10), "requests": 100, "errors": 6, "judged": "6.0 %"}


def test_history_says_what_was_counted(record: ReleaseRecord, logs: FakeLogs, lease: Lease) -> None:
    logs.pages[ERRORS] = [[NOW_MS]]
    check(lease)
    assert record.release("new")["error_rate"] == {"at": at(10), "requests": 100, "errors": 1, "judged": "1.0 %"}


def test_too_few_requests_pass_and_are_called_unknown(record: ReleaseRecord, logs: FakeLogs, lease: Lease) -> None:
    logs.pages = {REQUESTS: [[NOW_MS] * 19], ERRORS: [[NOW_MS] * 19]}
    assert check(lease) == {"requests": 19, "errors": 19}
    assert record.release("new")["error_rate"]["judged"] == "unknown"


def test_without_requests_nobody_asks_for_errors(logs: FakeLogs, lease: Lease) -> None:
    """Reading a log costs by what it holds."""
    logs.pages[REQUESTS] = [[]]
    assert check(lease) == {"requests": 0, "errors": 0}
    assert logs.patterns() == [REQUESTS]


def test_pages_are_read_to_the_end_also_after_empty_ones(logs: FakeLogs, lease: Lease) -> None:
    """CloudWatch Logs answers with what it has searched, and not only with what it has found."""
    logs.pages = {REQUESTS: [[NOW_MS] * 60, [], [], [NOW_MS] * 40], ERRORS: [[], [NOW_MS]]}
    assert check(lease) == {"requests": 100, "errors": 1}


def test_errors_are_counted_as_far_as_requests_were(
    record: ReleaseRecord, logs: FakeLogs, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests of one minute and errors of ten would make any version look bad."""
    monkeypatch.setattr(application_log, "_MOST_PAGES", 2)
    logs.pages = {REQUESTS: [[NOW_MS - 9] * 50, [NOW_MS - 7] * 50, [NOW_MS] * 50], ERRORS: [[NOW_MS - 8]]}
    assert check(lease) == {"requests": 100, "errors": 1}
    assert [request["endTime"] for request in logs.asked] == [NOW_MS, NOW_MS, NOW_MS - 7]
    assert record.release("new")["error_rate"]["judged"] == "1.0 %"


def test_errors_that_are_not_all_read_leave_the_verdict_open(
    record: ReleaseRecord, logs: FakeLogs, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application_log, "_MOST_PAGES", 1)
    logs.pages[ERRORS] = [[NOW_MS], [NOW_MS] * 99]
    check(lease)
    assert record.release("new")["error_rate"]["judged"] == "unknown"


def test_log_without_end_is_read_in_bounded_time(logs: FakeLogs) -> None:
    """The function would otherwise die, and nobody would hear what it had counted."""
    logs.pages[REQUESTS] = [[NOW_MS + page] for page in range(100)]
    assert function.log.count(REQUESTS, 0, NOW_MS) == Count(20, until_ms=NOW_MS + 19)
    assert len(logs.asked) == 20


def test_log_that_finds_nothing_for_long_has_no_time_until_which_it_was_read(logs: FakeLogs) -> None:
    logs.pages[REQUESTS] = [[] for _ in range(100)]
    assert function.log.count(REQUESTS, 0, NOW_MS) == Count(0, until_ms=0)


def test_loser_reads_nothing(record: ReleaseRecord, logs: FakeLogs, lease: Lease) -> None:
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        check(lease)
    assert logs.asked == []
    assert record.release("new") == {}
