"""Every order with few deviations around claim, switch, settle and release: each of them once, and counted."""

from dataclasses import replace

from rehearsal.sweep.schedules import Schedule, deviating, result_of, told


def schedule(*choices: int, widths: tuple[int, ...], end: str = "somehow", problems: tuple[str, ...] = ()) -> Schedule:
    return Schedule("switch", choices, widths, problems, end, f"digest of {choices}")


# -- the search


def test_what_deviates_goes_as_before_until_it_does() -> None:
    """And only after the last deviation, or the same schedule would be found twice."""
    assert deviating(schedule(0, 1, widths=(2, 2, 2, 3))) == [(0, 1, 1), (0, 1, 0, 1), (0, 1, 0, 2)]


def test_each_schedule_is_found_once() -> None:
    """With three choices of two, and up to two deviations: all but the one with three."""
    found, level = [()], [()]
    for _ in range(2):
        level = [each for known in level for each in deviating(schedule(*known, widths=(2, 2, 2)))]
        found += level
    whole = [(*each, *(0,) * (3 - len(each))) for each in found]

    assert len(whole) == len(set(whole)) == 7
    assert (1, 1, 1) not in whole


def test_the_page_says_how_many_there_were_and_whether_these_are_all() -> None:
    """Who reads it wants to know what was not looked at, too."""
    played = [schedule(widths=(2,)), schedule(1, widths=(2,), end="otherwise", problems=("traffic is lost",))]
    whole = result_of(played, is_complete=True)

    assert "| switch | 2 | 2 |" in told(whole)
    assert "All schedules" in told(whole)
    assert "All schedules" not in told(replace(whole, is_complete=False))
    assert whole.problems == ["traffic is lost\n  python -m rehearsal.sweep replay interleavings/switch/1"]
