"""Releases that are judged while they bake: worse than the old version, as bad as it, or seen by too few."""

from rehearsal import fate
from rehearsal.circumstances import Circumstances
from rehearsal.scenarios.plays import bad, release_that_is_rolled_back, turn_bad
from rehearsal.scenarios.promises import (
    all_traffic_on,
    back_within,
    because,
    human_was_paged,
    moved_only,
    nothing_reaches_green_after_the_switch,
    one_rollback_switched,
    release_has_a_report,
    rollback_by_rule,
)
from rehearsal.scenarios.scenario import NEW_VERSION, OLD_VERSION, Scenario
from rehearsal.stage import Stage

_BUSY = 10.0
_SECONDS_BACK = 60.0


def _fail_at_full_traffic(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 100 %")
    turn_bad(stage, bad(0.08))
    stage.until_ended(deployment)
    stage.until_rollback_ended()


def _fail_on_both_colors(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 50 %")
    turn_bad(stage, bad(0.4), OLD_VERSION, NEW_VERSION)
    stage.until_ended(deployment)


def _lose_the_way_back(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 100 %")
    fate.kill_applications(stage.account, "blue")
    blue = stage.account.settings.routes[0].blue
    stage.until(lambda: stage.account.load_balancer.healthy_targets(blue) == 0, "blue stays healthy")
    turn_bad(stage, bad(0.4))
    stage.until_ended(deployment)
    stage.until_rollback_ended()


def _ask_a_human(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Ask a human at 10 %")
    stage.give_order("promote")
    stage.until_ended(deployment)


SCENARIOS = (
    Scenario(
        "error-rate",
        "8 % errors, but only once the release has all the traffic: found while it bakes, rolled back by itself",
        expected="rolled_back",
        play=_fail_at_full_traffic,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            nothing_reaches_green_after_the_switch,
            rollback_by_rule,
            one_rollback_switched,
            back_within(_SECONDS_BACK),
            moved_only(10, 50, 100, 0),
            release_has_a_report,
        ),
        circumstances=Circumstances(requests_per_second=_BUSY),
    ),
    Scenario(
        "slow",
        "One request in eight takes more than 3 s, and the median is fine: found at 10 %, rolled back by itself",
        expected="rolled_back",
        play=release_that_is_rolled_back,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            nothing_reaches_green_after_the_switch,
            because("The rollback machine took over after ReleaseUnhealthy"),
            one_rollback_switched,
            moved_only(10, 0),
        ),
        circumstances=Circumstances(behaviours={NEW_VERSION: bad(slow_share=0.125)}, requests_per_second=_BUSY),
    ),
    Scenario(
        "low-traffic",
        "Three requests a minute are too few to judge by: a human is asked, and promotes",
        expected="promoted",
        play=_ask_a_human,
        promises=(all_traffic_on("green", NEW_VERSION), human_was_paged, moved_only(10, 50, 100)),
        circumstances=Circumstances(requests_per_second=0.05),
    ),
    Scenario(
        "both-bad",
        "Both versions fail at once: it is not the release, so nothing is switched, and a human is paged",
        expected="escalated",
        play=_fail_on_both_colors,
        promises=(because("NotTheRelease"), human_was_paged, moved_only(10, 50)),
        circumstances=Circumstances(requests_per_second=_BUSY),
    ),
    Scenario(
        "blue-unhealthy",
        "The new version fails when nothing of the old one is healthy: nothing is switched, and a human is paged",
        expected="escalated",
        play=_lose_the_way_back,
        promises=(human_was_paged, moved_only(10, 50, 100)),
    ),
)
