"""The restore-database machine: the database as it was before a release, after a human has seen what that costs."""

from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn

from lambdas.checks.rules import Scope
from lambdas.database.restore_rules import Choice
from lambdas.errors import LeaseLost, LoginRefused, LossNotCounted, WritersNotFenced
from lambdas.notices.rules import Kind
from lambdas.release.rules import Phase
from statemachines.plan import CHECK_EVERY_SECONDS, RestorePlan
from statemachines.steps import (
    CLAIM,
    EXECUTION,
    FAILURE,
    FORWARD_DATA,
    FORWARD_SLOW,
    INPUT,
    NO_FAILURE,
    NOW,
    SWITCH_FORWARD,
    Given,
    Steps,
    at,
    object_at,
    on_error,
)

_FENCE_EVERY_SECONDS, _MOST_FENCINGS = 5, 24
"""For two minutes those are shut out who write; whoever writes still then has to be found by a human."""
_USERS_SHOW_SECONDS = 300
"""After a thaw: until metrics show users again, and no scaling policy takes what serves for idle any more."""
_MOST_PASSWORDS = 20
"""For so long RDS may take to set a password: five minutes, at least."""
_MOST_PIECES = 140
"""An execution may have 25,000 events only, and a piece takes seven."""

_RELEASE_ID, _RESTORE_ID = at("$.restore.release_id"), at("$.restore.restore_id")
_PLANNED = {"restore_id": _RESTORE_ID, "release_id": _RELEASE_ID}
_HELD: Given = {**CLAIM, "restore_id": _RESTORE_ID}
"""What every step is given that works under the lease."""
_ACTIVE = at("$.claim.active")
_FORWARD_HOST = at("$.restore.plan.forward_host")
_RESTORED_HOST, _RESTORED_PORT = at("$.restored.host"), at("$.restored.port")
_INSTANCES = {
    "source": object_at("$.restore.plan.source"),
    "forward_instance": at("$.restore.plan.forward_instance"),
    "restored_instance": at("$.restore.plan.restored_instance"),
}
_FAILED = sfn.JsonPath.format("{}: {}", at("$.failure.Error"), at("$.failure.Cause"))


@dataclass(frozen=True)
class _Endings:
    """Where a restore ends, or goes, that cannot go on. `unswapped` and `swapped` bring back what served before."""

    lease_lost: sfn.IChainable
    frozen: sfn.IChainable
    not_frozen: sfn.IChainable
    unswapped: sfn.IChainable
    swapped: sfn.IChainable


def restore_database_definition(steps: Steps, plan: RestorePlan) -> sfn.IChainable:
    """
    Change nothing before a human has approved the loss, and let traffic flow only onto a whole database.

    Traffic is frozen and every writer fenced before the safety snapshot, so that nothing is lost uncounted. Until the
    application is pointed at the restored instance a failure lifts the fence and thaws; from then on it points it
    back. What cannot be brought back stays frozen, and a human is told which input goes on. No instance and no
    snapshot is ever deleted. A restore whose execution died goes on where a new one is started for the same release.
    """
    endings = _endings(steps)
    exchanged = _exchange(steps, endings)
    counted = _count(steps, endings, then=exchanged)
    restored = _restore(steps, endings, then=counted)
    saved = _save(steps, endings, then=restored)
    fenced = _fence(steps, endings, then=saved)
    unbegun = _unbegun(steps)
    claimed = _claim(steps, plan, endings, unbegun, then=fenced)
    return _plan(steps, plan, unbegun, then=claimed)


def start_restore(
    steps: Steps, restore: sfn.IStateMachine, release_id: str, reason: str, asked_by: str
) -> sfn.TaskStateBase:
    """
    Ask for the restore that follows a rollback, once: its execution is named after the release.

    Whoever started the rollback has asked for it, so it says which rollback that was (`asked_by`).
    """
    return steps.start(
        "Start restore of the database",
        "Starts the restore-database machine, which changes nothing before a human has approved it.",
        restore,
        execution=sfn.JsonPath.format("after-rollback-{}", release_id),
        given={"release_id": release_id, "reason": reason, "asked_by": asked_by},
    )


def _decided(choice: Choice) -> sfn.Condition:
    return sfn.Condition.string_equals("$.restore.decision", choice.value)


# Before anything is changed


def _plan(steps: Steps, plan: RestorePlan, unbegun: sfn.IChainable, then: sfn.IChainable) -> sfn.IChainable:
    planned = steps.task(
        "Plan restore",
        "database.plan_restore",
        "Decides from the record what there is to restore, and works out what would be lost, and what could be done"
        ' instead. A valid input is {"release_id": "<release>", "reason": "<why>"}; with "to": "before-release" RDS\'s'
        ' own backups are used, with "undo": true the instance from before serves again.',
        given={"input": INPUT, "execution": EXECUTION},
        returns=("decision", "reason", "release_id", "restore_id", "plan"),
        into="restore",
        starts_anew=True,
        patience=FORWARD_SLOW,
    )
    unplanned = steps.fail(
        "Restore could not be planned",
        "RDS or the record did not answer, or another restore was asked for meanwhile. Nothing was changed.",
        "RestoreNotPlanned",
        cause_path=sfn.JsonPath.format("{}: {}", at("$.Error"), at("$.Cause")),
    )
    tell = steps.tell(
        "Tell that it could not be planned",
        Kind.RESTORE_REFUSED.value,
        release_id="",  # which one it is about is for the plan to say
        failure=object_at("$"),
        comment="A rollback may have begun it, so that nobody looks at this execution.",
    )
    on_error(planned, tell, result_path="$")
    on_error(tell, unplanned, result_path=sfn.JsonPath.DISCARD)
    tell.next(unplanned)
    asked = _ask(steps, plan, unbegun, then=then)
    question = steps.ask("What is to be restored?", "Follows the decision of the plan.")
    question.when(_decided(Choice.RESTORE), asked)
    question.when(_decided(Choice.UNDO), asked)
    question.when(_decided(Choice.RESUME), then)
    question.when(_decided(Choice.GIVE_UP), then)
    question.when(_decided(Choice.FINISH), then)
    question.when(
        _decided(Choice.NOTHING), steps.succeed("Nothing to restore", "It is restored already. Changed nothing.")
    )
    question.when(_decided(Choice.INVALID), steps.reject("$.restore.reason"))
    question.otherwise(
        steps.fail(
            "Restore refused",
            "There is nothing to restore from, or it is not the time. The cause says what to do. Nothing was changed.",
            "RestoreRefused",
            cause_path="$.restore.reason",
        )
    )
    return planned.next(question)


def _ask(steps: Steps, plan: RestorePlan, unbegun: sfn.IChainable, then: sfn.IChainable) -> sfn.IChainable:
    tell = steps.tell(
        "Tell that an approval is needed",
        Kind.RESTORE_ASKED.value,
        _RELEASE_ID,
        reason=at("$.restore.reason"),
        comment="Sends the plan, what it loses, what could be done instead, and the inputs that approve and reject it.",
    )
    ask = steps.ask_human(
        "Wait for approval",
        "database.ask_approval",
        "Waits for a human's order approve or reject, given to the operate machine. The environment is not held"
        " meanwhile.",
        given=_PLANNED,
        into="approval",
        minutes=plan.approval_minutes,
    )
    record = _record_unbegun(steps, "rejected", "Record rejection")
    rejected = steps.fail(
        "Restore rejected",
        "A human has decided against it. Nothing was changed.",
        "RestoreRejected",
        cause_path="$.approval.reason",
    )
    on_error(tell, ask, result_path=sfn.JsonPath.DISCARD)
    on_error(ask, _expired(steps), sfn.Errors.TIMEOUT)
    on_error(ask, unbegun)
    on_error(record, rejected, result_path=sfn.JsonPath.DISCARD)
    record.next(rejected)
    question = steps.ask("Is the restore approved?", "Goes on only with a human's consent to the loss.")
    approved = sfn.Condition.boolean_equals("$.approval.approved", value=True)
    question.when(approved, _copy(steps, unbegun, then)).otherwise(record)
    tell.next(ask).next(question)
    return tell


def _copy(steps: Steps, unbegun: sfn.IChainable, then: sfn.IChainable) -> sfn.IChainable:
    """Copy what another account shares while users are served still: it may take as long as a whole database does."""
    copy = steps.task(
        "Copy snapshot",
        "database.copy_snapshot",
        "Begins to copy the other account's snapshot, with the key of the instance that serves. Users are served.",
        given={
            **_PLANNED,
            "source": object_at("$.restore.plan.source"),
            "forward_instance": at("$.restore.plan.forward_instance"),
        },
        returns=("snapshot_id", "ready_by"),
        into="copy",
        patience=FORWARD_SLOW,
    )
    wait = steps.wait("Wait for copy", "RDS copies the snapshot.", CHECK_EVERY_SECONDS)
    check = steps.task(
        "Check copy",
        "database.check_copied_snapshot",
        "Looks whether the copy is complete. Fails when it failed or time is up.",
        given={**_PLANNED, "snapshot_id": at("$.copy.snapshot_id"), "ready_by": at("$.copy.ready_by")},
        returns=("available", "percent"),
        into="copied",
    )
    on_error(copy, unbegun)
    on_error(check, unbegun)
    question = steps.ask("Is the copy available?", "Users are kept out only when there is something to restore.")
    available = sfn.Condition.boolean_equals("$.copied.available", value=True)
    copy.next(steps.poll(wait, check, question, available, then=then))
    shared = steps.ask("Is it another account's snapshot?", "RDS restores only what is this account's own.")
    shared.when(sfn.Condition.is_present("$.restore.plan.source.copied_from"), copy).otherwise(then)
    return shared


def _record_unbegun(steps: Steps, outcome: str, name: str) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "database.record_restore",
        "Writes down that this restore does not begin, so that the next one can be asked for.",
        given={**_PLANNED, "outcome": outcome},
    )


def _expired(steps: Steps) -> sfn.IChainable:
    record = _record_unbegun(steps, "expired", "Record expiry")
    tell = steps.tell("Tell about the expiry", Kind.RESTORE_EXPIRED.value, _RELEASE_ID, reason=at("$.restore.reason"))
    expired = steps.fail(
        "Restore expired",
        "Nobody has approved it in time. Nothing was changed.",
        "RestoreExpired",
        cause="Nobody has approved the restore in time.",
    )
    on_error(record, tell, result_path=sfn.JsonPath.DISCARD)
    on_error(tell, expired, result_path=sfn.JsonPath.DISCARD)
    record.next(tell).next(expired)
    return record


def _unbegun(steps: Steps) -> sfn.IChainable:
    record = _record_unbegun(steps, "refused", "Record that it did not begin")
    tell = steps.tell("Tell that it did not begin", Kind.RESTORE_REFUSED.value, _RELEASE_ID, failure=object_at(FAILURE))
    unbegun = steps.fail(
        "Restore did not begin",
        "Nobody could be asked, or somebody else holds the environment. The cause says what. Nothing was changed.",
        "RestoreNotBegun",
        cause_path=_FAILED,
    )
    on_error(record, tell, result_path=sfn.JsonPath.DISCARD)
    on_error(tell, unbegun, result_path=sfn.JsonPath.DISCARD)
    record.next(tell).next(unbegun)
    return record


def _claim(
    steps: Steps, plan: RestorePlan, endings: _Endings, unbegun: sfn.IChainable, then: sfn.IChainable
) -> sfn.IChainable:
    claim = steps.task(
        "Claim restore",
        "database.claim_restore",
        "Takes the environment, if nobody works on it and the restore is approved; or over from an execution of the"
        " same restore that died.",
        given={**_PLANNED, "execution": EXECUTION},
        returns=("lease", "release_id", "active", "idle", "accept_unaccounted"),
        into="claim",
    )
    on_error(claim, unbegun)
    hold = steps.task(
        "Hold capacity",
        "fleet.hold_capacity",
        "Keeps what serves as large as it is: nobody asks for anything meanwhile, and all users come back at once.",
        given={**_HELD, "color": _ACTIVE},
        returns=("held",),
        into="capacity",
    )
    on_error(hold, endings.lease_lost, LeaseLost)
    on_error(hold, endings.not_frozen)
    freeze = steps.task(
        "Freeze traffic",
        "traffic.freeze_traffic",
        "Answers every request of users with 503, by one rule before all others. Forwards stay, and health checks go"
        " on.",
        given=_HELD,
        returns=("frozen_at", "rules"),
        into="frozen",
        patience=SWITCH_FORWARD,
    )
    on_error(freeze, endings.lease_lost, LeaseLost)
    on_error(freeze, endings.not_frozen)
    given_up = steps.remember(
        "Explain giving up",
        "A human wants the instance back that served before.",
        "failure",
        {"Error": "GivenUp", "Cause": at("$.restore.reason")},
    )
    wait = steps.wait("Wait for requests in flight", "What users have begun is answered still.", plan.drain_seconds)
    question = steps.ask("Is the restore given up?", "One that did not come to its end goes on, or back.")
    question.when(_decided(Choice.GIVE_UP), given_up).otherwise(wait)
    decided = steps.ask("Is only the thaw left?", "What was decided is not decided again: users may have come since.")
    decided.when(_decided(Choice.FINISH), _finish(steps, endings)).otherwise(hold)
    given_up.next(endings.swapped)
    wait.next(then)
    claim.next(decided)
    hold.next(freeze).next(question)
    return claim


def _finish(steps: Steps, endings: _Endings) -> sfn.IChainable:
    thaw, over = _thaw(steps, "Thaw traffic at last"), _let_go(steps, "Release environment at last")
    for task in (thaw, over):
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, endings.frozen)
    over.next(steps.succeed("Traffic flows again", "The restore had ended before, and only traffic had to flow."))
    return thaw.next(_give_back(steps, endings.lease_lost, " at last", then=over))


# Until the application is pointed at the restored instance


def _fence(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    begin = steps.remember("Begin to fence", "Nobody is shut out yet.", "fencing", {"count": 0})
    fence = steps.task(
        "Fence writers",
        "database.fence_writers",
        "Lets the application's roles log in no more, ends their sessions, and looks whether anybody writes still:"
        " workers and jobs are not behind the load balancer.",
        given={**_HELD, "host": _FORWARD_HOST},
        returns=("fenced", "still_writing", "fenced_at"),
        into="fence",
        patience=FORWARD_SLOW,
    )
    wait = steps.wait("Wait for writers", "Somebody wrote still.", _FENCE_EVERY_SECONDS)
    again = steps.remember(
        "Count fencing",
        "Whoever writes for too long has to be found by a human.",
        "fencing",
        _one_more("fencing"),
    )
    explain = steps.remember(
        "Explain who writes still",
        "What is written from now on would be lost, and nobody could count it.",
        "failure",
        {"Error": WritersNotFenced.__name__, "Cause": at("$.fence.still_writing")},
    )
    on_error(fence, endings.lease_lost, LeaseLost)
    on_error(fence, endings.unswapped)
    question = steps.ask("Is nobody writing any more?", "A restore that loses writes uncounted is not made.")
    question.when(sfn.Condition.boolean_equals("$.fence.fenced", value=True), then)
    question.when(sfn.Condition.number_greater_than_equals("$.fencing.count", _MOST_FENCINGS), explain)
    question.otherwise(wait)
    wait.next(again).next(fence)
    explain.next(endings.unswapped)
    begin.next(fence).next(question)
    return begin


def _save(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    snapshot = {"instance": at("$.restore.plan.forward_instance")}
    take = steps.task(
        "Take safety snapshot",
        "database.take_safety_snapshot",
        "Begins a snapshot of the database that serves. Its name comes from the restore.",
        given={**_HELD, **snapshot, "snapshot_id": at("$.restore.plan.safety_snapshot")},
        returns=("snapshot_id", "ready_by"),
        into="safety",
    )
    wait = steps.wait("Wait for safety snapshot", "RDS copies the database.", CHECK_EVERY_SECONDS)
    check = steps.task(
        "Check safety snapshot",
        "database.check_safety_snapshot",
        "Looks whether the snapshot is complete. Fails when it failed or time is up.",
        given={
            **_HELD,
            **snapshot,
            "snapshot_id": at("$.safety.snapshot_id"),
            "ready_by": at("$.safety.ready_by"),
        },
        returns=("available", "percent"),
        into="saved",
    )
    for task in (take, check):
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, endings.unswapped)
    question = steps.ask("Is the safety snapshot available?", "Nothing is restored before what serves is saved.")
    available = sfn.Condition.boolean_equals("$.saved.available", value=True)
    return take.next(steps.poll(wait, check, question, available, then=then))


def _restore(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    restore = steps.task(
        "Restore instance",
        "database.restore_instance",
        "Begins to make a new instance of what is to come back, with the settings of the one that serves. To undo a"
        " restore nothing is made: that instance is there.",
        given={**_HELD, **_INSTANCES},
        returns=("instance", "ready_by"),
        into="restoring",
        patience=FORWARD_SLOW,
    )
    wait = steps.wait("Wait for restored instance", "RDS makes it.", CHECK_EVERY_SECONDS)
    check = steps.task(
        "Check restored instance",
        "database.check_restored_instance",
        "Looks whether the instance is there, changes what a restore cannot set, and fails when it is not like the one"
        " that serves, or when time is up.",
        given={**_HELD, **_INSTANCES, "ready_by": at("$.restoring.ready_by")},
        returns=("available", "host", "port", "settings"),
        into="restored",
        patience=FORWARD_SLOW,
    )
    lift = _lift(steps, "Open restored instance", _RESTORED_HOST, "It may remember a fence from when it was copied.")
    unset = steps.remember("Note that no password was set", "Its own may be right.", "passwords", {"count": 0})
    verify = steps.task(
        "Verify restored data",
        "database.verify_restored_data",
        "Logs in as the application does, asks the check queries, advances sequences beyond those of the instance that"
        " serves, and warms the new one up.",
        given={**_HELD, "forward_host": _FORWARD_HOST, "restored_host": _RESTORED_HOST},
        returns=("checked", "sequences", "unmanaged"),
        into="verified",
        patience=FORWARD_DATA,
    )
    for task in (restore, check, lift, verify):
        on_error(task, endings.lease_lost, LeaseLost)
    on_error(lift, _set_password(steps, endings, then=lift), LoginRefused)
    for task in (restore, check, lift, verify):
        on_error(task, endings.unswapped)
    question = steps.ask("Is the restored instance ready?", "Available, and like the one that serves.")
    available = sfn.Condition.boolean_equals("$.restored.available", value=True)
    unset.next(lift).next(verify).next(then)
    return restore.next(steps.poll(wait, check, question, available, then=unset))


def _set_password(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    """A snapshot keeps the passwords of its time, and the administrator's may have been rotated since."""
    ask = steps.task(
        "Set master password",
        "database.set_master_password",
        "Has RDS give the restored instance the administrator's password of today.",
        given={**_HELD, "restored_instance": at("$.restore.plan.restored_instance")},
    )
    again = steps.remember("Count password", "It is not there at once.", "passwords", _one_more("passwords"))
    wait = steps.wait("Wait for password", "RDS needs a minute or so.", CHECK_EVERY_SECONDS)
    question = steps.ask("Is there hope for another password?", "RDS has had minutes.")
    question.when(sfn.Condition.number_greater_than_equals("$.passwords.count", _MOST_PASSWORDS), endings.unswapped)
    question.otherwise(ask)
    on_error(ask, endings.lease_lost, LeaseLost)
    on_error(ask, endings.unswapped)
    ask.next(again).next(wait).next(then)
    return question


def _count(steps: Steps, endings: _Endings, then: sfn.IChainable) -> sfn.IChainable:
    begin = steps.remember("Begin to count", "Nothing is counted yet.", "loss", {"cursor": {}})
    none = steps.remember("Note that no piece is counted", "Nor any piece of it.", "pieces", {"count": 0})
    more = steps.remember("Note one more piece", "A call counts as much as it can.", "pieces", _one_more("pieces"))
    endless = steps.remember(
        "Explain that counting has no end",
        "There is more than one execution can compare, or the cursor stands still.",
        "failure",
        {"Error": LossNotCounted.__name__, "Cause": f"After {_MOST_PIECES} pieces not all tables are compared."},
    )
    count = steps.task(
        "Count lost writes",
        "database.count_lost_writes",
        "Compares both instances, table by table, and exports the rows that users lose. Goes on where it was.",
        given={
            **_HELD,
            "forward_host": _FORWARD_HOST,
            "restored_host": _RESTORED_HOST,
            "cursor": object_at("$.loss.cursor"),
        },
        returns=("done", "cursor", "lost", "unaccounted", "exported"),
        into="loss",
        patience=FORWARD_DATA,
    )
    on_error(count, endings.lease_lost, LeaseLost)
    on_error(count, endings.unswapped)
    explain = steps.remember(
        "Explain what was not counted",
        "There are writes to tables that settings do not name, and nobody has accepted that.",
        "failure",
        {
            "Error": LossNotCounted.__name__,
            "Cause": sfn.JsonPath.format(
                'Nobody has said "accept_unaccounted": true, and settings do not name: {}',
                sfn.JsonPath.json_to_string(object_at("$.loss.unaccounted")),
            ),
        },
    )
    explain.next(endings.unswapped)
    accounted = steps.ask("Is every lost write accounted for?", "Or has somebody accepted that some are not?")
    accounted.when(sfn.Condition.boolean_equals("$.claim.accept_unaccounted", value=True), then)
    accounted.when(sfn.Condition.is_present("$.loss.unaccounted[0]"), explain)
    accounted.otherwise(then)
    question = steps.ask("Is everything counted?", "A call counts as much as it can.")
    question.when(sfn.Condition.boolean_equals("$.loss.done", value=True), accounted)
    question.when(sfn.Condition.number_greater_than_equals("$.pieces.count", _MOST_PIECES), endless)
    question.otherwise(more)
    endless.next(endings.unswapped)
    more.next(count)
    begin.next(none).next(count).next(question)
    return begin


def _one_more(counter: str) -> Given:
    return {"count": sfn.JsonPath.math_add(sfn.JsonPath.number_at(f"$.{counter}.count"), 1)}


# From then on


def _exchange(steps: Steps, endings: _Endings) -> sfn.IChainable:
    swap = steps.task(
        "Swap connection",
        "database.swap_connection",
        "Points the application's secret at the restored instance. The version before is kept.",
        given={
            **_HELD,
            "host": _RESTORED_HOST,
            "port": _RESTORED_PORT,
            "restored_instance": at("$.restore.plan.restored_instance"),
            "undo": False,
        },
        returns=("version_id", "previous_version_id", "finding"),
        into="connection",
    )
    swapped = steps.remember("Note the swap", "What was launched before knows the other instance.", "swap", {"at": NOW})
    thaw = _thaw(steps, "Thaw traffic")
    record = _record(
        steps,
        "Record restore",
        Phase.RESTORED,
        {
            "plan": object_at("$.restore.plan"),
            "host": _RESTORED_HOST,
            "port": _RESTORED_PORT,
            "lost": object_at("$.loss.lost"),
        },
    )
    tell = steps.tell(
        "Tell about the restore",
        Kind.DATABASE_RESTORED.value,
        _RELEASE_ID,
        reason=sfn.JsonPath.format(
            "{}\nLost rows by table: {}. They are exported to {}. {}",
            at("$.restore.reason"),
            sfn.JsonPath.json_to_string(object_at("$.loss.lost")),
            at("$.loss.exported"),
            at("$.connection.finding"),
        ),
    )
    done = steps.succeed("Database restored", "The restored instance serves, and the former one is kept.")
    over = _let_go(steps, "Release environment")
    on_error(swap, endings.lease_lost, LeaseLost)
    on_error(swap, endings.swapped)
    for task in (record, thaw, over):  # it may be decided: nobody turns back from here
        on_error(task, endings.lease_lost, LeaseLost)
        on_error(task, endings.frozen)
    on_error(tell, done, result_path=sfn.JsonPath.DISCARD)
    restarted = _restart(steps, endings.lease_lost, failed=endings.swapped, then=record)
    swap.next(swapped).next(restarted)
    record.next(thaw).next(_give_back(steps, endings.lease_lost, "", then=over))
    over.next(tell).next(done)
    return swap


def _restart(
    steps: Steps, lease_lost: sfn.IChainable, *, failed: sfn.IChainable, then: sfn.IChainable, again: str = ""
) -> sfn.IChainable:
    """Replace what serves by instances that know the right database, and ask them through the test listener."""
    swapped_at = {"color": _ACTIVE, "swapped_at": at("$.swap.at")}
    restart = steps.task(
        f"Restart application{again}",
        "fleet.restart_application",
        "Begins to replace every instance of the color that serves; waits for a refresh that is in the way.",
        given={**_HELD, **swapped_at},
        returns=("started", "refresh_id", "ready_by"),
        into="restart",
        patience=FORWARD_SLOW,
    )
    blocked = steps.wait(f"Wait for another refresh{again}", "Only one at a time.", CHECK_EVERY_SECONDS)
    wait = steps.wait(f"Wait for restart{again}", "Instances start and pass their checks.", CHECK_EVERY_SECONDS)
    check = steps.task(
        f"Check restart{again}",
        "fleet.check_restart",
        "Looks whether everything that would serve was launched since the swap, and is healthy.",
        given={
            **_HELD,
            **swapped_at,
            "refresh_id": at("$.restart.refresh_id"),
            "ready_by": at("$.restart.ready_by"),
        },
        returns=("restarted", "percent", "healthy"),
        into="progress",
        patience=FORWARD_SLOW,
    )
    point = _point(steps, f"Point test listener at active color{again}", _ACTIVE)
    smoke = steps.task(
        f"Smoke check restarted application{again}",
        "checks.run_smoke_checks",
        "Asks the version that serves through the test listener what users would ask of it.",
        given={**_HELD, "scope": Scope.RESTORED.value},
        patience=FORWARD_SLOW,
    )
    point_back = _point(steps, f"Point test listener at idle color{again}", at("$.claim.idle"))
    for task in (restart, check, point, smoke, point_back):
        on_error(task, lease_lost, LeaseLost)
        on_error(task, failed)
    begun = steps.ask(f"Has the restart begun{again}?", "Only one refresh of a group at a time.")
    begun.when(sfn.Condition.boolean_equals("$.restart.started", value=True), wait).otherwise(blocked)
    restarted = sfn.Condition.boolean_equals("$.progress.restarted", value=True)
    question = steps.ask(f"Is it restarted{again}?", "Users come only when everything knows the right database.")
    restart.next(begun)
    blocked.next(restart)
    steps.poll(wait, check, question, restarted, then=point)
    point.next(smoke).next(point_back).next(then)
    return restart


def _point(steps: Steps, name: str, color: str) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "traffic.point_test_listener",
        "Checks have to reach what no user can; afterwards the way back is checked for its health again.",
        given={**_HELD, "color": color},
        patience=SWITCH_FORWARD,
    )


def _lift(steps: Steps, name: str, host: str, comment: str) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "database.lift_fence",
        f"Lets the application's roles log in again that a fence has shut out. {comment}",
        given={**_HELD, "host": host},
        patience=FORWARD_SLOW,
    )


def _thaw(steps: Steps, name: str) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "traffic.thaw_traffic",
        "Takes away the rule that has answered users with 503, and nothing else.",
        given=_HELD,
        returns=("thawed",),
        into="thaw",
        patience=SWITCH_FORWARD,
    )


def _give_back(steps: Steps, lease_lost: sfn.IChainable, again: str, then: sfn.IChainable) -> sfn.IChainable:
    """Traffic flows by now: what stays too large costs money alone, so a human is told, and nothing else waits."""
    wait = steps.wait(f"Wait for metrics of users{again}", "They still look as if nobody came.", _USERS_SHOW_SECONDS)
    give = steps.task(
        f"Give capacity back{again}",
        "fleet.give_capacity_back",
        "Gives what serves its former bounds back, so that it scales as before. Its present size stays.",
        given=_HELD,
        returns=("given_back",),
        into="capacity",
    )
    page = steps.tell(
        f"Page about held capacity{again}",
        Kind.CAPACITY_HELD.value,
        _RELEASE_ID,
        failure=object_at("$.held"),
        comment="Tells the people on call what keeps the groups from scaling in, and how to let them.",
    )
    on_error(give, lease_lost, LeaseLost)
    on_error(give, page, result_path="$.held")
    on_error(page, then, result_path=sfn.JsonPath.DISCARD)
    wait.next(give).next(then)
    page.next(then)
    return wait


def _record(steps: Steps, name: str, phase: Phase, more: Given) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "database.record_restore",
        f"Writes down that the restore ended as {phase.value}.",
        given={**_HELD, "outcome": phase.value, "failure": NO_FAILURE, **more},
    )


def _let_go(steps: Steps, name: str) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "database.record_restore",
        "Gives the lease back. The next release may begin.",
        given={**_HELD, "outcome": "over", "failure": NO_FAILURE},
    )


# When it fails


def _endings(steps: Steps) -> _Endings:
    lease_lost = steps.fail(
        "Lease lost",
        "Another execution has taken the environment over. It says what becomes of the traffic.",
        LeaseLost.__name__,
        cause="Another execution has taken the environment over.",
    )
    frozen = _stay_frozen(steps, lease_lost)
    record = _failed(steps, lease_lost, frozen)
    lift = _lift(steps, "Lift fence", _FORWARD_HOST, "What serves was never exchanged.")
    on_error(lift, lease_lost, LeaseLost)
    on_error(lift, frozen)
    lift.next(record)
    swapped = _swap_back(steps, lease_lost, frozen, then=record)
    unswapped = steps.ask("Has another execution begun it?", "That one may have come as far as the swap.")
    unswapped.when(_decided(Choice.RESUME), swapped).otherwise(lift)
    not_frozen = steps.ask("Was traffic frozen before?", "Only another execution may have frozen it.")
    not_frozen.when(_decided(Choice.RESUME), frozen).when(_decided(Choice.GIVE_UP), frozen)
    not_frozen.otherwise(record)
    return _Endings(lease_lost, frozen, not_frozen, unswapped, swapped)


def _swap_back(
    steps: Steps, lease_lost: sfn.IChainable, frozen: sfn.IChainable, then: sfn.IChainable
) -> sfn.IChainable:
    swap = steps.task(
        "Swap connection back",
        "database.swap_connection",
        "Points the application's secret at the instance again that served before. A no-op where nothing was swapped.",
        given={**_HELD, "host": "", "port": 0, "restored_instance": "", "undo": True},
        returns=("version_id",),
        into="connection",
    )
    swapped = steps.remember(
        "Note the way back", "What was launched before knows the other instance.", "swap", {"at": NOW}
    )
    lift = _lift(steps, "Lift fence before the restart", _FORWARD_HOST, "What is to serve again has to log in.")
    for task in (swap, lift):
        on_error(task, lease_lost, LeaseLost)
        on_error(task, frozen)
    swap.next(swapped).next(lift).next(_restart(steps, lease_lost, failed=frozen, then=then, again=" again"))
    return swap


def _failed(steps: Steps, lease_lost: sfn.IChainable, frozen: sfn.IChainable) -> sfn.IChainable:
    record = _record(steps, "Record failed restore", Phase.RESTORE_FAILED, {"failure": object_at(FAILURE)})
    tell = steps.tell(
        "Tell about the failed restore", Kind.RESTORE_FAILED.value, _RELEASE_ID, failure=object_at(FAILURE)
    )
    failed = steps.fail(
        "Restore failed",
        "The instance that served before serves again, and nothing is lost. The cause says what failed.",
        "RestoreFailed",
        cause_path=_FAILED,
    )
    tell_given_up = steps.tell(
        "Tell about giving up", Kind.RESTORE_GIVEN_UP.value, _RELEASE_ID, reason=at("$.restore.reason")
    )
    given_up = steps.succeed("Restore given up", "The instance that served before serves again. Nothing is lost.")
    asked = steps.ask("Was giving up asked for?", "What a human wanted is no failure.")
    asked.when(_decided(Choice.GIVE_UP), tell_given_up).otherwise(tell)
    thaw, over = _thaw(steps, "Thaw traffic again"), _let_go(steps, "Release environment after failure")
    for task in (record, thaw, over):
        on_error(task, lease_lost, LeaseLost)
        on_error(task, frozen)
    on_error(tell, failed, result_path=sfn.JsonPath.DISCARD)
    on_error(tell_given_up, given_up, result_path=sfn.JsonPath.DISCARD)
    tell.next(failed)
    tell_given_up.next(given_up)
    record.next(thaw).next(_give_back(steps, lease_lost, " again", then=over))
    over.next(asked)
    return record


def _stay_frozen(steps: Steps, lease_lost: sfn.IChainable) -> sfn.IChainable:
    record = _record(steps, "Record frozen traffic", Phase.FROZEN, {"failure": object_at(FAILURE)})
    page = steps.tell(
        "Page about frozen traffic",
        Kind.RESTORE_FROZEN.value,
        _RELEASE_ID,
        failure=object_at(FAILURE),
        comment="Tells the people on call that users get 503, and which inputs go on with it or back.",
    )
    escalated = steps.fail(
        "Traffic stays frozen",
        "The databases may be exchanged by half, so nothing lets traffic flow by itself. The cause says what failed;"
        ' start again with the same release, or with "undo": true.',
        "Escalated",
        cause_path=_FAILED,
    )
    on_error(record, lease_lost, LeaseLost)
    on_error(record, page, result_path=sfn.JsonPath.DISCARD)
    on_error(page, escalated, result_path=sfn.JsonPath.DISCARD)
    record.next(page).next(escalated)
    return record
