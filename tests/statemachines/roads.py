"""How a machine can end: one execution for each ending, which together enter every state and take every branch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdas.errors import (
    EnvironmentBusy,
    IdleColorNotReady,
    InfrastructureFailed,
    LeaseLost,
    ListenerDrifted,
    LoginRefused,
    MigrationsFailed,
    NotTheRelease,
    PlanRefused,
    ReleaseUnhealthy,
    SmokeCheckFailed,
    TargetGroupUnhealthy,
)
from tests.rehearsal.engine.state_machines import FunctionError
from tests.statemachines.machines import (
    BREAKING,
    MIGRATING,
    UNANSWERED,
    UNASKED,
    UNFORESEEN,
    Answers,
    Json,
    begun,
    claimed,
    clean_up_claimed,
    counted,
    gated,
    left,
    looked_at,
    ordered,
    plan_checked,
    planned,
    reported,
    taken,
)


def error(kind: type[Exception], message: str = "as the test says") -> FunctionError:
    """Return how a function fails with one of Runback's errors."""
    return FunctionError(kind.__name__, message)


@dataclass(frozen=True)
class Road:
    """An execution: what the functions answer, where it is not what makes all go well, and its last state."""

    to: str
    answers: Answers = field(default_factory=dict)
    given: Json = None


RELEASE_ENDED = {"action": "ended", "reason": "Release release-two ended as promoted."}
STILL_RUNS = {**RELEASE_ENDED, "action": "running"}
ONE_AFTER_WAITING = [begun("wait", "2026-03-01T10:00:10Z"), begun(), begun("nothing")]
NOT_SAVED = {"available": False, "percent": 50}
SAVED = {"available": True, "percent": 100}
OF_ANOTHER_ACCOUNT = planned(copied_from="arn:aws:rds:eu-west-1:222233334444:snapshot:nightly")
NOT_READY = {"ready": False, "percent": 50, "healthy": 1}
READY = {"ready": True, "percent": 100, "healthy": 2}
NOT_BAKED = {"done": False, "again_at": "2026-03-01T10:00:10Z"}
BAKED = {"done": True, "again_at": ""}
JUDGED_YET = {**NOT_BAKED, "asks": False, "reason": "It is good so far."}
JUDGED_GOOD = {**BAKED, "asks": False, "reason": "It is good."}
ASKS = {**NOT_BAKED, "asks": True, "reason": "There are too few requests."}
PLANNING = {**plan_checked(0), "ready": False}
APPLYING = {"ready": False}
WITHOUT = {"version": "0123456789abcdef0123456789abcdef01234567", "infrastructure": False}
BACK_TOO = {**claimed(), "infrastructure": True}
ALONE = {**claimed("infrastructure"), "infrastructure": True}
MIGRATES = {"running": True, "pages": False, "concern": ""}
"""Migrations of a release that is given up, which have not come to their end."""
SCHEMA_CHANGED = {"running": False, "pages": True, "concern": "Its breaking migrations have changed the schema."}
IN_WINDOW = {
    "lease": {"holder": "", "token": 0},
    "active": "",
    "idle": "",
    "again_at": "2026-03-01T10:01:00Z",
}
"""A claim that has to wait for the end of a window; by the rehearsal's clock that moment is over."""
CLAIMED = {"lease": {"holder": "the deployment", "token": 7}, "active": "blue", "idle": "green", "again_at": ""}
AT_GATES = gated("wait", again_at="2026-03-01T10:00:00Z")
"""A release that has to wait at its gates; by the rehearsal's clock that moment is over."""
FREEING = ordered("free", "release-environment", "environment_freed")
END_OF_ROLLBACK = {
    "source": "execution-status",
    "execution_arn": "arn:aws:states:eu-west-1:111122223333:execution:receipt-vault-production-rollback:one",
    "status": "FAILED",
}
"""What the rule on failed executions gives to the rollback machine when a rollback has failed."""

WINDOW_OPEN = clean_up_claimed("wait", "The rollback window is open.", "2026-03-01T12:00:00Z")
"""A clean-up that has to wait; by the rehearsal's clock that moment is over."""

UNRECORDED: Answers = {"Claim rollback": claimed("escalate"), "Record escalation": UNFORESEEN}
"""An escalation that cannot be written down, so that the lease stays with the execution that ends."""

WITH_DATABASE = {**claimed(), "database": True}
ANSWERING = ordered("answer", "approve", "restore_approved")
REJECTED = {"approved": False, "by": "the operate machine", "reason": "it is not worth it"}
WRITING = {"fenced": False, "still_writing": "role jobs from 10.0.0.7", "fenced_at": ""}
FENCED = {"fenced": True, "still_writing": "", "fenced_at": "2026-03-01T10:02:30.000Z"}
RESTORING = {"available": False, "host": "", "port": 0, "settings": "restoring"}
THERE = {"available": True, "host": "restored.rds.example", "port": 5432, "settings": "equal"}
BLOCKED = {"started": False, "refresh_id": "", "ready_by": "2026-03-01T13:00:00.000Z"}
BEGUN = {"started": True, "refresh_id": "refresh-2", "ready_by": "2026-03-01T13:00:00.000Z"}
OLD = {"restarted": False, "percent": 50, "healthy": 1}
RESTARTED = {"restarted": True, "percent": 100, "healthy": 2}
CLAIMED_RESTORE = {
    "lease": {"holder": "the restore", "token": 10},
    "release_id": "release-two",
    "active": "blue",
    "idle": "green",
    "accept_unaccounted": False,
}

ROADS: Mapping[str, tuple[Road, ...]] = {
    "deploy": (
        Road("Release is live", {"Check snapshot": [NOT_SAVED, SAVED], "Check idle color": [NOT_READY, READY]}),
        Road(
            "Release is live",
            {
                "Claim environment": [IN_WINDOW, CLAIMED],
                "Check for hold": [NOT_BAKED, BAKED],
                **{f"Judge at {percent} %": [JUDGED_YET, ASKS, JUDGED_GOOD] for percent in (10, 50, 100)},
            },
        ),
        Road("Release is live", {"Decide gates": [AT_GATES, gated(warnings="cdn (warn): failed")]}),
        Road("Gates failed", {"Decide gates": gated("refuse")}),
        Road("Gates not decided", {"Decide gates": UNFORESEEN}),
        Road("Release is live", {"Decide gates after approval": [AT_GATES, gated()]}),
        Road("Gates failed", {"Decide gates after approval": gated("refuse")}),
        Road("Release not approved", {"Wait for approval": REJECTED}),
        Road("Release not approved", {"Wait for approval": UNANSWERED}),
        Road("Release not approved", {"Wait for approval": UNFORESEEN, "Tell about the missing approval": UNFORESEEN}),
        Road("Approval not recorded", {"Wait for approval": REJECTED, "Record rejection": UNFORESEEN}),
        Road("Release is live", given=UNASKED),
        Road("Release is live", {"Start clean-up": UNFORESEEN}),
        Road("Release is live", {"Resume scaling": UNFORESEEN}),
        Road("Release is live", {"Check migrations": [{"ready": False}, {"ready": True}]}, MIGRATING),
        Road("Release is live", given=BREAKING),
        Road("Release held", {"Judge at 100 %": error(ReleaseUnhealthy)}, BREAKING),
        Road(
            "Release aborted",
            {"Run migrations": error(MigrationsFailed), "Look at migrations": [MIGRATES, SCHEMA_CHANGED]},
            BREAKING,
        ),
        Road(
            "Release is live",
            {"Check plan": [PLANNING, plan_checked()], "Check infrastructure": [APPLYING, {"ready": True}]},
        ),
        Road("Release is live", {"Check plan": plan_checked(0)}),
        Road("Release is live", given=WITHOUT),
        Road("Plan refused", {"Check plan": error(PlanRefused)}),
        Road(
            "Release aborted",
            {
                "Check infrastructure": error(InfrastructureFailed),
                "Look at applies": [left(over=False), left()],
            },
        ),
        Road("Request could not be checked", {"Validate request": UNFORESEEN}),
        Road("Reject request", given={}),
        Road("Release refused", {"Claim environment": error(EnvironmentBusy)}),
        Road("Release aborted", {"Check idle color": error(IdleColorNotReady)}),
        Road("Release rolled back", {"Shift 50 % of traffic": error(TargetGroupUnhealthy)}),
        Road("Lease lost", {"Promote release": error(LeaseLost)}),
        Road("Escalated", {"Claim environment": UNFORESEEN}),
        Road("Escalated", {"Shift 50 % of traffic": error(ListenerDrifted)}),
        Road("Escalated", {"Judge at 10 %": error(NotTheRelease)}),
    ),
    "rollback": (
        Road("Rolled back", {"Settle listener": [{"settled": False}, {"settled": True}]}),
        Road("Rolled back", {"Smoke check old version": error(SmokeCheckFailed)}),
        Road("Rolled back", {"Resume scaling": UNFORESEEN}),
        Road("Aborted", {"Claim rollback": claimed("abort")}),
        Road("Aborted", {"Claim rollback": claimed("abort"), "Look at migrations": [MIGRATES, SCHEMA_CHANGED]}),
        Road("Held for a human", {"Claim rollback": claimed("hold")}),
        Road("Held for a human", {"Claim rollback": claimed("page_hold")}),
        Road(
            "Aborted",
            {
                "Claim rollback": claimed("abort"),
                "Look at applies after abort": [left(over=False), left()],
            },
        ),
        Road("Rolled back", {"Look at applies": [left(over=False), left()]}),
        Road(
            "Rolled back",
            {
                "Claim rollback": BACK_TOO,
                "Check old plan": [PLANNING, plan_checked()],
                "Check old infrastructure": [APPLYING, {"ready": True}],
            },
        ),
        Road("Rolled back", {"Claim rollback": BACK_TOO, "Check old plan": plan_checked(0)}),
        Road("Rolled back", {"Claim rollback": BACK_TOO, "Start release of old version": UNFORESEEN}),
        Road("Rolled back", {"Claim rollback": BACK_TOO, "Check old plan": error(PlanRefused)}),
        Road("Infrastructure is back", {"Claim rollback": ALONE}),
        Road("Infrastructure is not back", {"Claim rollback": ALONE, "Check old plan": error(PlanRefused)}),
        Road("Release was live already", {"Claim rollback": claimed("finish")}),
        Road("Release was live already", {"Claim rollback": claimed("finish"), "Start clean-up": UNFORESEEN}),
        Road(
            "Release was live already",
            {"Claim rollback": claimed("finish"), "Resume scaling of live color": UNFORESEEN},
        ),
        Road("Clean-up given up", {"Claim rollback": claimed("let_go")}),
        Road("Clean-up given up", {"Claim rollback": claimed("tell_clean_up")}),
        Road("Escalated", {"Claim rollback": claimed("escalate")}),
        Road("Rollback not possible", {"Claim rollback": claimed("impossible")}),
        Road("Left to a human", {"Claim rollback": claimed("page")}),
        Road("Reject request", {"Claim rollback": claimed("invalid")}),
        Road("Nothing to roll back", {"Claim rollback": claimed("nothing")}),
        Road("Lease lost", {"Switch listener back": error(LeaseLost)}),
        Road("Escalated without record", {"Claim rollback": UNFORESEEN, "Claim rollback at last": UNFORESEEN}),
        Road("Rolled back", {"Claim rollback": UNFORESEEN}),
        Road("Human was told before", {"Claim rollback": UNFORESEEN}, END_OF_ROLLBACK),
        Road("Human was told before", UNRECORDED, END_OF_ROLLBACK),
        Road("Escalated", UNRECORDED),
        Road("Traffic stays frozen", {"Claim rollback": claimed("keep_frozen")}),
        Road("Rolled back", {"Claim rollback": WITH_DATABASE}),
        Road("Rolled back", {"Claim rollback": WITH_DATABASE, "Start restore of the database": UNFORESEEN}),
    ),
    "clean-up": (
        Road("Cleaned up", {"Claim clean-up": [WINDOW_OPEN, clean_up_claimed()]}),
        Road("Nothing to clean up", {"Claim clean-up": clean_up_claimed("nothing")}),
        Road("Reject request", {"Claim clean-up": clean_up_claimed("invalid")}),
        Road("Clean-up failed", {"Claim clean-up": error(ListenerDrifted)}),
        Road("Clean-up failed", {"Scale in old color": error(ListenerDrifted)}),
        Road("Lease lost", {"Scale in old color": error(LeaseLost)}),
    ),
    "operate": (
        Road("Order carried out"),
        Road("Order carried out", {"Give order": ordered("abort", "abort", "abort_ordered")}),
        Road("Order carried out", {"Give order": FREEING}),
        Road("Already so", {"Give order": ordered("already_so")}),
        Road("Already so", {"Give order": FREEING, "Look at the environment": looked_at("already_so")}),
        Road("Already so", {"Give order": FREEING, "Free environment": looked_at("already_so")}),
        Road("Order carried out", {"Give order": ANSWERING}),
        Road("Already so", {"Give order": ANSWERING, "Give the answer": looked_at("already_so")}),
        Road("Order refused", {"Give order": ANSWERING, "Give the answer": looked_at("refused")}),
        Road("Order refused", {"Give order": ordered("refused")}),
        Road("Order refused", {"Give order": FREEING, "Look at the environment": looked_at("refused")}),
        Road("Order refused", {"Give order": FREEING, "Free environment": looked_at("refused")}),
        Road("Reject request", {"Give order": ordered("invalid")}),
        Road("Order failed", {"Give order": UNFORESEEN}),
    ),
    "report": (
        Road("Report written"),
        Road("Nothing to report", {"Write report": reported(written=False)}),
        Road("Report not written", {"Write report": UNFORESEEN}),
        Road("Report not written", {"Write report again": UNFORESEEN}),
        Road("Reject request", given={}),
    ),
    "push": (
        Road("Nothing to release", {"Start release": ONE_AFTER_WAITING, "Check release": [STILL_RUNS, RELEASE_ENDED]}),
        Road("Nothing to release", {"Take push": taken("nothing")}),
        Road("Push waits", {"Take push": taken("queued")}),
        Road("Push refused", {"Take push": taken("refused")}),
        Road("Reject request", {"Take push": taken("invalid")}),
        Road("Others go on", {"Start release": begun("lost")}),
        Road("Others go on", {"Start release": begun(), "Check release": {**RELEASE_ENDED, "action": "lost"}}),
        Road("Pushes not released", {"Take push": UNFORESEEN}),
        Road("Pushes not released", {"Start release": UNFORESEEN}),
    ),
    "restore-database": (
        Road(
            "Database restored",
            {
                "Fence writers": [WRITING, FENCED],
                "Check safety snapshot": [NOT_SAVED, SAVED],
                "Check restored instance": [RESTORING, THERE],
                "Count lost writes": [counted(done=False), counted()],
                "Restart application": [BLOCKED, BEGUN],
                "Check restart": [OLD, RESTARTED],
            },
        ),
        Road("Database restored", {"Plan restore": planned("undo", "undo")}),
        Road("Database restored", {"Plan restore": planned("resume")}),
        Road(
            "Database restored",
            {
                "Claim restore": {**CLAIMED_RESTORE, "accept_unaccounted": True},
                "Count lost writes": counted(unaccounted=("sessions",)),
            },
        ),
        Road("Restore failed", {"Count lost writes": counted(unaccounted=("sessions",))}),
        Road("Restore failed", {"Count lost writes": counted(done=False)}),
        Road("Restore failed", {"Fence writers": WRITING}),
        Road("Restore failed", {"Freeze traffic": UNFORESEEN}),
        Road("Restore failed", {"Freeze traffic": UNFORESEEN, "Give capacity back again": UNFORESEEN}),
        Road("Database restored", {"Give capacity back": UNFORESEEN}),
        Road("Restore failed", {"Open restored instance": error(LoginRefused)}),
        Road("Traffic flows again", {"Plan restore": planned("finish"), "Give capacity back at last": UNFORESEEN}),
        Road("Restore failed", {"Plan restore": planned("resume"), "Verify restored data": UNFORESEEN}),
        Road(
            "Restore failed",
            {
                "Smoke check restarted application": error(SmokeCheckFailed),
                "Restart application again": [BLOCKED, BEGUN],
                "Check restart again": [OLD, RESTARTED],
            },
        ),
        Road("Traffic flows again", {"Plan restore": planned("finish")}),
        Road("Restore given up", {"Plan restore": planned("give_up")}),
        Road("Traffic stays frozen", {"Plan restore": planned("give_up"), "Freeze traffic": UNFORESEEN}),
        Road("Traffic stays frozen", {"Plan restore": planned("resume"), "Freeze traffic": UNFORESEEN}),
        Road("Traffic stays frozen", {"Thaw traffic": UNFORESEEN}),
        Road("Lease lost", {"Fence writers": error(LeaseLost)}),
        Road("Restore did not begin", {"Claim restore": error(EnvironmentBusy)}),
        Road("Database restored", {"Plan restore": OF_ANOTHER_ACCOUNT, "Check copy": [NOT_SAVED, SAVED]}),
        Road("Restore did not begin", {"Plan restore": OF_ANOTHER_ACCOUNT, "Check copy": UNFORESEEN}),
        Road("Restore rejected", {"Wait for approval": REJECTED}),
        Road("Restore expired", {"Wait for approval": UNANSWERED}),
        Road("Restore could not be planned", {"Plan restore": UNFORESEEN}),
        Road("Restore refused", {"Plan restore": planned("refused")}),
        Road("Nothing to restore", {"Plan restore": planned("nothing")}),
        Road("Reject request", {"Plan restore": planned("invalid")}),
    ),
}
