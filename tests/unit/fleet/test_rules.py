import json
import re
from dataclasses import replace
from decimal import Decimal

import pytest

from lambdas.errors import IdleColorNotReady, RefreshFailed, RestartFailed
from lambdas.fleet.rules import (
    Capacity,
    Color,
    Preparation,
    Refresh,
    Restart,
    check_preparation,
    check_restarted,
    held_capacity,
    idle_capacity,
    restarts_everything,
    resting_capacity,
    resting_size,
)
from tests.builders import COLORS, at

READY_BY = at(30)
REFRESH = Refresh("refresh-1", "Successful", 100, "", "7", started_at=at(1))
PREPARED = Preparation(REFRESH, healthy=2, wanted=2)
REPLACING = replace(REFRESH, status="InProgress", percent=50)


def test_color_is_the_group_and_the_template_of_the_settings() -> None:
    assert Color.all_from_json(json.dumps(COLORS)) == {
        "blue": Color("receipts-blue", "lt-blue"),
        "green": Color("receipts-green", "lt-green"),
    }


@pytest.mark.parametrize(
    ("active", "idle", "maximum"),
    [
        (Capacity(2, 6, 4), Capacity(0, 8, 0), 8),
        (Capacity(2, 6, 4), Capacity(0, 2, 0), 6),
        (Capacity(2, 3, 4), Capacity(0, 2, 0), 4),
    ],
)
def test_idle_color_becomes_as_large_as_the_active_one_is_now(active: Capacity, idle: Capacity, maximum: int) -> None:
    assert idle_capacity(active, idle) == Capacity(minimum=4, maximum=maximum, desired=4)


@pytest.mark.parametrize(("active", "maximum"), [(Capacity(2, 6, 4), 6), (Capacity(2, 3, 4), 4)])
def test_way_back_may_grow_and_never_shrinks(active: Capacity, maximum: int) -> None:
    assert held_capacity(active) == Capacity(minimum=4, maximum=maximum, desired=4)


@pytest.mark.parametrize(("idle", "maximum"), [(Capacity(0, 2, 0), 6), (Capacity(1, 9, 8), 8)])
def test_color_at_rest_is_as_small_as_it_was_and_keeps_its_room(idle: Capacity, maximum: int) -> None:
    rests = resting_capacity(Capacity(4, 6, 4), idle)
    assert rests == Capacity(minimum=idle.minimum, maximum=maximum, desired=idle.desired)


def test_size_is_kept_in_the_history_and_read_back() -> None:
    """DynamoDB gives numbers back as its own."""
    size = Capacity(1, 9, 4)
    assert size.as_record() == {"minimum": 1, "maximum": 9, "desired": 4}
    assert Capacity.from_record({name: Decimal(number) for name, number in size.as_record().items()}) == size


FOUND, RESTED = Capacity(4, 9, 4), Capacity(0, 9, 0)
EARLIER = {"idle": {"color": "green", "resting": RESTED.as_record()}}


@pytest.mark.parametrize(
    ("earlier", "size"), [({}, FOUND), (EARLIER, RESTED), ({**EARLIER, "cleaned_up_at": at(1)}, FOUND)]
)
def test_color_that_nobody_has_cleaned_up_rests_as_it_did_before(earlier: dict[str, object], size: Capacity) -> None:
    """Otherwise the next clean-up would leave it as large as when it served."""
    assert resting_size(FOUND, earlier) == size


def test_color_is_ready_with_the_new_version_on_as_many_healthy_targets_as_wanted() -> None:
    assert check_preparation(PREPARED, READY_BY, at(5)) is True
    assert check_preparation(PREPARED, READY_BY, at(31)) is True
    assert check_preparation(replace(PREPARED, healthy=3), READY_BY, at(5)) is True


@pytest.mark.parametrize(
    "waits_for",
    [
        replace(PREPARED, healthy=1),
        replace(PREPARED, refresh=REPLACING),
        replace(PREPARED, refresh=replace(REFRESH, status="Pending")),
        replace(PREPARED, refresh=replace(REFRESH, status="Baking")),
    ],
)
def test_color_that_is_not_ready_is_waited_for_until_time_is_up(waits_for: Preparation) -> None:
    assert check_preparation(waits_for, READY_BY, at(29, 59)) is False
    with pytest.raises(IdleColorNotReady):
        check_preparation(waits_for, READY_BY, READY_BY)


def test_operator_reads_how_far_the_color_came_in_its_time() -> None:
    with pytest.raises(IdleColorNotReady) as raised:
        check_preparation(Preparation(REPLACING, healthy=1, wanted=2), READY_BY, at(30, 1))
    assert str(raised.value) == (
        f"Instance refresh InProgress at 50 %, 1 of 2 targets healthy when the time was up at {READY_BY}."
    )


@pytest.mark.parametrize(("reason", "said"), [("out of quota", "out of quota"), ("", "no reason")])
def test_refresh_that_ended_without_success_is_not_waited_for(reason: str, said: str) -> None:
    failed = replace(REFRESH, status="Failed", percent=50, reason=reason)
    with pytest.raises(RefreshFailed) as raised:
        check_preparation(Preparation(failed, healthy=2, wanted=2), READY_BY, at(5))
    assert str(raised.value) == f"Instance refresh refresh-1 is Failed: {said}"


@pytest.mark.parametrize(("started_at", "replaces"), [(at(1), True), (at(0, 59), False), ("", True)])
def test_refresh_replaces_everything_that_ran_before_it_began(started_at: str, *, replaces: bool) -> None:
    assert restarts_everything(replace(REPLACING, started_at=started_at), since=at(1)) is replaces


RESTART = Restart(
    (REPLACING, REFRESH), 1, 2, launched_at={"i-new": at(12), "i-b": at(9), "i-a": at(8)}, swapped_at=at(10)
)


def test_restart_is_waited_for_until_it_is_done() -> None:
    done = replace(RESTART, refreshes=(REFRESH,), healthy=2, launched_at={"i-new": at(10)})
    assert check_restarted(done, READY_BY, READY_BY) is True
    assert check_restarted(RESTART, READY_BY, at(29, 59)) is False


def test_operator_reads_what_still_knows_the_other_database_only() -> None:
    with pytest.raises(RestartFailed) as raised:
        check_restarted(RESTART, READY_BY, READY_BY)
    assert str(raised.value) == (
        "Instance refresh InProgress at 50 %, Successful at 100 %, 1 of 2 targets healthy when the time was up"
        f" at {READY_BY}. Instances launched before {at(10)} still run: i-a, i-b."
    )


def test_operator_reads_of_no_old_instances_where_there_are_none() -> None:
    with pytest.raises(RestartFailed, match=re.escape(f"when the time was up at {READY_BY}.") + "$"):
        check_restarted(replace(RESTART, launched_at={"i-new": at(12)}), READY_BY, READY_BY)


def test_restart_that_ended_without_success_and_without_words_says_so() -> None:
    failed = replace(REFRESH, status="Cancelled")
    with pytest.raises(RestartFailed, match=r"^Instance refresh refresh-1 is Cancelled: no reason$"):
        check_restarted(replace(RESTART, refreshes=(failed,)), READY_BY, at(5))
