"""Critical alarms: those that take a release back, and those that must not."""

from collections.abc import Sequence

from rehearsal import fate
from rehearsal.circumstances import Circumstances
from rehearsal.report import Report
from rehearsal.scenarios.plays import bad, release, turn_bad
from rehearsal.scenarios.promises import (
    Promise,
    all_traffic_on,
    because,
    executions_ended,
    human_was_paged,
    moved_only,
    no_failed_requests,
    nothing_reaches_green_after_the_switch,
    one_rollback_switched,
    rollback_by_rule,
    traffic_never_moved,
)
from rehearsal.scenarios.scenario import NEW_VERSION, OLD_VERSION, OTHER_VERSION, Scenario
from rehearsal.stage import Stage
from rehearsal.world.application import Behaviour
from rehearsal.world.database import SnapshotPlan

_STORM = 3
_MANY_CONNECTIONS_PERCENT = 97.0
_WINDOW_SECONDS = 3600.0
_MINUTE, _AFTER_EVALUATION_SECONDS = 60, 10
_SETTLED_SECONDS = 600.0
"""After so long no alarm of what was is on any more."""
_GOOD = Behaviour()


def rollbacks_ended(*states: str) -> Promise:
    """Promise in which states the rollback machine's executions ended, in the order of their start."""

    def promise(report: Report) -> str:
        found = [each.states[-1] for each in report.executions if each.machine == "rollback"]
        return "" if found == list(states) else f"the rollbacks ended as {found}"

    return promise


def _all_others_did_nothing(report: Report) -> str:
    ends = [each.states[-1] for each in report.executions if each.machine == "rollback"]
    others = [end for end in ends if end not in ("Rolled back", "Nothing to roll back")]
    return f"rollbacks ended as {others}" if others else ""


def _came_in_a_storm(report: Report) -> str:
    started = sum(each.machine == "rollback" for each in report.executions)
    return "" if started >= _STORM else f"{started} alarms started a rollback, so nothing is proven"


def _all_left_to_a_human(report: Report) -> str:
    ends = {each.states[-1] for each in report.executions if each.machine == "rollback"}
    return "" if ends == {"Left to a human"} else f"the rollbacks ended as {ends}"


_ROLLED_BACK: Sequence[Promise] = (
    all_traffic_on("blue", OLD_VERSION),
    nothing_reaches_green_after_the_switch,
    rollback_by_rule,
    one_rollback_switched,
    moved_only(10, 50, 100, 0),
    _all_others_did_nothing,
)
_LEFT_ALONE: Sequence[Promise] = (
    all_traffic_on("green", NEW_VERSION),
    moved_only(10, 50, 100),
    human_was_paged,
    _all_left_to_a_human,
)


def _turn_bad_once_live(stage: Stage) -> None:
    release(stage)
    turn_bad(stage, bad(0.5, slow_share=0.5))
    stage.until_rollback_ended()


def _deliver_every_alarm_twice(stage: Stage) -> None:
    """Once at the same moment, and once when all is over."""
    release(stage)
    turn_bad(stage, bad(0.5))
    rollback = stage.until_started("rollback")
    fate.deliver_alarms_again(stage.account)
    stage.until_ended(rollback)
    fate.deliver_alarms_again(stage.account)


def _flap(stage: Stage) -> None:
    release(stage)
    turn_bad(stage, bad(0.5))
    rollback = stage.until_started("rollback")
    for behaviour in (_GOOD, bad(0.5), _GOOD):
        stage.wait(120)
        stage.account.fleet.behave(NEW_VERSION, behaviour)
    stage.until_ended(rollback)


def _start_while_alarming(stage: Stage) -> None:
    stage.wait(_SETTLED_SECONDS)
    stage.account.strain.connections(_MANY_CONNECTIONS_PERCENT)
    stage.until_rollback_ended()
    stage.until_ended(stage.start_deployment({"version": NEW_VERSION}))
    stage.until_ended(stage.start_deployment({"version": NEW_VERSION, "despite_alarms": "it closes connections"}))


def _turn_bad_after_the_window(stage: Stage) -> None:
    release(stage)
    stage.wait(_WINDOW_SECONDS + _SETTLED_SECONDS)
    turn_bad(stage, bad(0.5))
    stage.until_rollback_ended()


def _hear_of_an_old_alarm_again(stage: Stage) -> None:
    release(stage)
    turn_bad(stage, bad(0.5))
    stage.until_rollback_ended()
    stage.wait(_SETTLED_SECONDS)
    deployment = stage.start_deployment({"version": OTHER_VERSION})
    stage.until_entered(deployment, "Bake at 10 %")
    fate.deliver_alarms_again(stage.account)
    stage.until_ended(deployment)


def _hear_of_an_alarm_that_is_over(stage: Stage) -> None:
    release(stage)
    fate.lose_alarm_events(stage.account)
    fate.lose_watchdog(stage.account)
    turn_bad(stage, bad(0.5))
    stage.wait(240)
    stage.account.fleet.behave(NEW_VERSION, _GOOD)
    turned_on = fate.alarms_turned_on(stage.account)
    stage.wait(_SETTLED_SECONDS)
    for given in turned_on:
        stage.until_ended(stage.start_rollback(given))


def _strain_before_it_fails(stage: Stage) -> None:
    release(stage)
    stage.account.strain.cpu("green", 96.0)
    stage.until_rollback_ended()
    turn_bad(stage, bad(0.5))
    stage.until(lambda: any("Rolled back" in each.states for each in stage.of_machine("rollback")), "not rolled back")


def _paged_for_cpu_first(report: Report) -> str:
    first = next((each.states[-1] for each in report.executions if each.machine == "rollback"), "")
    return "" if first == "Left to a human" else f"the first rollback ended as {first!r}"


def _turn_bad_in_maintenance(stage: Stage) -> None:
    release(stage)
    stage.give_order("begin-maintenance", minutes=120)
    turn_bad(stage, bad(0.5))
    stage.until_rollback_ended()


def _strain_the_database(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 50 %")
    stage.account.strain.connections(_MANY_CONNECTIONS_PERCENT)
    stage.until_ended(deployment)


def _leak(stage: Stage) -> None:
    release(stage)
    stage.until_rollback_ended()


def _alarm_during_the_claim(stage: Stage) -> None:
    """
    Hold the claim's write until the alarm was heard: the deployment then finds it on.

    It is turned on by hand, because no function is held as long as CloudWatch takes; and just after CloudWatch has
    looked at it, which would turn it off again.
    """
    stage.wait(_MINUTE - (stage.account.clock.now().second - _AFTER_EVALUATION_SECONDS) % _MINUTE)
    claim = fate.HeldCall(stage.account, "claim-environment", "PutItem")
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until(lambda: claim.is_held, "nothing was claimed")
    fate.turn_alarm_on(stage.account, "rolls-back-error-rate-api-blue")
    stage.until_rollback_ended()
    claim.let_go()
    stage.until_ended(deployment)


def _turn_bad_while_the_next_prepares(stage: Stage) -> None:
    release(stage)
    following = stage.start_deployment({"version": OTHER_VERSION})
    stage.until_entered(following, "Wait for snapshot")
    turn_bad(stage, bad(0.5))
    stage.until_rollback_ended()
    stage.until_ended(following)


def _lose_the_alarms_event(stage: Stage) -> None:
    release(stage)
    fate.lose_alarm_events(stage.account)
    turn_bad(stage, bad(0.5))
    stage.until_rollback_ended()


def _throttle_the_claim(stage: Stage) -> None:
    release(stage)
    fate.throttle_function(stage.account, "claim-rollback", times=3)
    turn_bad(stage, bad(0.5))
    stage.until_rollback_ended()


SCENARIOS = (
    Scenario(
        "alarm-storm",
        "The live release fails and crawls inside its window: many alarms at once, one change of the listener",
        expected="rolled_back",
        play=_turn_bad_once_live,
        promises=(*_ROLLED_BACK, _came_in_a_storm),
        circumstances=Circumstances(requests_per_second=10.0),
    ),
    Scenario(
        "duplicate-alarms",
        "Every alarm is delivered twice, at once and again when all is over: one change of the listener",
        expected="rolled_back",
        play=_deliver_every_alarm_twice,
        promises=_ROLLED_BACK,
    ),
    Scenario(
        "flapping",
        "The alarm goes on and off and on again: one change of the listener",
        expected="rolled_back",
        play=_flap,
        promises=_ROLLED_BACK,
    ),
    Scenario(
        "cpu-then-errors",
        "First the processors are busy, which pages; then requests fail, which rolls back although an alarm is on",
        expected="rolled_back",
        play=_strain_before_it_fails,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            one_rollback_switched,
            human_was_paged,
            _paged_for_cpu_first,
            moved_only(10, 50, 100, 0),
        ),
    ),
    Scenario(
        "lost-alarm-event",
        "EventBridge delivers no alarm: the watchdog finds it on, and the old version is back",
        expected="rolled_back",
        play=_lose_the_alarms_event,
        promises=_ROLLED_BACK,
    ),
    Scenario(
        "rollback-lambda-throttled",
        "The function that claims the rollback is throttled: a human has the commands, and it comes all the same",
        expected="rolled_back",
        play=_throttle_the_claim,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            one_rollback_switched,
            human_was_paged,
            moved_only(10, 50, 100, 0),
        ),
    ),
    Scenario(
        "alarm-while-next-prepares",
        "The live release turns bad in its window while the next one prepares: that is given up, this rolled back",
        expected="rolled_back",
        play=_turn_bad_while_the_next_prepares,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            executions_ended("deploy", "SUCCEEDED", "ABORTED"),
            _all_others_did_nothing,
        ),
        circumstances=Circumstances(snapshot=SnapshotPlan(seconds=900.0)),
        environment="many-routes",
    ),
    Scenario(
        "alarm-during-claim",
        "An alarm turns on while a release claims the environment: a human is paged, and the release does not begin",
        expected="aborted",
        play=_alarm_during_the_claim,
        promises=(traffic_never_moved, because("AlarmsAreOn"), human_was_paged),
    ),
    Scenario(
        "already-alarming",
        "A critical alarm is on already: the release is refused, and begins once somebody gives a reason",
        expected="promoted",
        play=_start_while_alarming,
        promises=(
            no_failed_requests,
            all_traffic_on("green", NEW_VERSION),
            executions_ended("deploy", "FAILED", "SUCCEEDED"),
            because("The release does not pass its gates"),
            human_was_paged,
        ),
    ),
    Scenario(
        "database-connections",
        "The database runs out of connections while the release bakes: a human is paged, nothing is taken back",
        expected="promoted",
        play=_strain_the_database,
        promises=(no_failed_requests, *_LEFT_ALONE),
    ),
    Scenario(
        "memory-leak",
        "The new version needs more memory every minute: a human is paged before anybody notices",
        expected="promoted",
        play=_leak,
        promises=(no_failed_requests, *_LEFT_ALONE),
        circumstances=Circumstances(behaviours={NEW_VERSION: Behaviour(memory_percent_per_minute=0.8)}),
    ),
    Scenario(
        "maintenance",
        "A critical alarm turns on in a maintenance that an operator has begun: it pages, and moves no traffic",
        expected="promoted",
        play=_turn_bad_in_maintenance,
        promises=_LEFT_ALONE,
    ),
    Scenario(
        "stale-alarm",
        "A critical alarm turns on when the window is over: it pages, and moves no traffic",
        expected="promoted",
        play=_turn_bad_after_the_window,
        promises=_LEFT_ALONE,
    ),
    Scenario(
        "late-alarm",
        "Alarms of a release that was rolled back are delivered again while the next one shifts: nothing happens",
        expected="promoted",
        play=_hear_of_an_old_alarm_again,
        promises=(all_traffic_on("green", OTHER_VERSION), _all_others_did_nothing),
    ),
    Scenario(
        "alarm-ok-again",
        "The event of an alarm arrives when the alarm is over: nothing happens",
        expected="promoted",
        play=_hear_of_an_alarm_that_is_over,
        promises=(all_traffic_on("green", NEW_VERSION), moved_only(10, 50, 100), _all_others_did_nothing),
    ),
)
