"""Ways back: by an operator, by the status rule, and with users who are held on a color."""

from rehearsal.circumstances import Circumstances
from rehearsal.report import Report
from rehearsal.scenarios.plays import bakes, release, release_that_is_rolled_back
from rehearsal.scenarios.promises import (
    all_traffic_on,
    came_again,
    few_calls_to_safety,
    moved_only,
    no_failed_requests,
    nothing_reaches_green_after_the_switch,
    release_has_a_report,
    rollback_by_rule,
    sticky_clients_came_back,
)
from rehearsal.scenarios.scenario import NEW_VERSION, OLD_VERSION, Scenario
from rehearsal.stage import Stage
from rehearsal.world.application import Behaviour
from rehearsal.world.traffic import sticky_clients


def _roll_back_by_hand(stage: Stage) -> None:
    release(stage)
    stage.until_ended(stage.start_rollback({}))


def _stop_in_the_middle(stage: Stage) -> None:
    baking = bakes(stage)
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, baking[len(baking) // 2])
    stage.stop(deployment)
    stage.until_ended(deployment)
    stage.until_rollback_ended()


def _stop_once_clients_stick(stage: Stage) -> None:
    """Stop the deployment when a cookie holds somebody on green, and wait until they have come again."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, bakes(stage)[0])
    stage.until_answered(lambda samples: bool(sticky_clients(samples, "green")), "no client stuck to green")
    stage.stop(deployment)
    stage.until_ended(deployment)
    stage.until_rollback_ended()
    ended = stage.account.clock.stamp()
    stage.until_answered(lambda samples: came_again(samples, ended), "no client that stuck to green came again")


def _roll_back_many_routes(stage: Stage) -> None:
    """Stop the deployment once all routes have moved."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 50 %")
    stage.stop(deployment)
    stage.until_ended(deployment)
    stage.until_rollback_ended()


def _every_route_moved_together(report: Report) -> str:
    shares: dict[str, list[int]] = {}
    for move in report.moves:
        shares.setdefault(move.route, []).append(move.percent["green"])
    return "" if list(shares.values()) == [[10, 50, 0]] * 3 else f"green's shares went {shares}"


SCENARIOS = (
    Scenario(
        "manual-rollback",
        "After promotion an operator starts the rollback machine with {}: the old version is back in seconds",
        expected="rolled_back",
        play=_roll_back_by_hand,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            nothing_reaches_green_after_the_switch,
            few_calls_to_safety,
            release_has_a_report,
        ),
    ),
    Scenario(
        "stopped-deployment",
        "An operator stops the execution in the middle of the shift: the status rule starts the rollback",
        expected="rolled_back",
        play=_stop_in_the_middle,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            nothing_reaches_green_after_the_switch,
            rollback_by_rule,
        ),
    ),
    Scenario(
        "bad-release",
        "The new version answers uploads with errors, but only once it is live: found at 10 %, rolled back by itself",
        expected="rolled_back",
        play=release_that_is_rolled_back,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            nothing_reaches_green_after_the_switch,
            rollback_by_rule,
            moved_only(10, 0),
            release_has_a_report,
        ),
        circumstances=Circumstances(
            behaviours={NEW_VERSION: Behaviour(live_error_rates={"/api/v2/receipts": 1.0})},
            requests_per_second=4.0,
        ),
    ),
    Scenario(
        "sticky-clients",
        "A tenth of the users is held to a color by a cookie: after a rollback none stays on the bad one",
        expected="rolled_back",
        play=_stop_once_clients_stick,
        promises=(no_failed_requests, all_traffic_on("blue", OLD_VERSION), sticky_clients_came_back),
        circumstances=Circumstances(sticky_share=0.1),
    ),
    Scenario(
        "many-routes",
        "Traffic is divided in three places, a listener's default action and two rules: all of them go, and come back",
        expected="rolled_back",
        play=_roll_back_many_routes,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            nothing_reaches_green_after_the_switch,
            rollback_by_rule,
            _every_route_moved_together,
        ),
        environment="many-routes",
    ),
)
