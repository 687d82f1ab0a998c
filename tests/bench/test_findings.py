import pytest

from bench.findings import in_kilobytes, in_seconds, timed


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.000_5, "0.50 ms"),
        (0.008_684, "8.68 ms"),
        (0.0697, "69.7 ms"),
        (0.663, "663 ms"),
        (0.9996, "1.00 s"),
        (1.324, "1.32 s"),
        (25.61, "25.6 s"),
        (105.4, "105 s"),
        (-0.0052, "-5.20 ms"),
    ],
)
def test_durations_have_the_figures_that_count(seconds: float, text: str) -> None:
    assert text == in_seconds(seconds)


def test_sizes_are_in_kilobytes_of_aws() -> None:
    assert "2,048 KB" == in_kilobytes(2 * 1024 * 1024)


def test_a_row_tells_median_spread_and_count() -> None:
    assert ["2.00 s", "1.00 s to 4.00 s", "3"] == timed([4.0, 1.0, 2.0])
