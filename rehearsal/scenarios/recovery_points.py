"""Databases that are brought back from elsewhere than the release's own snapshot: RDS's backups, or another account."""

from rehearsal.circumstances import Circumstances
from rehearsal.report import Report
from rehearsal.scenarios.databases import (
    RESTORED,
    ask_for_restore,
    give_answer,
    release_that_garbles,
    restores_ended,
    safety_snapshots,
)
from rehearsal.scenarios.promises import all_traffic_on
from rehearsal.scenarios.scenario import NEW_VERSION, Scenario
from rehearsal.stage import Stage
from rehearsal.world.traffic import EMAIL

_A_WHILE = 300.0
"""Seconds: as in other scenarios of databases; RDS's backups are as far behind."""
_BACKUPS = "222233334444"
"""The account of production's settings that keeps backups."""

_REAL = Circumstances(real_database=True)


def _restore_to_before_release(stage: Stage) -> None:
    """Bring back what was there before the first user met the release, of which most was written after its snapshot."""
    release_that_garbles(stage)
    restore = ask_for_restore(stage, to="before-release")
    give_answer(stage, "approve")
    stage.until_ended(restore)
    stage.wait(_A_WHILE)


def _restore_from_another_account(stage: Stage) -> None:
    """Somebody has tidied up the release's snapshot, and another account has kept a copy of it."""
    release_that_garbles(stage)
    account, own = stage.account, _own_snapshot(stage)
    shared = account.database.share(_BACKUPS, own, "kept-elsewhere")
    account.client("rds").delete_db_snapshot(DBSnapshotIdentifier=own)
    restore = ask_for_restore(stage, snapshot=shared)
    give_answer(stage, "approve")
    stage.until_ended(restore)
    stage.wait(_A_WHILE)


def _own_snapshot(stage: Stage) -> str:
    live = stage.record.item("live")
    return str(stage.record.release(live["release_id"])["snapshot"]["id"])


def _lose_snapshot(stage: Stage) -> None:
    """Let somebody tidy up while the release bakes; a human decides that it goes on without."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Bake at 50 %")
    stage.account.client("rds").delete_db_snapshot(DBSnapshotIdentifier=_own_snapshot(stage))
    stage.until_entered(deployment, "Ask a human at 50 %")
    stage.wait(_A_WHILE)
    stage.give_order("resume")
    stage.until_ended(deployment)


def _snapshot_was_copied(report: Report) -> str:
    """Promise that a copy of ours was restored, and nothing that belongs to somebody else."""
    copies = [name for name in report.databases.snapshots if "-copy-" in name]
    return "" if len(copies) == 1 else f"the copies are {copies}"


def _what_users_wrote_before_is_there(report: Report) -> str:
    """Promise that receipts which users wrote between the snapshot and the first shift were not lost."""
    if not report.moves:
        return "no traffic was shifted"
    first_shift = min(move.at_seconds for move in report.moves)
    uploads = [each for each in report.samples if (each.method, each.path) == ("POST", "/api/v2/receipts")]
    before = sum(not each.failed and each.sent_seconds < first_shift for each in uploads)
    databases = report.databases
    (old,) = [each.receipts or {} for each in databases.instances.values() if each.name != databases.serving]
    last = max(old, default=0)
    kept = [id_ for id_, each in databases.receipts(databases.serving).items() if each.owner == EMAIL and id_ <= last]
    return "" if before and len(kept) >= before else f"{before} receipts were written before, and {len(kept)} are there"


def _was_held(report: Report) -> str:
    """Promise that the release has waited for a human."""
    asked = [each for each in report.executions if "Ask a human at 50 %" in each.states]
    told = any("held until you decide" in each for each in report.messages)
    return "" if asked and told else "nobody was asked"


SCENARIOS = (
    Scenario(
        "point-in-time-restore",
        "A release has spoiled data, which come back as they were in the last second before it, by RDS's own backups",
        expected="promoted",
        play=_restore_to_before_release,
        promises=(
            all_traffic_on("green", NEW_VERSION),
            *RESTORED,
            _what_users_wrote_before_is_there,
            safety_snapshots(1),
            restores_ended(""),
        ),
        circumstances=_REAL,
    ),
    Scenario(
        "encrypted-shared-snapshot",
        "The release's snapshot is gone; another account shares an encrypted one, which is copied, and then restored",
        expected="promoted",
        play=_restore_from_another_account,
        promises=(
            all_traffic_on("green", NEW_VERSION),
            *RESTORED,
            _snapshot_was_copied,
            safety_snapshots(1),
            restores_ended(""),
        ),
        circumstances=_REAL,
    ),
    Scenario(
        "way-back-lost",
        "The snapshot is deleted while the release bakes: it is held, a human is told, and lets it go on",
        expected="promoted",
        play=_lose_snapshot,
        promises=(all_traffic_on("green", NEW_VERSION), _was_held),
    ),
)
