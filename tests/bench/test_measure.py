import pytest

from bench.measure import Spread, interleaved, ratio


def test_a_spread_is_median_and_both_ends() -> None:
    assert Spread(median=2.0, lowest=1.0, highest=9.0, count=3) == Spread.of([9.0, 1.0, 2.0])


def test_there_is_no_spread_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])


def test_sides_take_turns_and_none_is_always_first() -> None:
    """A slow minute hits all of them, and so does what the one before leaves behind."""
    order: list[str] = []

    measured = interleaved(
        {name: lambda name=name: order.append(name) or len(order) for name in "abc"}, 4, lambda _: None
    )

    assert ["abc", "bca", "cab", "abc"] == ["".join(order[first : first + 3]) for first in range(0, 12, 3)]
    assert {"a": [1, 6, 8, 10], "b": [2, 4, 9, 11], "c": [3, 5, 7, 12]} == measured


def test_progress_names_round_and_side() -> None:
    told: list[str] = []

    interleaved({"bare call": lambda: 1.0}, 2, told.append)

    assert ["round 1 of 2: bare call", "round 2 of 2: bare call"] == told


def test_a_ratio_is_one_of_medians() -> None:
    """One slow moment of the machine does not change it."""
    assert 4.0 == ratio([8.0, 8.0, 100.0], [2.0, 2.0, 1.0])
