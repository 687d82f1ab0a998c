"""Operators who give orders to a release, or type what no machine understands."""

from rehearsal import fate
from rehearsal.report import Report
from rehearsal.scenarios.plays import release
from rehearsal.scenarios.promises import (
    all_traffic_on,
    executions_ended,
    moved_only,
    no_failed_requests,
    nothing_reaches_green_after_the_switch,
    traffic_never_moved,
)
from rehearsal.scenarios.scenario import NEW_VERSION, OLD_VERSION, OTHER_VERSION, Scenario
from rehearsal.stage import Stage

_HALF_AN_HOUR = 1800.0

_MACHINES = ("deploy", "rollback", "clean-up", "operate")
_MALFORMED: tuple[object, ...] = (
    [],
    "deploy",
    7,
    None,
    True,
    {"version": "HEAD"},
    {"version": "5D6E7F8"},
    {"version": 5},
    {"version": "5d6e7f8", "force": True},
    {"release": "5d6e7f8"},
    {"reason": 7},
    {"release_id": ["5d6e7f8"]},
    {"source": "nobody"},
    {"action": "explode", "reason": "why not"},
    {"action": "pause"},
    {"action": "pause", "reason": "x", "minutes": "long"},
)
"""What people type. Each machine refuses those that it does not understand, and says which field is wrong."""


def _pause_and_resume(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 10 %")
    stage.give_order("pause")
    stage.wait(_HALF_AN_HOUR)
    stage.give_order("resume")
    stage.until_ended(deployment)


def _held_at_ten_percent(report: Report) -> str:
    """A pause that was over as soon as the bake was would be none."""
    at = [move.at_seconds for move in report.moves]
    held = at[1] - at[0] if len(at) > 1 else 0.0
    return "" if held >= _HALF_AN_HOUR else f"the release was held for {held:.0f} s only"


def _promote_now(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 10 %")
    stage.give_order("promote")
    stage.until_ended(deployment)


def _was_hurried(report: Report) -> str:
    if not report.moves:
        return "no traffic was shifted"
    shifts = report.moves[-1].at_seconds - report.moves[0].at_seconds
    return "" if shifts < 120 else f"from the first shift to the last it took {shifts:.0f} s"  # noqa: PLR2004  seconds


def _abort(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 50 %")
    stage.give_order("abort")
    stage.until_ended(deployment)
    stage.until_rollback_ended()


def _type_nonsense(stage: Stage) -> None:
    for machine in _MACHINES:
        for given in _MALFORMED:
            stage.until_ended(stage.start(machine, given))


def _all_refused_as_invalid(report: Report) -> str:
    """Every end of one of these is told to the rollback and the report machine, which must find nothing to do."""
    by_hand = [each for each in report.executions if each.status != "SUCCEEDED"]
    if len(by_hand) != len(_MACHINES) * len(_MALFORMED):
        return f"{len(by_hand)} executions failed, of {len(_MACHINES) * len(_MALFORMED)}"
    others = {f"{each.machine} ended with {each.error}" for each in by_hand if each.error != "InvalidRequest"}
    silent = {each.machine for each in by_hand if "Example of a valid input" not in (each.cause or "")}
    idle = {"Nothing to roll back", "Nothing to report"}
    acted = {each.states[-1] for each in report.executions if each.status == "SUCCEEDED"} - idle
    return ", ".join(sorted(others | silent | acted))


def _release_in_the_window(stage: Stage) -> None:
    release(stage)
    stage.until_ended(stage.start_deployment({"version": OTHER_VERSION}))
    stage.give_order("end-window")
    stage.until_ended(stage.start_deployment({"version": OTHER_VERSION}))


def _free_by_hand(stage: Stage) -> None:
    """Nobody else goes on: neither the rule nor the watchdog."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 50 %")
    fate.lose_status_events(stage.account)
    fate.lose_watchdog(stage.account)
    stage.stop(deployment)
    stage.until_ended(deployment)
    stage.move_listener({"blue": 100, "green": 0})
    stage.give_order("release-environment")


SCENARIOS = (
    Scenario(
        "pause-resume",
        "An operator pauses the release at 10 %, looks at it for half an hour, and lets it go on",
        expected="promoted",
        play=_pause_and_resume,
        promises=(no_failed_requests, all_traffic_on("green", NEW_VERSION), _held_at_ten_percent),
    ),
    Scenario(
        "operator-promotes",
        "An operator is in a hurry: promote now skips what is left of the bakes, and no check",
        expected="promoted",
        play=_promote_now,
        promises=(no_failed_requests, all_traffic_on("green", NEW_VERSION), _was_hurried, moved_only(10, 50, 100)),
    ),
    Scenario(
        "operator-aborts",
        "An operator aborts the release at 50 %: the old version has all traffic again",
        expected="rolled_back",
        play=_abort,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            nothing_reaches_green_after_the_switch,
            moved_only(10, 50, 0),
        ),
    ),
    Scenario(
        "freed-by-hand",
        "A deployment dies and nobody hears of it: an operator puts the listener back, and frees the environment",
        expected="rolled_back",
        play=_free_by_hand,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            executions_ended("operate", "SUCCEEDED"),
            moved_only(10, 50, 0),
        ),
    ),
    Scenario(
        "window-open",
        "The next release is refused while the live one can be rolled back, until an operator ends its window",
        expected="promoted",
        play=_release_in_the_window,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OTHER_VERSION),
            executions_ended("deploy", "SUCCEEDED", "FAILED", "SUCCEEDED"),
        ),
    ),
    Scenario(
        "bad-input",
        "Every machine is started with what it cannot understand: each says which field is wrong, and changes nothing",
        expected="refused",
        play=_type_nonsense,
        promises=(no_failed_requests, traffic_never_moved, _all_refused_as_invalid),
    ),
)
