"""Databases that are brought back to before a release: approved, not approved, failed, undone, and half done."""

from rehearsal.circumstances import Circumstances
from rehearsal.databases import LostRow
from rehearsal.report import Report
from rehearsal.scenarios.plays import release
from rehearsal.scenarios.promises import (
    Promise,
    all_traffic_on,
    executions_ended,
    human_was_paged,
    no_failed_requests,
)
from rehearsal.scenarios.scenario import NEW_VERSION, OLD_VERSION, Scenario
from rehearsal.stage import Execution, Stage
from rehearsal.world.customer import CAPACITY
from rehearsal.world.restores import RestorePlan
from rehearsal.world.traffic import EMAIL

_A_WHILE = 300.0
"""Seconds: in which users write, or a human reads a plan before he answers."""
_LONGER_THAN_ANY_APPROVAL = 2 * 3600.0

_RESTORE = "restore-database"
_ASKED = "Wait for approval"
_GARBLED = "garbled"
_GARBLE = """
    UPDATE receipts SET category = 'garbled' WHERE id IN (SELECT id FROM receipts ORDER BY id LIMIT 3);
    DELETE FROM receipts WHERE id IN (SELECT id FROM receipts ORDER BY id OFFSET 3 LIMIT 2);
"""
"""What a bad release does to receipts from before it. Nothing of the application can mend that."""

_REAL = Circumstances(real_database=True)


# What is played


def _release_that_garbles(stage: Stage) -> None:
    """Let users write before a release and while it is live, and let that spoil what was there before."""
    stage.wait(_A_WHILE)
    release(stage)
    stage.account.database.run(stage.account.settings.database_instance, _GARBLE)
    stage.wait(_A_WHILE)


def _ask_for_restore(stage: Stage, **more: object) -> Execution:
    restore = stage.start(_RESTORE, {"reason": "receipts of today are garbled", **more})
    return _until_asked(stage, restore)


def _until_asked(stage: Stage, restore: Execution) -> Execution:
    """Wait until the human who was asked has read what it costs."""
    stage.until_entered(restore, _ASKED)
    stage.wait(_A_WHILE)
    return restore


def _answer(stage: Stage, answer: str) -> None:
    stage.give_order(answer, release_id=stage.record.item("restore")["release_id"])


def _bring_back(stage: Stage) -> None:
    """Roll back with the data, and let users write on."""
    _release_that_garbles(stage)
    stage.until_ended(stage.start_rollback({"database": True, "reason": "receipts of today are garbled"}))
    restore = _until_asked(stage, stage.until_started(_RESTORE))
    _answer(stage, "approve")
    stage.until_ended(restore)
    stage.wait(_A_WHILE)


def _reject(stage: Stage) -> None:
    release(stage)
    restore = _ask_for_restore(stage)
    _answer(stage, "reject")
    stage.until_ended(restore)


def _answer_too_late(stage: Stage) -> None:
    release(stage)
    restore = _ask_for_restore(stage)
    stage.until_ended(restore)
    _answer(stage, "approve")


def _approve(stage: Stage) -> None:
    """Restore while the release is live, and let users write on."""
    release(stage)
    restore = _ask_for_restore(stage)
    _answer(stage, "approve")
    stage.until_ended(restore)
    stage.wait(_A_WHILE)


def _undo(stage: Stage) -> None:
    """Think better of it: what the release wrote is dearer than what it spoiled."""
    _bring_back(stage)
    restore = _ask_for_restore(stage, undo=True)
    _answer(stage, "approve")
    stage.until_ended(restore)
    stage.wait(_A_WHILE)


def _crash(stage: Stage) -> None:
    """Stop it while nothing is exchanged yet, and once more when half of it is; each time somebody goes on later."""
    _release_that_garbles(stage)
    restore = _ask_for_restore(stage)
    _answer(stage, "approve")
    for state in ("Wait for safety snapshot", "Wait for restart"):
        stage.until_entered(restore, state)
        rollbacks = len(stage.of_machine("rollback"))
        stage.stop(restore)
        stage.until_ended(stage.until_started("rollback", rollbacks + 1))
        stage.wait(_A_WHILE)
        restore = stage.start(_RESTORE, {"reason": "to go on with it"})
    stage.until_ended(restore)
    stage.wait(_A_WHILE)


# What is promised


def _restored_instance_serves(report: Report) -> str:
    """Promise that the application's rows go there from now on, and that the old instance is kept, but not written."""
    databases = report.databases
    if databases.serving == databases.in_settings:
        return f"{databases.serving} serves still"
    gone = {name: each.status for name, each in databases.instances.items() if each.status != "available"}
    if gone or len(databases.instances) != 2:  # noqa: PLR2004  the old and the new one
        return f"the instances are {list(databases.instances)}, of which are not available: {gone}"
    is_used = len(databases.receipts(databases.serving)) > databases.from_before
    return "" if is_used else f"nothing was written to {databases.serving}"


def _first_instance_serves(report: Report) -> str:
    serving = report.databases.serving
    return "" if serving == report.databases.in_settings else f"the application's secret names {serving}"


def _nothing_was_made(report: Report) -> str:
    """Promise that no instance, no safety snapshot and no export came of it."""
    databases = report.databases
    made = [*list(databases.instances)[1:], *(each for each in databases.snapshots if "-safety-" in each)]
    return f"there are {[*made, *databases.lost]}" if made or databases.lost else ""


def _safety_snapshots(count: int) -> Promise:
    """Promise that what served before each restore can be brought back, too."""

    def promise(report: Report) -> str:
        found = {name: status for name, status in report.databases.snapshots.items() if "-safety-" in name}
        is_kept = len(found) == count and set(found.values()) == {"available"}
        return "" if is_kept else f"the safety snapshots are {found}, not {count}"

    return promise


def _lost_rows_are_exported(report: Report) -> str:
    """
    Promise for the last restore that its export is exactly the difference: rows from before and lost ones are the old.

    Receipts that were written to the serving instance since have later numbers than the former one has ever given.
    """
    databases = report.databases
    others = [each.receipts for each in databases.instances.values() if each.name != databases.serving]
    old = others[0] if others else None
    if not old:
        return "no former instance has any rows, so nothing is proven"
    back = {id_: each for id_, each in databases.receipts(databases.serving).items() if id_ <= max(old)}
    wanted = [
        *(LostRow("inserted", id_, each) for id_, each in old.items() if id_ not in back),
        *(LostRow("changed", id_, each) for id_, each in old.items() if back.get(id_, each) != each),
        *(LostRow("deleted", id_, each) for id_, each in back.items() if id_ not in old),
    ]
    name = list(databases.lost)[-1] if databases.lost else ""
    exported = databases.lost.get(name, ())
    if sorted(exported) != sorted(wanted):
        return f"{len(exported)} rows are exported, and {len(wanted)} are lost"
    counted = sum(sum(lost.values()) for lost in databases.summaries[name]["lost"].values())
    return "" if counted == len(wanted) else f"{counted} rows are counted, and {len(wanted)} are lost"


def _every_upload_is_somewhere(report: Report) -> str:
    """Promise that what a user was told is kept is in the database that serves, or in an export."""
    uploads = [each for each in report.samples if (each.method, each.path) == ("POST", "/api/v2/receipts")]
    told = sum(not each.failed for each in uploads)
    unknown = sum(each.failed and not each.turned_away for each in uploads)
    kept = {id_ for id_, each in report.databases.receipts(report.databases.serving).items() if each.owner == EMAIL}
    for rows in report.databases.lost.values():
        kept |= {row.id for row in rows if row.receipt.owner == EMAIL and row.change != "deleted"}
    return (
        "" if told <= len(kept) <= told + unknown else f"users were told of {told} uploads, and {len(kept)} are there"
    )


def _nothing_is_garbled(report: Report) -> str:
    """Promise that what the release has spoiled is as it was before."""
    there = report.databases.receipts(report.databases.serving)
    garbled = [id_ for id_, each in there.items() if each.category == _GARBLED]
    missing = set(range(1, 6)) - there.keys()
    return f"receipts {garbled} are garbled, and {sorted(missing)} missing" if garbled or missing else ""


def _only_the_freeze_was_noticed(report: Report) -> str:
    """Promise that no request failed but by the load balancer's own answer, and that users were let in again."""
    return _noticed(report, others=0)


def _freeze_and_broken_connections_were_noticed(report: Report) -> str:
    """
    Promise the same where the application was not restarted, but for one request to each of its instances.

    The fence has broken their connections to the database, which the next request finds out.
    """
    return _noticed(report, others=CAPACITY)


def _noticed(report: Report, others: int) -> str:
    failed = sum(each.failed and not each.turned_away for each in report.samples)
    if failed > others:
        return f"{failed} requests failed that no freeze has turned away"
    if not any(each.turned_away for each in report.samples):
        return "no user was turned away, so nothing is proven"
    in_order = sorted(report.samples, key=lambda each: each.sent_seconds)
    return "" if not in_order[-1].failed else "users are turned away still"


def _one_freeze(report: Report) -> str:
    """Promise that nobody was let in between the first user who was turned away and the last one."""
    in_order = sorted(report.samples, key=lambda each: each.sent_seconds)
    turned_away = [number for number, each in enumerate(in_order) if each.turned_away]
    let_in = turned_away[-1] + 1 - turned_away[0] - len(turned_away) if turned_away else 0
    return f"{let_in} users were let in while the databases were exchanged" if let_in else ""


def _told(subject: str) -> Promise:
    """Promise that people hear of something, by a part of the subject."""

    def promise(report: Report) -> str:
        return "" if any(subject in each for each in report.messages) else f"nobody was told {subject!r}"

    return promise


def _restores_ended(*errors: str) -> Promise:
    """Promise how the restores ended, in the order of their start; "" is success."""

    def promise(report: Report) -> str:
        found = tuple(each.error or "" for each in report.executions if each.machine == _RESTORE)
        return "" if found == errors else f"the restores ended as {found}"

    return promise


_RESTORED: tuple[Promise, ...] = (
    _restored_instance_serves,
    _lost_rows_are_exported,
    _every_upload_is_somewhere,
    _nothing_is_garbled,
    _only_the_freeze_was_noticed,
    _one_freeze,
    _told("traffic flows"),
)
_UNTOUCHED: tuple[Promise, ...] = (no_failed_requests, _first_instance_serves, _nothing_was_made)

SCENARIOS = (
    Scenario(
        "database-rollback",
        "A release has spoiled data: rolled back with them, after a human has approved what that loses",
        expected="rolled_back",
        play=_bring_back,
        promises=(all_traffic_on("blue", OLD_VERSION), *_RESTORED, _safety_snapshots(1), _restores_ended("")),
        circumstances=_REAL,
    ),
    Scenario(
        "database-rollback-denied",
        "A restore of the database is asked for, and a human rejects it: nothing changes",
        expected="promoted",
        play=_reject,
        promises=(
            *_UNTOUCHED,
            _every_upload_is_somewhere,
            _restores_ended("RestoreRejected"),
            _told("is rejected"),
        ),
        circumstances=_REAL,
    ),
    Scenario(
        "approval-expired",
        "A restore of the database is asked for, and nobody answers within the hour: nothing changes, not even later",
        expected="promoted",
        play=_answer_too_late,
        promises=(
            *_UNTOUCHED,
            _restores_ended("RestoreExpired"),
            executions_ended("operate", "FAILED"),
            _told("Nobody approved"),
        ),
    ),
    Scenario(
        "restore-fails",
        "RDS cannot restore the snapshot: users are let in again, on the database that served before",
        expected="promoted",
        play=_approve,
        promises=(
            all_traffic_on("green", NEW_VERSION),
            _first_instance_serves,
            _every_upload_is_somewhere,
            _freeze_and_broken_connections_were_noticed,
            _one_freeze,
            _safety_snapshots(1),
            _restores_ended("RestoreFailed"),
            human_was_paged,
        ),
        circumstances=Circumstances(real_database=True, restore=RestorePlan(status="incompatible-restore")),
    ),
    Scenario(
        "undo-restore",
        "A restore is undone: the database from before serves again, and what was written since is exported, too",
        expected="rolled_back",
        play=_undo,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            _first_instance_serves,
            _lost_rows_are_exported,
            _every_upload_is_somewhere,
            _only_the_freeze_was_noticed,
            _safety_snapshots(2),
            _restores_ended("", ""),
        ),
        circumstances=_REAL,
    ),
    Scenario(
        "crash-after-freeze",
        "A restore dies twice behind its freeze: nobody is let in onto half an exchange, and a new start goes on",
        expected="promoted",
        play=_crash,
        promises=(
            all_traffic_on("green", NEW_VERSION),
            *_RESTORED,
            _safety_snapshots(1),
            _restores_ended("Operator", "Operator", ""),
            _told("TRAFFIC IS FROZEN"),
        ),
        circumstances=_REAL,
    ),
)
