"""What happens in a copy depends on scenario and seed alone, and nothing of a copy gets lost or stays behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rehearsal.copies import Crash, Lost, Original, Played, built, in_copies
from rehearsal.settings import Settings
from rehearsal.stage import Stage
from tests.rehearsal.conftest import scenario
from tests.waiting import eventually

GOOD_RELEASE = scenario("good-release")
SHORT = replace(GOOD_RELEASE, play=lambda stage: stage.account.clock.sleep(30), expected="untouched", promises=())
"""Users and nothing else, for half a minute."""


def done(work: Callable[[int], object], *arguments: int, at_most: int = 2, seconds: float = 30.0) -> dict[int, Any]:
    """Do work in copies."""
    return dict(in_copies(work, arguments, at_most=at_most, longest_seconds=seconds))


def is_alive(process_id: int) -> bool:
    """Say whether there is such a process, and not only what is left of it."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{process_id}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    return False


# -- processes


def test_each_argument_comes_back_with_its_result() -> None:
    """Also when a result is larger than what a pipe can hold, and when there are more than may run at once."""
    results = done(lambda number: str(number) * 200_000, *range(5))

    assert results == {number: str(number) * 200_000 for number in range(5)}


def test_copies_are_processes_of_their_own_and_no_more_than_allowed_at_a_time(tmp_path: Path) -> None:
    """What one changes, no other one sees; each leaves a mark, and counts marks when it has company."""
    seen: list[int] = []

    def count(number: int) -> tuple[int, int]:
        seen.append(number)
        mark = tmp_path / str(number)
        mark.touch()
        partner = tmp_path / f"{number ^ 1}"
        eventually(lambda: partner.exists() or partner.with_suffix(".done").exists(), seconds=10)
        running = len(list(tmp_path.glob("[!.]")))
        mark.rename(mark.with_suffix(".done"))
        return len(seen), running

    results = done(count, *range(6), at_most=2)

    assert {changes for changes, _ in results.values()} == {1}
    assert max(running for _, running in results.values()) <= 2
    assert seen == []


def test_a_copy_that_fails_says_why() -> None:
    """A result that cannot be handed back is a failure, too."""

    def fail(number: int) -> object:
        if number:
            return lambda: None
        raise ValueError("no good")

    results = done(fail, 0, 1)

    assert "ValueError: no good" in results[0].traceback
    assert "in fail" in results[0].traceback
    assert "ickle" in results[1].traceback


def test_a_copy_that_ends_without_an_answer_is_reported() -> None:
    """Whether it left by itself or was killed."""
    results = done(lambda number: os._exit(7) if number else os.kill(os.getpid(), signal.SIGKILL), 0, 1)

    assert "It ended with -9 and no answer" in results[0].traceback
    assert "It ended with 7 and no answer" in results[1].traceback


def test_a_copy_that_is_stuck_tells_where() -> None:
    """It is ended, and the others go on."""

    def hang(number: int) -> int:
        if number == 1:
            time.sleep(60)
        return number

    results = done(hang, 0, 1, 2, seconds=1.0)

    assert (results[0], results[2]) == (0, 2)
    assert isinstance(results[1], Crash)
    assert "in hang" in results[1].traceback


def test_no_copy_outlives_who_asks_for_results(tmp_path: Path) -> None:
    """A test that fails in the middle of its copies leaves none."""

    def work(number: int) -> int:
        (tmp_path / str(os.getpid())).touch()
        time.sleep(60 * number)
        return number

    results = in_copies(work, (0, 1), at_most=2, longest_seconds=60)
    assert next(iter(results)) == (0, 0)
    eventually(lambda: len(list(tmp_path.iterdir())) == 2, seconds=10)
    results.close()

    assert not any(is_alive(int(each.name)) for each in tmp_path.iterdir())


def test_no_copy_outlives_the_original(tmp_path: Path) -> None:
    """Not even when that is killed, and can do nothing about it."""
    code = f"""
import os, pathlib, time
from rehearsal.copies import in_copies
def work(number):
    pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch()
    time.sleep(60)
list(in_copies(work, [1, 2], at_most=2, longest_seconds=60))
"""
    original = subprocess.Popen([sys.executable, "-c", code])
    eventually(lambda: len(list(tmp_path.iterdir())) == 2, seconds=20)
    original.kill()
    original.wait()

    copies = [int(each.name) for each in tmp_path.iterdir()]
    eventually(lambda: not any(is_alive(copy) for copy in copies), seconds=10)


# -- rehearsals


@pytest.fixture(scope="module")
def original(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    """Return an account that was built for a good release."""
    with built(GOOD_RELEASE, Settings.read("production"), assembly, tmp_path_factory.mktemp("copies")) as account:
        yield account


def played(original: Original, seeds: list[int]) -> list[Played]:
    """Rehearse a good release, without losing a copy."""
    results = list(original.rehearse(GOOD_RELEASE, seeds))
    assert [result.reason for result in results if isinstance(result, Lost)] == []
    return sorted((result for result in results if isinstance(result, Played)), key=lambda result: result.seed)


@pytest.mark.rehearsed
def test_the_same_seed_gives_the_same_rehearsal_and_another_one_another(original: Original) -> None:
    """In copies of one account."""
    first, again, other = played(original, [1, 1, 2])

    assert (first.outcome, first.broken_promises, first.weights) == ("promoted", (), {"blue": 0, "green": 100})
    assert first == again
    assert first.trace_digest != other.trace_digest


@pytest.mark.rehearsed
def test_only_what_went_wrong_leaves_a_folder(original: Original) -> None:
    """With the logs of its own functions: thousands that went well would fill a disk."""
    unexpected = replace(SHORT, expected="promoted")

    good, bad = *original.rehearse(SHORT, [1]), *original.rehearse(unexpected, [2])

    assert isinstance(good, Played)
    assert isinstance(bad, Played)
    assert good.broken_promises == ()
    assert bad.broken_promises == ("the release ended as untouched, not as promoted",)
    assert not (original.folder / "0-seed-1").exists()
    assert (original.folder / "0-seed-2" / "report.json").exists()


@pytest.mark.rehearsed
def test_a_rehearsal_that_fails_is_lost_with_its_traceback_and_seed(original: Original) -> None:
    """Its folder remains."""

    def fail(_: Stage) -> None:
        raise ValueError("a scenario with a mistake")

    (lost,) = original.rehearse(replace(SHORT, play=fail), [7])

    assert isinstance(lost, Lost)
    assert lost.seed == 7
    assert "ValueError: a scenario with a mistake" in lost.reason
    assert (original.folder / "0-seed-7").is_dir()
