"""What chance decides in virtual time: the same for the same seed, replayed exactly, and bold where it counts."""

from collections import Counter, defaultdict
from collections.abc import Callable

import pytest

from rehearsal.engine.virtual import (
    Biased,
    Chooser,
    Recorded,
    Replayed,
    Request,
    Steady,
    Trace,
    Uniform,
    VirtualTime,
)
from rehearsal.engine.virtual.choices import LONGEST_SECONDS, LONGEST_WORK_SECONDS

USUAL = 0.02


def request(who: str = "one", *, writes: bool = False, at: float = 0.0, service: str = "dynamodb") -> Request:
    return Request(who, "switch-listener", service, "UpdateItem" if writes else "GetItem", writes, at, USUAL)


def race(chooser: Chooser, seed: int = 0) -> tuple[list[str], Trace]:
    """Let three participants send five requests each, every other one a write; say in which order they arrived."""
    arrived: list[str] = []
    with VirtualTime(seed) as virtual:
        virtual.choose_by(chooser)
        virtual.reseed(seed)

        def work(name: str) -> None:
            for number in range(5):
                virtual.travel("switch-listener", "elbv2", "ModifyListener", USUAL, writes=number % 2 == 1)
                arrived.append(name)

        threads = [virtual.clock.thread(work, (name,), name=name) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return arrived, virtual.trace


@pytest.mark.parametrize("make", [Steady, Uniform, Biased])
def test_the_same_seed_chooses_the_same(make: Callable[[], Chooser]) -> None:
    """A failing seed is all that there is to see the failure again."""
    assert race(make(), 7)[1].digest == race(make(), 7)[1].digest
    assert len({race(make(), seed)[1].digest for seed in range(10)}) > 1


@pytest.mark.parametrize("make", [Steady, Uniform, Biased])
def test_what_was_recorded_is_replayed_exactly(make: Callable[[], Chooser]) -> None:
    """Whoever chose it, and by whatever seed: the choices alone say all."""
    recorded = Recorded(make())
    arrived, trace = race(recorded, 7)
    again, replayed = race(Replayed(recorded.choices), 8)

    assert (again, replayed.digest) == (arrived, trace.digest)


def test_from_the_end_of_the_list_on_another_one_chooses() -> None:
    """A search gives the beginning of a schedule, and looks what usually follows."""
    recorded = Recorded(Uniform())
    race(recorded, 7)
    asked = Recorded(Steady())
    race(Replayed(recorded.choices[:6], asked), 8)

    assert recorded.choices[:6] != asked.choices[:6]
    assert {each for each in asked.choices if isinstance(each, float)} == {USUAL}


def test_only_where_there_is_a_choice_one_is_recorded() -> None:
    """A list of choices is for humans to read, too."""
    recorded = Recorded(Steady())
    places = [recorded.next_of(["one"]), recorded.next_of(["one", "other"])]

    assert recorded.choices == places[1:]


def test_usually_a_request_takes_its_time() -> None:
    """Rehearsals that are not about interleavings are what they were before there was a choice."""
    assert {Steady(seed).under_way(request()) for seed in range(5)} == {USUAL}


def test_uniform_lets_every_request_under_way_arrive_next_as_likely() -> None:
    """Also one that set out later: requests that all took as long would keep functions in step."""
    chooser, firsts = Uniform(1), Counter[bool]()
    for _ in range(2000):
        earlier = chooser.under_way(request())
        if earlier > USUAL:
            firsts[earlier - USUAL < chooser.under_way(request())] += 1

    assert 0.45 < firsts[True] / firsts.total() < 0.55


def test_biased_draws_out_the_moments_around_a_write() -> None:
    """Between look and write, and between write and the next look, is where others have to come in."""
    took = defaultdict(list)
    for seed in range(400):
        chooser = Biased(seed)
        took["before a look"].append(chooser.under_way(request(at=0)))
        took["before a write"].append(chooser.under_way(request(at=1, writes=True)))
        took["after a write"].append(chooser.under_way(request(at=2)))
    held = {when: sum(seconds > 1 for seconds in all_of_them) / 400 for when, all_of_them in took.items()}

    assert held["before a write"] > 0.1
    assert held["after a write"] > 0.1
    assert held["before a look"] < 0.05


def test_biased_lets_one_participant_starve_while_others_go_on() -> None:
    """Priorities, in the words of probabilistic concurrency testing."""
    slowest = []
    for seed in range(50):
        chooser = Biased(seed)
        took = {who: sum(chooser.under_way(request(who, at=at)) for at in range(20)) for who in ("one", "other")}
        slowest.append(max(took.values()) / min(took.values()))

    assert sum(ratio > 3 for ratio in slowest) > 10


def test_no_request_takes_longer_than_a_function_would_wait() -> None:
    """Else what is found could not happen on AWS: it would have been given up before."""
    for seed in range(200):
        chooser = Biased(seed)
        seconds = [chooser.under_way(request(at=0.5 * number, writes=True)) for number in range(12)]
        assert max(seconds) <= LONGEST_SECONDS
        assert sum(seconds) <= LONGEST_WORK_SECONDS + 12 * USUAL


def test_the_next_invocation_may_be_held_up_as_long_again() -> None:
    """The limit is one of a function's time-out, not of a machine's."""
    chooser = Biased(1)
    first, second = (
        sum(chooser.under_way(request(at=begin + 0.5 * number, writes=True)) for number in range(40))
        for begin in (0, 1000)
    )

    assert min(first, second) > LONGEST_WORK_SECONDS - LONGEST_SECONDS


def test_who_asks_for_metrics_is_not_kept_waiting() -> None:
    """A claim gives CloudWatch one second, and goes on without."""
    chooser = Biased(1)
    assert {chooser.under_way(request(service="cloudwatch", writes=True)) for _ in range(50)} == {USUAL}
