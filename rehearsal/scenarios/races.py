"""Two who want the same at the same time, and what comes twice, late or from somebody else."""

from itertools import groupby

from rehearsal import fate
from rehearsal.report import Report
from rehearsal.scenarios.plays import release, roll_back_around
from rehearsal.scenarios.promises import (
    all_traffic_on,
    blue_keeps_its_capacity,
    clean_ups_found_nothing,
    executions_ended,
    human_was_paged,
    listener_left_to_the_human,
    moved_only,
    no_failed_requests,
    nothing_reaches_green_after_the_switch,
    one_rollback_switched,
)
from rehearsal.scenarios.scenario import NEW_VERSION, OLD_VERSION, OTHER_VERSION, Scenario
from rehearsal.stage import Stage


def _start_two(stage: Stage) -> None:
    both = [stage.start_deployment({"version": version}) for version in (NEW_VERSION, OTHER_VERSION)]
    for deployment in both:
        stage.until_ended(deployment)


def _one_released(report: Report) -> str:
    ends = sorted(each.status for each in report.executions if each.machine == "deploy")
    return "" if ends == ["FAILED", "SUCCEEDED"] else f"the deployments ended as {ends}"


def _refused_by_name(report: Report) -> str:
    """Who is refused must know by whom, and what to do."""
    causes = [each.cause or "" for each in report.executions if each.machine == "deploy" and each.status == "FAILED"]
    told = all("xecution arn:" in cause and "Start again" in cause for cause in causes)
    return "" if causes and told else f"the cause was {causes}"


def _roll_back_thrice(stage: Stage) -> None:
    release(stage)
    for rollback in [stage.start_rollback({}), stage.start_rollback({})]:
        stage.until_ended(rollback)
    stage.until_ended(stage.start_rollback({}))


def _roll_back_during_a_switch(stage: Stage) -> None:
    """Let the deployment's change of the listener arrive after the rollback's."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 10 %")
    roll_back_around(stage, fate.HeldCall(stage.account, "switch-listener", "ModifyListener"))


def _late_switch_was_undone(report: Report) -> str:
    shares = [share for share, _ in groupby(move.percent["green"] for move in report.moves)]  # a request may come twice
    return "" if shares == [10, 0, 50, 0] else f"green's share went {shares}, so nothing is proven"


def _move_the_listener_during_settle(stage: Stage) -> None:
    release(stage)
    rollback = stage.start_rollback({})
    stage.until_entered(rollback, "Wait for late writes")
    stage.move_listener({"blue": 70, "green": 30})
    stage.until_ended(rollback)


def _hear_of_an_old_end_again(stage: Stage) -> None:
    """Deliver an older release's ABORTED once more, while the next one bakes."""
    first = stage.start_deployment({"version": OTHER_VERSION})
    stage.until_entered(first, "Wait for idle color")
    stage.stop(first)
    stage.until_rollback_ended()
    second = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(second, "Bake at 50 %")
    known = len(stage.of_machine("rollback"))
    fate.deliver_again(stage.account, first.arn)
    stage.until_ended(stage.until_started("rollback", known + 1))
    stage.until_ended(second)


def _late_event_did_nothing(report: Report) -> str:
    ends = [each.states[-1] for each in report.executions if each.machine == "rollback"]
    return "" if ends[-1:] == ["Nothing to roll back"] else f"the rollbacks ended as {ends}"


def _clean_up_during_the_rollback(stage: Stage) -> None:
    release(stage)
    rollback = stage.start_rollback({})
    stage.until_entered(rollback, "Switch listener back")
    stage.start_clean_up({})
    stage.until_ended(rollback)


SCENARIOS = (
    Scenario(
        "double-start",
        "Two deployments are started at once: one goes live, the other is refused and says who was faster",
        expected="promoted",
        play=_start_two,
        promises=(no_failed_requests, _one_released, _refused_by_name),
    ),
    Scenario(
        "repeat-rollback",
        "The rollback machine is started twice at the same moment, and again later: the listener changes once",
        expected="rolled_back",
        play=_roll_back_thrice,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            one_rollback_switched,
            executions_ended("rollback", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"),
        ),
    ),
    Scenario(
        "rollback-races-switch",
        "The deployment's change of the listener arrives after the rollback's: found, and undone",
        expected="rolled_back",
        play=_roll_back_during_a_switch,
        promises=(no_failed_requests, all_traffic_on("blue", OLD_VERSION), _late_switch_was_undone),
    ),
    Scenario(
        "human-mid-settle",
        "Somebody moves the listener while a rollback settles: left alone, a human is paged",
        expected="escalated",
        play=_move_the_listener_during_settle,
        promises=(no_failed_requests, listener_left_to_the_human, human_was_paged),
    ),
    Scenario(
        "late-event",
        "The end of an older release is heard once more while the next one bakes: nothing happens",
        expected="promoted",
        play=_hear_of_an_old_end_again,
        promises=(
            no_failed_requests,
            all_traffic_on("green", NEW_VERSION),
            _late_event_did_nothing,
            moved_only(10, 50, 100),
        ),
    ),
    Scenario(
        "clean-up-races-rollback",
        "Somebody starts the clean-up while a rollback switches: the rollback goes first, and the old color stays",
        expected="rolled_back",
        play=_clean_up_during_the_rollback,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            nothing_reaches_green_after_the_switch,
            blue_keeps_its_capacity,
            clean_ups_found_nothing,
        ),
    ),
)
