"""Databases that are brought back to before a release: approved, not approved, failed, undone, and half done."""

import json
from http import HTTPStatus

from rehearsal.circumstances import Circumstances
from rehearsal.databases import LostRow
from rehearsal.engine.people import Person
from rehearsal.report import Report
from rehearsal.scenarios.plays import release
from rehearsal.scenarios.promises import (
    Promise,
    all_traffic_on,
    blue_keeps_its_capacity,
    executions_ended,
    human_was_paged,
    no_failed_requests,
)
from rehearsal.scenarios.scenario import NEW_VERSION, OLD_VERSION, Scenario
from rehearsal.stage import Execution, Stage
from rehearsal.world.customer import ADMINISTRATOR_USER, CAPACITY, ROTATED_PASSWORD
from rehearsal.world.restores import RestorePlan
from rehearsal.world.traffic import EMAIL

_A_WHILE = 300.0
"""Seconds: in which users write, or a human reads a plan before he answers."""
_TASK_SECONDS = 5.0
"""Until a step that waits for somebody has kept what lets it go on; sooner than CloudTrail tells of anything."""
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


def release_that_garbles(stage: Stage) -> None:
    """Let users write before a release and while it is live, and let that spoil what was there before."""
    stage.wait(_A_WHILE)
    release(stage)
    stage.account.database.run(stage.account.settings.database_instance, _GARBLE)
    stage.wait(_A_WHILE)


def ask_for_restore(stage: Stage, **more: object) -> Execution:
    """Start the machine by hand, and wait until the human who is asked has read what it costs."""
    restore = stage.start(_RESTORE, {"reason": "receipts of today are garbled", **more})
    return _until_asked(stage, restore)


def _until_asked(stage: Stage, restore: Execution) -> Execution:
    """Wait until the human who was asked has read what it costs."""
    stage.until_entered(restore, _ASKED)
    stage.wait(_A_WHILE)
    return restore


def give_answer(stage: Stage, answer: str, by: Person | None = None) -> None:
    """Answer in the console: as somebody else than who has asked, unless somebody is named."""
    by = by or stage.account.people.approver
    stage.give_order(answer, by=by, release_id=stage.record.item("restore")["release_id"])


def _bring_back(stage: Stage) -> None:
    """Roll back with the data, let a scaling policy see that nobody comes meanwhile, and let users write on."""
    release_that_garbles(stage)
    stage.until_ended(stage.start_rollback({"database": True, "reason": "receipts of today are garbled"}))
    restore = _until_asked(stage, stage.until_started(_RESTORE))
    give_answer(stage, "approve")
    stage.until_entered(restore, "Wait for safety snapshot")
    stage.scale_in("blue")
    stage.until_ended(restore)
    stage.wait(_A_WHILE)


def _approve_by_url(stage: Stage) -> None:
    """Roll back with the data; whoever asked for that tries to approve it, too, and then somebody else does."""
    people = stage.account.people
    release_that_garbles(stage)
    stage.until_ended(stage.start_rollback({"database": True, "reason": "receipts of today are garbled"}))
    restore = stage.until_started(_RESTORE)
    stage.until_entered(restore, _ASKED)
    stage.wait(_TASK_SECONDS)
    for person in (people.operator, people.approver):
        _post(stage, person)
    stage.wait(_A_WHILE)
    for person in (people.operator_as_approver, people.approver, people.approver):
        _post(stage, person)
    stage.until_ended(restore)
    stage.wait(_A_WHILE)


def _post(stage: Stage, person: Person) -> None:
    release_id = stage.record.item("restore")["release_id"]
    order = {"action": "approve", "release_id": release_id, "reason": "the loss is known and accepted"}
    stage.post(person, "answer-by-url", order)


def _reject(stage: Stage) -> None:
    release(stage)
    restore = ask_for_restore(stage)
    give_answer(stage, "reject")
    stage.until_ended(restore)


def _answer_too_late(stage: Stage) -> None:
    release(stage)
    restore = ask_for_restore(stage)
    stage.until_ended(restore)
    give_answer(stage, "approve")


def _approve(stage: Stage) -> None:
    """Restore while the release is live, and let users write on."""
    release(stage)
    restore = ask_for_restore(stage)
    give_answer(stage, "approve")
    stage.until_ended(restore)
    stage.wait(_A_WHILE)


def _undo(stage: Stage) -> None:
    """Think better of it, alone at night: what the release wrote is dearer than what it spoiled."""
    _bring_back(stage)
    restore = ask_for_restore(stage, undo=True)
    give_answer(stage, "approve", by=stage.account.people.operator)
    stage.until_ended(restore)
    stage.wait(_A_WHILE)


def _rotate_password(stage: Stage) -> None:
    """Give the administrator another password, on the instance that serves and in the secret."""
    settings, secrets = stage.account.settings, stage.account.client("secretsmanager")
    if settings.restore is None:
        return
    statement = f"ALTER ROLE {ADMINISTRATOR_USER} PASSWORD '{ROTATED_PASSWORD}'"
    stage.account.database.run(settings.database_instance, statement)
    arn = settings.restore.administrator_secret_arn
    login = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({**login, "password": ROTATED_PASSWORD}))


def _crash(stage: Stage) -> None:
    """
    Stop it while nothing is exchanged yet, and once more when half of it is; each time somebody goes on later.

    The administrator's password is rotated before, so that what is restored comes with the one of earlier.
    """
    release_that_garbles(stage)
    _rotate_password(stage)
    restore = ask_for_restore(stage)
    give_answer(stage, "approve")
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


def safety_snapshots(count: int) -> Promise:
    """Promise that what served before each restore can be brought back, too."""

    def promise(report: Report) -> str:
        found = {name: status for name, status in report.databases.snapshots.items() if "-safety-" in name}
        is_kept = len(found) == count and set(found.values()) == {"available"}
        return "" if is_kept else f"the safety snapshots are {found}, not {count}"

    return promise


def lost_rows_are_exported(report: Report) -> str:
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


def every_upload_is_somewhere(report: Report) -> str:
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
    return "users are turned away still" if in_order and in_order[-1].failed else ""


def _one_freeze(report: Report) -> str:
    """Promise that nobody was let in between the first user who was turned away and the last one."""
    in_order = sorted(report.samples, key=lambda each: each.sent_seconds)
    turned_away = [number for number, each in enumerate(in_order) if each.turned_away]
    let_in = turned_away[-1] + 1 - turned_away[0] - len(turned_away) if turned_away else 0
    return f"{let_in} users were let in while the databases were exchanged" if let_in else ""


def told(subject: str) -> Promise:
    """Promise that people hear of something, by a part of the subject."""

    def promise(report: Report) -> str:
        return "" if any(subject in each for each in report.messages) else f"nobody was told {subject!r}"

    return promise


def restores_ended(*errors: str) -> Promise:
    """Promise how the restores ended, in the order of their start; "" is success."""

    def promise(report: Report) -> str:
        found = tuple(each.error or "" for each in report.executions if each.machine == _RESTORE)
        return "" if found == errors else f"the restores ended as {found}"

    return promise


def _answered(*statuses: HTTPStatus) -> Promise:
    """Promise what the signed requests were answered with, in their order."""

    def promise(report: Report) -> str:
        return "" if list(report.answers) == list(statuses) else f"the requests were answered with {report.answers}"

    return promise


def _approved_by(name: str) -> Promise:
    """Promise that the record knows who has answered, and that nobody was told that he had asked for it himself."""

    def promise(report: Report) -> str:
        if not report.approved_by.endswith(f"/{name}"):
            return f"the record says that {report.approved_by or 'nobody knows who'} has approved it"
        own = [each for each in report.messages if "approved by who asked" in each]
        return f"people were told {own[0]!r}" if own else ""

    return promise


def _password_was_set(report: Report) -> str:
    """Promise that the restored instance came with a password of earlier, or nothing is proven."""
    was_set = any("Set master password" in each.states for each in report.executions if each.machine == _RESTORE)
    return "" if was_set else "no password was set on the restored instance"


def _nobody_was_paged_for_the_freeze(report: Report) -> str:
    """Promise that no alarm wakes people up who have approved what it is about."""
    paged = sum("critical alarm" in each for each in report.messages)
    return f"{paged} pages are about a critical alarm" if paged else ""


RESTORED: tuple[Promise, ...] = (
    _restored_instance_serves,
    lost_rows_are_exported,
    every_upload_is_somewhere,
    _nothing_is_garbled,
    _only_the_freeze_was_noticed,
    _one_freeze,
    told("traffic flows"),
)
_UNTOUCHED: tuple[Promise, ...] = (no_failed_requests, _first_instance_serves, _nothing_was_made)

SCENARIOS = (
    Scenario(
        "database-rollback",
        "A release has spoiled data: rolled back with them, after a human has approved what that loses",
        expected="rolled_back",
        play=_bring_back,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            blue_keeps_its_capacity,
            _nobody_was_paged_for_the_freeze,
            *RESTORED,
            safety_snapshots(1),
            restores_ended(""),
            _approved_by("kim"),
        ),
        circumstances=_REAL,
    ),
    Scenario(
        "approval-by-url",
        "Who asks for a restore of the database cannot approve it, too: somebody else does, by a signed request",
        expected="rolled_back",
        play=_approve_by_url,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            *RESTORED,
            _answered(
                HTTPStatus.FORBIDDEN,  # an operator who is no approver is not let in
                HTTPStatus.CONFLICT,  # nobody knows yet who has asked for it
                HTTPStatus.FORBIDDEN,  # he is an approver now, and still the one who has asked for it
                HTTPStatus.OK,
                HTTPStatus.OK,  # the answer could have been lost
            ),
            _approved_by("kim"),
            told("is approved"),
            restores_ended(""),
        ),
        circumstances=_REAL,
    ),
    Scenario(
        "database-rollback-denied",
        "A restore of the database is asked for, and a human rejects it: nothing changes",
        expected="promoted",
        play=_reject,
        promises=(
            *_UNTOUCHED,
            every_upload_is_somewhere,
            restores_ended("RestoreRejected"),
            told("is rejected"),
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
            restores_ended("RestoreExpired"),
            executions_ended("operate", "FAILED"),
            told("Nobody approved"),
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
            every_upload_is_somewhere,
            _freeze_and_broken_connections_were_noticed,
            _one_freeze,
            safety_snapshots(1),
            restores_ended("RestoreFailed"),
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
            lost_rows_are_exported,
            every_upload_is_somewhere,
            _only_the_freeze_was_noticed,
            safety_snapshots(2),
            restores_ended("", ""),
            told("approved by who asked"),
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
            *RESTORED,
            safety_snapshots(1),
            restores_ended("Operator", "Operator", ""),
            _password_was_set,
            told("TRAFFIC IS FROZEN"),
        ),
        circumstances=_REAL,
    ),
)
