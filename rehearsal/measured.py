"""What only a rehearsal knows about a release: what each of its users got, and what the judges found."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import zip_longest

from lambdas.reports.story import Figure, Traffic
from rehearsal.clock import Clock
from rehearsal.report import Report
from rehearsal.scenarios.promises import MOST_CRITICAL_CALLS
from rehearsal.world.traffic import Sample, percentile, summarise

STRETCHES = 240
"""Into so many equal parts a release is divided at most."""

_REQUESTS_IN_STRETCH = 20
"""How many requests, of all colors together, a part has at least on average: fewer show chance and nothing else."""


@dataclass
class _Stretch:
    """What one color answered in one part of the rehearsal."""

    latencies: list[float] = field(default_factory=list)
    errors: int = 0

    def add(self, sample: Sample) -> None:
        self.latencies.append(sample.latency_milliseconds)
        self.errors += sample.failed

    def told(self, at: datetime, seconds: float, users_seconds: float) -> Traffic:
        told = Traffic(at, seconds, len(self.latencies), self.errors, users_seconds=users_seconds)
        if not any(self.latencies):  # models answer in no time, which is no latency
            return told
        ascending = sorted(self.latencies)
        p50, p95, p99 = (round(percentile(ascending, share), 1) for share in (0.50, 0.95, 0.99))
        return replace(told, p50=p50, p95=p95, p99=p99)


def traffic(samples: Sequence[Sample], clock: Clock, began: datetime, ended: datetime) -> dict[str, list[Traffic]]:
    """
    Tell by color what users got between two moments, in parts of equal length; "" holds what no instance answered.

    Where users are real, they live in the time of this machine: `users_seconds` is how long a part was for them, from
    its first request to the first one of the next part.
    """
    start = clock.now() - timedelta(seconds=clock.seconds())
    ordered = sorted(samples, key=lambda sample: sample.sent_seconds)
    moments = [start + timedelta(seconds=clock.seconds_at(sample.sent_seconds)) for sample in ordered]
    width = _width((ended - began).total_seconds(), sum(began <= at <= ended for at in moments))
    parts: dict[int, dict[str, _Stretch]] = {}
    first_sent: dict[int, float] = {}
    for at, sample in zip(moments, ordered, strict=True):
        number = math.floor((at - began).total_seconds() / width)
        first_sent.setdefault(number, sample.sent_seconds)
        if began <= at <= ended:
            parts.setdefault(number, {}).setdefault(sample.color, _Stretch()).add(sample)
    told: dict[str, list[Traffic]] = {}
    for number, users_seconds in _lengths(first_sent, ordered[-1].sent_seconds if ordered else 0.0):
        for color, stretch in parts.get(number, {}).items():
            moment = began + timedelta(seconds=number * width)
            told.setdefault(color, []).append(stretch.told(moment, width, users_seconds))
    return told


def _width(seconds: float, requests: int) -> float:
    return max(seconds / STRETCHES, seconds * _REQUESTS_IN_STRETCH / max(requests, 1), 1.0)


def _lengths(first_sent: Mapping[int, float], last: float) -> Iterator[tuple[int, float]]:
    """Yield how long each part was for the users. The last one ends with the last request."""
    numbers = list(first_sent)
    for number, following in zip_longest(numbers, numbers[1:]):
        ends = last if following is None else first_sent[following]
        yield number, max(ends - first_sent[number], 0.001)


def figures(report: Report, broken: Sequence[str]) -> Iterator[Figure]:
    """Yield what a rehearsal measures beside what is known of any release."""
    users, judgement = summarise(report.samples), report.judgement
    violated = len(report.invariants["violated"])
    yield Figure("Promises of the scenario", "; ".join(broken) or "all kept", "all kept", met=not broken)
    yield Figure("Requests by users", f"{users.requests}, {users.failed} of them failed")
    if report.switch is not None:
        yield Figure("Start of the rollback to safe traffic", f"{report.switch.seconds:.2f} s of this machine's time")
        yield _critical_calls(report.switch.calls, sum(each.machine == "rollback" for each in report.executions))
    yield Figure(
        "Invariants", f"{report.invariants['checked']} checks, {violated} violated", "0 violated", met=not violated
    )
    yield Figure(
        "AWS requests by Runback",
        f"{judgement.judged}, {len(judgement.denied)} denied, {len(judgement.malformed)} malformed",
        "0 denied, 0 malformed",
        met=not judgement.denied and not judgement.malformed,
    )


def _critical_calls(calls: int, rollbacks: int) -> Figure:
    """Judge them only where all are of one rollback: another one that looks whether there is work makes some, too."""
    name = "AWS requests to safe traffic"
    if rollbacks > 1:
        return Figure(name, f"{calls}, of {rollbacks} rollbacks")
    return Figure(name, str(calls), f"at most {MOST_CRITICAL_CALLS}", met=calls <= MOST_CRITICAL_CALLS)
