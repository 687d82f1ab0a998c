"""Windows are open by the clock of people, also when that clock changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from lambdas.gates.gate_rules import GateSettings, Window
from lambdas.gates.window_rules import look_at_calendars, look_at_windows, zone_of
from lambdas.release.request_rules import GateStatus

RULES = {
    "UTC": "UTC0",
    "Europe/Zurich": "CET-1CEST,M3.5.0,M10.5.0/3",
    "America/New_York": "EST5EDT,M3.2.0,M11.1.0",
    "Australia/Lord_Howe": "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "Asia/Kolkata": "IST-5:30",
}
WORKDAYS = Window((0, 1, 2, 3), "09:00", "16:00")


def zurich(*windows: Window) -> GateSettings:
    return GateSettings({}, 0, time_zone="Europe/Zurich", zone_rule=RULES["Europe/Zurich"], windows=windows)


@pytest.mark.parametrize(("name", "rule"), RULES.items())
def test_rule_is_the_zone(name: str, rule: str) -> None:
    """For ten years, around every change of the clock."""
    ours, theirs = zone_of(name, rule), ZoneInfo(name)
    hours = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=3 * count) for count in range(10 * 366 * 8))
    assert all(each.astimezone(ours).utcoffset() == each.astimezone(theirs).utcoffset() for each in hours)


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-03-02T08:00:00.000Z", True),  # Monday 09:00 in winter
        ("2026-03-02T07:59:59.999Z", False),
        ("2026-03-02T14:59:59.999Z", True),
        ("2026-03-02T15:00:00.000Z", False),
        ("2026-03-30T07:00:00.000Z", True),  # Monday 09:00 in summer
        ("2026-03-30T14:00:00.000Z", False),
        ("2026-03-06T10:00:00.000Z", False),  # Friday
    ],
)
def test_window_is_open_from_its_begin_to_before_its_end(now: str, is_open: bool) -> None:  # noqa: FBT001
    found = look_at_windows(zurich(WORKDAYS), now)
    assert found.status is (GateStatus.PASSED if is_open else GateStatus.PENDING)


def test_day_is_that_of_the_local_clock() -> None:
    """Sunday 23:30 in UTC is Monday there already."""
    night = zurich(Window((0,), "00:00", "24:00"))
    assert look_at_windows(night, "2026-03-01T23:30:00Z").status is GateStatus.PASSED
    assert look_at_windows(night, "2026-03-02T23:00:00Z").status is GateStatus.PENDING


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-03-02T15:00:00Z", "2026-03-03T08:00:00Z"),  # in the evening: tomorrow
        ("2026-03-02T06:00:00Z", "2026-03-02T08:00:00Z"),  # in the morning: today
        ("2026-03-05T15:00:00Z", "2026-03-09T08:00:00Z"),  # Thursday evening: Monday
        ("2026-03-26T15:00:00Z", "2026-03-30T07:00:00Z"),  # and over the change of the clock
    ],
)
def test_closed_window_says_when_the_next_one_opens(now: str, opens: str) -> None:
    assert look_at_windows(zurich(WORKDAYS), now).again_at == opens


def test_only_window_of_the_week_that_has_just_closed_opens_in_a_week() -> None:
    found = look_at_windows(zurich(Window((0,), "09:00", "10:00")), "2026-03-02T09:00:00Z")
    assert found.again_at == "2026-03-09T08:00:00Z"


def test_any_open_window_is_enough() -> None:
    settings = zurich(Window((5,), "09:00", "10:00"), WORKDAYS)
    assert look_at_windows(settings, "2026-03-02T10:00:00Z").status is GateStatus.PASSED


def test_without_windows_it_is_always_open() -> None:
    assert look_at_windows(zurich(), "2026-03-01T03:00:00Z").status is GateStatus.PASSED


ONE = "arn:aws:ssm:eu-west-1:123456789012:document/changes"
OTHER = "arn:aws:ssm:eu-west-1:123456789012:document/holidays"
NOW = "2026-03-02T10:00:00Z"


def test_every_calendar_has_to_be_open() -> None:
    assert look_at_calendars([(ONE, True, ""), (OTHER, True, "")], NOW).status is GateStatus.PASSED
    frozen = look_at_calendars([(ONE, True, ""), (OTHER, False, "2026-03-02T12:00:00Z")], NOW)
    assert frozen.status is GateStatus.PENDING
    assert "holidays until 2026-03-02T12:00:00Z" in frozen.detail


def test_frozen_calendars_are_looked_at_again_when_the_last_one_opens() -> None:
    states = [(ONE, False, "2026-03-02T12:00:00Z"), (OTHER, False, "2026-03-02T11:00:00Z")]
    assert look_at_calendars(states, NOW).again_at == "2026-03-02T12:00:00Z"


def test_calendar_that_does_not_say_when_it_opens_is_looked_at_like_everything_else() -> None:
    assert look_at_calendars([(ONE, False, "")], NOW).again_at == ""
    assert look_at_calendars([(ONE, False, "2026-03-02T09:00:00Z")], NOW).again_at == ""
