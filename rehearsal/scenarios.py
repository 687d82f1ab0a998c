"""
What can be rehearsed. A scenario plays, and then keeps its promises or says which one it broke.

They stand in the order in which a newcomer should see them; the first is what `make rehearse` plays.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rehearsal.circumstances import Circumstances
from rehearsal.report import Report
from rehearsal.stage import Stage
from rehearsal.world.application import Behaviour
from rehearsal.world.customer import CAPACITY
from rehearsal.world.database import SnapshotPlan
from rehearsal.world.traffic import Sample, sticky_clients, summarise

OLD_VERSION = "1a2b3c4"
NEW_VERSION = "5d6e7f8"
LEAST_SHARE_OF_REQUESTS = 0.8
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
    circumstances: Circumstances = field(default_factory=Circumstances)

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
        for denied in report.judgement.denied:
            yield f"denied on AWS: {denied}"
        for malformed in report.judgement.malformed:
            yield f"no request that AWS's model accepts: {malformed}"
        yield from filter(None, (promise(report) for promise in (_enough_traffic, *self.promises)))


def _release(stage: Stage) -> None:
    stage.until_ended(stage.start_deployment({"version": NEW_VERSION}))


def _release_that_is_rolled_back(stage: Stage) -> None:
    _release(stage)
    stage.until_rollback_ended()


def _roll_back_by_hand(stage: Stage) -> None:
    _release(stage)
    stage.until_ended(stage.start_rollback({}))


def _clean_up_during_the_rollback(stage: Stage) -> None:
    _release(stage)
    rollback = stage.start_rollback({})
    stage.until_entered(rollback, "Switch listener back")
    stage.start_clean_up({})
    stage.until_ended(rollback)


def _stop_in_the_middle(stage: Stage) -> None:
    bakes = _bakes(stage)
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, bakes[len(bakes) // 2])
    stage.stop(deployment)
    stage.until_ended(deployment)
    stage.until_rollback_ended()


def _stop_once_clients_stick(stage: Stage) -> None:
    """Stop the deployment when a cookie holds somebody on green, and wait until they have come again."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, _bakes(stage)[0])
    stage.until_answered(lambda samples: bool(sticky_clients(samples, "green")), "no client stuck to green")
    stage.stop(deployment)
    stage.until_ended(deployment)
    stage.until_rollback_ended()
    ended = stage.account.clock.stamp()
    stage.until_answered(lambda samples: _came_again(samples, ended), "no client that stuck to green came again")


def _came_again(samples: Sequence[Sample], after_seconds: float) -> bool:
    held = sticky_clients(samples, "green")
    return any(each.client in held and each.sent_seconds > after_seconds for each in samples)


def _lose(store: Callable[[Stage], None]) -> Callable[[Stage], None]:
    """Play a release during which the database or the cache goes away, after everything was healthy before it."""

    def play(stage: Stage) -> None:
        deployment = stage.start_deployment({"version": NEW_VERSION})
        stage.until_entered(deployment, "Wait for idle color")
        store(stage)
        stage.until_ended(deployment)

    return play


def _database(stage: Stage) -> None:
    stage.account.database.stop(stage.account.settings.database.instance)


def _cache(stage: Stage) -> None:
    stage.account.cache.stop()


def _release_onto_a_moved_listener(stage: Stage) -> None:
    stage.move_listener({"blue": 70, "green": 30})
    _release(stage)


def _move_the_listener_during_the_shift(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, _bakes(stage)[0])
    stage.move_listener({"blue": 70, "green": 30})
    stage.until_ended(deployment)


def _bakes(stage: Stage) -> list[str]:
    return [name for name in stage.states_of("deploy") if name.startswith("Bake")]


def _no_failed_requests(report: Report) -> str:
    failed = summarise(report.samples).failed
    return f"{failed} requests failed" if failed else ""


def _old_color_scaled_in(report: Report) -> str:
    """Instances that nobody can need any more cost money."""
    left = report.instances["blue"]
    return f"blue still has {left} instances" if left else ""


def _blue_keeps_its_capacity(report: Report) -> str:
    left = report.instances["blue"]
    return "" if left == CAPACITY else f"blue has {left} instances, not {CAPACITY}"


def _clean_ups_found_nothing(report: Report) -> str:
    ended = [each.states[-1] for each in report.executions if each.machine == "clean-up"]
    if not ended:
        return "no clean-up was started, so nothing is proven"
    return "" if set(ended) == {"Nothing to clean up"} else f"the clean-ups ended as {ended}"


def _enough_traffic(report: Report) -> str:
    """A rehearsal without load proves nothing about users."""
    sent = [sample.sent_seconds for sample in report.samples]
    rate = (len(sent) - 1) / (max(sent) - min(sent)) if len(sent) > 1 else 0.0
    wanted = report.requests_per_second
    return f"only {rate:.0f} requests per second, of {wanted:.0f}" if rate < LEAST_SHARE_OF_REQUESTS * wanted else ""


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


def _traffic_never_moved(report: Report) -> str:
    green = summarise(report.samples).by_color.get("green")
    if green:
        return f"{green.requests} requests reached green"
    return "" if report.weights == {"blue": 100, "green": 0} else f"the listener shows {report.weights}"


def _green_is_as_it_was(report: Report) -> str:
    return f"green still runs {report.versions['green']}" if report.versions["green"] else ""


def _because(error: str) -> Promise:
    """Promise that the deployment's cause, which an operator reads, begins with this error."""

    def promise(report: Report) -> str:
        causes = [each.cause or "" for each in report.executions if each.machine == "deploy"]
        return "" if any(cause.startswith(error) for cause in causes) else f"the cause was {causes}"

    return promise


def _listener_left_to_the_human(report: Report) -> str:
    moved = {"blue": 70, "green": 30}
    return "" if report.weights == moved else f"the listener shows {report.weights}, not the human's {moved}"


def _human_was_paged(report: Report) -> str:
    return "" if any("ACTION NEEDED" in subject for subject in report.messages) else "nobody was paged"


def _sticky_clients_came_back(report: Report) -> str:
    """Clients that a cookie held on green must be on blue for every request after the switch."""
    if report.switch is None:
        return "no rollback switched the listener"
    if not _came_again(report.samples, report.switch.in_force):
        return "no client that stuck to green came again, so nothing is proven"
    stayed = sticky_clients(report.samples, "green", after_seconds=report.switch.in_force)
    return f"{len(stayed)} sticky clients stayed on green" if stayed else ""


SCENARIOS = (
    Scenario(
        "good-release",
        "A good version goes live in three steps, and nobody notices",
        expected="promoted",
        play=_release,
        promises=(_no_failed_requests, _all_traffic_on("green", NEW_VERSION), _old_color_scaled_in),
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
        "clean-up-races-rollback",
        "Somebody starts the clean-up while a rollback switches: the rollback goes first, and the old color stays",
        expected="rolled_back",
        play=_clean_up_during_the_rollback,
        promises=(
            _no_failed_requests,
            _all_traffic_on("blue", OLD_VERSION),
            _blue_keeps_its_capacity,
            _clean_ups_found_nothing,
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
    Scenario(
        "unhealthy-green",
        "The new version never becomes healthy: given up, traffic never moved",
        expected="aborted",
        play=_release,
        promises=(_no_failed_requests, _traffic_never_moved, _green_is_as_it_was, _because("IdleColorNotReady")),
        circumstances=Circumstances(behaviours={NEW_VERSION: Behaviour(health_status=503)}),
    ),
    Scenario(
        "broken-smoke",
        "The new version is healthy, but nobody can log in: found on the test listener, given up, traffic never moved",
        expected="aborted",
        play=_release,
        promises=(
            _no_failed_requests,
            _traffic_never_moved,
            _green_is_as_it_was,
            _because("SmokeCheckFailed: login answered 500"),
        ),
        circumstances=Circumstances(behaviours={NEW_VERSION: Behaviour(error_rates={"/auth/login": 1.0})}),
    ),
    Scenario(
        "bad-release",
        "The new version answers uploads with errors, but only once it is live: validation finds it, rolled back",
        expected="rolled_back",
        play=_release_that_is_rolled_back,
        promises=(
            _all_traffic_on("blue", OLD_VERSION),
            _nothing_reaches_green_after_the_switch,
            _because("The rollback machine took over after SmokeCheckFailed"),
            _rollback_by_rule,
        ),
        circumstances=Circumstances(
            behaviours={NEW_VERSION: Behaviour(live_error_rates={"/api/v2/receipts": 1.0})},
        ),
    ),
    Scenario(
        "database-down",
        "The database goes away while the new version comes up: checked before the shift, given up",
        expected="aborted",
        play=_lose(_database),
        promises=(_traffic_never_moved, _green_is_as_it_was, _because("DataStoreUnreachable: The database")),
    ),
    Scenario(
        "cache-down",
        "The cache goes away while the new version comes up: checked before the shift, given up",
        expected="aborted",
        play=_lose(_cache),
        promises=(_traffic_never_moved, _green_is_as_it_was, _because("DataStoreUnreachable: The cache")),
    ),
    Scenario(
        "refresh-fails",
        "The instance refresh of the idle color fails: given up, traffic never moved",
        expected="aborted",
        play=_release,
        promises=(_no_failed_requests, _traffic_never_moved, _because("RefreshFailed")),
        circumstances=Circumstances(
            behaviours={NEW_VERSION: Behaviour(health_status=503)}, refresh_patience_seconds=120.0, idle_instances=2
        ),
    ),
    Scenario(
        "slow-snapshot",
        "The snapshot of the database takes half an hour: the release waits for it, and goes live",
        expected="promoted",
        play=_release,
        promises=(_no_failed_requests, _all_traffic_on("green", NEW_VERSION)),
        circumstances=Circumstances(snapshot=SnapshotPlan(seconds=1800.0)),
    ),
    Scenario(
        "snapshot-fails",
        "The snapshot of the database fails: given up before anything was changed",
        expected="aborted",
        play=_release,
        promises=(_no_failed_requests, _traffic_never_moved, _green_is_as_it_was, _because("SnapshotFailed")),
        circumstances=Circumstances(snapshot=SnapshotPlan(fails=True)),
    ),
    Scenario(
        "drift",
        "Somebody moved the listener by hand before the release: refused, nothing changed",
        expected="refused",
        play=_release_onto_a_moved_listener,
        promises=(_listener_left_to_the_human, _green_is_as_it_was),
    ),
    Scenario(
        "drift-mid-shift",
        "Somebody moves the listener by hand during the shift: left alone, a human is paged",
        expected="escalated",
        play=_move_the_listener_during_the_shift,
        promises=(_no_failed_requests, _listener_left_to_the_human, _human_was_paged),
    ),
    Scenario(
        "sticky-clients",
        "A tenth of the users is held to a color by a cookie: after a rollback none stays on the bad one",
        expected="rolled_back",
        play=_stop_once_clients_stick,
        promises=(_no_failed_requests, _all_traffic_on("blue", OLD_VERSION), _sticky_clients_came_back),
        circumstances=Circumstances(sticky_share=0.1),
    ),
)
