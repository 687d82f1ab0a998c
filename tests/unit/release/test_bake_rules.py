"""When a bake is over, how often it is looked at, and what a pause and its deadline mean."""

from dataclasses import replace

import pytest

from lambdas.errors import PauseExpired
from lambdas.release.bake_rules import Look, bake_of, look_at_bake, most_looks
from lambdas.release.rules import Bake, Order, OrderAction
from tests.builders import OPERATE, at

BAKE = Bake(10, began_at=at(0), ends_at=at(30))
PAUSE = Order(OrderAction.PAUSE, at(1), "checkout looks slow", OPERATE, until=at(41))
PROMOTE = Order(OrderAction.PROMOTE, at(1), "it is urgent", OPERATE)


@pytest.mark.parametrize(
    ("now", "again_at"),
    [
        (at(0), "10:00:09"),
        (at(0, 50), "10:00:59"),
        (at(0, 59), "10:01:08"),
        (at(1), "10:01:30"),
        (at(9, 30), "10:10:00"),
        (at(10), "10:11:00"),
        (at(29, 30), "10:30:00"),
        (at(29, 59), "10:30:00"),
    ],
)
def test_bake_is_looked_at_often_at_first_and_never_after_its_end(now: str, again_at: str) -> None:
    """What is bad shows at once; and an execution may have a limited number of events."""
    assert look_at_bake(BAKE, None, now) == Look(done=False, again_at=f"2026-03-01T{again_at}Z")


def test_next_look_is_not_a_part_of_a_second_before_the_end() -> None:
    """A Wait state takes whole seconds, and a look that is too early would be followed by another."""
    bake = replace(BAKE, ends_at="2026-03-01T10:30:00.250Z")
    assert look_at_bake(bake, None, at(29, 59)).again_at == "2026-03-01T10:30:01Z"


@pytest.mark.parametrize("now", [at(30), at(45)])
def test_bake_is_over_at_its_end(now: str) -> None:
    assert look_at_bake(BAKE, None, now) == Look(done=True)


@pytest.mark.parametrize("now", [at(2), at(30), at(40, 59)])
def test_pause_holds_also_when_the_bake_is_over(now: str) -> None:
    assert not look_at_bake(BAKE, PAUSE, now).done


@pytest.mark.parametrize(
    ("now", "again_at"),
    [(at(1, 5), "10:01:35"), (at(10, 59), "10:11:29"), (at(11), "10:12:00"), (at(40, 45), "10:41:00")],
)
def test_pause_is_looked_at_until_its_deadline(now: str, again_at: str) -> None:
    assert look_at_bake(BAKE, PAUSE, now).again_at == f"2026-03-01T{again_at}Z"


@pytest.mark.parametrize("now", [at(41), at(50)])
def test_pause_over_its_deadline_ends_the_release(now: str) -> None:
    """Nobody looks after it, and half a release must not stay."""
    with pytest.raises(PauseExpired, match=rf"checkout looks slow.*{at(41)}"):
        look_at_bake(BAKE, PAUSE, now)


def test_time_spent_paused_is_bake_time() -> None:
    assert look_at_bake(BAKE, None, at(35)).done


def test_promote_ends_every_bake() -> None:
    assert look_at_bake(BAKE, PROMOTE, at(2)).done


def test_bake_of_a_step_begins_once() -> None:
    first = bake_of(None, 10, 300, at(0))
    assert first == Bake(10, began_at=at(0), ends_at="2026-03-01T10:05:00+00:00")
    assert bake_of(first, 10, 300, at(4)) == first
    assert bake_of(first, 50, 60, at(6)) == Bake(50, began_at=at(6), ends_at="2026-03-01T10:07:00+00:00")


@pytest.mark.parametrize(("seconds", "looks"), [(0, 1), (60, 8), (61, 9), (600, 26), (601, 27), (1800, 46)])
def test_looks_are_counted(seconds: int, looks: int) -> None:
    assert most_looks(seconds) == looks
