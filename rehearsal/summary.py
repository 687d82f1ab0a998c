"""A rehearsal in words, for the end of the terminal's output."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rehearsal.report import FIGURES, PAGE, Report
from rehearsal.staging import VIRTUAL
from rehearsal.world.traffic import summarise

_ENDINGS = {
    "promoted": "The release is live, and could be rolled back until the end of its window.",
    "rolled_back": "The release was rolled back: the old version has all traffic again.",
    "aborted": "The release was given up before traffic moved.",
    "refused": "The release was refused, and nothing was changed.",
    "untouched": "No release was begun.",
    "escalated": "Runback stopped and told a human.",
}


def summary(report: Report, broken: Sequence[str], folder: Path) -> Iterator[str]:
    """Yield the lines of the summary."""
    traffic = summarise(report.samples)
    yield _ENDINGS.get(report.outcome, f"The release ended as {report.outcome}.")
    is_real = report.clock["mode"] != VIRTUAL
    latency = f" (median {traffic.p50_milliseconds:.0f} ms, 99 % within {traffic.p99_milliseconds:.0f} ms)"
    yield f"{traffic.requests} requests were sent and {traffic.failed} failed{latency if is_real else ' (a model)'}."
    if traffic.turned_away:
        yield f"{traffic.turned_away} of those that failed got their 503 from the load balancer itself."
    shares = [
        f"{color} {weight} % ({report.versions[color] or 'no instances'})" for color, weight in report.weights.items()
    ]
    yield f"Traffic is on: {', '.join(shares)}."
    if report.switch:
        yield (
            f"From the start of the rollback to the listener's change: {report.switch.seconds:.2f}"
            f" {'' if is_real else 'simulated '}s and {report.switch.calls} AWS calls."
        )
    yield (
        f"{report.simulated_seconds / 60:.0f} simulated minutes took {report.total_seconds:.0f} s;"
        f" {report.invariants['checked']} checks of invariants, {len(report.invariants['violated'])} violated."
    )
    judgement = report.judgement
    yield (
        f"{judgement.judged} AWS requests by Runback: {len(judgement.denied)} not allowed by its own policies,"
        f" {len(judgement.malformed)} not as AWS's model wants them."
    )
    yield f"Report: {folder / PAGE} (its figures: {folder / FIGURES})"
    yield "Rehearsed on an emulated account: this proves nothing about latency or permissions on real AWS."
    for problem in broken:
        yield f"BROKEN PROMISE: {problem}"
