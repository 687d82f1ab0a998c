"""The oracle is AWS's own: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html."""

import pytest

from rehearsal.engine.alarms.evaluation import Conditions, State, Treatment, Window, evaluate

THRESHOLD = 5.0
VALUES = {"0": 0.0, "X": 9.0, "-": None}
ALARM, OK, INSUFFICIENT = "ALARM", "OK", "INSUFFICIENT_DATA"
KEPT = None
"""The current state is retained."""

TREATMENTS: tuple[Treatment, ...] = ("missing", "ignore", "breaching", "notBreaching")

THREE_OF_THREE = {
    "0 - X - X": (OK, OK, OK, OK),
    "0 - - - -": (OK, OK, OK, OK),
    "- - - - -": (INSUFFICIENT, KEPT, ALARM, OK),
    "0 X X - X": (ALARM, ALARM, ALARM, ALARM),
    "- - X - -": (ALARM, KEPT, ALARM, OK),
}
TWO_OF_THREE = {
    "0 - X - X": (ALARM, ALARM, ALARM, ALARM),
    "0 0 X 0 X": (ALARM, ALARM, ALARM, ALARM),
    "0 - X - -": (OK, OK, ALARM, OK),
    "- - - - 0": (OK, OK, ALARM, OK),
    "- - - X -": (ALARM, KEPT, ALARM, OK),
}


def window(points: str) -> Window:
    return [VALUES[point] for point in points.split()]


def conditions(
    datapoints: int = 3, treatment: Treatment = "missing", comparison: str = "GreaterThanThreshold", periods: int = 3
) -> Conditions:
    return Conditions(comparison, THRESHOLD, periods, datapoints, treatment)


@pytest.mark.parametrize(
    ("datapoints", "points", "treatment", "expected"),
    [
        (datapoints, points, treatment, expected)
        for datapoints, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
        for points, row in table.items()
        for treatment, expected in zip(TREATMENTS, row, strict=True)
    ],
)
def test_the_published_tables_hold(datapoints: int, points: str, treatment: Treatment, expected: State | None) -> None:
    assert expected == evaluate(window(points), conditions(datapoints, treatment))


def test_the_range_of_the_published_tables_is_looked_at() -> None:
    assert len(window("0 - X - X")) == conditions().range


@pytest.mark.parametrize("points", ["- - - - X", "- - - X -"])
def test_an_alarm_does_not_go_on_prematurely(points: str) -> None:
    """The next value may be within the threshold: "the alarm does not go immediately into ALARM state"."""
    assert KEPT is evaluate(window(points), conditions())
    assert evaluate(window(f"{points} 0"[2:]), conditions()) == OK


@pytest.mark.parametrize("points", ["- - X X -", "X - - - -", "- - X - X"])
def test_old_enough_values_turn_an_alarm_on_though_they_are_too_few(points: str) -> None:
    assert evaluate(window(points), conditions()) == ALARM


def test_values_older_than_needed_are_ignored() -> None:
    assert evaluate(window("X X 0 0 0"), conditions(2)) == OK
    assert evaluate(window("0 0 X X 0"), conditions(2)) == ALARM


@pytest.mark.parametrize(
    ("comparison", "on"),
    [
        ("GreaterThanThreshold", [6.0]),
        ("GreaterThanOrEqualToThreshold", [5.0, 6.0]),
        ("LessThanThreshold", [4.0]),
        ("LessThanOrEqualToThreshold", [4.0, 5.0]),
    ],
)
def test_the_four_comparisons_with_a_threshold(comparison: str, on: list[float]) -> None:
    judged = conditions(1, comparison=comparison, periods=1)
    assert on == [value for value in (4.0, 5.0, 6.0) if evaluate([None, None, value], judged) == ALARM]


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="GreaterThanUpperThreshold"):
        conditions(comparison="GreaterThanUpperThreshold")
    with pytest.raises(NotImplementedError, match="forgotten"):
        conditions(treatment="forgotten")  # ty: ignore[invalid-argument-type]
