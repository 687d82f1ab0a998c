"""The deploy machine: a new version on the idle color, traffic in steps, and a way back at every moment."""

from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn

from lambdas.checks.rules import Scope
from lambdas.errors import EnvironmentBusy, LeaseLost, ListenerDrifted, NotTheRelease, RollbackWindowOpen
from lambdas.release.rules import Migrations
from statemachines.approval import ask_for_approval
from statemachines.clean_up import start_clean_up
from statemachines.gates import Gates
from statemachines.infrastructure import (
    apply_infrastructure,
    await_apply,
    page_infrastructure,
    plan_infrastructure,
)
from statemachines.migrations import ask_about_schema, await_migrations, page_schema
from statemachines.plan import CHECK_EVERY_SECONDS, ReleasePlan, ShiftStep
from statemachines.steps import (
    ALREADY_STARTED,
    EXECUTION,
    FAILURE,
    FORWARD_DATA,
    FORWARD_SLOW,
    INPUT,
    JUDGE,
    SWITCH_FORWARD,
    Steps,
    at,
    object_at,
    on_error,
    under_lease,
)

_LISTENER_IN_FORCE_SECONDS = 15

_RELEASE_ID = at("$.request.release_id")
_RELEASE = under_lease("$.request.release_id", "$.environment.lease")
_ACTIVE = at("$.environment.active")
_IDLE = at("$.environment.idle")
_BAKED_AGAIN_AT = "$.bake.again_at"


@dataclass(frozen=True)
class _Endings:
    """Where a release ends that does not go live."""

    refused: sfn.IChainable
    aborted: sfn.IChainable
    unchanged: sfn.IChainable
    rolled_back: sfn.IChainable
    lease_lost: sfn.IChainable
    left_to_human: sfn.IChainable
    escalated: sfn.IChainable


def deploy_definition(
    steps: Steps, plan: ReleasePlan, rollback: sfn.IStateMachine, clean_up: sfn.IStateMachine
) -> sfn.IChainable:
    """
    Roll back only what was shifted.

    Up to the first shift a failure aborts: traffic never moved. From the first shift on every failure goes to the
    rollback machine, which decides from the record, and this execution still ends in Fail, so that the console is green
    only for a release that is live. Whoever loses the lease stops at once: the winner cleans up.
    """
    endings = _endings(steps, plan, rollback)
    live = _accept(steps, clean_up, endings)
    shifted = _shift(steps, plan, endings, then=live)
    tried_out = _try_out(steps, endings, then=shifted)
    migrated = _migrate(steps, endings, then=tried_out) if plan.can_migrate else tried_out
    prepared = _prepare(steps, endings, then=migrated)
    if plan.can_apply:
        prepared = apply_infrastructure(steps, endings.aborted, endings.lease_lost, then=prepared)
    certified = _certify_restore(steps, endings, then=prepared) if plan.can_restore else prepared
    saved = _save_database(steps, endings, then=certified)
    claimed = _claim(steps, endings, then=saved)
    gates = Gates(steps, plan) if plan.has_gates else None
    begun = _approve(steps, plan, gates, then=claimed)
    planned = plan_infrastructure(steps, _RELEASE_ID, then=begun) if plan.can_apply else begun
    return _validate(steps, plan, then=gates.first(then=planned) if gates else planned)


def _validate(steps: Steps, plan: ReleasePlan, then: sfn.IChainable) -> sfn.IChainable:
    validate = steps.task(
        "Validate request",
        "release.validate_request",
        'Looks at the input before anything happens. A valid one is {"version": "<git commit>"}; with'
        ' "despite_alarms": "<reason>" a critical alarm that is on already does not stop it.',
        given={"input": INPUT, "execution_name": at("$$.Execution.Name")},
        returns=(
            *("version", "release_id", "problem", "despite_alarms"),
            *(("migrations", "no_automatic_rollback") if plan.can_migrate else ()),
            *(("infrastructure",) if plan.can_apply else ()),
            *(
                ("pushed_by", "emergency", "skip_gates", "skips_approval")
                if plan.has_gates or plan.approval_minutes
                else ()
            ),
        ),
        into="request",
        starts_anew=True,
    )
    unchecked = steps.fail(
        "Request could not be checked",
        "The function that checks requests did not answer. Nothing was changed; start again.",
        "RequestNotChecked",
        cause="The request could not be checked, and nothing was changed. The history says why.",
    )
    on_error(validate, unchecked, result_path=sfn.JsonPath.DISCARD)
    valid = sfn.Condition.string_equals("$.request.problem", "")
    question = steps.ask("Is the request valid?", "Goes on only with a request that was understood.")
    question.when(valid, then).otherwise(steps.reject("$.request.problem"))
    return validate.next(question)


def _approve(steps: Steps, plan: ReleasePlan, gates: Gates | None, then: sfn.IChainable) -> sfn.IChainable:
    """A human takes his time: what the gates said before may not be so any more."""
    if plan.approval_minutes is None:
        return then
    return ask_for_approval(steps, plan.approval_minutes, then=gates.again(then=then) if gates else then, unasked=then)


def _claim(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    claim = steps.task(
        "Claim environment",
        "release.claim_environment",
        "Takes the lease of the environment if nobody else works on it, and reads from the listener which color is"
        " active. Refused while another release runs, while the live one can still be rolled back (unless settings say"
        " to wait), or when somebody has moved the listener by hand.",
        given={
            "execution": EXECUTION,
            "release_id": at("$.request.release_id"),
            "version": at("$.request.version"),
        },
        returns=("lease", "active", "idle", "again_at"),
        into="environment",
    )
    record = steps.task(
        "Record rollback point",
        "rollback.record_rollback_point",
        "Writes down what to go back to, before anything changes: target groups, version, size.",
        given={**_RELEASE, "active": _ACTIVE},
        returns=("version", "capacity"),
        into="way_back",
    )
    alarms = steps.task(
        "Check alarms",
        "judge.check_alarms",
        "Looks whether a critical alarm is on already: it would not turn on again for this release.",
        given={**_RELEASE, "despite_alarms": at("$.request.despite_alarms")},
    )
    current = _smoke_check(
        steps,
        "Check current health",
        Scope.SYSTEM,
        "Looks whether the system is healthy before anything changes: a release does not mend, nor hide, an outage.",
    )
    certify = steps.task(
        "Certify rollback",
        "rollback.certify_rollback",
        "Proves that every action of a rollback is possible: rights, functions, rules, alarms, and the color to go back"
        " to. Names everything that is missing, and changes nothing.",
        given={**_RELEASE, "active": _ACTIVE},
        returns=("concern",),
        into="certificate",
        patience=FORWARD_SLOW,
    )
    on_error(claim, endings.refused, EnvironmentBusy, RollbackWindowOpen, ListenerDrifted)
    on_error(claim, endings.escalated)
    for task in (record, alarms, current):
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, endings.aborted)
    on_error(certify, endings.lease_lost, LeaseLost)
    on_error(certify, endings.unchanged)
    wait = steps.wait_until(
        "Wait for the window's end",
        "The live release can still be rolled back. Looks again every minute, because an operator may end its window.",
        "$.environment.again_at",
    )
    ours = steps.ask("Is the environment ours?", "Goes on once the environment is claimed.")
    claimed = sfn.Condition.string_equals("$.environment.again_at", "")
    steps.repeat(wait, claim, ours, claimed, yes=record, no=wait)
    record.next(alarms).next(current).next(certify).next(then)
    return claim


def _save_database(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    take = steps.task(
        "Take snapshot",
        "database.take_snapshot",
        "Begins a snapshot of the database, before anything changes. Its name comes from the release.",
        given=_RELEASE,
        returns=("snapshot_id", "ready_by"),
        into="snapshot",
    )
    wait = steps.wait("Wait for snapshot", "RDS copies the database; it serves meanwhile.", CHECK_EVERY_SECONDS)
    check = steps.task(
        "Check snapshot",
        "database.check_snapshot",
        "Looks whether the snapshot is complete. Fails when it failed, is of another database, or time is up.",
        given={
            **_RELEASE,
            "snapshot_id": at("$.snapshot.snapshot_id"),
            "ready_by": at("$.snapshot.ready_by"),
        },
        returns=("available", "percent"),
        into="saved",
    )
    for task in (take, check):
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, endings.aborted)
    question = steps.ask("Is the snapshot available?", "Nothing is changed before there is something to go back to.")
    available = sfn.Condition.boolean_equals("$.saved.available", value=True)
    return take.next(steps.poll(wait, check, question, available, then=then))


def _certify_restore(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    """What would keep the database from coming back is found before there is anything that it would be wanted for."""
    certify = steps.task(
        "Certify restore",
        "rollback.certify_restore",
        "Proves that the database could be restored from the snapshot, should a human want that: rights, functions, all"
        " that an instance is made of, and room for one more. Names everything that is missing, and changes nothing.",
        given={
            **_RELEASE,
            "snapshot_id": at("$.snapshot.snapshot_id"),
            "concern": at("$.certificate.concern"),
        },
        returns=("concern",),
        into="certificate",
        patience=FORWARD_SLOW,
    )
    on_error(certify, endings.lease_lost, LeaseLost)
    on_error(certify, endings.unchanged)
    return certify.next(then)


def _prepare(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    prepare = steps.task(
        "Prepare idle color",
        "fleet.prepare_idle_color",
        "Points the test listener at the idle color, gives it the size of the active one and a numbered launch template"
        " version of its own, and starts the instance refresh that brings the new version up. No traffic yet. The"
        " commands that go back by hand are in SSM before.",
        given={**_RELEASE, "version": at("$.request.version"), "color": _IDLE},
        returns=("refresh_id", "wanted_healthy", "ready_by"),
        into="preparation",
        patience=FORWARD_SLOW,
    )
    wait = steps.wait("Wait for idle color", "Instances start and pass their health checks.", CHECK_EVERY_SECONDS)
    check = steps.task(
        "Check idle color",
        "fleet.check_idle_color",
        "Looks how far the refresh is and how many targets are healthy. Fails when the refresh failed or time is up.",
        given={
            **_RELEASE,
            "color": _IDLE,
            "refresh_id": at("$.preparation.refresh_id"),
            "wanted_healthy": at("$.preparation.wanted_healthy"),
            "ready_by": at("$.preparation.ready_by"),
        },
        returns=("ready", "percent", "healthy"),
        into="progress",
    )
    for task in (prepare, check):
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, endings.aborted)
    question = steps.ask("Is the idle color ready?", "As many healthy targets as carried the traffic before.")
    ready = sfn.Condition.boolean_equals("$.progress.ready", value=True)
    return prepare.next(steps.poll(wait, check, question, ready, then=then))


def _migrate(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    """
    Let the customer's migrations run when the new version could serve, and before anything is asked of it.

    What they do is not undone: a release that is given up after them tells a human, if they were breaking.
    """
    wanted = steps.ask("Does the release migrate?", "Only where its request says so.")
    run = steps.task(
        "Run migrations",
        "database.start_migrations",
        "Lets the customer's migrations run on the database. With breaking ones the release is not rolled back by"
        " itself from here on, because the old version does not work with what they leave.",
        given={
            **_RELEASE,
            "version": at("$.request.version"),
            "migrations": at("$.request.migrations"),
            "no_automatic_rollback": at("$.request.no_automatic_rollback"),
        },
        returns=("build_id", "ready_by"),
        into="migrations",
        patience=FORWARD_DATA,
    )
    wait = steps.wait("Wait for migrations", "A build takes its time; the old version serves.", CHECK_EVERY_SECONDS)
    check = steps.task(
        "Check migrations",
        "database.check_migrations",
        "Looks whether the migrations have come to a good end. Fails when they ended otherwise, or time is up.",
        given={**_RELEASE, "build_id": at("$.migrations.build_id"), "ready_by": at("$.migrations.ready_by")},
        returns=("ready",),
        into="migrated",
    )
    for task in (run, check):
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, endings.aborted)
    question = steps.ask("Have the migrations ended?", "The new version may need what they make.")
    ended = sfn.Condition.boolean_equals("$.migrated.ready", value=True)
    run.next(steps.repeat(wait, check, question, ended, yes=then, no=wait))
    return wanted.when(sfn.Condition.string_equals("$.request.migrations", Migrations.NONE.value), then).otherwise(run)


def _try_out(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    """Whatever the new version cannot do is found out before anybody but Runback asks it."""
    stores = _check_data_stores(steps, "Check database and cache")
    smoke = _smoke_check(
        steps,
        "Smoke check new version",
        Scope.NEW_VERSION,
        "Asks the new version through the test listener what users would ask of it: health, login, upload.",
    )
    hold = steps.task(
        "Hold old color",
        "fleet.hold_old_color",
        "Makes the old color's present size its minimum, so that it cannot shrink while it is the way back.",
        given={**_RELEASE, "color": _ACTIVE},
    )
    for task in (stores, smoke, hold):
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, endings.aborted)
    return stores.next(smoke).next(hold).next(_hold(steps, endings, then))


def _hold(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    """Here an operator's pause holds the release while nobody but Runback has seen it."""
    check = steps.task(
        "Check for hold",
        "release.check_bake",
        "Looks whether an operator has paused the release before it receives traffic. Fails when a pause is over its"
        " deadline.",
        given={**_RELEASE, "percent": 0, "bake_seconds": 0},
        returns=("done", "again_at"),
        into="bake",
    )
    wait = steps.wait_until(
        "Hold before shift", "The release is paused, and has no traffic yet: look again then.", _BAKED_AGAIN_AT
    )
    question = steps.ask("Is the release held?", "Goes on unless an operator has paused the release.")
    held = sfn.Condition.boolean_equals("$.bake.done", value=False)
    on_error(check, endings.lease_lost, LeaseLost)
    on_error(check, endings.aborted)
    return steps.repeat(wait, check, question, held, yes=wait, no=then)


def _shift(steps: Steps, plan: ReleasePlan, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    """Chain the steps of the plan; each one knows the weight before it, so that it can tell a human's change."""
    *partial, whole = plan.steps
    weights_before = (0, *(shift.weight for shift in partial))
    bake = _bake(steps, whole, endings, then=_check_log_again(steps, endings, then))
    live = _validate_live(steps, endings, then=bake)
    following = _switch(steps, whole, weights_before[-1], endings, then=live)
    for shift, before in reversed(list(zip(partial, weights_before[:-1], strict=True))):
        following = _switch(steps, shift, before, endings, then=_bake(steps, shift, endings, then=following))
    if not (plan.can_migrate and partial):
        return following
    at_once = _switch(steps, whole, 0, endings, then=live, name="Shift all traffic at once")
    question = steps.ask(
        "Can both versions serve?", "After breaking migrations only the new one can: then it gets all traffic at once."
    )
    return question.when(_is_held(), at_once).otherwise(following)


def _is_held() -> sfn.Condition:
    """Say that the release's migrations are breaking, so that it is not rolled back by itself."""
    return sfn.Condition.string_equals("$.request.migrations", Migrations.BREAKING.value)


def _switch(
    steps: Steps,
    shift: ShiftStep,
    before_percent: int,
    endings: _Endings,
    then: sfn.IChainable,
    name: str = "",
) -> sfn.IChainable:
    switch = steps.task(
        name or f"Shift {shift.weight} % of traffic",
        "traffic.switch_listener",
        f"Gives the new color {shift.weight} % of every route, if it has as many healthy targets as the old one had,"
        " and if nobody else has moved the listener.",
        given={
            **_RELEASE,
            "color": _IDLE,
            "percent": shift.weight,
            "before_percent": before_percent,
            "wanted_healthy": at("$.preparation.wanted_healthy"),
            "back": False,
        },
        patience=SWITCH_FORWARD,
    )
    on_error(switch, endings.lease_lost, LeaseLost)
    on_error(switch, endings.left_to_human, ListenerDrifted)
    on_error(switch, endings.rolled_back)
    return switch.next(then)


def _bake(steps: Steps, shift: ShiftStep, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    """
    A bake is many short waits: after each one the release is judged, orders are obeyed, and a lost lease is noticed.

    A human is asked once when there is not enough to judge by, and the release waits for the answer as in a pause.
    """
    percent = f"{shift.weight} %"
    judge = steps.task(
        f"Judge at {percent}",
        "judge.judge_bake",
        f"Compares both colors by alarms, errors and response times since the release has {percent}. Goes on once it"
        f" was good for {shift.bake_seconds} s and nobody has paused it. Fails when it is worse than the old version,"
        " or when a pause is over its deadline.",
        given={
            **_RELEASE,
            "version": at("$.request.version"),
            "color": _IDLE,
            "percent": shift.weight,
            "bake_seconds": shift.bake_seconds,
        },
        returns=("done", "again_at", "asks", "reason"),
        into="bake",
        patience=JUDGE,
    )
    wait = steps.wait_until(
        f"Bake at {percent}",
        f"Observes the release at {percent}, in short waits. The old color stays alive.",
        _BAKED_AGAIN_AT,
    )
    ask = steps.tell(f"Ask a human at {percent}", "undecided", _RELEASE_ID, reason=at("$.bake.reason"))
    question = steps.ask(f"Has it baked at {percent}?", "Goes on when the release was observed and found good.")
    question.when(sfn.Condition.boolean_equals("$.bake.asks", value=True), ask)
    done = sfn.Condition.boolean_equals("$.bake.done", value=True)
    on_error(judge, endings.lease_lost, LeaseLost)
    on_error(judge, endings.left_to_human, NotTheRelease, ListenerDrifted)
    on_error(judge, endings.rolled_back)
    on_error(ask, wait, result_path=sfn.JsonPath.DISCARD)
    ask.next(wait)
    return steps.repeat(wait, judge, question, done, yes=then, no=wait)


def _validate_live(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    """Do the runbook's post-deployment validation: what only shows in the version that has all traffic."""
    wait = steps.wait(
        "Wait for load balancer",
        "All its nodes follow a change of the listener after some seconds only.",
        _LISTENER_IN_FORCE_SECONDS,
    )
    stores = _check_data_stores(steps, "Check live database and cache")
    smoke = _smoke_check(
        steps,
        "Validate live version",
        Scope.LIVE,
        "Asks the live version what users would ask of it, and the system whether it is healthy and fast.",
    )
    errors = _check_error_rate(steps, "Check error rate", "Counts the new version's errors since it has traffic.")
    for task in (stores, smoke, errors):
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, endings.rolled_back)
    return wait.next(stores).next(smoke).next(errors).next(then)


def _check_log_again(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    errors = _check_error_rate(
        steps, "Check error rate after bake", "Counts the errors of the last minutes, in which all traffic was new."
    )
    on_error(errors, endings.lease_lost, LeaseLost)
    on_error(errors, endings.rolled_back)
    return errors.next(then)


def _smoke_check(steps: Steps, name: str, scope: Scope, comment: str) -> sfn.TaskStateBase:
    return steps.task(
        name, "checks.run_smoke_checks", comment, given={**_RELEASE, "scope": scope.value}, patience=FORWARD_SLOW
    )


def _check_data_stores(steps: Steps, name: str) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "checks.check_data_stores",
        "Asks the database for SELECT 1 and the cache for PING, from where the application asks them.",
        given={"release_id": at("$.request.release_id")},
        patience=FORWARD_SLOW,
    )


def _check_error_rate(steps: Steps, name: str, comment: str) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "checks.check_error_rate",
        comment,
        given={**_RELEASE, "version": at("$.request.version"), "since": ""},
        patience=FORWARD_SLOW,
    )


def _accept(steps: Steps, clean_up: sfn.IStateMachine, endings: _Endings) -> sfn.IChainable:
    promote = steps.task(
        "Promote release",
        "release.promote",
        "Accepts the release, if the listener still shows it: it is live, its rollback window begins, and the"
        " runbook's parameters name its target group. Until the window ends, the rollback machine brings the old"
        " version back in seconds.",
        given=_RELEASE,
        returns=("window_ends_at",),
        into="promotion",
    )
    resume = steps.task(
        "Resume scaling",
        "fleet.resume_scaling",
        "Lets the live color scale again between the bounds that the old one had.",
        given={**_RELEASE, "color": _IDLE},
    )
    release = steps.release_environment(
        "Release environment", "Gives the lease back. The next release may begin.", _RELEASE, "committed"
    )
    live = _live(steps, clean_up)
    on_error(promote, endings.lease_lost, LeaseLost)
    on_error(promote, endings.left_to_human, ListenerDrifted)
    on_error(promote, endings.rolled_back)
    on_error(resume, endings.lease_lost, LeaseLost)
    on_error(resume, steps.page_scaling("Page about held scaling", _RELEASE_ID, then=release))
    on_error(release, endings.lease_lost, LeaseLost)
    on_error(release, endings.escalated)
    promote.next(resume).next(release).next(live)
    return promote


def _live(steps: Steps, clean_up: sfn.IStateMachine) -> sfn.IChainable:
    """Nothing that fails from here on makes the release less live."""
    start = start_clean_up(steps, clean_up, at("$.request.release_id"))
    warn = steps.tell("Tell about the clean-up", "clean_up_failed", _RELEASE_ID, failure=object_at(FAILURE))
    tell = steps.tell("Tell about the release", "promoted", _RELEASE_ID, reason=at("$.certificate.concern"))
    live = steps.succeed("Release is live", "The new version has all traffic.")
    on_error(start, tell, ALREADY_STARTED, result_path=sfn.JsonPath.DISCARD)
    on_error(start, warn)
    on_error(warn, tell, result_path=sfn.JsonPath.DISCARD)
    on_error(tell, live)
    warn.next(tell)
    start.next(tell)
    tell.next(live)
    return start


def _endings(steps: Steps, plan: ReleasePlan, rollback: sfn.IStateMachine) -> _Endings:
    lease_lost = steps.fail(
        "Lease lost",
        "A rollback has taken the environment over. It cleans up; nothing is left to do here.",
        LeaseLost.__name__,
        cause="Another execution has taken the environment over, and brings this release to its end.",
    )
    escalated = _escalated(steps)
    unchanged = _unchanged(steps, plan, lease_lost, escalated)
    aborted: sfn.IChainable = _aborted(steps, lease_lost, escalated, then=unchanged)
    if plan.can_migrate:
        aborted = await_migrations(steps, _RELEASE, lease_lost, escalated, then=aborted)
    if plan.can_apply:
        aborted = await_apply(steps, _RELEASE, lease_lost, escalated, then=aborted)
    return _Endings(
        refused=_refused(steps),
        aborted=aborted,
        unchanged=unchanged,
        rolled_back=_rolled_back(steps, plan, rollback, escalated),
        lease_lost=lease_lost,
        left_to_human=_left_to_human(steps, lease_lost, escalated),
        escalated=escalated,
    )


def _refused(steps: Steps) -> sfn.IChainable:
    read = steps.remember(
        "Read the refusal",
        "Takes the reason out of the function's answer.",
        "refusal",
        {"details": sfn.JsonPath.string_to_json(at("$.failure.Cause"))},
    )
    reason = "$.refusal.details.errorMessage"
    tell = steps.tell("Tell about the refusal", "refused", _RELEASE_ID, reason=at(reason))
    refused = steps.fail(
        "Release refused",
        "The release may not begin now. The cause says why, and what to do. Nothing was changed.",
        "ReleaseRefused",
        cause_path=reason,
    )
    on_error(tell, refused)
    return read.next(tell).next(refused)


def _aborted(steps: Steps, lease_lost: sfn.Fail, escalated: sfn.IChainable, then: sfn.TaskStateBase) -> sfn.IChainable:
    scale_back = steps.task(
        "Scale idle color back",
        "fleet.scale_back_idle_color",
        "Cancels the refresh and leaves the idle color as it was found. Traffic never moved.",
        given=_RELEASE,
    )
    resume = steps.task(
        "Resume scaling of old color",
        "fleet.resume_scaling",
        "Lets the color that serves scale again as before.",
        given={**_RELEASE, "color": _ACTIVE},
    )
    for task in (scale_back, resume):
        on_error(task, lease_lost, LeaseLost)
        on_error(task, escalated)
    return scale_back.next(resume).next(then)


def _unchanged(steps: Steps, plan: ReleasePlan, lease_lost: sfn.Fail, escalated: sfn.IChainable) -> sfn.TaskStateBase:
    """Where nothing was changed, or nothing any more, there is nothing that could not be undone, either."""
    release = steps.release_environment(
        "Release environment after abort",
        "Writes down why the release was aborted, and gives the lease back.",
        _RELEASE,
        "aborted",
        failure=object_at(FAILURE),
        into="ended",
    )
    tell = steps.tell("Tell about the abort", "aborted", _RELEASE_ID, reason=at("$.ended.issue"))
    aborted = steps.fail(
        "Release aborted",
        "The release was given up before traffic moved. The old version serves as before; the cause says why.",
        "ReleaseAborted",
        cause_path="$.ended.issue",
    )
    on_error(release, lease_lost, LeaseLost)
    on_error(release, escalated)
    on_error(tell, aborted)
    tell.next(aborted)
    told: sfn.IChainable = tell
    if plan.can_migrate:
        page = page_schema(steps, _RELEASE_ID, at("$.ended.issue"), then=aborted)
        told = ask_about_schema(steps, page, otherwise=tell)
    release.next(page_infrastructure(steps, _RELEASE_ID, then=told) if plan.can_apply else told)
    return release


def _rolled_back(
    steps: Steps, plan: ReleasePlan, rollback: sfn.IStateMachine, escalated: sfn.IChainable
) -> sfn.IChainable:
    start = steps.start(
        "Start rollback",
        "Hands the release to the rollback machine, which brings the old version back.",
        rollback,
        execution=sfn.JsonPath.format("rollback-{}", at("$.request.release_id")),
        given={
            "source": "deployment",
            "execution_arn": EXECUTION,
            "release_id": at("$.request.release_id"),
            "reason": at("$.failure.Error"),
            "cause": at("$.failure.Cause"),
        },
    )
    handed_over = steps.fail(
        "Release rolled back",
        "A step failed after traffic had begun to move. The rollback machine brings the old version back.",
        "ReleaseRolledBack",
        cause_path=sfn.JsonPath.format(
            "The rollback machine took over after {}: {}", at("$.failure.Error"), at("$.failure.Cause")
        ),
    )
    ending = _unless_held(steps, then=handed_over) if plan.can_migrate else handed_over
    on_error(start, ending, ALREADY_STARTED, result_path=sfn.JsonPath.DISCARD)
    on_error(start, escalated, result_path=sfn.JsonPath.DISCARD)
    return start.next(ending)


def _unless_held(steps: Steps, then: sfn.IChainable) -> sfn.IChainable:
    """The rollback machine moves no traffic after breaking migrations, and this end must not say that it does."""
    held = steps.fail(
        "Release held",
        "A step failed after traffic had begun to move. The release has breaking migrations, so the traffic stays where"
        " it is, and a human decides.",
        "ReleaseHeld",
        cause_path=sfn.JsonPath.format(
            "The release is not rolled back by itself, and a human decides. It failed with {}: {}",
            at("$.failure.Error"),
            at("$.failure.Cause"),
        ),
    )
    question = steps.ask("Does a human decide?", "Only about a release with breaking migrations.")
    return question.when(_is_held(), held).otherwise(then)


def _left_to_human(steps: Steps, lease_lost: sfn.Fail, escalated: sfn.IChainable) -> sfn.IChainable:
    """
    Give the lease back, so that no rollback moves the listener, and page.

    Either a human has moved it, or both versions are in trouble and going back would help nobody.

    Before the first shift the old color is no way back yet, and need not stay as large as one.
    """
    resume = steps.task(
        "Let old color scale again",
        "fleet.resume_scaling",
        "Lets the color that served before scale as it did, unless traffic has begun to move and it is the way back.",
        given={**_RELEASE, "color": _ACTIVE, "only_in_phase": "preparing"},
    )
    release = steps.release_environment(
        "Leave the listener to a human",
        "Somebody else moved the listener, or the old version is in trouble itself. Runback lets the environment go,"
        " with the traffic where it is, and tells a human.",
        _RELEASE,
        "escalated",
        failure=object_at(FAILURE),
    )
    on_error(release, lease_lost, LeaseLost, result_path=sfn.JsonPath.DISCARD)
    on_error(release, escalated, result_path=sfn.JsonPath.DISCARD)
    on_error(resume, lease_lost, LeaseLost, result_path=sfn.JsonPath.DISCARD)
    on_error(resume, release, result_path=sfn.JsonPath.DISCARD)
    return resume.next(release.next(escalated))


def _escalated(steps: Steps) -> sfn.IChainable:
    tell = steps.tell("Page a human", "escalated", _RELEASE_ID, failure=object_at(FAILURE))
    escalated = steps.fail(
        "Escalated",
        "Runback could not bring the release to an end here, and has told a human. If the environment is still held,"
        " the rollback machine clears it.",
        "Escalated",
        cause_path=sfn.JsonPath.format("{}: {}", at("$.failure.Error"), at("$.failure.Cause")),
    )
    on_error(tell, escalated, result_path=sfn.JsonPath.DISCARD)
    return tell.next(escalated)
