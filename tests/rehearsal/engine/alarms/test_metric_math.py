"""What an alarm's expression gives, value by value."""

from datetime import UTC, datetime, timedelta

import pytest

from rehearsal.engine.alarms.metric_math import NoExpression, Series, parse

MINUTES = [datetime(2026, 3, 1, 10, tzinfo=UTC) + timedelta(minutes=number) for number in range(4)]
RATE = "IF(FILL(requests, 0) >= 20, 100 * (FILL(errors, 0) + FILL(connection, 0)) / requests, 0)"

Values = list[float | None]


def series(values: Values) -> Series:
    return {at: value for at, value in zip(MINUTES, values, strict=True) if value is not None}


def computed(text: str, **metrics: Values) -> Values:
    result = parse(text).over({name: series(values) for name, values in metrics.items()}, MINUTES)
    assert set(result) <= set(MINUTES)
    return [result.get(at) for at in MINUTES]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b", [11.0, None, None, None]),
        ("b - a", [9.0, None, None, None]),
        ("a * 2 + 1", [3.0, 5.0, 1.0, None]),
        ("1 + a * 2", [3.0, 5.0, 1.0, None]),
        ("2 * (a + 1)", [4.0, 6.0, 2.0, None]),
        ("8 - a - 1", [6.0, 5.0, 7.0, None]),
        ("-a", [-1.0, -2.0, 0.0, None]),
        ("a - -1", [2.0, 3.0, 1.0, None]),
        (".5 * a", [0.5, 1.0, 0.0, None]),
        ("a < 1", [0.0, 0.0, 1.0, None]),
        ("a + 1 >= 2 * 1", [1.0, 1.0, 0.0, None]),
        ("a != 2", [1.0, 0.0, 1.0, None]),
    ],
)
def test_values_of_two_series_meet_where_both_have_one(text: str, expected: Values) -> None:
    assert expected == computed(text, a=[1.0, 2.0, 0.0, None], b=[10.0, None, None, 4.0])


def test_a_division_by_zero_gives_no_value() -> None:
    assert computed("1 / a", a=[2.0, 0.0, None, 4.0]) == [0.5, None, None, 0.25]


def test_fill_gives_a_value_to_every_period_that_is_asked_for() -> None:
    assert computed("FILL(a, 7)", a=[None, 1.0, None, None]) == [7.0, 1.0, 7.0, 7.0]
    assert computed("FILL(a, -1)", a=[None] * 4) == [-1.0] * 4


def test_if_takes_the_one_or_the_other_and_nothing_where_that_has_nothing() -> None:
    on_and_off: Values = [1.0, 0.0, 1.0, None]
    assert computed("IF(c, a, b)", c=on_and_off, a=[1.0] * 4, b=[2.0] * 4) == [1.0, 2.0, 1.0, None]
    assert computed("IF(c, a, 9)", c=on_and_off, a=[None, 1.0, 3.0, 1.0]) == [None, 9.0, 3.0, None]


def test_and_binds_tighter_than_or_and_both_are_of_filled_series() -> None:
    truth: Values = [0.0, 0.0, 3.0, 3.0]
    told = computed("FILL(a, 0) OR FILL(b, 0) && FILL(c, 0)", a=truth, b=[0.0, 1.0, 0.0, 1.0], c=[1.0] * 4)
    assert told == [0.0, 1.0, 1.0, 1.0]


def test_an_error_rate_counts_only_with_enough_requests() -> None:
    """As of the shipped alarms: errors and requests are absent when there are none."""
    requests: Values = [100.0, 10.0, None, 50.0]
    assert computed(RATE, requests=requests, errors=[4.0, 10.0, None, None], connection=[1.0, None, None, None]) == [
        5.0,
        0.0,
        0.0,
        0.0,
    ]


def test_an_expression_tells_of_what_it_is_made() -> None:
    assert parse(RATE).ids == {"requests", "errors", "connection"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("MAX(METRICS())", "MAX"),
        ("SEARCH(a)", "SEARCH"),
        ("FILL(a, REPEAT)", "REPEAT"),
        ("FILL(a, b)", "FILL"),
        ("IF(a, b)", "IF"),
        ("IF(1 > 0, a, b)", "IF"),
        ("a > b", ">"),
        ("a AND FILL(b, 0)", "AND"),
        ("FILL(a, 0) / FILL(b, 0) > FILL(c, 0)", ">"),
        ("a ^ 2", r"\^"),
        ("a % 2", "%"),
        ("FILL(a, 'x')", "'x'"),
    ],
)
def test_what_is_not_known_is_refused_by_its_name(text: str, name: str) -> None:
    """An alarm that is never on because nobody understood its expression would be worse than none."""
    with pytest.raises(NotImplementedError, match=name):
        parse(text)


@pytest.mark.parametrize("text", ["", "a +", "(a", "a b", "1 + 1", "1 / 0 * a", "Metric + 1", "a >"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(NoExpression):
        parse(text)
