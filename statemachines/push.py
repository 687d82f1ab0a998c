"""The push machine: a push waits for its turn and becomes a release; while one runs, only the newest one waits."""

from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn

from lambdas.github.push_rules import Action
from statemachines.steps import EXECUTION, FAILURE, INPUT, Steps, at, object_at, on_error

LOOK_EVERY_SECONDS = 60
"""
How often it is looked whether a release has ended: in the twelve hours after which another execution goes on, that is
well below the 25,000 events that an execution may have.
"""


@dataclass(frozen=True)
class _Endings:
    """Where an execution ends that has nothing to do, or nothing more."""

    nothing: sfn.IChainable
    handed_over: sfn.IChainable
    not_taken: sfn.IChainable
    failed: sfn.IChainable


def push_definition(steps: Steps) -> sfn.IChainable:
    """
    Release the newest push as soon as the environment is free, and then the newest that has come meanwhile.

    This machine never holds the environment: it starts the deploy machine, and looks how that ends. One execution takes
    care of all pushes; every other one writes down what it was told and ends. Nothing is lost when the one dies: what
    waits is in the record, and the next push or the look of every few minutes begins another. What was released here
    once is not started again by itself, however it ended.
    """
    endings = _endings(steps)
    take = steps.task(
        "Take push",
        "github.take_push",
        'Judges what it is told: a push, what another environment has validated, or a human\'s {"commit": "<git'
        ' commit>"}. The newest one is written down, to wait for its release. The input {} looks whether one waits.',
        given={"input": INPUT, "execution": EXECUTION},
        returns=("action", "reason", "commit"),
        into="push",
        starts_anew=True,
    )
    on_error(take, endings.not_taken, result_path="$")
    question = steps.ask("What becomes of the push?", "Follows the decision of the step before.")
    question.when(_decided("push", Action.RUN), _release(steps, endings))
    question.when(
        _decided("push", Action.QUEUED),
        steps.succeed("Push waits", "Another execution takes care of what waits. It releases the newest push next."),
    )
    question.when(
        _decided("push", Action.REFUSED),
        steps.fail(
            "Push refused",
            "This push is not released. The cause says why, and what to do instead. Nothing was changed.",
            "PushRefused",
            cause_path="$.push.reason",
        ),
    )
    question.when(_decided("push", Action.INVALID), steps.reject("$.push.reason"))
    question.otherwise(endings.nothing)
    return take.next(question)


def _decided(what: str, action: Action) -> sfn.Condition:
    return sfn.Condition.string_equals(f"$.{what}.action", action.value)


def _release(steps: Steps, endings: _Endings) -> sfn.IChainable:
    start = steps.task(
        "Start release",
        "github.start_release",
        "Starts the deploy machine for the push that waits, if the environment is free and its rollback window lets a"
        " release begin. Until then a newer push can take its place.",
        given={"execution": EXECUTION},
        returns=("action", "reason", "again_at", "commit", "release_id"),
        into="release",
    )
    wait_for_turn = steps.wait_until(
        "Wait for the environment",
        "Somebody works on it, or the live release can still be rolled back. Looks again every minute.",
        "$.release.again_at",
    )
    wait = steps.wait("Wait for the release", "The deploy machine does its work.", LOOK_EVERY_SECONDS)
    check = steps.task(
        "Check release",
        "github.check_release",
        "Looks whether the release has ended, and writes down how. One that found the environment taken waits again.",
        given={"execution": EXECUTION},
        returns=("action", "reason"),
        into="check",
    )
    for task in (start, check):
        on_error(task, endings.failed)

    begins = steps.ask("Does a release begin?", "Follows the decision of the step before.")
    begins.when(_decided("release", Action.STARTED), wait)
    begins.when(_decided("release", Action.WAIT), wait_for_turn)
    begins.when(_decided("release", Action.LOST), endings.handed_over)
    begins.otherwise(endings.nothing)
    ended = steps.ask("Has the release ended?", "Then the newest push that has come meanwhile is next.")
    ended.when(_decided("check", Action.ENDED), start)
    ended.when(_decided("check", Action.RUNNING), wait)
    ended.otherwise(endings.handed_over)

    wait_for_turn.next(start)
    wait.next(check)
    check.next(ended)
    return start.next(begins)


def _endings(steps: Steps) -> _Endings:
    keep = steps.remember(
        "Keep the failure",
        "The push could not be judged. It is told, and found again by the look of every few minutes.",
        "failure",
        {"Error": at("$.Error"), "Cause": at("$.Cause")},
    )
    tell = steps.tell("Tell about the failure", "push_failed", "", failure=object_at(FAILURE))
    failed = steps.fail(
        "Pushes not released",
        "A step failed as often as it may be tried, and a human was told. What waits is still written down; the next"
        " push goes on with it, and so does the look of every few minutes after a while.",
        "PushFailed",
        cause_path=sfn.JsonPath.format("{}: {}", at("$.failure.Error"), at("$.failure.Cause")),
    )
    on_error(tell, failed, result_path=sfn.JsonPath.DISCARD)
    keep.next(tell).next(failed)
    return _Endings(
        nothing=steps.succeed("Nothing to release", "No push waits, or what was pushed is released already."),
        handed_over=steps.succeed("Others go on", "Another execution takes care of what waits. Nothing was lost."),
        not_taken=keep,
        failed=tell,
    )
