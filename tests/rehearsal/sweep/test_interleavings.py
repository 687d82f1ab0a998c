"""Everybody at once, as a seed says: drawn the same each time, and told so that it can be seen again."""

import pytest

from rehearsal.copies import Crash
from rehearsal.sweep.interleavings import (
    ACTS,
    MOMENTS,
    Deed,
    Found,
    plan_of,
    replay,
    result_of,
)


def found(name: str = "interleavings/biased/1", *problems: str, done: tuple[str, ...] = ()) -> Found:
    return Found(name, ("roll back by hand, 0.10 s after the start",), done, problems, "rolled_back, 100/0: …", name)


# -- what is drawn


def test_a_seed_says_who_does_what_when() -> None:
    """In whatever process it is drawn."""
    assert plan_of(7) == plan_of(7)
    assert len({plan_of(seed) for seed in range(100)}) > 90


def test_in_every_plan_something_brings_a_way_back_about() -> None:
    """A release that nobody disturbs is swept elsewhere."""
    assert all(ACTS[plan_of(seed)[0].act].brings_back for seed in range(100))


def test_two_to_five_things_happen_at_once() -> None:
    """Fewer cannot meet, and more only hide each other."""
    assert {len(plan_of(seed)) for seed in range(200)} == {2, 3, 4, 5}


def test_everything_is_drawn_at_some_time() -> None:
    """Every act, and every moment of the states around claim, switch, settle and release."""
    drawn = [deed for seed in range(600) for deed in plan_of(seed)]

    assert {deed.act for deed in drawn} == set(ACTS)
    assert {deed.after for deed in drawn} == {None, *MOMENTS}


def test_a_plan_can_be_read() -> None:
    """It stands at the head of the story of a play that went wrong."""
    deed = Deed("pause", 0.25, ("deploy", "Bake at 100 %"))

    assert str(deed) == "pause, 0.25 s after deploy enters 'Bake at 100 %'"


# -- what is told


def test_a_problem_is_told_with_the_command_that_shows_it_again() -> None:
    """One line to copy."""
    result = result_of([found(), found("interleavings/uniform/3", "traffic is lost")])

    assert result.problems == ["traffic is lost\n  python -m rehearsal.sweep replay interleavings/uniform/3"]


def test_a_play_that_crashes_is_a_problem() -> None:
    """Nothing is proven by what has not come to an end."""
    assert result_of([Crash("interleavings/uniform/3: it hangs")]).problems == ["interleavings/uniform/3: it hangs"]


def test_the_page_counts_plays_orders_deeds_and_ends() -> None:
    """A reader sees how much was tried, and that it was not always the same."""
    plays = [found(done=("pause", "abort")), found("interleavings/uniform/1", done=("pause",))]
    title, page = result_of(plays).section()

    assert title == "Interleavings"
    for line in ("plays, biased | 1", "different orders | 2", "pause | 2", "abort | 1", "rolled_back, 100/0 | 2"):
        assert f"| {line} |" in page


def test_a_name_that_there_is_not_is_refused() -> None:
    """Before an account is built for it."""
    with pytest.raises(ValueError, match="neither of uniform, biased"):
        replay("interleavings/hopeful/1")
