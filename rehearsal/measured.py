"""What only a rehearsal knows about a release: what each of its users got, and what the judges found."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lambdas.reports.story import Figure, Traffic
from rehearsal.clock import Clock
from rehearsal.report import Report
from rehearsal.scenarios.promises import MOST_CRITICAL_CALLS
from rehearsal.world.traffic import Sample, percentile, summarise

STRETCHES = 240
"""Into so many equal parts a release is divided, but none is shorter than a second."""


@dataclass
class _Stretch:
    """What one color answered in one part of the rehearsal."""

    latencies: list[float] = field(default_factory=list)
    errors: int = 0

    def add(self, sample: Sample) -> None:
        self.latencies.append(sample.latency_milliseconds)
        self.errors += sample.failed

    def told(self, at: datetime, seconds: float, users_seconds: float) -> Traffic:
        ascending = sorted(self.latencies)
        p50, p95, p99 = (round(percentile(ascending, share), 1) for share in (0.50, 0.95, 0.99))
        return Traffic(at, seconds, len(ascending), self.errors, p50, p95, p99, users_seconds=users_seconds)


def traffic(samples: Sequence[Sample], clock: Clock, began: datetime, ended: datetime) -> dict[str, list[Traffic]]:
    """
    Tell by color what users got between two moments, in parts of equal length; "" holds what no instance answered.

    Where users are real, they live in the time of this machine: `users_seconds` is how long a part was for them, from
    its first request to the first one of the next part.
    """
    start = clock.now() - timedelta(seconds=clock.seconds())
    width = max((ended - began).total_seconds() / STRETCHES, 1.0)
    parts: dict[int, dict[str, _Stretch]] = {}
    first_sent: dict[int, float] = {}
    for sample in sorted(samples, key=lambda each: each.sent_seconds):
        at = start + timedelta(seconds=clock.seconds_at(sample.sent_seconds))
        number = math.floor((at - began).total_seconds() / width)
        first_sent.setdefault(number, sample.sent_seconds)
        if began <= at <= ended:
            parts.setdefault(number, {}).setdefault(sample.color, _Stretch()).add(sample)
    lengths = dict(_lengths(first_sent, max((sample.sent_seconds for sample in samples), default=0.0)))
    told: dict[str, list[Traffic]] = {}
    for number, colors in parts.items():
        for color, stretch in colors.items():
            moment = began + timedelta(seconds=number * width)
            told.setdefault(color, []).append(stretch.told(moment, width, lengths[number]))
    return told


def _lengths(first_sent: Mapping[int, float], last: float) -> Iterator[tuple[int, float]]:
    """Yield how long each part was for the users. The last one ends with the last request."""
    numbers = list(first_sent)
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
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
        calls = report.switch.calls
        met = calls <= MOST_CRITICAL_CALLS
        yield Figure("AWS requests to safe traffic", str(calls), f"at most {MOST_CRITICAL_CALLS}", met=met)
    yield Figure(
        "Invariants", f"{report.invariants['checked']} checks, {violated} violated", "0 violated", met=not violated
    )
    yield Figure(
        "AWS requests by Runback",
        f"{judgement.judged}, {len(judgement.denied)} denied, {len(judgement.malformed)} malformed",
        "0 denied, 0 malformed",
        met=not judgement.denied and not judgement.malformed,
    )
