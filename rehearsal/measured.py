"""What only a rehearsal knows about a release: what each of its users got, and what the judges found."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from lambdas.reports.story import Figure, Traffic
from rehearsal.clock import Clock
from rehearsal.databases import Databases
from rehearsal.report import Report
from rehearsal.scenarios.promises import MOST_CRITICAL_CALLS
from rehearsal.world.traffic import Sample, percentile, summarise

STRETCHES = 240
"""Into so many parts a release is divided at most, and at every change of the listener."""

_REQUESTS_IN_STRETCH = 30
"""How many requests, of all colors together, a part has at least: fewer show chance and nothing else."""


@dataclass
class _Share:
    """What one color answered in one part of the rehearsal."""

    latencies: list[float] = field(default_factory=list)
    errors: int = 0


@dataclass
class _Part:
    """A part of the rehearsal: when it began, for the release and by the users' clock, and what each color answered."""

    at: datetime
    stamp: float
    colors: dict[str, _Share] = field(default_factory=dict)
    requests: int = 0

    def add(self, sample: Sample) -> None:
        share = self.colors.setdefault(sample.color, _Share())
        share.latencies.append(sample.latency_milliseconds)
        share.errors += sample.failed
        self.requests += 1


def traffic(
    samples: Sequence[Sample], clock: Clock, began: datetime, ended: datetime, changes: Iterable[datetime] = ()
) -> dict[str, list[Traffic]]:
    """
    Tell by color what users got between two moments; "" holds what no instance answered.

    No part lies on both sides of one of the `changes`. Where users are real, they live in the time of this machine:
    `users_seconds` is how long a part was for them, from its first request to the first one of the next part.
    """
    parts = _parts(list(_in_order(samples, clock)), began, ended, sorted(changes))
    told: dict[str, list[Traffic]] = {}
    for part, following in pairwise(parts):
        seconds, users_seconds = (following.at - part.at).total_seconds(), following.stamp - part.stamp
        for color, share in part.colors.items():
            told.setdefault(color, []).append(_told(part.at, seconds, max(users_seconds, 0.001), share))
    return told


def _in_order(samples: Sequence[Sample], clock: Clock) -> Iterator[tuple[datetime, Sample]]:
    """Yield when each was sent in simulated time, the first one first."""
    start = clock.now() - timedelta(seconds=clock.seconds())
    for sample in sorted(samples, key=lambda each: each.sent_seconds):
        yield start + timedelta(seconds=clock.seconds_at(sample.sent_seconds)), sample


def _parts(
    sent: Sequence[tuple[datetime, Sample]], began: datetime, ended: datetime, changes: Sequence[datetime]
) -> list[_Part]:
    """Divide the requests; the last part is empty, and only marks the end."""
    width = timedelta(seconds=max((ended - began).total_seconds() / STRETCHES, 1.0))
    parts: list[_Part] = []
    for at, sample in sent:
        if not began <= at <= ended:
            continue
        is_full = bool(parts) and parts[-1].requests >= _REQUESTS_IN_STRETCH and at - parts[-1].at >= width
        if not parts or is_full or any(parts[-1].at < change <= at for change in changes):
            parts.append(_Part(at, sample.sent_seconds))
        parts[-1].add(sample)
    after = next((sample.sent_seconds for at, sample in sent if at > ended), sent[-1][1].sent_seconds if sent else 0.0)
    return [*parts, _Part(ended, after)]


def _told(at: datetime, seconds: float, users_seconds: float, share: _Share) -> Traffic:
    told = Traffic(at, seconds, len(share.latencies), share.errors, users_seconds=users_seconds)
    if not any(share.latencies):  # models answer in no time, which is no latency
        return told
    ascending = sorted(share.latencies)
    p50, p95, p99 = (round(percentile(ascending, part), 1) for part in (0.50, 0.95, 0.99))
    return replace(told, p50=p50, p95=p95, p99=p99)


def figures(report: Report, broken: Sequence[str]) -> Iterator[Figure]:
    """Yield what a rehearsal measures beside what is known of any release."""
    users, judgement = summarise(report.samples), report.judgement
    violated = len(report.invariants["violated"])
    yield Figure("Promises of the scenario", "; ".join(broken) or "all kept", "all kept", met=not broken)
    by_balancer = f", {users.turned_away} of these by the load balancer's own 503" if users.turned_away else ""
    yield Figure("Requests by users", f"{users.requests}, {users.failed} of them failed{by_balancer}")
    yield from _databases(report.databases)
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


def _databases(databases: Databases) -> Iterator[Figure]:
    """Tell where the rows are, once there is more than one place for them."""
    if len(databases.instances) == 1:
        return
    for each in databases.instances.values():
        rows = "it has no rows" if each.receipts is None else f"{len(each.receipts)} receipts"
        serves = f", serves: {databases.from_before} of them are from before"
        yield Figure(f"Instance {each.name}", f"{rows}{serves if each.name == databases.serving else ', kept'}")
    for restore, lost in databases.lost.items():
        changes = Counter(row.change for row in lost)
        told = ", ".join(f"{count} {change}" for change, count in sorted(changes.items()))
        yield Figure(f"Exported by {restore}", f"{len(lost)} rows: {told}")


def _critical_calls(calls: int, rollbacks: int) -> Figure:
    """Judge them only where all are of one rollback: another one that looks whether there is work makes some, too."""
    name = "AWS requests to safe traffic"
    if rollbacks > 1:
        return Figure(name, f"{calls}, of {rollbacks} rollbacks")
    return Figure(name, str(calls), f"at most {MOST_CRITICAL_CALLS}", met=calls <= MOST_CRITICAL_CALLS)
