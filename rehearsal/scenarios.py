"""
What can be rehearsed. A scenario plays, and then keeps its promises or says which one it broke.

They stand in the order in which a newcomer should see them; the first is what `make rehearse` plays.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from rehearsal.report import Report
from rehearsal.stage import Stage
from rehearsal.world.application import Behaviour
from rehearsal.world.traffic import summarise

OLD_VERSION = "1a2b3c4"
NEW_VERSION = "5d6e7f8"
REQUESTS_PER_SECOND = 60.0
LEAST_REQUESTS_PER_SECOND = 50.0
MOST_CRITICAL_CALLS = 6

Promise = Callable[[Report], str]
"""Says how a promise was broken; empty when it was kept."""


@dataclass(frozen=True)
class Scenario:
    """`expected` is the outcome of the release; `promises` are what else must be true afterwards."""

    name: str
    summary: str
    expected: str
    play: Callable[[Stage], None]
    promises: tuple[Promise, ...] = ()
    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)

    def broken_promises(self, report: Report) -> Iterator[str]:
        """Name everything that is not as this scenario promises."""
        if report.outcome != self.expected:
            yield f"the release ended as {report.outcome}, not as {self.expected}"
        if report.lease_holder is not None:
            yield f"the environment is still held by {report.lease_holder}"
        for violation in report.invariants["violated"]:
            yield f"invariant broken by {violation['call']}: {violation['invariant']}: {violation['found']}"
        for call in report.unsupported:
            yield f"the emulator cannot answer {call}, so nothing is proven"
        yield from filter(None, (promise(report) for promise in (_real_traffic, *self.promises)))


def _release(stage: Stage) -> None:
    stage.until_ended(stage.start_deployment({"version": NEW_VERSION}))


def _roll_back_by_hand(stage: Stage) -> None:
    _release(stage)
    stage.until_ended(stage.start_rollback({}))


def _stop_in_the_middle(stage: Stage) -> None:
    bakes = [name for name in stage.states_of("deploy") if name.startswith("Bake")]
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, bakes[len(bakes) // 2])
    stage.stop(deployment)
    stage.until_ended(deployment)
    stage.until_rollback_ended()


def _no_failed_requests(report: Report) -> str:
    failed = summarise(report.samples).failed
    return f"{failed} requests failed" if failed else ""


def _real_traffic(report: Report) -> str:
    """A rehearsal without load proves nothing about users."""
    sent = [sample.sent_seconds for sample in report.samples]
    rate = (len(sent) - 1) / (max(sent) - min(sent)) if len(sent) > 1 else 0.0
    short = rate < LEAST_REQUESTS_PER_SECOND
    return f"only {rate:.0f} requests per second, of {LEAST_REQUESTS_PER_SECOND:.0f}" if short else ""


def _all_traffic_on(color: str, version: str) -> Promise:
    def promise(report: Report) -> str:
        if report.weights[color] != 100:  # noqa: PLR2004  percent
            return f"{color} has {report.weights[color]} % of the traffic"
        if report.versions[color] != version:
            return f"{color} runs {report.versions[color]}, not {version}"
        return ""

    return promise


def _nothing_reaches_green_after_the_switch(report: Report) -> str:
    if report.switch is None:
        return "no rollback switched the listener"
    after = summarise(report.samples, after_seconds=report.switch.in_force)
    green = after.by_color.get("green")
    return f"{green.requests} requests reached green after the rollback" if green else ""


def _few_calls_to_safety(report: Report) -> str:
    calls = report.switch.calls if report.switch else 0
    return f"{calls} AWS calls before the listener was back" if calls > MOST_CRITICAL_CALLS else ""


def _rollback_by_rule(report: Report) -> str:
    rollbacks = [each for each in report.executions if each.machine == "rollback"]
    return "" if any(each.status == "SUCCEEDED" for each in rollbacks) else "no rollback succeeded"


SCENARIOS = (
    Scenario(
        "good-release",
        "A good version goes live in three steps, and nobody notices",
        expected="promoted",
        play=_release,
        promises=(_no_failed_requests, _all_traffic_on("green", NEW_VERSION)),
    ),
    Scenario(
        "manual-rollback",
        "After promotion an operator starts the rollback machine with {}: the old version is back in seconds",
        expected="rolled_back",
        play=_roll_back_by_hand,
        promises=(
            _no_failed_requests,
            _all_traffic_on("blue", OLD_VERSION),
            _nothing_reaches_green_after_the_switch,
            _few_calls_to_safety,
        ),
    ),
    Scenario(
        "stopped-deployment",
        "An operator stops the execution in the middle of the shift: the status rule starts the rollback",
        expected="rolled_back",
        play=_stop_in_the_middle,
        promises=(
            _no_failed_requests,
            _all_traffic_on("blue", OLD_VERSION),
            _nothing_reaches_green_after_the_switch,
            _rollback_by_rule,
        ),
    ),
)
