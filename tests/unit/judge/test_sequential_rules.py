"""E-values: known ones, how they move, and the promise that they make for every look together."""

from collections.abc import Iterator
from math import comb, exp, log
from random import Random

import pytest

from lambdas.judge.sequential_rules import ODDS, Strictness, log_evidence

TRACES, LOOKS = 2000, 180


def test_nothing_counted_is_no_evidence() -> None:
    assert log_evidence(0, 0, 0.05) == pytest.approx(0)


def test_one_hit_is_as_much_as_the_bet_on_it_pays() -> None:
    """At a bound of a half, odds that are t times as high are a probability of t / (1 + t), against a half."""
    assert exp(log_evidence(1, 1, 0.5)) == pytest.approx(sum(2 * t / (1 + t) for t in ODDS) / len(ODDS))
    assert exp(log_evidence(0, 1, 0.5)) == pytest.approx(sum(2 / (1 + t) for t in ODDS) / len(ODDS))


@pytest.mark.parametrize("bound", [0.01, 0.05, 0.143, 0.6, 0.9])
def test_bet_is_fair_at_the_bound(bound: float) -> None:
    """The expectation over all that can happen is exactly 1: that is what makes Ville's inequality hold."""
    trials = 20
    chances = [comb(trials, hits) * bound**hits * (1 - bound) ** (trials - hits) for hits in range(trials + 1)]
    stake = sum(chance * exp(log_evidence(hits, trials, bound)) for hits, chance in enumerate(chances))
    assert stake == pytest.approx(1)


def test_bet_loses_below_the_bound() -> None:
    chances = [comb(20, hits) * 0.03**hits * 0.97 ** (20 - hits) for hits in range(21)]
    assert sum(chance * exp(log_evidence(hits, 20, 0.05)) for hits, chance in enumerate(chances)) < 1


def test_every_hit_adds_and_every_other_trial_takes_away() -> None:
    by_hits = [log_evidence(hits, 100, 0.05) for hits in range(101)]
    by_trials = [log_evidence(10, trials, 0.05) for trials in range(10, 1000)]
    assert by_hits == sorted(by_hits)
    assert by_trials == sorted(by_trials, reverse=True)


def test_lower_bound_is_broken_sooner() -> None:
    evidence = [log_evidence(10, 100, bound / 100) for bound in range(1, 99)]
    assert evidence == sorted(evidence, reverse=True)


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_bound_that_nothing_can_break_is_never_broken(bound: float) -> None:
    assert not Strictness(0.05).rejects(log_evidence(10**6, 10**6, bound))


def test_evidence_of_millions_can_be_computed() -> None:
    assert log_evidence(10**7, 10**8, 0.05) > 0 > log_evidence(10**6, 10**8, 0.05)


def test_what_may_go_wrong_is_divided_among_the_tests() -> None:
    assert Strictness.part(0.1, 0.25) == Strictness(0.00025)
    assert Strictness(0.00025).rejects(log(4000))
    assert not Strictness(0.00025).rejects(log(3999))


def walks(bound: float, seed: int) -> Iterator[list[float]]:
    """Play traces at the bound, the worst case, ten trials between two looks, and tell the evidence at each."""
    random = Random(seed)  # noqa: S311  no secret is made of it
    for _ in range(TRACES):
        hits, found = 0, []
        for look in range(1, LOOKS + 1):
            hits += sum(random.random() < bound for _ in range(10))
            found.append(log_evidence(hits, 10 * look, bound))
        yield found


def test_false_alarms_of_all_looks_together_are_as_rare_as_promised() -> None:
    """A test for one look, used at 180, would raise a false alarm in every third trace."""
    strictness = Strictness(0.05)
    alarms = sum(any(map(strictness.rejects, found)) for found in walks(0.05, seed=1))
    assert 0 < alarms / TRACES <= 0.05


def test_false_alarms_are_promised_for_a_comparison_as_well() -> None:
    strictness = Strictness(0.05)
    alarms = sum(any(map(strictness.rejects, found)) for found in walks(0.143, seed=2))
    assert 0 < alarms / TRACES <= 0.05
