"""Who hears of an alarm knows what is wrong, what is live, and what to paste, without looking anything up."""

from dataclasses import replace

import pytest

from lambdas.notices.alarm_rules import AlarmNews, compose_warning, describe_alarm
from lambdas.release.rules import EnvironmentRecord, Live, Maintenance, Phase, PointStatus, RollbackPoint, Work
from tests.builders import BLUE, DEPLOYMENT, NEW_VERSION, OLD_VERSION, ROLLBACK, at

PREFIX = "receipts-test"
NEWS = AlarmNews(f"{PREFIX}-warns-error-rate-api-green", at(5), "Threshold Crossed: 3 datapoints were above 1.0.")
POINT = RollbackPoint(PointStatus.VALID, "blue", OLD_VERSION, "old", {"api": BLUE}, 2, window_ends_at=at(30))
LIVE = Live("new", NEW_VERSION, "green", since=at(0), rollback_point=POINT)
PROMOTED = EnvironmentRecord(live=LIVE)
PASTE = "start receipts-test-rollback with the input {}"


def describe(record: EnvironmentRecord, news: AlarmNews = NEWS, now: str = at(6)) -> str:
    return describe_alarm(news, PREFIX, record, now)


def holding(phase: Phase, live: Live | None = LIVE, holder: str = DEPLOYMENT) -> EnvironmentRecord:
    return EnvironmentRecord(work=Work(holder=holder, phase=phase, release_id="newer"), live=live)


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("warns-error-rate-api-green", "[receipts test] Warning: error-rate-api on green"),
        ("warns-probe-login-all", "[receipts test] Warning: probe-login"),
        ("somebody-else-s", "[receipts test] Warning: receipts-test-somebody-else-s"),
    ],
)
def test_subject_is_what_the_alarm_is_about(name: str, subject: str) -> None:
    news = replace(NEWS, full_name=f"{PREFIX}-{name}")
    assert compose_warning(news, "receipts", "test", PROMOTED, at(6)).subject == subject


def test_subject_is_what_sns_takes() -> None:
    """It refuses a message with a longer one, or with other characters."""
    news = replace(NEWS, full_name=f"{PREFIX}-warns-error-rate-größe-{'x' * 100}-all")
    subject = compose_warning(news, "receipts", "test", PROMOTED, at(6)).subject
    assert subject.isascii()
    assert len(subject) == 100


def test_message_says_everything_at_once() -> None:
    meaning = "The share of requests to route api on green that fail is above 1 %."
    body = compose_warning(replace(NEWS, meaning=meaning), "receipts", "test", PROMOTED, at(6)).body
    assert body.split("\n\n") == [
        "Warning: error-rate-api on green (receipts, test).",
        meaning,
        (
            f"Alarm receipts-test-warns-error-rate-api-green is on since {at(5)}. Threshold Crossed: 3 datapoints were"
            " above 1.0."
        ),
        f"Live: release new, version {NEW_VERSION} on green, since {at(0)}.",
        (
            f"If release new is the cause, it can go back to version {OLD_VERSION} on blue until {at(30)}: start"
            " receipts-test-rollback with the input {}."
        ),
    ]


def test_release_that_is_observed_can_go_back_without_a_deadline() -> None:
    baking = holding(Phase.BAKING, replace(LIVE, rollback_point=replace(POINT, window_ends_at=None)))
    told = describe(baking, now=at(59))
    assert "On its way: release newer, which has all traffic and is observed." in told
    assert PASTE in told


def test_release_that_is_prepared_is_named_beside_the_live_one() -> None:
    """It receives no traffic, so it is not the cause."""
    told = describe(holding(Phase.PREPARING))
    assert "Live: release new" in told
    assert "On its way: release newer, which is being prepared and receives no traffic." in told


@pytest.mark.parametrize(
    "record",
    [
        EnvironmentRecord(),
        EnvironmentRecord(live=replace(LIVE, rollback_point=None)),
        EnvironmentRecord(live=replace(LIVE, rollback_point=replace(POINT, status=PointStatus.CONSUMED))),
        EnvironmentRecord(live=replace(LIVE, rollback_point=replace(POINT, window_ends_at=at(6)))),
        EnvironmentRecord(live=LIVE, maintenance=Maintenance(at(20), "new certificates", ROLLBACK)),
        holding(Phase.ROLLING_BACK, holder=ROLLBACK),
    ],
    ids=["nothing released", "no point", "rolled back already", "window over", "maintenance", "rolling back"],
)
def test_no_rollback_is_advised_where_none_helps_or_is_possible(record: EnvironmentRecord) -> None:
    assert PASTE not in describe(record)


def test_no_rollback_is_advised_to_the_color_that_is_in_trouble() -> None:
    told = describe(PROMOTED, replace(NEWS, full_name=f"{PREFIX}-warns-error-rate-api-blue"))
    assert PASTE not in told
    assert "to which release new would go back" in told


def test_maintenance_is_named_with_its_reason() -> None:
    maintained = replace(PROMOTED, maintenance=Maintenance(at(20), "new certificates", ROLLBACK))
    assert "new certificates" in describe(maintained)
    assert "new certificates" not in describe(maintained, now=at(21))


def test_page_about_a_critical_alarm_can_be_described_alike() -> None:
    told = describe(PROMOTED, replace(NEWS, full_name=f"{PREFIX}-pages-cpu-green"))
    assert told.startswith("Alarm receipts-test-pages-cpu-green is on since")
    assert PASTE in told


def test_event_is_read_as_eventbridge_sends_it() -> None:
    detail = {
        "alarmName": NEWS.full_name,
        "state": {"value": "ALARM", "reason": NEWS.reason, "reasonData": "{}", "timestamp": NEWS.since},
        "previousState": {"value": "OK", "timestamp": at(0)},
        "configuration": {"description": "It is bad.", "metrics": []},
    }
    assert AlarmNews.from_event({"detail": detail}) == replace(NEWS, meaning="It is bad.")
    assert AlarmNews.from_event({"detail": {**detail, "configuration": {}}}) == NEWS
