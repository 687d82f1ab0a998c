"""
A process that lets the shipped judge look at traces of releases, and tells what became of each.

    judge_process.py <folder of the shipped code> < scenarios as JSON

A scenario is what `bench.judge.Scenario` says. Its output is JSON: by the scenario's name, a list of [verdict, blame,
seconds since the first shift] for each trace. Requests, errors and slow requests come at random, from a seed that
follows from the scenario's name. This file is a script that must not find our packages, but those that ship.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from math import exp, log
from random import Random
from typing import Any

_BEGAN = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
_MANY = 50
_MINUTE_SECONDS = 60
_LATE_SECONDS = 0.05
"""How long after the whole second that a Wait state waits for the next look begins."""


class Judge:
    """The shipped rules, with the settings of a function's JUDGE variable, and for a release of these steps."""

    def __init__(self, settings: str, steps: Sequence[object]) -> None:
        evidence, rules = import_module("lambdas.judge.evidence_rules"), import_module("lambdas.judge.rules")
        self.bakes, self.evidence, self.rules = import_module("lambdas.release.bake_rules"), evidence, rules
        self.settings = evidence.JudgeSettings.from_json(settings)
        self.standards = rules.Standards(self.settings, len(steps))

    def looks(self, began: datetime, percent: int, bake_seconds: int, traffic: "Traffic") -> Iterator[tuple[Any, str]]:
        """Look at one step whenever the shipped rules say so, and yield each judgement with its moment."""
        now, counts = began.isoformat(), Counts()
        bake = self.bakes.bake_of(None, percent, bake_seconds, now)
        release = self.rules.Observed("green", since=now)
        while True:
            span = self.evidence.span_of(self.settings, bake.began_at, now)
            counts.grow_until((span.until - began).total_seconds(), percent, traffic)
            tallies = [self.evidence.Tally.counted(*each) for each in (counts.new, counts.old)]
            judgement = self.rules.judge(release, (), self.evidence.Evidence(*tallies), self.standards)
            yield judgement, now
            decision = self.rules.decide(judgement, bake, self.rules.Standing(), self.settings, now)
            if decision.look.done or decision.holds:
                return
            now = (datetime.fromisoformat(decision.look.again_at) + timedelta(seconds=_LATE_SECONDS)).isoformat()


@dataclass(frozen=True)
class Traffic:
    """How many requests there are, and which share of those to each version fails or is slow."""

    random: Random
    per_second: float
    new: tuple[float, float]
    old: tuple[float, float]

    def poisson(self, expected: float) -> int:
        """Draw a number of requests; of many the normal distribution is close enough."""
        if expected > _MANY:
            return max(0, round(self.random.gauss(expected, expected**0.5)))
        limit, product, number = exp(-expected), self.random.random(), 0
        while product > limit:
            product *= self.random.random()
            number += 1
        return number

    def binomial(self, trials: int, share: float) -> int:
        """Draw how many of so many requests are hit, from one hit to the next."""
        if share in (0, 1):
            return round(trials * share)
        hits, at = 0, 0
        while True:
            at += 1 + int(log(1 - self.random.random()) / log(1 - share))
            if at > trials:
                return hits
            hits += 1


@dataclass
class Counts:
    """Requests, errors and slow requests to both colors, until a second of the step."""

    until: float = 0
    new: list[int] = field(default_factory=lambda: [0, 0, 0])
    old: list[int] = field(default_factory=lambda: [0, 0, 0])

    def grow_until(self, second: float, percent: int, traffic: Traffic) -> None:
        """Let time pass."""
        seconds, self.until = max(0.0, second - self.until), max(second, self.until)
        for counts, share, rates in ((self.new, percent, traffic.new), (self.old, 100 - percent, traffic.old)):
            requests = traffic.poisson(traffic.per_second * seconds * share / 100)
            for index, number in enumerate((requests, *(traffic.binomial(requests, rate) for rate in rates))):
                counts[index] += number


def play(judge: Judge, scenario: Mapping[str, Any]) -> list[list[Any]]:
    """Play all traces of a scenario: step after step, until the release is not healthy any more."""
    random = Random(scenario["name"])  # noqa: S311  no secret is made of it
    return [_trace(judge, scenario, random) for _ in range(scenario["traces"])]


def _trace(judge: Judge, scenario: Mapping[str, Any], random: Random) -> list[Any]:
    """Begin at any moment of a minute, and so of CloudWatch's periods: they decide how much a look finds published."""
    new, old = tuple(scenario["new"]), tuple(scenario["old"])
    traffic = Traffic(random, scenario["per_second"], new, old)
    first = began = _BEGAN + timedelta(seconds=random.random() * _MINUTE_SECONDS)
    verdict, blame, now = "", "", began.isoformat()
    for percent, bake_seconds in scenario["steps"]:
        for judgement, now in judge.looks(began, percent, bake_seconds, traffic):
            verdict, blame = judgement.verdict.value, judgement.blame.value
            if blame:
                return [verdict, blame, _seconds(first, now)]
        if verdict != "healthy":
            break
        began = datetime.fromisoformat(now)
    return [verdict, blame, _seconds(first, now)]


def _seconds(began: datetime, now: str) -> float:
    return round((datetime.fromisoformat(now) - began).total_seconds(), 1)


def main(code: str) -> None:
    """Read scenarios, and print what became of their traces."""
    given = json.load(sys.stdin)
    sys.path.insert(0, code)
    judge = Judge(given["settings"], given["steps"])
    json.dump({each["name"]: play(judge, each) for each in given["scenarios"]}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
