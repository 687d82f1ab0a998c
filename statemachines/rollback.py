"""The rollback machine: traffic on the old color again in seconds; everything slow comes after."""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn

from lambdas.checks.rules import Scope
from lambdas.errors import LeaseLost
from lambdas.rollback.rules import Action, Source
from statemachines.clean_up import start_clean_up
from statemachines.infrastructure import await_apply, page_infrastructure, release_again, roll_infrastructure_back
from statemachines.migrations import ask_about_schema, await_migrations, page_schema
from statemachines.restore_database import start_restore
from statemachines.steps import (
    ALREADY_STARTED,
    BACK,
    BACK_AT_LAST,
    BACK_SLOW,
    CLAIM,
    EXECUTION,
    FAILURE,
    FORWARD_SLOW,
    INPUT,
    NO_FAILURE,
    STARTED,
    Patience,
    Steps,
    at,
    object_at,
    on_error,
)

_SETTLE_EVERY_SECONDS = 5
_AFTER_ABORT = " after abort"
_LAST_STEP_SECONDS = FORWARD_SLOW.seconds
"""How long a step of the deployment may still work after it was stopped: the longest of its Tasks' time-outs."""


@dataclass(frozen=True)
class _Endings:
    """Where a rollback ends that could not do its work."""

    lease_lost: sfn.IChainable
    escalated: sfn.IChainable
    told: sfn.IChainable


def rollback_definition(
    steps: Steps,
    clean_up: sfn.IStateMachine,
    restore: sfn.IStateMachine | None = None,
    *,
    can_migrate: bool = False,
    deploy: sfn.IStateMachine | None = None,
    skips: Sequence[str] = (),
) -> sfn.IChainable:
    """
    Claim, switch, and only then everything else.

    Between the event and safe traffic stand two steps: one decides from the record and takes the environment, the other
    points the listener at the old color. A rollback that finds nothing to do succeeds; one that was needed and is not
    possible ends in Fail, "Escalated", after it has told a human. Traffic that a restore of the database has frozen
    stays frozen, whoever asks. Where there is such a machine, {"database": true} starts it at the end: it asks a human.

    Where settings describe the infrastructure, {"infrastructure": true} takes it back, too, once the traffic is safe,
    and `deploy` then releases the old version anew, without its gates and approval (`skips`). What fails there never
    undoes the traffic.
    """
    endings = _endings(steps)
    also = ("infrastructure", "ended_as") if deploy else ()
    claim = _claim(
        steps,
        "Claim rollback",
        "Decides from the record what there is to undo, and takes the environment for it. The input {} means: whatever"
        " is live or being released now.",
        BACK,
        also,
    )
    again = _claim(
        steps,
        "Claim rollback at last",
        "Tries again and again what did not work, until the record answers. If a human was faster, there is nothing"
        " left to do.",
        BACK_AT_LAST,
        also,
    )
    on_error(claim, _record_unreachable(steps, endings.told, again), result_path="$")
    question = steps.ask("What is there to roll back?", "Follows the decision of the claim.")
    told = _told(steps, restore, deploy, skips)
    switched = _record(steps, endings, at("$.claim.reason"), then=told)
    infrastructure = _take_infrastructure_back(steps, endings, told, then=switched) if deploy else None
    question.when(_decided(Action.SWITCH), _switch(steps, endings, then=infrastructure or switched))
    if infrastructure:
        question.when(_decided(Action.INFRASTRUCTURE), infrastructure)
    aborted = _abort(steps, endings, can_migrate=can_migrate, can_apply=deploy is not None)
    question.when(_decided(Action.ABORT), aborted)
    question.when(_decided(Action.FINISH), _finish(steps, clean_up, endings))
    _let_go(steps, endings, question)
    question.when(_decided(Action.KEEP_FROZEN), _keep_frozen(steps, endings))
    question.when(_decided(Action.ESCALATE), _nothing_to_go_back_to(steps, endings))
    question.when(_decided(Action.PAGE), _left_to_human(steps))
    _hold(steps, endings, question)
    question.when(_decided(Action.IMPOSSIBLE), _impossible(steps))
    question.when(_decided(Action.INVALID), steps.reject("$.claim.reason"))
    question.otherwise(
        steps.succeed("Nothing to roll back", "There is nothing to undo, or it is being done already. Changed nothing.")
    )
    again.next(question)
    return claim.next(question)


def _claim(steps: Steps, name: str, comment: str, patience: Patience, also: tuple[str, ...]) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "rollback.claim_rollback",
        comment,
        given={"input": INPUT, "execution": EXECUTION, "asked_at": STARTED},
        returns=(
            "action",
            "reason",
            "lease",
            "release_id",
            "active",
            "color",
            "version",
            "wanted_healthy",
            "last_healthy",
            "last_healthy_at",
            "claimed_at",
            "loser",
            "database",
            "why",
            "asked_by",
            *also,
        ),
        into="claim",
        starts_anew=True,
        patience=patience,
    )


def _decided(action: Action) -> sfn.Condition:
    return sfn.Condition.string_equals("$.claim.action", action.value)


def _switch(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    """Let traffic come first; what follows it is `then`."""
    switch = steps.task(
        "Switch listener back",
        "traffic.switch_listener",
        "Sends all traffic of every route to the recorded target group of the old color, and to that one alone.",
        given={
            **CLAIM,
            "color": at("$.claim.color"),
            "percent": 100,
            "before_percent": 0,
            "wanted_healthy": at("$.claim.wanted_healthy"),
            "last_healthy": at("$.claim.last_healthy"),
            "last_healthy_at": at("$.claim.last_healthy_at"),
            "back": True,
        },
        returns=("concern",),
        into="switch",
        patience=BACK,
    )
    stop = _stop(steps, "Stop deployment")
    settle = steps.task(
        "Settle listener",
        "traffic.settle",
        "Undoes a late write of the execution that lost the environment, until none can come any more. A change that"
        " neither of them meant to make is a human's, and is not fought over.",
        given={**CLAIM, "color": at("$.claim.color"), "claimed_at": at("$.claim.claimed_at")},
        returns=("settled",),
        into="listener",
        patience=BACK,
    )
    wait = steps.wait(
        "Wait for late writes", "A function that lost the environment may still run.", _SETTLE_EVERY_SECONDS
    )
    resume = _resume(steps, "Resume scaling", at("$.claim.color"))
    verified = _verify(steps, endings, then=resume)
    on_error(resume, endings.lease_lost, LeaseLost)
    on_error(resume, steps.page_scaling("Page about held scaling", at("$.claim.release_id"), then))
    resume.next(then)
    for task in (switch, stop, settle):
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, endings.escalated)
    settled = sfn.Condition.boolean_equals("$.listener.settled", value=True)
    question = steps.ask("Has the listener settled?", "Is every function of the loser dead by now?")
    return switch.next(stop).next(steps.poll(wait, settle, question, settled, then=verified))


def _record(steps: Steps, endings: _Endings, reason: str, then: sfn.IChainable, but: str = "") -> sfn.IChainable:
    record = steps.task(
        f"Record rollback{but}",
        "rollback.record_rollback",
        "Writes down that the old version is live again, marks the rollback point as consumed, and gives the lease"
        " back.",
        given={**CLAIM, "reason": reason},
    )
    on_error(record, endings.lease_lost, LeaseLost)
    on_error(record, endings.escalated)
    return record.next(then)


def _told(
    steps: Steps, restore: sfn.IStateMachine | None, deploy: sfn.IStateMachine | None, skips: Sequence[str]
) -> sfn.IChainable:
    """Tell that the old version serves, and begin what a human has asked for besides."""
    tell = _tell(steps, "Tell about the rollback", "rolled_back", at("$.claim.reason"), concern=at("$.switch.concern"))
    rolled_back = steps.succeed("Rolled back", "The old version has all traffic again.")
    ending: sfn.IChainable = _restore_after(steps, restore, then=rolled_back) if restore else rolled_back
    if deploy:
        ending = _release_after(steps, deploy, skips, then=ending)
    on_error(tell, ending, result_path=sfn.JsonPath.DISCARD)
    return tell.next(ending)


def _take_infrastructure_back(
    steps: Steps, endings: _Endings, told: sfn.IChainable, then: sfn.IChainable
) -> sfn.IChainable:
    """
    Take the infrastructure back if a human has asked for it, and wait in any case until nothing is applied any more.

    The traffic is safe by now: what fails is told and written down, and is no failure of the rollback, which goes on
    with `then`. Where the rollback had happened before, this is all that there is to do.
    """
    alone, failed_alone = _alone(steps, endings)
    failed = steps.tell(
        "Page about the old infrastructure",
        "infrastructure_not_back",
        at("$.claim.release_id"),
        failure=object_at(FAILURE),
        comment="Tells the people on call that the infrastructure is not as it was, and why.",
    )
    back = steps.remember("Note that it is back", "The old version can be released on it.", "back", {"done": True})
    tell = _tell(steps, "Tell about the infrastructure", "infrastructure_back", at("$.planned.summary"))
    was_alone = _decided(Action.INFRASTRUCTURE)
    which = steps.ask("Was the traffic switched?", "It may have been before, so that only the rest was asked for.")
    which_failed = steps.ask("Was the traffic switched, at least?", "Then the rollback is written down as one.")
    which.when(was_alone, alone).otherwise(then)
    but = sfn.JsonPath.format("{} Its infrastructure is not back: {}.", at("$.claim.reason"), at("$.failure.Error"))
    recorded = _record(steps, endings, but, told, " without infrastructure")
    which_failed.when(was_alone, failed_alone).otherwise(recorded)
    on_error(failed, which_failed, result_path=sfn.JsonPath.DISCARD)
    failed.next(which_failed)
    on_error(tell, which, result_path=sfn.JsonPath.DISCARD)
    back.next(tell).next(which)
    taken = roll_infrastructure_back(steps, endings.lease_lost, back, failed)
    question = steps.ask("Is the infrastructure to follow?", "Only a human can have asked for it.")
    asked = sfn.Condition.boolean_equals("$.claim.infrastructure", value=True)
    question.when(sfn.Condition.or_(asked, was_alone), taken).otherwise(then)
    return await_apply(steps, CLAIM, endings.lease_lost, failed, then=question)


def _alone(steps: Steps, endings: _Endings) -> tuple[sfn.IChainable, sfn.IChainable]:
    """Return how a rollback of the infrastructure alone ends: well, and otherwise. The release ended as before."""
    ends: list[sfn.TaskStateBase] = []
    for name in ("Release environment after infrastructure", "Release environment after failure"):
        comment = "Gives the lease back. How the release ended is not changed."
        release = steps.release_environment(name, comment, CLAIM, at("$.claim.ended_as"))
        on_error(release, endings.lease_lost, LeaseLost)
        on_error(release, endings.escalated)
        ends.append(release)
    well, otherwise = ends
    done = steps.succeed("Infrastructure is back", "It is that of the version that serves, as far as settings say.")
    failed = steps.fail(
        "Infrastructure is not back",
        "It could not be taken back, and a human was told. The cause says why. Traffic was not touched.",
        "InfrastructureNotBack",
        cause_path=sfn.JsonPath.format("{}: {}", at("$.failure.Error"), at("$.failure.Cause")),
    )
    well.next(done)
    otherwise.next(failed)
    return well, otherwise


def _release_after(
    steps: Steps, deploy: sfn.IStateMachine, skips: Sequence[str], then: sfn.IChainable
) -> sfn.IChainable:
    """Release the old version anew on its own infrastructure; if nobody asked for it back, page what was left."""
    again = release_again(steps, deploy, skips, then)
    left = page_infrastructure(steps, at("$.claim.release_id"), then)
    question = steps.ask("Is the old version to be released anew?", "It is, once its infrastructure is back.")
    done = sfn.Condition.is_present("$.back.done")
    asked = sfn.Condition.boolean_equals("$.claim.infrastructure", value=True)
    return question.when(done, again).when(asked, then).otherwise(left)


def _restore_after(steps: Steps, restore: sfn.IStateMachine, then: sfn.IChainable) -> sfn.IChainable:
    """The traffic is safe by now: what cannot be started is told, and is no failure of the rollback."""
    start = start_restore(steps, restore, at("$.claim.release_id"), at("$.claim.why"), at("$.claim.asked_by"))
    tell = steps.tell(
        "Tell that no restore was started",
        "restore_refused",
        at("$.claim.release_id"),
        failure=object_at(FAILURE),
    )
    on_error(start, then, ALREADY_STARTED, result_path=sfn.JsonPath.DISCARD)
    on_error(start, tell)
    on_error(tell, then, result_path=sfn.JsonPath.DISCARD)
    start.next(then)
    tell.next(then)
    question = steps.ask("Is the database to follow?", "Only a human can have asked for it, and has to approve it.")
    return question.when(sfn.Condition.boolean_equals("$.claim.database", value=True), start).otherwise(then)


def _verify(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    """Look whether the old version really works again. Whatever is found, traffic stays, and a human hears of it."""
    smoke = steps.task(
        "Smoke check old version",
        "checks.run_smoke_checks",
        "Asks the old version what users would ask of it, and the system whether it is healthy.",
        given={**CLAIM, "scope": Scope.ROLLED_BACK.value},
        patience=BACK_SLOW,
    )
    errors = steps.task(
        "Check error rate of old version",
        "checks.check_error_rate",
        "Counts the errors of the old version since the rollback.",
        given={**CLAIM, "version": at("$.claim.version"), "since": at("$.claim.claimed_at")},
        patience=BACK_SLOW,
    )
    page = _page(steps, "Page about the old version", "not_verified")
    for task in (smoke, errors):
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, page)
    on_error(page, then, result_path=sfn.JsonPath.DISCARD)
    page.next(then)
    return smoke.next(errors).next(then)


def _abort(steps: Steps, endings: _Endings, *, can_migrate: bool, can_apply: bool) -> sfn.IChainable:
    stop = _stop(steps, "Stop preparation")
    wait = steps.wait("Wait for its last step", "A step that was stopped may still work.", _LAST_STEP_SECONDS)
    scale_back = steps.task(
        "Scale idle color back",
        "fleet.scale_back_idle_color",
        "Cancels the refresh and leaves the idle color as it was found. Traffic never moved.",
        given=CLAIM,
        returns=("active",),
        into="colors",
    )
    resume = _resume(steps, "Resume scaling after abort", at("$.colors.active"))
    why = {"Error": "Aborted", "Cause": at("$.claim.reason")}
    release = _release(steps, "Release environment after abort", "aborted", why)
    tell = _tell(steps, "Tell about the abort", "aborted", at("$.claim.reason"))
    aborted = steps.succeed("Aborted", "The release was given up before traffic moved.")
    for task in (stop, scale_back, resume, release):
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, endings.escalated)
    on_error(tell, aborted)
    tell.next(aborted)
    scale_back.next(resume).next(release)
    stop.next(wait)
    over: sfn.IChainable = scale_back
    told: sfn.IChainable = tell
    if can_migrate:
        page = page_schema(steps, at("$.claim.release_id"), at("$.claim.reason"), then=aborted)
        told = ask_about_schema(steps, page, otherwise=tell)
        over = await_migrations(steps, CLAIM, endings.lease_lost, endings.escalated, then=over)
    if can_apply:
        told = page_infrastructure(steps, at("$.claim.release_id"), told, _AFTER_ABORT)
        over = await_apply(steps, CLAIM, endings.lease_lost, endings.escalated, over, _AFTER_ABORT)
    release.next(told)
    wait.next(over)
    return stop


def _finish(steps: Steps, clean_up: sfn.IStateMachine, endings: _Endings) -> sfn.IChainable:
    resume = _resume(steps, "Resume scaling of live color", at("$.claim.active"))
    release = _release(steps, "Release environment", "committed")
    start = start_clean_up(steps, clean_up, at("$.claim.release_id"))
    tell = _tell(steps, "Tell that no clean-up was started", "clean_up_failed", at("$.failure.Error"))
    finished = steps.succeed("Release was live already", "Only its execution had ended early. Nothing was undone.")
    on_error(start, finished, ALREADY_STARTED, result_path=sfn.JsonPath.DISCARD)
    on_error(start, tell)
    on_error(tell, finished, result_path=sfn.JsonPath.DISCARD)
    on_error(resume, endings.lease_lost, LeaseLost)
    on_error(resume, steps.page_scaling("Page about held scaling of live color", at("$.claim.release_id"), release))
    on_error(release, endings.lease_lost, LeaseLost)
    on_error(release, endings.escalated)
    tell.next(finished)
    return resume.next(release).next(start).next(finished)


def _let_go(steps: Steps, endings: _Endings, question: sfn.Choice) -> None:
    """The live color is not touched: since its release it has been scaled by others."""
    wait = steps.wait(
        "Wait for the clean-up's last step", "A step of a dead execution may still work.", _LAST_STEP_SECONDS
    )
    release = _release(steps, "Release environment after clean-up", "committed")
    tell = _tell(steps, "Tell about the clean-up", "clean_up_failed", at("$.claim.reason"))
    given_up = steps.succeed(
        "Clean-up given up", "Nothing was moved or scaled, and no lease is held. The clean-up can be started again."
    )
    on_error(release, endings.lease_lost, LeaseLost)
    on_error(release, endings.escalated)
    on_error(tell, given_up)
    wait.next(release).next(tell).next(given_up)
    question.when(_decided(Action.LET_GO), wait)
    question.when(_decided(Action.TELL_CLEAN_UP), tell)


def _keep_frozen(steps: Steps, endings: _Endings) -> sfn.IChainable:
    """Neither switch nor thaw: the databases may be exchanged by half, and only the restore's machine can tell."""
    failure = {"Error": "TrafficFrozen", "Cause": at("$.claim.reason")}
    record = _release(steps, "Record that traffic is frozen", "frozen", failure)
    page = steps.tell(
        "Page about frozen traffic",
        "restore_frozen",
        at("$.claim.release_id"),
        reason=at("$.claim.reason"),
        comment="Tells the people on call that users get 503, and which inputs go on with the restore or back.",
    )
    frozen = steps.fail(
        "Traffic stays frozen",
        "A restore of the database did not come to its end. The cause names the inputs that go on with it, or back.",
        "Escalated",
        cause_path="$.claim.reason",
    )
    on_error(record, endings.lease_lost, LeaseLost)
    on_error(record, page, result_path=sfn.JsonPath.DISCARD)
    on_error(page, frozen, result_path=sfn.JsonPath.DISCARD)
    record.next(page).next(frozen)
    return record


def _hold(steps: Steps, endings: _Endings, question: sfn.Choice) -> None:
    """
    After breaking migrations no traffic moves by itself: the old version does not work with the database any more.

    A deployment that has died is written down as left to a human; for an alarm nothing is claimed.
    """
    failure = {"Error": "NoAutomaticRollback", "Cause": at("$.claim.reason")}
    record = _release(steps, "Record that a human decides", "escalated", failure)
    page = steps.tell(
        "Page about the release",
        "held",
        at("$.claim.release_id"),
        reason=at("$.claim.reason"),
        comment="Tells the people on call that traffic stays where it is, and which inputs bring it back.",
    )
    held = steps.succeed("Held for a human", "No traffic was moved, because the release's migrations are breaking.")
    on_error(record, endings.lease_lost, LeaseLost)
    on_error(record, endings.escalated)
    on_error(page, held, result_path=sfn.JsonPath.DISCARD)
    record.next(page).next(held)
    question.when(_decided(Action.HOLD), record)
    question.when(_decided(Action.PAGE_HOLD), page)


def _nothing_to_go_back_to(steps: Steps, endings: _Endings) -> sfn.IChainable:
    explain = steps.remember(
        "Explain the escalation",
        "A rollback is needed, and there is nothing to go back to.",
        "failure",
        {"Error": "NoWayBack", "Cause": at("$.claim.reason")},
    )
    return explain.next(endings.escalated)


def _left_to_human(steps: Steps) -> sfn.IChainable:
    """A message that cannot be sent leaves the alarm itself, which humans see in the console and on the dashboard."""
    tell = _tell(steps, "Page about the alarm", "critical_alarm", at("$.claim.reason"))
    paged = steps.succeed("Left to a human", "A critical alarm is on, and it is not for Runback to move traffic.")
    on_error(tell, paged, result_path=sfn.JsonPath.DISCARD)
    tell.next(paged)
    return tell


def _impossible(steps: Steps) -> sfn.IChainable:
    return steps.fail(
        "Rollback not possible",
        "The way back was given up before, or traffic is frozen. The cause says how to go on. Nothing was changed.",
        "RollbackNotPossible",
        cause_path="$.claim.reason",
    )


def _record_unreachable(steps: Steps, told: sfn.IChainable, again: sfn.TaskStateBase) -> sfn.IChainable:
    """
    Page the AWS CLI commands of the way back, and go on trying, because nobody else does: nothing is claimed yet.

    But not when this rollback was itself started by the end of another one: that one has paged, and its failure would
    start the next one, and so on, for as long as the record stays away.
    """
    page = steps.tell(
        "Page the commands",
        "record_unreachable",
        release_id="",
        failure=object_at("$"),
        comment="Sends the AWS CLI commands that switch the traffic back by hand, from their copy in SSM.",
    )
    escalated = steps.fail(
        "Escalated without record",
        "The record could not be read or written. A human has the commands that switch the traffic back.",
        "Escalated",
        cause_path=sfn.JsonPath.format("{}: {}", at("$.Error"), at("$.Cause")),
    )
    on_error(page, again, result_path=sfn.JsonPath.DISCARD)
    on_error(again, escalated, result_path="$")
    page.next(again)
    question = steps.ask("Has a rollback paged already?", "The end of a failed rollback starts this machine again.")
    return question.when(_follows_failed_rollback(), told).otherwise(page)


def _follows_failed_rollback() -> sfn.Condition:
    """Say that this execution was started by the status rule because another rollback had ended."""
    return sfn.Condition.and_(
        sfn.Condition.is_present("$$.Execution.Input.source"),
        sfn.Condition.string_equals("$$.Execution.Input.source", Source.EXECUTION_STATUS.value),
        sfn.Condition.is_present("$$.Execution.Input.execution_arn"),
        sfn.Condition.string_matches("$$.Execution.Input.execution_arn", "*-rollback:*"),
    )


def _endings(steps: Steps) -> _Endings:
    lease_lost = steps.fail(
        "Lease lost",
        "Another rollback has taken over, and goes on from here.",
        LeaseLost.__name__,
        cause="Another rollback has taken the environment over.",
    )
    record = _release(steps, "Record escalation", "escalated", object_at(FAILURE))
    tell = _page(steps, "Page a human", "escalated")
    escalated = steps.fail(
        "Escalated",
        "The rollback could not be finished, and a human was told. The cause says what failed. Once that is removed,"
        " the input {} tries again.",
        "Escalated",
        cause_path=sfn.JsonPath.format("{}: {}", at("$.failure.Error"), at("$.failure.Cause")),
    )
    told = steps.succeed(
        "Human was told before", "The rollback before this one has paged; the watchdog goes on trying."
    )
    # The lease stays with this execution, whose end starts the next one: only the first of them pages
    unrecorded = steps.ask("Did the rollback before page?", "The escalation could not be written into the record.")
    unrecorded.when(_follows_failed_rollback(), told).otherwise(tell)
    on_error(record, lease_lost, LeaseLost, result_path=sfn.JsonPath.DISCARD)
    on_error(record, unrecorded, result_path=sfn.JsonPath.DISCARD)
    on_error(tell, escalated, result_path=sfn.JsonPath.DISCARD)
    record.next(tell).next(escalated)
    return _Endings(lease_lost=lease_lost, escalated=record, told=told)


def _page(steps: Steps, name: str, kind: str) -> sfn.TaskStateBase:
    return steps.tell(
        name,
        kind,
        at("$.claim.release_id"),
        failure=object_at(FAILURE),
        comment="Tells the people on call what could not be done, and what to look at.",
    )


def _stop(steps: Steps, name: str) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "rollback.stop_deployment",
        "Stops the execution that lost the environment, so that it starts nothing new.",
        given={**CLAIM, "loser": at("$.claim.loser")},
        patience=BACK,
    )


def _resume(steps: Steps, name: str, color: str) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "fleet.resume_scaling",
        "Lets the color that serves scale again between the bounds of before.",
        given={**CLAIM, "color": color},
    )


def _release(steps: Steps, name: str, phase: str, failure: object = NO_FAILURE) -> sfn.TaskStateBase:
    comment = f"Writes down that the release ended as {phase}, and gives the lease back."
    return steps.release_environment(name, comment, CLAIM, phase, failure=failure)


def _tell(steps: Steps, name: str, kind: str, reason: str, *, concern: str = "") -> sfn.TaskStateBase:
    words = sfn.JsonPath.format("{} {}", reason, concern) if concern else reason
    return steps.tell(name, kind, at("$.claim.release_id"), reason=words)
