from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from lambdas.reports.scales import (
    Span,
    TimeAxis,
    brief,
    clusters,
    descending_lanes,
    first_free_lanes,
    latency_scale,
    linear_scale,
    merged,
    shortened,
    text_width,
)
from lambdas.reports.story import Traffic

BEGAN = datetime(2026, 11, 23, 1, 27, 32, tzinfo=UTC)


def axis(seconds: float) -> TimeAxis:
    return TimeAxis.over([BEGAN, BEGAN + timedelta(seconds=seconds)], 0, 1000)


@pytest.mark.parametrize(
    ("seconds", "first", "step"),
    [
        (0, "01:27:40", 10),
        (100, "01:27:40", 10),
        (600, "01:28:00", 60),
        (6138, "01:30:00", 600),
        (40_000, "02:00:00", 3600),
        (86_400 * 3, "06:00:00", 6 * 3600),
        (86_400 * 60, "00:00:00", 5 * 86_400),
    ],
)
def test_ticks_of_time_are_those_that_people_would_choose(seconds: float, first: str, step: float) -> None:
    ticks = axis(seconds).ticks(label_width=72)

    assert first == f"{ticks[0]:%H:%M:%S}"
    assert {step} == {(after - before).total_seconds() for before, after in pairwise(ticks)}
    assert ticks[-1] <= axis(seconds).ended


@pytest.mark.parametrize(
    ("top", "ticks"),
    [
        (0, [0, 0.5, 1]),
        (1, [0, 0.5, 1]),
        (0.033, [0, 0.02, 0.04]),
        (3, [0, 2, 4]),
        (69, [0, 50, 100]),
        (1000, [0, 500, 1000]),
    ],
)
def test_ticks_of_values_are_tidy_and_reach_above_all(top: float, ticks: list[float]) -> None:
    assert ticks == pytest.approx(linear_scale(top, 100, most_ticks=2).ticks)


def test_latencies_of_one_size_have_a_scale_from_zero() -> None:
    scale = latency_scale([5, 250], 100, 4)

    assert not scale.is_logarithmic
    assert 0 == scale.lowest


def test_latencies_of_many_sizes_have_powers_of_ten() -> None:
    scale = latency_scale([3, 1200, 0], 100, 4)

    assert scale.is_logarithmic
    assert (2, 2000) == (scale.lowest, scale.highest)
    assert [10, 100, 1000] == scale.ticks
    assert 100 == scale.y(0)
    assert 100 == pytest.approx(scale.y(2))
    assert 0 == pytest.approx(scale.y(2000))


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0"), (0.02, "0.02"), (2.5, "2.5"), (250, "250"), (1500, "1.5k"), (12_000, "12k"), (2_000_000, "2M")],
)
def test_a_tick_is_brief(value: float, written: str) -> None:
    assert written == brief(value)


def interval(at: float, requests: int, errors: int = 0, p99: float | None = None) -> Traffic:
    return Traffic(BEGAN + timedelta(seconds=at), 10, requests, errors, p99=p99)


def test_merged_traffic_keeps_counts_and_what_was_slow() -> None:
    traffic = [interval(10, 5, 1, 30), interval(0, 7, 2, 80), interval(20, 1), interval(30, 2, 0, 9)]

    assert [
        Traffic(BEGAN, 20, 12, 3, p99=80),
        Traffic(BEGAN + timedelta(seconds=20), 20, 3, 0, p99=9),
    ] == merged(traffic, axis(60), most=3)


def test_merged_traffic_of_users_with_a_time_of_their_own_keeps_their_rate() -> None:
    """In a rehearsal ten seconds of the release may be a tenth of a second for its users."""
    traffic = [replace(interval(at, 6), users_seconds=0.1) for at in range(0, 60, 10)]

    assert [60.0] * 3 == [round(each.requests / each.sent_seconds, 6) for each in merged(traffic, axis(60), most=3)]


def test_traffic_that_can_be_seen_stays_as_it_is() -> None:
    traffic = [interval(10, 5), interval(0, 7)]

    assert [traffic[1], traffic[0]] == merged(traffic, axis(60), most=2)


def test_merging_spreads_no_traffic_over_a_gap() -> None:
    traffic = [interval(at, 1) for at in (*range(0, 500, 10), *range(900, 1000, 10))]

    found = merged(traffic, axis(1000), most=20)

    assert not any(BEGAN + timedelta(seconds=550) < each.at < BEGAN + timedelta(seconds=850) for each in found)
    assert max(each.seconds for each in found) <= 50


def test_a_label_over_which_another_begins_is_above_it() -> None:
    spans = [Span(0, 50), Span(20, 70), Span(30, 40), Span(60, 90), Span(95, 99)]

    assert [0, 1, 2, 2, 0] == descending_lanes(spans)


def test_a_lane_that_is_free_again_is_used_again() -> None:
    assert [0, 1, 0, 0] == first_free_lanes([Span(0, 50), Span(20, 70), Span(50, 60), Span(70, 90)])


def test_neighbors_join_until_none_touches_another() -> None:
    places = [0, 8, 40, 49, 53, 90]

    def span(first: int, last: int) -> Span:
        middle = sum(places[first : last + 1]) / (last + 1 - first)
        return Span(middle - 5, middle + 5)

    assert [(0, 1), (2, 4), (5, 5)] == clusters(len(places), span)


def test_a_text_that_is_too_long_is_cut_to_its_room() -> None:
    assert "deploy" == shortened("deploy", 12, 100)
    cut = shortened("a-machine-with-a-name", 12, 60)
    assert cut.endswith("…")
    assert text_width(cut, 12) <= 60 < text_width("a-machine-with-a-name", 12)


@pytest.mark.parametrize(("one", "other"), [("版本", "ab"), ("WW", "ii"), ("e\u0301e", "e")])
def test_wide_letters_are_wider(one: str, other: str) -> None:
    assert text_width(one, 12) > text_width(other, 12)
