"""Releases that change the schema of the database: what can still be taken back by itself, and what a human decides."""

from rehearsal.circumstances import Circumstances
from rehearsal.report import Report
from rehearsal.scenarios.databases import every_upload_is_somewhere, lost_rows_are_exported, restores_ended, told
from rehearsal.scenarios.plays import bad, turn_bad
from rehearsal.scenarios.promises import (
    all_traffic_on,
    because,
    green_is_as_it_was,
    human_was_paged,
    moved_only,
    nothing_reaches_green_after_the_switch,
    traffic_never_moved,
)
from rehearsal.scenarios.scenario import NEW_VERSION, OLD_VERSION, Scenario
from rehearsal.stage import Stage
from rehearsal.world.application import Behaviour
from rehearsal.world.migrations import MigrationPlan

_A_WHILE = 300.0
"""Seconds: in which users write, or a human reads a page before he decides."""
_ASKED = "Wait for approval"

_COMPATIBLE = MigrationPlan("ALTER TABLE receipts ADD COLUMN currency text NOT NULL DEFAULT 'EUR'")
"""A version that does not know of it gets what stands there."""
_BREAKING = MigrationPlan(
    "ALTER TABLE receipts ADD COLUMN currency text;"
    " UPDATE receipts SET currency = 'EUR'; ALTER TABLE receipts ALTER COLUMN currency SET NOT NULL"
)
"""A version that does not know of it can write no receipts any more."""
_WRONG = MigrationPlan("ALTER TABLE receipts ADD COLUMN currency text; ALTER TABLE invoices ADD COLUMN currency text")
"""There are no invoices: nothing of it is done."""
_FILLS = {"currency": "CHF"}
_CONSENT = "the old version knows no currencies"


def _release(stage: Stage, migrations: str, **more: str) -> None:
    stage.wait(_A_WHILE)
    given = {"version": NEW_VERSION, "migrations": migrations, **more}
    stage.until_ended(stage.start_deployment(given))


def _release_that_fails_later(stage: Stage, migrations: str, **more: str) -> None:
    """Release a version that turns bad once it is promoted, and wait for what its alarms start."""
    _release(stage, migrations, **more)
    failing = bad(failing_share=0.3)
    turn_bad(stage, Behaviour(live_error_rates=failing.live_error_rates, fills=_FILLS))
    stage.until_rollback_ended()


def _come_back_by_itself(stage: Stage) -> None:
    _release_that_fails_later(stage, "backward-compatible")
    stage.wait(_A_WHILE)


def _let_a_human_decide(stage: Stage) -> None:
    """Hold by the alarm; after a while a human has traffic and data brought back, and accepts what that loses."""
    _release_that_fails_later(stage, "breaking", no_automatic_rollback=_CONSENT)
    stage.wait(_A_WHILE)
    release_id = stage.record.live["release_id"]
    given = {"release_id": release_id, "database": True, "reason": "uploads fail, and the old version needs its schema"}
    stage.until_ended(stage.start_rollback(given))
    restore = stage.until_started("restore-database")
    stage.until_entered(restore, _ASKED)
    stage.wait(_A_WHILE)
    by = stage.account.people.approver
    stage.give_order("approve", by=by, release_id=release_id, accept_unaccounted=True)
    stage.until_ended(restore)
    stage.wait(_A_WHILE)


def _fail_to_migrate(stage: Stage) -> None:
    _release(stage, "breaking", no_automatic_rollback=_CONSENT)


def _held_before_a_human_came(report: Report) -> str:
    """Promise that an alarm was heard, and that nothing came of it but a page."""
    first = next((each for each in report.executions if each.machine == "rollback"), None)
    if first is None or first.states[-1] != "Held for a human":
        return f"the alarm led to {first.states[-1] if first else 'nothing'}"
    return told("needs a decision")(report)


SCENARIOS = (
    Scenario(
        "backward-compatible-migration",
        "The old version works after a release's migrations, too: when that turns bad, it comes back by itself",
        expected="rolled_back",
        play=_come_back_by_itself,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            moved_only(10, 50, 100, 0),
            nothing_reaches_green_after_the_switch,
            every_upload_is_somewhere,
        ),
        circumstances=Circumstances(
            real_database=True, migration=_COMPATIBLE, behaviours={NEW_VERSION: Behaviour(fills=_FILLS)}
        ),
    ),
    Scenario(
        "breaking-migration",
        "The old version cannot work after a release's migrations: an alarm pages and holds, and a human decides",
        expected="rolled_back",
        play=_let_a_human_decide,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            moved_only(100, 100, 0),  # the new color is named on the listener, and then gets everything
            _held_before_a_human_came,
            lost_rows_are_exported,
            every_upload_is_somewhere,
            restores_ended(""),
            told("traffic flows"),
        ),
        circumstances=Circumstances(
            real_database=True, migration=_BREAKING, behaviours={NEW_VERSION: Behaviour(fills=_FILLS)}
        ),
    ),
    Scenario(
        "migration-fails",
        "Breaking migrations fail: given up before any traffic, and a human is told to look at the schema",
        expected="aborted",
        play=_fail_to_migrate,
        promises=(
            traffic_never_moved,
            green_is_as_it_was,
            because("MigrationsFailed"),
            human_was_paged,
            told("aborted after breaking migrations"),
        ),
        circumstances=Circumstances(real_database=True, migration=_WRONG),
    ),
)
