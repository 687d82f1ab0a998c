"""Releases that go live, and releases that are given up before anybody has seen them."""

from collections.abc import Callable

from rehearsal.circumstances import Circumstances
from rehearsal.scenarios.plays import release
from rehearsal.scenarios.promises import (
    all_traffic_on,
    because,
    green_is_as_it_was,
    no_failed_requests,
    nobody_was_disturbed,
    old_color_scaled_in,
    release_has_a_report,
    traffic_never_moved,
)
from rehearsal.scenarios.scenario import NEW_VERSION, Scenario
from rehearsal.stage import Stage
from rehearsal.world.application import Behaviour
from rehearsal.world.database import SnapshotPlan


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


SCENARIOS = (
    Scenario(
        "good-release",
        "A good version goes live in three steps, and nobody notices",
        expected="promoted",
        play=release,
        promises=(
            no_failed_requests,
            nobody_was_disturbed,
            all_traffic_on("green", NEW_VERSION),
            old_color_scaled_in,
            release_has_a_report,
        ),
    ),
    Scenario(
        "slow-snapshot",
        "The snapshot of the database takes half an hour: the release waits for it, and goes live",
        expected="promoted",
        play=release,
        promises=(no_failed_requests, all_traffic_on("green", NEW_VERSION)),
        circumstances=Circumstances(snapshot=SnapshotPlan(seconds=1800.0)),
    ),
    Scenario(
        "unhealthy-green",
        "The new version never becomes healthy: given up, traffic never moved",
        expected="aborted",
        play=release,
        promises=(no_failed_requests, traffic_never_moved, green_is_as_it_was, because("IdleColorNotReady")),
        circumstances=Circumstances(behaviours={NEW_VERSION: Behaviour(health_status=503)}),
    ),
    Scenario(
        "broken-smoke",
        "The new version is healthy, but nobody can log in: found on the test listener, given up, traffic never moved",
        expected="aborted",
        play=release,
        promises=(
            no_failed_requests,
            traffic_never_moved,
            green_is_as_it_was,
            because("SmokeCheckFailed: login answered 500"),
        ),
        circumstances=Circumstances(behaviours={NEW_VERSION: Behaviour(error_rates={"/auth/login": 1.0})}),
    ),
    Scenario(
        "database-down",
        "The database goes away while the new version comes up: checked before the shift, given up",
        expected="aborted",
        play=_lose(_database),
        promises=(traffic_never_moved, green_is_as_it_was, because("DataStoreUnreachable: The database")),
    ),
    Scenario(
        "cache-down",
        "The cache goes away while the new version comes up: checked before the shift, given up",
        expected="aborted",
        play=_lose(_cache),
        promises=(traffic_never_moved, green_is_as_it_was, because("DataStoreUnreachable: The cache")),
    ),
    Scenario(
        "refresh-fails",
        "The instance refresh of the idle color fails: given up, traffic never moved",
        expected="aborted",
        play=release,
        promises=(no_failed_requests, traffic_never_moved, because("RefreshFailed")),
        circumstances=Circumstances(
            behaviours={NEW_VERSION: Behaviour(health_status=503)}, refresh_patience_seconds=120.0, idle_instances=2
        ),
    ),
    Scenario(
        "snapshot-fails",
        "The snapshot of the database fails: given up before anything was changed",
        expected="aborted",
        play=release,
        promises=(no_failed_requests, traffic_never_moved, green_is_as_it_was, because("SnapshotFailed")),
        circumstances=Circumstances(snapshot=SnapshotPlan(fails=True)),
    ),
)
