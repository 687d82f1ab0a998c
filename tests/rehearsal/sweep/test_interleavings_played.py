"""Interleavings and schedules on what ships: replayed exactly, and able to find a mistake that is put in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehearsal.copies import Crash, Original, in_copies
from rehearsal.sweep import interleavings, schedules
from rehearsal.sweep.interleavings import Found, name_of, story
from rehearsal.sweep.schedules import (
    RACES,
    Beginning,
    Schedule,
    account_of,
    beginning_of,
    explored,
    result_of,
    starting_there,
)

pytestmark = pytest.mark.rehearsed

SWITCH = RACES["switch"]
LATE_WRITE = (0, 0, 0, 0, 0, 1)
"""The deployment is interrupted right before it gives its version all traffic."""
LATE_SEED = 1039
"""Under the biased policy, the deployment's write comes after the rollback's in this play."""
KEPT = (("uniform", 5), ("biased", 77))
"""Plays in which something was wrong once: who moves the listener just before an abort, and during a settle."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    """Return the account in which interleavings and schedules are played."""
    with account_of(tmp_path_factory.mktemp("account")) as account:
        yield account


# -- interleavings


def played(
    original: Original, policy: str, seed: int, folder: Path, damage: Callable[[Original], None] = lambda _: None
) -> Found:
    """Play an interleaving in a copy of the account, which may be damaged before."""

    def one(number: int) -> Found:
        damage(original)
        return interleavings.play(original, policy, number, folder / "play", tell=True)

    ((_, result),) = in_copies(one, [seed], at_most=1, longest_seconds=120)
    assert not isinstance(result, Crash), result.traceback
    return result


def test_a_play_is_repeated_exactly(original: Original, tmp_path: Path) -> None:
    """To the last moment of virtual time, by policy and seed alone."""
    one, other = (played(original, "biased", LATE_SEED, tmp_path) for _ in range(2))

    assert one == other
    assert name_of("biased", LATE_SEED) in story(one)


def test_each_policy_has_an_order_of_its_own(original: Original, tmp_path: Path) -> None:
    """The plan is the same, and who comes first is not."""
    uniform, biased = (played(original, policy, LATE_SEED, tmp_path) for policy in ("uniform", "biased"))

    assert uniform.deeds == biased.deeds
    assert uniform.trace_digest != biased.trace_digest


@pytest.mark.parametrize(("policy", "seed"), KEPT)
def test_a_play_that_has_taught_something_is_all_right_now(
    original: Original, policy: str, seed: int, tmp_path: Path
) -> None:
    """Somebody has moved the listener in it, and nothing is left that must not be."""
    found = played(original, policy, seed, tmp_path)

    assert any(deed.startswith("move the listener by hand") for deed in found.deeds)
    assert found.problems == ()


# -- schedules


@pytest.fixture(scope="module")
def beginning(original: Original, tmp_path_factory: pytest.TempPathFactory) -> Beginning:
    """Return what it is like when half of the traffic is on the new version, and all of it is to be."""
    return beginning_of(original, SWITCH, tmp_path_factory.mktemp("beginning"))


def scheduled(
    original: Original,
    beginning: Beginning,
    folder: Path,
    *choices: int,
    without_settle: bool = False,
) -> Schedule:
    """Play a schedule; `without_settle` takes the function out that undoes late writes."""

    def one(given: tuple[int, ...]) -> Schedule:
        if without_settle:
            functions, name = original.account.functions, original.account.stack.function("settle")
            functions.stand_in(name, lambda _: {"settled": True})
        return schedules.play(original, SWITCH, beginning, given, folder / "play", tell=True)

    with starting_there(original, SWITCH):
        ((_, result),) = in_copies(one, [choices], at_most=1, longest_seconds=60)
    assert not isinstance(result, Crash), result.traceback
    return result


def test_usually_each_goes_on_until_it_waits(original: Original, beginning: Beginning, tmp_path: Path) -> None:
    """The deployment gives its version everything, and then the rollback takes it away."""
    usual = scheduled(original, beginning, tmp_path)
    moves = [line for line in usual.lines if "[listener" in line]

    assert ["deploy 1: switch-listener", "rollback 1: switch-listener"] == [line[13:45].strip() for line in moves]
    assert usual.problems == ()


def test_a_late_write_is_made_and_undone(original: Original, beginning: Beginning, tmp_path: Path) -> None:
    """It is the rollback's traffic that the interrupted deployment takes away, and settle that gives it back."""
    late = scheduled(original, beginning, tmp_path, *LATE_WRITE)
    moves = [line[13:45].strip() for line in late.lines if "[listener" in line]

    assert moves == ["rollback 1: switch-listener", "deploy 1: switch-listener", "rollback 1: settle"]
    assert late.problems == ()
    assert late.end.startswith("100/0, rolled_back, free")


def test_a_schedule_is_replayed_exactly(original: Original, beginning: Beginning, tmp_path: Path) -> None:
    """To the last moment of virtual time, by its choices alone."""
    one, other = (scheduled(original, beginning, tmp_path, *LATE_WRITE) for _ in range(2))

    assert one == other


def test_without_settle_the_late_write_is_found(original: Original, beginning: Beginning, tmp_path: Path) -> None:
    """Else that nothing is found would say nothing."""
    late = scheduled(original, beginning, tmp_path, *LATE_WRITE, without_settle=True)

    assert any("a late write" in problem for problem in late.problems)


def test_one_deviation_anywhere_around_the_promotion_does_no_harm(original: Original, tmp_path: Path) -> None:
    """A rollback and the promotion: whoever writes first is the one that counts."""
    results = list(explored(original, RACES["promote"], tmp_path, deviations=1, at_most=2))
    found = result_of(results, is_complete=True)

    assert found.problems == []
    assert found.orders == len(results) > 5
    assert len(found.ends["promote"]) > 2


def test_a_claim_that_has_seen_the_release_before_its_first_shift_decides_anew(
    original: Original, tmp_path: Path
) -> None:
    """
    Found by `interleavings/first-shift/1.0.1`: the record is read, then traffic is shifted, then the claim is written.

    Such a rollback once aborted the release, and scaled the color in that had a half of the traffic.
    """
    race = RACES["first-shift"]
    before = beginning_of(original, race, tmp_path / "before")
    with starting_there(original, race):
        ((_, result),) = in_copies(
            lambda given: schedules.play(original, race, before, given, tmp_path / "play", tell=True),
            [(1, 0, 1)],
            at_most=1,
            longest_seconds=60,
        )
    assert not isinstance(result, Crash), result.traceback

    assert "ConditionalCheckFailedException" in "".join(line for line in result.lines if "claim-rollback" in line)
    assert result.problems == ()
    assert "Aborted" not in result.end
