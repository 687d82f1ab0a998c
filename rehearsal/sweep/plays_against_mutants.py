"""
What is played against mistakes that are built in on purpose: as short as what shows them, on what ships and on them.

Each play is a scenario in the hurried environment, or in one that ships where only that has what is needed. What must
hold after it are its promises, all that holds in every scenario, and what its `looks` find in the account at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from rehearsal import fate
from rehearsal.circumstances import Circumstances
from rehearsal.report import Report
from rehearsal.scenarios import NEW_VERSION, OLD_VERSION, OTHER_VERSION, SCENARIOS, Scenario
from rehearsal.scenarios.gates import PRODUCTION
from rehearsal.scenarios.plays import bad, release, roll_back_around, turn_bad
from rehearsal.scenarios.promises import (
    all_traffic_on,
    answered_with,
    because,
    blue_keeps_its_capacity,
    executions_ended,
    green_is_as_it_was,
    human_was_paged,
    listener_left_to_the_human,
    moved_only,
    no_failed_requests,
    nobody_was_disturbed,
    nothing_was_released,
    old_color_scaled_in,
    one_rollback_switched,
    sticky_clients_came_back,
    traffic_never_moved,
)
from rehearsal.scenarios.pushes import PUSHED, STAGING
from rehearsal.stage import Stage
from rehearsal.sweep.paths import PATHS, SWEEP, until_quiet
from rehearsal.world.github import signed

Look = Callable[[Stage, Report], str]
"""Says what is wrong in the account by the end; empty when nothing is."""

SAFE_WITHIN_SECONDS = 30.0
"""How long users may stay on a release whose execution has died."""

_BEGINS = "Claim environment"
_WATCHDOG_SECONDS = 240.0
"""Within which the watchdog has looked at least three times."""
_EVALUATED_AT_SECOND, _MINUTE = 10, 60
"""When in a minute CloudWatch has looked at alarms, and turned off what was turned on by hand."""


_NOT_POSSIBLE = "nobody was told of rollback, FAILED at Rollback not possible"
"""Whoever asks for a rollback by hand reads the answer where he has asked."""


@dataclass(frozen=True)
class Play:
    """A scenario with what else is looked at when it is over, and what of the verdict is as it should be here."""

    scenario: Scenario
    looks: tuple[Look, ...] = ()
    apart_from: str = ""

    @property
    def name(self) -> str:
        """The name of its scenario."""
        return self.scenario.name


# -- what is looked at


def one_snapshot(stage: Stage, report: Report) -> str:
    """No attempt may leave a snapshot behind that nobody knows of."""
    release_id = str(stage.record.lease.get("release_id"))
    found = [name for name in report.databases.snapshots if release_id in name]
    return "" if len(found) == 1 else f"the release has {len(found)} snapshots, not one: {', '.join(found)}"


def one_went_live(stage: Stage, report: Report) -> str:
    """Of several deployments, all but one must have been refused, and not ended in any other way."""
    del stage
    ends = sorted(each.error or "" for each in report.executions if each.machine == "deploy")
    return "" if ends == ["", "ReleaseRefused"] else f"the deployments ended with {ends}"


def safe_in_time(stage: Stage, report: Report) -> str:
    """Look how long after its death the users of a release are back on the old version."""
    back = [move.at_seconds for move in report.moves if move.percent["green"] == 0]
    if stage.fault_at is None or not back:
        return "the users were never brought back"
    clock = stage.account.clock
    took = back[-1] - (stage.fault_at - clock.now()).total_seconds() - clock.seconds()
    return "" if took <= SAFE_WITHIN_SECONDS else f"users were safe {took:.0f} s after the execution died"


def window_stays_until_promoted(stage: Stage, report: Report) -> str:
    """A way back that is given up before the release is accepted leaves users with neither."""
    del report
    live = stage.record.item("live")
    point = live.get("rollback_point", {})
    is_lost = point.get("status") == "expired" and point.get("window_ends_at") is None
    return f"the way back of {live.get('release_id')} was given up before it was promoted" if is_lost else ""


def _snapshot_of_every_restore(stage: Stage, report: Report) -> str:
    """What served before a restore must be there still, and saved."""
    del stage
    safety = [status for name, status in report.databases.snapshots.items() if "-safety-" in name]
    return "" if safety == ["available"] else f"the safety snapshots are {safety}"


# -- releases


def _move_to(color: str, version: str = "") -> tuple[Callable[[Report], str], ...]:
    return (no_failed_requests, all_traffic_on(color, version or {"blue": OLD_VERSION, "green": NEW_VERSION}[color]))


def _scale_in_while_baking(stage: Stage) -> None:
    """Half of the users is gone, so a scaling policy makes the old color small."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 100 %")
    stage.scale_in("blue")
    stage.until_ended(deployment)


def _clean_up_while_baking(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 100 %")
    stage.until_ended(stage.start_clean_up({}))
    stage.until_ended(deployment)


def _kill_the_new_color(stage: Stage) -> None:
    """It was found healthy; then it dies, just before it gets traffic."""
    held = fate.HeldCall(stage.account, "hold-old-color", "UpdateItem")
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until(lambda: held.is_held, "nothing was held")
    fate.kill_applications(stage.account, "green")
    green = stage.account.settings.routes[0].green
    stage.until(lambda: stage.account.load_balancer.healthy_targets(green) == 0, "green stays healthy")
    held.let_go()
    stage.until_ended(deployment)


def _break_one_step(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 50 %")
    turn_bad(stage, bad(0.6))
    stage.until_ended(deployment)
    stage.until_rollback_ended()


def _lose_the_snapshots_answer(stage: Stage) -> None:
    stage.account.functions.kill_next(stage.account.stack.function("take-snapshot"), "after its work")
    release(stage)


def _release_in_the_window(stage: Stage) -> None:
    release(stage)
    stage.until_ended(stage.start_deployment({"version": OTHER_VERSION}))


def _move_the_listener(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 50 %")
    stage.move_listener({"blue": 70, "green": 30})
    stage.until_ended(deployment)


def _move_the_listener_before_an_abort(stage: Stage) -> None:
    """Send users to the color that the release prepares, and have the release given up."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Hold old color")
    stage.move_listener({"blue": 70, "green": 30})
    stage.give_order("abort")
    stage.until_ended(deployment)


def _start_two(stage: Stage) -> None:
    first = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(first, "Record rollback point")
    for each in (first, stage.start_deployment({"version": OTHER_VERSION})):
        stage.until_ended(each)


def _start_two_at_once(stage: Stage) -> None:
    """Both have seen that the environment is free when the first of them writes that it is not."""
    claim = fate.HeldCall(stage.account, "claim-environment", "PutItem")
    both = [stage.start_deployment({"version": version}) for version in (NEW_VERSION, OTHER_VERSION)]
    stage.until(lambda: claim.is_held, "nobody has claimed anything")
    stage.until(lambda: any("Record rollback point" in each.states for each in both), "nobody else has claimed")
    claim.let_go()
    for each in both:
        stage.until_ended(each)


# -- ways back


def _roll_back_thrice(stage: Stage) -> None:
    release(stage)
    for rollback in [stage.start_rollback({}), stage.start_rollback({})]:
        stage.until_ended(rollback)
    stage.until_ended(stage.start_rollback({}))


def _hold_a_switch(stage: Stage) -> None:
    """Let the deployment's change of the listener arrive after the rollback's."""
    switch = fate.HeldCall(stage.account, "switch-listener", "ModifyListener")
    stage.start_deployment({"version": NEW_VERSION})
    roll_back_around(stage, switch)


def _hold_a_lease_check(stage: Stage) -> None:
    """Let the deployment's second shift prove its lease when the rollback has it."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 50 %")
    roll_back_around(stage, fate.HeldCall(stage.account, "switch-listener", "UpdateItem"))


def _die_before_the_record_knows(stage: Stage) -> None:
    """Let the first shift die where it writes down that this release is the one that receives traffic."""
    write = fate.HeldCall(stage.account, "switch-listener", "TransactWriteItems")
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until(lambda: write.is_held, "no shift was written down")
    stage.stop(deployment)
    stage.until_rollback_ended()
    write.let_go()


def _move_the_listener_during_settle(stage: Stage) -> None:
    release(stage)
    rollback = stage.start_rollback({})
    stage.until_entered(rollback, "Wait for late writes")
    stage.move_listener({"blue": 70, "green": 30})
    stage.until_ended(rollback)


def _lose_the_old_color(stage: Stage) -> None:
    release(stage)
    fate.kill_applications(stage.account, "blue")
    stage.wait(2 * _MINUTE)  # within which health checks have failed, if there are any
    stage.until_ended(stage.start_rollback({}))


def _roll_back_after_the_clean_up(stage: Stage) -> None:
    release(stage)
    stage.until_ended(stage.until_started("clean-up"))
    stage.until_ended(stage.start_rollback({}))


def _stop_while_baking(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 50 %")
    stage.note_fault()
    stage.stop(deployment)
    stage.wait(_WATCHDOG_SECONDS)


def _stop_unheard(stage: Stage) -> None:
    """A deployment dies, and nobody hears of it."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 50 %")
    fate.lose_status_events(stage.account)
    stage.stop(deployment)
    stage.wait(_WATCHDOG_SECONDS)


def _roll_back_later(stage: Stage) -> None:
    """The watchdog has looked at the way back meanwhile."""
    release(stage)
    stage.wait(_MINUTE + _MINUTE / 2)
    stage.until_ended(stage.start_rollback({}))


def _hear_of_an_old_end_again(stage: Stage) -> None:
    first = stage.start_deployment({"version": OTHER_VERSION})
    stage.until_entered(first, "Wait for snapshot")
    stage.stop(first)
    stage.until_rollback_ended()
    second = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(second, "Bake at 50 %")
    fate.deliver_again(stage.account, first.arn)
    stage.until_ended(second)


# -- alarms


def _turn_alarm_on(stage: Stage, name: str) -> None:
    """Turn an alarm on just after CloudWatch has looked at it, and wait until it was heard."""
    now = stage.account.clock.now().second
    stage.wait(_MINUTE - (now - _EVALUATED_AT_SECOND) % _MINUTE)
    known = len(stage.of_machine("rollback"))
    fate.turn_alarm_on(stage.account, name)
    stage.until_ended(stage.until_started("rollback", known + 1))


def _alarm_after_the_window(stage: Stage) -> None:
    """The way back is gone, and the next release begins; then the live one's alarm turns on."""
    release(stage)
    stage.until_ended(stage.until_started("clean-up"))
    following = stage.start_deployment({"version": OTHER_VERSION})
    stage.until_entered(following, "Wait for snapshot")
    _turn_alarm_on(stage, "rolls-back-error-rate-api-green")
    stage.until_ended(following)


def _alarm_of_the_old_color(stage: Stage) -> None:
    release(stage)
    _turn_alarm_on(stage, "rolls-back-error-rate-api-blue")


# -- databases and pushes


def _restore(stage: Stage) -> None:
    PATHS["restore-database"].play(stage)


def _approve_ones_own(stage: Stage) -> None:
    """Whoever has asked for a restore approves it, too, in another role; somebody else rejects it."""
    release(stage)
    restore = stage.start("restore-database", {"reason": "receipts of today are garbled"})
    stage.until_entered(restore, "Wait for approval")
    stage.wait(5 * _MINUTE)
    answer = {"release_id": stage.record.item("restore")["release_id"], "reason": "rehearsing it"}
    people = stage.account.people
    for person, action in ((people.operator_as_approver, "approve"), (people.approver, "reject")):
        stage.post(person, "answer-by-url", {**answer, "action": action})
    stage.until_ended(restore)


def _forge(stage: Stage) -> None:
    """Whoever does not know the secret sends what GitHub would, for a commit that is not on main."""
    push = stage.account.github.push(PUSHED, moves=False)
    stage.deliver(replace(push, headers={**push.headers, "X-Hub-Signature-256": signed("a guess", push.body)}))
    stage.wait(2 * _MINUTE)


def _see_nothing(stage: Stage) -> None:
    """Systems Manager does not say whether the calendar is open; a release that begins all the same is stopped."""
    stage.account.surroundings.calendars.fall_silent()
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until(lambda: deployment.ended or _BEGINS in deployment.states, "it neither begins nor ends")
    if not deployment.ended:
        stage.stop(deployment)


def _play(
    name: str,
    expected: str,
    play: Callable[[Stage], None],
    *promises: Callable[[Report], str],
    looks: tuple[Look, ...] = (),
    sticky_share: float = 0.0,
    real_database: bool = False,
    environment: str = SWEEP,
    apart_from: str = "",
) -> Play:

    def play_to_the_end(stage: Stage) -> None:
        play(stage)
        until_quiet(stage)  # targets are drained, and the watchdog has looked

    circumstances = Circumstances(sticky_share=sticky_share, real_database=real_database)
    return Play(
        Scenario(
            name,
            (play.__doc__ or name).strip().partition("\n")[0],
            expected,
            play_to_the_end,
            promises,
            circumstances,
            environment,
        ),
        looks,
        apart_from,
    )


PLAYS = {
    each.name: each
    for each in (
        _play(
            "release",
            "promoted",
            release,
            *_move_to("green"),
            nobody_was_disturbed,
            old_color_scaled_in,
            executions_ended("rollback"),
            looks=(one_snapshot,),
        ),
        _play(
            "snapshot-answer-lost",
            "promoted",
            _lose_the_snapshots_answer,
            *_move_to("green"),
            looks=(one_snapshot,),
        ),
        _play("scaled-in-while-baking", "promoted", _scale_in_while_baking, *_move_to("green")),
        _play(
            "clean-up-while-baking",
            "promoted",
            _clean_up_while_baking,
            *_move_to("green"),
            executions_ended("deploy", "SUCCEEDED"),
            looks=(window_stays_until_promoted,),
        ),
        _play("new-color-dies", "aborted", _kill_the_new_color, no_failed_requests, traffic_never_moved),
        _play(
            "bad-under-half",
            "rolled_back",
            _break_one_step,
            all_traffic_on("blue", OLD_VERSION),
            one_rollback_switched,
            because("The rollback machine took over after"),
        ),
        _play(
            "next-in-the-window",
            "promoted",
            _release_in_the_window,
            *_move_to("green"),
            executions_ended("deploy", "SUCCEEDED", "FAILED"),
        ),
        _play(
            "listener-moved",
            "escalated",
            _move_the_listener,
            no_failed_requests,
            listener_left_to_the_human,
            human_was_paged,
        ),
        _play(
            "moved-and-aborted",
            "escalated",
            _move_the_listener_before_an_abort,
            no_failed_requests,
            listener_left_to_the_human,
            human_was_paged,
        ),
        _play(
            "two-deployments",
            "promoted",
            _start_two,
            *_move_to("green"),
            executions_ended("deploy", "SUCCEEDED", "FAILED"),
        ),
        _play(
            "two-claims",
            "promoted",
            _start_two_at_once,
            no_failed_requests,
            moved_only(50, 100),
            looks=(one_went_live,),
        ),
        _play(
            "three-rollbacks",
            "rolled_back",
            _roll_back_thrice,
            *_move_to("blue"),
            one_rollback_switched,
            executions_ended("rollback", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"),
        ),
        _play("late-switch", "rolled_back", _hold_a_switch, *_move_to("blue"), moved_only(50, 0)),
        _play("late-lease-check", "rolled_back", _hold_a_lease_check, *_move_to("blue"), moved_only(50, 0)),
        _play(
            "died-at-first-shift",
            "aborted",
            _die_before_the_record_knows,
            no_failed_requests,
            traffic_never_moved,
            green_is_as_it_was,
        ),
        _play(
            "moved-while-settling",
            "escalated",
            _move_the_listener_during_settle,
            no_failed_requests,
            listener_left_to_the_human,
            human_was_paged,
        ),
        _play("old-color-sick", "escalated", _lose_the_old_color, *_move_to("green"), human_was_paged),
        _play(
            "rollback-after-clean-up",
            "promoted",
            _roll_back_after_the_clean_up,
            *_move_to("green"),
            moved_only(50, 100),
            apart_from=_NOT_POSSIBLE,
        ),
        _play(
            "stopped",
            "rolled_back",
            _stop_while_baking,
            *_move_to("blue"),
            blue_keeps_its_capacity,
            looks=(safe_in_time,),
        ),
        _play("stopped-unheard", "rolled_back", _stop_unheard, *_move_to("blue")),
        _play("rollback-later", "rolled_back", _roll_back_later, *_move_to("blue"), moved_only(50, 100, 0)),
        _play("old-end-again", "promoted", _hear_of_an_old_end_again, *_move_to("green"), moved_only(50, 100)),
        _play(
            "alarm-after-window", "promoted", _alarm_after_the_window, *_move_to("blue", OTHER_VERSION), human_was_paged
        ),
        _play("alarm-of-old-color", "promoted", _alarm_of_the_old_color, *_move_to("green"), human_was_paged),
        _play(
            "sticky-clients",
            "rolled_back",
            next(each.play for each in SCENARIOS if each.name == "sticky-clients"),
            *_move_to("blue"),
            sticky_clients_came_back,
            sticky_share=0.1,
        ),
        _play(
            "restore",
            "promoted",
            _restore,
            executions_ended("restore-database", "SUCCEEDED"),
            looks=(_snapshot_of_every_restore,),
            real_database=True,
        ),
        _play("forged-push", "untouched", _forge, traffic_never_moved, nothing_was_released, environment=STAGING),
        _play("approval-of-ones-own", "promoted", _approve_ones_own, *_move_to("green"), answered_with(403, 200)),
        _play(
            "gate-error",
            "refused",
            _see_nothing,
            no_failed_requests,
            traffic_never_moved,
            because("The release does not pass its gates"),
            environment=PRODUCTION,
        ),
    )
}
