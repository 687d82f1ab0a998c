"""An alarm's name says what it leads to, what it is about, and which color it is of."""

import pytest

from lambdas.judge.alarm_rules import AlarmName, AlarmSettings, Effect

PREFIX = "receipts-test"

NAMES = {
    "receipts-test-rolls-back-error-rate-api-green": AlarmName(Effect.ROLLS_BACK, "error-rate-api", "green"),
    "receipts-test-rolls-back-fast-error-rate-blue": AlarmName(Effect.ROLLS_BACK, "fast-error-rate", "blue"),
    "receipts-test-rolls-back-balancer-error-rate-receipts-test-all": AlarmName(
        Effect.ROLLS_BACK, "balancer-error-rate-receipts-test"
    ),
    "receipts-test-pages-cpu-blue": AlarmName(Effect.PAGES, "cpu", "blue"),
    "receipts-test-warns-query-time-all": AlarmName(Effect.WARNS, "query-time"),
    # a route, a load balancer and a check may be called as they like
    "receipts-test-rolls-back-error-rate-api-blue-green": AlarmName(Effect.ROLLS_BACK, "error-rate-api-blue", "green"),
    "receipts-test-rolls-back-error-rate-all-blue": AlarmName(Effect.ROLLS_BACK, "error-rate-all", "blue"),
    "receipts-test-rolls-back-balancer-error-rate-blue-all": AlarmName(Effect.ROLLS_BACK, "balancer-error-rate-blue"),
    "receipts-test-warns-probe-pages-all": AlarmName(Effect.WARNS, "probe-pages"),
}


@pytest.mark.parametrize(("full", "name"), NAMES.items(), ids=NAMES.keys())
def test_a_name_is_read_as_it_was_written(full: str, name: AlarmName) -> None:
    assert name.full(PREFIX) == full
    assert AlarmName.read(full, PREFIX) == name


@pytest.mark.parametrize(
    "full",
    [
        "receipts-test-critical",
        "receipts-test-warning",
        "receipts-test-lost-events",
        "receipts-test-watchdog-silent",
        "receipts-test-rolls-back-blue",
        "receipts-test-rolls-back-error-rate-api-red",
        "receipts-test-rolls-back",
        "receipts-rolls-back-error-rate-api-green",
        "receipts-test-two-rolls-back-error-rate-api-green",
        "other-receipts-test-rolls-back-error-rate-api-green",
        "rolls-back-error-rate-api-green",
        "",
    ],
)
def test_what_is_called_otherwise_is_none_of_these_alarms(full: str) -> None:
    """Other environments and other people have alarms in the same account."""
    assert AlarmName.read(full, PREFIX) is None


def test_critical_alarms_are_found_by_how_their_names_begin() -> None:
    """Two requests find all of them, however many there are."""
    settings = AlarmSettings.from_json('{"prefix": "receipts-test", "critical": 3}')

    assert settings.critical == 3
    assert settings.name_prefixes() == ["receipts-test-rolls-back-", "receipts-test-pages-"]
