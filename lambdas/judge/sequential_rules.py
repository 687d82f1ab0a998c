"""
How strongly counts speak against a bound, however often they are looked at. All pure.

An e-value is the factor by which somebody who bets against a hypothesis, at fair odds, has multiplied the stake. Under
the hypothesis its expectation is at most 1 at every look, and by Ville's inequality it ever reaches 1/a, at any of all
looks, with a probability of at most a. So nobody has to plan how often, or until when, he looks.

J. Ville, Étude critique de la notion de collectif (1939); A. Wald, Sequential tests of statistical hypotheses (1945);
A. Ramdas et al., Game-theoretic statistics and safe anytime-valid inference, Statistical Science 38 (2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log

ODDS = (1.25, 2.5, 8, 25)
"""
How many times the odds of a hit may be those of the bound: the alternatives that the bet is spread over, evenly.

A mixture over a few simple alternatives is exact with logarithms alone, and costs at most their number: evidence that
one of them would find is found with a factor of 4 more, about one error. What lies between two of them, or beyond the
last, is found by its neighbours a little later. Odds, unlike shares, stay below certainty.
"""


def log_evidence(hits: int, trials: int, bound: float) -> float:
    """
    Return the logarithm of the e-value against "each trial is a hit with a probability of at most `bound`".

    Against every alternative a lower probability than the bound makes it smaller still, so the bound is the worst case.
    """
    if not 0 < bound < 1:
        return -inf
    return _log_of_mean([_log_ratio(hits, trials, bound, times) for times in ODDS])


def _log_ratio(hits: int, trials: int, bound: float, times: float) -> float:
    """Return the logarithm of the likelihood ratio of odds that are so many times those of the bound."""
    return hits * log(times) - trials * log(1 - bound + bound * times)


def _log_of_mean(logs: Sequence[float]) -> float:
    largest = max(logs)
    return largest + log(sum(exp(each - largest) for each in logs) / len(logs))


@dataclass(frozen=True)
class Strictness:
    """With which probability a test may ever reject what is true."""

    false_alarms: float

    @classmethod
    def part(cls, percent: float, share: float) -> "Strictness":
        """Give a test its share of what may go wrong in all together, by Boole's inequality; the shares add up to 1."""
        return cls(percent / 100 * share)

    def rejects(self, log_evidence: float) -> bool:
        """Say whether evidence is strong enough, by Ville's inequality."""
        return log_evidence >= -log(self.false_alarms)
