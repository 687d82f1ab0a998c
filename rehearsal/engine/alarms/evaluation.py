"""
Whether a metric alarm is on: CloudWatch's evaluation of the newest values that it finds.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html tells it in words and in two
tables, which the tests hold whole. Where the words say less than the tables, or otherwise, the tables count.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, cast

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Treatment = Literal["missing", "ignore", "breaching", "notBreaching"]
Window = Sequence[float | None]
"""Values one period after the other, the newest one last; None where there is none."""

EXTRA_PERIODS = 2
"""How many more values CloudWatch looks for than it needs. It tells but one figure: 5 where it needs 3."""

COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
"""By their names, how to compare a value with the threshold, and CloudWatch's words for it."""

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


@dataclass(frozen=True)
class Conditions:
    """When an alarm goes on: at least `datapoints_to_alarm` of `evaluation_periods` values are beyond the threshold."""

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    treat_missing_data: Treatment = "missing"

    def __post_init__(self) -> None:
        if self.comparison not in COMPARISONS:
            raise NotImplementedError(f"the rehearsal does not compare by {self.comparison}")
        if self.treat_missing_data not in TREATMENTS:
            raise NotImplementedError(f"the rehearsal does not treat missing data as {self.treat_missing_data}")

    @property
    def range(self) -> int:
        """Of how many periods values are looked for."""
        return self.evaluation_periods + EXTRA_PERIODS

    @property
    def well(self) -> float:
        """A value that is within the threshold, whatever that is; none that anybody measures."""
        return -inf if self.comparison.startswith("Greater") else inf

    def breaches(self, value: float) -> bool:
        """Say whether a value counts towards the alarm."""
        return COMPARISONS[self.comparison][0](value, self.threshold)


def evaluate(window: Window, conditions: Conditions) -> State | None:
    """Tell the state in which the alarm has to be, None for the one in which it is."""
    found = [value for value in window if value is not None]
    if not found:
        return _of_nothing(conditions.treat_missing_data)
    counted = [conditions.breaches(value) for value in found[-conditions.evaluation_periods :]]
    missing, breaching = conditions.evaluation_periods - len(counted), sum(counted)
    if conditions.treat_missing_data == "breaching":
        breaching += missing
    if breaching >= conditions.datapoints_to_alarm:
        return "ALARM"
    if missing and all(counted) and conditions.treat_missing_data in ("missing", "ignore"):
        return _of_too_few(window, conditions)
    return "OK"


def _of_nothing(treatment: Treatment) -> State | None:
    """Judge by a range in which no value is."""
    states: dict[Treatment, State | None] = {
        "missing": "INSUFFICIENT_DATA",
        "ignore": None,
        "breaching": "ALARM",
        "notBreaching": "OK",
    }
    return states[treatment]


def _of_too_few(window: Window, conditions: Conditions) -> State | None:
    """
    Judge by fewer values than would be needed, all of them beyond the threshold.

    The next value may be within it, so an alarm goes on only once the oldest of them is as old as the alarm needs
    values. Until then it keeps its state: AWS tells of none that it would go to.
    """
    oldest_age = len(window) - next(place for place, value in enumerate(window) if value is not None)
    is_old_enough = oldest_age >= conditions.datapoints_to_alarm
    return cast("State", "ALARM") if is_old_enough and conditions.treat_missing_data == "missing" else None
