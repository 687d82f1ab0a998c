"""Humans who change the listener while Runback works on it."""

from rehearsal.scenarios.plays import bakes, release
from rehearsal.scenarios.promises import (
    green_is_as_it_was,
    human_was_paged,
    listener_left_to_the_human,
    no_failed_requests,
)
from rehearsal.scenarios.scenario import NEW_VERSION, Scenario
from rehearsal.stage import Stage, Step


def _release_onto_a_moved_listener(stage: Stage) -> None:
    """At the last moment: users who meet an empty color for longer turn an alarm on, at which the gates stay shut."""

    def move(step: Step) -> None:
        if step.state == "Claim environment":
            stage.move_listener({"blue": 70, "green": 30})

    stage.on_step(move)
    release(stage)


def _move_the_listener_during_the_shift(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, bakes(stage)[0])
    stage.move_listener({"blue": 70, "green": 30})
    stage.until_ended(deployment)


SCENARIOS = (
    Scenario(
        "drift",
        "Somebody has moved the listener by hand when the release claims it: refused, nothing changed",
        expected="refused",
        play=_release_onto_a_moved_listener,
        promises=(listener_left_to_the_human, green_is_as_it_was),
    ),
    Scenario(
        "drift-mid-shift",
        "Somebody moves the listener by hand during the shift: left alone, a human is paged",
        expected="escalated",
        play=_move_the_listener_during_the_shift,
        promises=(no_failed_requests, listener_left_to_the_human, human_was_paged),
    ),
)
