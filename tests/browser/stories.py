"""Releases whose pages are looked at: an ordinary one, a bad one, and some that are hard to lay out."""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from lambdas.reports.story import Decision, Event, Figure, Story, Stretch, Told, Tone, Traffic, Weights

BEGAN = datetime(2026, 11, 23, 1, 27, 32, tzinfo=UTC)
LONG = "a-name-that-nobody-would-choose-but-that-somebody-will-have-" * 4
CAUSE = (
    'SmokeCheckFailed: <script>alert("upload")</script> expected status 201 and got 500 with {"error":"InternalError",'
    '"trace":"arn:aws:states:eu-central-1:111122223333:execution:shop-production-deploy:r-20261123T012732Z-5d6e7f8"}'
)


def after(seconds: float) -> datetime:
    """Return a moment of the story."""
    return BEGAN + timedelta(seconds=seconds)


def traffic(
    began: float, ended: float, per_second: float, errors: float = 0.0, every: float = 30.0, slow: float = 1.0
) -> Iterator[Traffic]:
    """Make traffic that is a little different in each interval, and always the same."""
    chance = random.Random(f"{began} {per_second}")  # noqa: S311
    at = began
    while at < ended:
        requests = round(per_second * every * chance.uniform(0.85, 1.15))
        p50 = slow * chance.uniform(5, 7)
        yield Traffic(
            after(at),
            every,
            requests,
            math.ceil(requests * errors * chance.uniform(0.5, 1.5)),
            p50,
            p50 * chance.uniform(2.2, 3),
            p50 * chance.uniform(4, 7),
        )
        at += every


def good() -> Story:
    """A release of 100 minutes that nobody noticed."""
    return Story(
        title="Release r-20261123T012732Z-5d6e7f8",
        place="receipts, production",
        outcome="promoted",
        headline="Version 5d6e7f8 is live on green. Nobody noticed, and the old color was scaled in.",
        tone=Tone.GOOD,
        began=BEGAN,
        ended=after(6138),
        facts=[
            ("Version", "5d6e7f8, after 1a2b3c4"),
            ("Color", "green, before that blue"),
            ("Started by", "alice"),
            ("Snapshot", "receipts-production-r-20261123t012732z"),
            ("Deploy", "arn:aws:states:eu-central-1:111122223333:execution:receipts-production-deploy:5d6e7f8-1"),
            ("Clean-up", "arn:aws:states:eu-central-1:111122223333:execution:receipts-production-clean-up:5d6e7f8-1"),
        ],
        traffic={
            "blue": [
                *traffic(0, 390, 60),
                *traffic(390, 690, 54),
                *traffic(690, 990, 30),
                Traffic(after(990), 30, 12, 0, 5, 9, 900),
            ],
            "green": [*traffic(390, 690, 6, slow=1.3), *traffic(690, 990, 30), *traffic(990, 6120, 60)],
            "": [Traffic(after(960), 60, 2, 2)],
        },
        weights=[
            Weights(BEGAN, {"blue": 100, "green": 0}),
            Weights(after(392), {"blue": 90, "green": 10}),
            Weights(after(692), {"blue": 50, "green": 50}),
            Weights(after(992), {"green": 100}),
        ],
        stretches=[
            Stretch("deploy", "Check health", BEGAN, after(3)),
            Stretch("deploy", "Snapshot", after(3), after(94)),
            Stretch("deploy", "Prepare", after(94), after(390)),
            Stretch("deploy", "Bake at 10 %", after(392), after(692)),
            Stretch("deploy", "Bake at 50 %", after(692), after(992)),
            Stretch("deploy", "Bake at 100 %", after(992), after(2538)),
            Stretch("clean-up", "Window for a rollback", after(2540), after(6132)),
            Stretch("clean-up", "Scale in", after(6132), after(6138)),
        ],
        decisions=[
            Decision(after(392), "10 %"),
            Decision(after(692), "50 %"),
            Decision(after(992), "100 %"),
            Decision(after(2538), "promoted", Tone.GOOD),
            Decision(after(6136), "blue scaled in"),
        ],
        events=[
            Event(BEGAN, "alice", "asked for version 5d6e7f8."),
            Event(after(1), "deploy", "claimed the environment, and recorded that all traffic was on blue."),
            Event(after(94), "AWS", "completed the snapshot receipts-production-r-20261123t012732z."),
            Event(after(300), "AWS", "replaced an instance that failed its health check once.", Tone.WARNING),
            Event(after(392), "deploy", "gave green 10 % of the traffic."),
            Event(after(692), "deploy", "gave green 50 % of the traffic."),
            Event(after(992), "deploy", "gave green all traffic."),
            Event(after(2538), "deploy", "accepted the release. It can be rolled back until 03:09:40.", Tone.GOOD),
            Event(after(6138), "clean-up", "scaled blue in."),
        ],
        figures=[
            Figure("Requests", "358,412"),
            Figure("Failed requests", "2 (0.0006 %)", "at most 0.1 %", met=True),
            Figure("Slowest percent of green, p99", "48 ms", "at most 500 ms", met=True),
            Figure("From request to all traffic", "16 min 32 s", "at most 20 min", met=True),
        ],
        told=[
            Told(
                after(2539),
                "release topic (2 subscribers)",
                "Release r-20261123T012732Z-5d6e7f8 is live",
                "Release r-20261123T012732Z-5d6e7f8 is live (receipts, production).\n\n"
                "To go back, start receipts-production-rollback with the input {}.",
                is_page=False,
            )
        ],
        notes=["CloudWatch counts by the minute: errors of a few seconds are spread over a whole one."],
    )


def rolled_back() -> Story:
    """A release that failed once it was live, with many decisions within two minutes and slow answers."""
    quick = [
        Decision(after(400 + 9 * index), label, tone)
        for index, (label, tone) in enumerate(
            [
                ("10 %", Tone.PLAIN),
                ("paused by bob", Tone.WARNING),
                ("resumed", Tone.PLAIN),
                ("50 %", Tone.PLAIN),
                ("100 %", Tone.PLAIN),
                ("validation failed", Tone.BAD),
                ("rollback claims the environment", Tone.WARNING),
                ("all traffic on blue", Tone.PLAIN),
                ("deployment stopped", Tone.PLAIN),
                ("settled", Tone.PLAIN),
                ("verified", Tone.GOOD),
                ("rolled back", Tone.BAD),
            ]
        )
    ]
    return Story(
        title="Release r-20261123T012732Z-bad0bad",
        place="receipts, production",
        outcome="rolled back",
        headline="Uploads failed once version bad0bad was live; 41 s later all traffic was on blue again.",
        tone=Tone.BAD,
        began=BEGAN,
        ended=after(620),
        facts=[("Version", "bad0bad, after 1a2b3c4"), ("Color", "green, then blue again")],
        traffic={
            "blue": [
                *traffic(0, 400, 60, every=5),
                *traffic(400, 420, 50, every=5),
                *traffic(465, 620, 60, every=5),
            ],
            "green": [*traffic(400, 440, 8, every=5), *traffic(440, 470, 55, errors=0.2, every=5, slow=300)],
            "": [Traffic(after(465), 5, 3, 3)],
        },
        weights=[
            Weights(BEGAN, {"blue": 100, "green": 0}),
            Weights(after(400), {"blue": 90, "green": 10}),
            Weights(after(427), {"blue": 50, "green": 50}),
            Weights(after(436), {"green": 100}),
            Weights(after(463), {"blue": 100}),
        ],
        stretches=[
            Stretch("deploy", "Snapshot", after(3), after(94)),
            Stretch("deploy", "Prepare", after(94), after(390), Tone.WARNING),
            Stretch("deploy", "Shift", after(400), after(445)),
            Stretch("deploy", "Validate", after(445), after(447), Tone.BAD),
            Stretch("rollback", "Switch back", after(454), after(463)),
            Stretch("rollback", "Settle and verify", after(463), after(600)),
        ],
        decisions=quick,
        events=[
            Event(BEGAN, "alice", "asked for version bad0bad."),
            *(Event(each.at, "deploy", f"{each.label}.", each.tone) for each in quick),
            Event(after(446), "deploy", CAUSE, Tone.BAD),
        ],
        figures=[
            Figure("Failed requests", "334 (0.9 %)", "at most 0.1 %", met=False),
            Figure("From the failure to safe traffic", "17 s", "at most 60 s", met=True),
            Figure("Slowest percent of green, p99", "12.1 s", "at most 500 ms", met=False),
        ],
        told=[
            Told(after(602), "release topic", "Release bad0bad was rolled back", f"Why: {CAUSE}", is_page=False),
            Told(
                after(610),
                "on-call",
                "ACTION NEEDED: after rollback of bad0bad a check fails",
                "All traffic is on the old version, and stays there.",
                is_page=True,
            ),
        ],
    )


def long_names() -> Story:
    """Everything longer than anybody planned for, over two days, with hundreds of events and thousands of samples."""
    return Story(
        title=f"Release {LONG}",
        place=f"{LONG}, production",
        outcome="ended by somebody who had to look at the environment first",
        headline=f"Größere Änderung 版本 was given up: {CAUSE} {LONG}",
        tone=Tone.WARNING,
        began=BEGAN,
        ended=after(90_000),
        facts=[(LONG, LONG), ("版本", "5d6e7f8")],
        traffic={
            "blue": list(traffic(0, 90_000, 1500, every=9)),
            "green": list(traffic(40_000, 90_000, 20_000, errors=0.01, every=9, slow=900)),
        },
        weights=[Weights(BEGAN, {"blue": 100}), Weights(after(40_000), {"blue": 7, "green": 93})],
        stretches=[
            Stretch(LONG, LONG, BEGAN, after(50_000)),
            Stretch(LONG, "beside it", after(30_000), after(60_000), Tone.WARNING),
            Stretch("clean-up", LONG, after(89_990), after(90_000), Tone.BAD),
        ],
        decisions=[Decision(after(40_000), LONG), Decision(after(90_000), "the end", Tone.WARNING)],
        events=[
            Event(after(300 * index), LONG if index % 50 == 0 else "deploy", CAUSE if index % 40 == 0 else "went on.")
            for index in range(300)
        ],
        figures=[Figure(LONG, LONG, LONG, met=False)],
        told=[Told(after(10), LONG, LONG, f"{CAUSE}\n{LONG}", is_page=True)],
        notes=[LONG],
    )


def refused() -> Story:
    """A release that ended as it began: nothing to draw but the end."""
    return Story(
        title="Release r-20261123T012732Z-5d6e7f8",
        place="receipts, staging",
        outcome="refused",
        headline="Somebody else had moved the listener. Nothing was changed.",
        tone=Tone.WARNING,
        began=BEGAN,
        ended=BEGAN,
        decisions=[Decision(BEGAN, "refused", Tone.WARNING)],
        events=[Event(BEGAN, "deploy", "ListenerDrifted: route 'api' shows 50/50.", Tone.BAD)],
    )


STORIES = {"good": good, "rolled-back": rolled_back, "long-names": long_names, "refused": refused}
