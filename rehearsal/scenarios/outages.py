"""AWS, machines and functions that fail while Runback works, also on the way back."""

from rehearsal import fate
from rehearsal.report import Report
from rehearsal.scenarios.plays import release
from rehearsal.scenarios.promises import (
    all_traffic_on,
    back_within,
    commands_were_sent,
    executions_ended,
    human_was_paged,
    moved_only,
    no_failed_requests,
    nothing_reaches_green_after_the_switch,
    one_rollback_switched,
    rollback_by_rule,
    traffic_never_moved,
)
from rehearsal.scenarios.scenario import NEW_VERSION, OLD_VERSION, Scenario
from rehearsal.stage import Stage

_THROTTLED_SECONDS = 20.0
_RECORD_DOWN_SECONDS = 180.0
_WATCHDOG_WITHIN_SECONDS = 120.0
_TOO_SHORT_SECONDS = 380


def _run_out_of_time(stage: Stage) -> None:
    fate.shorten(stage.account, "deploy", _TOO_SHORT_SECONDS)
    release(stage)
    stage.until_rollback_ended()


def _lose_the_rollback(stage: Stage) -> None:
    """Stop the rollback right after its claim, and hear nothing of it."""
    release(stage)
    fate.lose_status_events(stage.account)
    rollback = stage.start_rollback({})
    stage.until_entered(rollback, "What is there to roll back?")
    stage.stop(rollback)
    stage.until_ended(stage.until_started("rollback", 2))


def _died_before_its_switch(report: Report) -> str:
    died = [each for each in report.executions if each.machine == "rollback" and each.status == "ABORTED"]
    if len(died) != 1:
        return f"{len(died)} rollbacks died, so nothing is proven"
    return f"the rollback died at {died[0].states[-1]} only" if "Stop deployment" in died[0].states else ""


def _lose_the_abort(stage: Stage) -> None:
    """Stop the deployment before its first shift, and then what gives the release up."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Wait for idle color")
    stage.stop(deployment)
    abort = stage.until_started("rollback")
    stage.until_entered(abort, "What is there to roll back?")
    stage.stop(abort)
    stage.until_ended(stage.until_started("rollback", 2))


def _lose_the_old_color(stage: Stage) -> None:
    release(stage)
    fate.kill_applications(stage.account, "blue")
    blue = stage.account.settings.routes[0].blue
    stage.until(lambda: stage.account.load_balancer.healthy_targets(blue) == 0, "blue stays healthy")
    stage.until_ended(stage.start_rollback({}))


def _green_keeps_the_traffic(report: Report) -> str:
    return "" if report.weights == {"blue": 0, "green": 100} else f"the listener shows {report.weights}"


def _lose_the_record(stage: Stage) -> None:
    """Not before the clean-up has seen that it has to wait: it would be another one that cannot read the record."""
    release(stage)
    stage.until_entered(stage.until_started("clean-up"), "Wait until it is time")
    fate.cut_off(stage.account, "dynamodb", _RECORD_DOWN_SECONDS)
    stage.until_ended(stage.start_rollback({}))


def _kill_each_function(stage: Stage) -> None:
    fate.kill_every_function(stage.account, "after its work")
    release(stage)
    fate.kill_every_function(stage.account, "before its work")
    stage.until_ended(stage.start_rollback({}))


def _throttle_everything(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    for state in ("Prepare idle color", "Shift 50 % of traffic"):
        stage.until_entered(deployment, state)
        fate.throttle(stage.account, _THROTTLED_SECONDS)
    stage.until_ended(deployment)


SCENARIOS = (
    Scenario(
        "timed-out-deployment",
        "The deployment runs out of its time while 10 % of the users are on the new version: rolled back by the rule",
        expected="rolled_back",
        play=_run_out_of_time,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            rollback_by_rule,
            executions_ended("deploy", "TIMED_OUT"),
        ),
    ),
    Scenario(
        "dead-rollback",
        "The rollback dies right after its claim, and its end is not heard: the watchdog resumes it within two minutes",
        expected="rolled_back",
        play=_lose_the_rollback,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            back_within(_WATCHDOG_WITHIN_SECONDS),
            one_rollback_switched,
            _died_before_its_switch,
        ),
    ),
    Scenario(
        "dead-abort",
        "What gives a release up dies, too: the next one goes on where it stopped",
        expected="aborted",
        play=_lose_the_abort,
        promises=(no_failed_requests, traffic_never_moved),
    ),
    Scenario(
        "previous-color-gone",
        "There is no healthy instance to go back to: nothing is switched, and a human is paged",
        expected="escalated",
        play=_lose_the_old_color,
        promises=(no_failed_requests, _green_keeps_the_traffic, human_was_paged, moved_only(10, 50, 100)),
    ),
    Scenario(
        "record-down",
        "The record cannot be reached: the page carries the commands, and the rollback comes as soon as it can",
        expected="rolled_back",
        play=_lose_the_record,
        promises=(no_failed_requests, all_traffic_on("blue", OLD_VERSION), human_was_paged, commands_were_sent),
    ),
    Scenario(
        "lambda-crash",
        "Each function dies once after its work on the way forward, and once before it on the way back",
        expected="rolled_back",
        play=_kill_each_function,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            nothing_reaches_green_after_the_switch,
            one_rollback_switched,
        ),
    ),
    Scenario(
        "throttled",
        "Twice every request to AWS is throttled for 20 s: the release waits, and goes live",
        expected="promoted",
        play=_throttle_everything,
        promises=(no_failed_requests, all_traffic_on("green", NEW_VERSION), moved_only(10, 50, 100)),
    ),
)
