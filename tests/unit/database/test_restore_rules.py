"""Who may bring the database back, to what, and what they are told of its price."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lambdas.database.restore_rules import (
    Choice,
    Decision,
    Facts,
    Instance,
    Occasion,
    RecoverySnapshot,
    RestoreRequest,
    check_restore_claim,
    decide,
    describe_seconds,
    read_restore_request,
    serving_instance,
    target_release,
)
from lambdas.errors import EnvironmentBusy
from lambdas.release.restore_rules import Restore, RestoreStatus, ServingDatabase
from lambdas.release.rules import EnvironmentRecord, Lease, Live, Phase, PointStatus, RollbackPoint, Work
from tests.builders import BLUE, DEPLOYMENT, OTHER_RESTORING, RESTORING, ROLLBACK, at

POINT = RollbackPoint(PointStatus.CONSUMED, "green", "2222222", "new", {"api": BLUE}, capacity=2)
ROLLED_BACK = Live("old", "1111111", "blue", at(10), POINT)
LIVE = Live("new", "2222222", "green", at(5), replace(POINT, status=PointStatus.VALID, color="blue", release_id="old"))
HISTORY = {"snapshot": {"id": "runback-receipts-test-new", "instance": "receipts-test"}, "shifted_at": at(5)}
SNAPSHOT = RecoverySnapshot("runback-receipts-test-new", "available", at(1))
FORWARD = Instance("receipts-test", "available", "forward.example", 5432, latest_restorable=at(25))
FORMER = Instance("receipts-old", "available", "former.example", 5432)
SERVING = ServingDatabase("runback-r1", "r1.example", 5432, at(20), "r-new-1", "new", "receipts-old", "receipts-test")
FACTS = Facts(EnvironmentRecord(live=ROLLED_BACK), history=HISTORY, snapshot=SNAPSHOT, forward=FORWARD)
SHARED = "arn:aws:rds:eu-west-1:222233334444:snapshot:nightly-2026-03-01"
OCCASION = Occasion("receipts", "test", RESTORING, at(30), 3600, snapshot_accounts=("222233334444",))
REQUEST = RestoreRequest(reason="receipts are garbled")


def plan(request: RestoreRequest = REQUEST, facts: Facts = FACTS, **changes: Any) -> Decision:
    return decide(request, replace(facts, **changes), OCCASION)


def plan_shared(occasion: Occasion = OCCASION, **changes: Any) -> Decision:
    """Plan to restore what another account shares, in place of the release's own snapshot."""
    facts = replace(FACTS, **{"snapshot": RecoverySnapshot(SHARED, "available", at(2)), **changes})
    return decide(read_restore_request({"reason": "x", "snapshot": SHARED}), facts, occasion)


def planned(**changes: Any) -> Restore:
    """Return the restore that is planned when all is well, changed."""
    restore = plan().restore
    assert restore is not None
    return replace(restore, **changes)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([], "must be a JSON object, but it is a list"),
        ({}, "'reason' is missing"),
        ({"reason": " "}, "'reason' is empty"),
        ({"reason": "x" * 1001}, "'reason' has 1001 characters, and may have 1000"),
        ({"reason": 7}, "'reason' must be text, but it is number '7'"),
        ({"reason": "x", "release": "new"}, "'release' is not known"),
        ({"reason": "x", "to": "yesterday"}, "'to' must be one of snapshot, before-release"),
        ({"reason": "x", "asked_by": "x" * 257}, "'asked_by' is the rollback that started this, and may have 256"),
        ({"reason": "x", "undo": "yes"}, "'undo' must be true or false"),
        ({"reason": "x", "undo": True, "to": "snapshot"}, "'to' does not go with 'undo'"),
        ({"reason": "x", "snapshot": SHARED, "to": "before-release"}, "goes neither with 'to' nor with 'undo'"),
        ({"reason": "x", "snapshot": SHARED, "undo": True}, "goes neither with 'to' nor with 'undo'"),
        ({"reason": "x", "snapshot": "nightly"}, "'snapshot' must be the ARN of a snapshot that another account"),
        ({"reason": "x", "snapshot": SHARED.replace("snapshot", "db")}, "'snapshot' must be the ARN"),
    ],
)
def test_a_bad_request_names_the_field_and_shows_an_example(given: object, named: str) -> None:
    request = read_restore_request(given)

    assert named in request.problem
    assert 'Example of a valid input: {"release_id": ' in request.problem
    assert plan(request).choice is Choice.INVALID


def test_the_plan_tells_what_is_lost_and_what_could_be_done_instead() -> None:
    decision = plan(facts=replace(FACTS, record=EnvironmentRecord(live=LIVE)))
    restore = decision.restore

    assert decision.choice is Choice.RESTORE
    assert decision.is_new
    assert restore is not None
    assert (restore.recovery_point, restore.loss_seconds) == (at(1), 29 * 60)
    assert "29 min by now" in decision.reason
    assert decision.reason.startswith("receipts are garbled\n")
    assert [(each["recovery_point"], each["loss_seconds"], each["how"]) for each in restore.alternatives] == [
        ("", 0, "Start the rollback machine with {}."),
        ("2026-03-01T10:04:59Z", 25 * 60 + 1, 'Reject this, and start again with "to": "before-release".'),
    ]
    traffic, moment = decision.reason.splitlines()[-2:]
    assert traffic == (
        "Instead: traffic alone goes back to version 2222222, and no data are lost, nor mended. It takes about 1 min."
        " Start the rollback machine with {}."
    )
    assert moment == (
        "Instead: RDS's own backups bring back what was there just before the release. Back to 2026-03-01T10:04:59Z;"
        " what was written in 25 min 1 s is lost, and it takes about 1 h. Reject this, and start again with"
        ' "to": "before-release".'
    )


def test_a_plan_keeps_which_rollback_has_asked_for_it() -> None:
    """Who has started that has asked for the restore, and cannot approve it by URL."""
    restore = plan(read_restore_request({"reason": "x", "asked_by": ROLLBACK})).restore

    assert restore is not None
    assert restore.asked_by == ROLLBACK
    assert Restore.from_item(restore.as_item()) == restore


def test_a_plan_has_names_that_aws_takes() -> None:
    """An instance's has at most 63 characters, and no two hyphens in a row."""
    occasion = replace(OCCASION, service="receipt-vault-of-a-lo", environment="production")
    restore = decide(REQUEST, replace(FACTS, history=HISTORY), occasion).restore

    assert restore is not None
    assert len(restore.restored_instance) <= 63
    assert "--" not in restore.restored_instance
    assert restore.restored_instance.startswith("runback-receipt-vault-of-a-lo-production-r")
    assert restore.safety_snapshot == f"runback-receipt-vault-of-a-lo-production-safety-{restore.restore_id}"


def test_the_database_can_go_back_to_the_last_second_before_the_release() -> None:
    decision = plan(read_restore_request({"reason": "x", "to": "before-release"}))

    assert decision.restore is not None
    assert decision.restore.source == {"kind": "point-in-time", "at": "2026-03-01T10:04:59Z"}
    assert decision.restore.loss_seconds == 25 * 60 + 1


def test_a_snapshot_is_the_alternative_to_a_moment() -> None:
    decision = plan(read_restore_request({"reason": "x", "to": "before-release"}))

    assert decision.restore is not None
    (snapshot,) = [each for each in decision.restore.alternatives if each["recovery_point"] == at(1)]
    assert (snapshot["loss_seconds"], snapshot["takes_minutes"]) == (29 * 60, 60)
    assert f"Back to {at(1)}; what was written in 29 min is lost, and it takes about 1 h." in decision.reason


# What another account shares


def test_a_shared_snapshot_is_copied_under_a_name_of_ours_before_it_is_restored() -> None:
    decision = plan_shared()

    assert decision.restore is not None
    assert decision.restore.source == {
        "kind": "snapshot",
        "snapshot_id": f"runback-receipts-test-copy-{OCCASION.digest}",
        "copied_from": SHARED,
    }
    assert decision.restore.recovery_point == at(2)
    assert (
        f"from snapshot {SHARED} of account 222233334444, which is copied before traffic is frozen" in decision.reason
    )
    assert Restore.from_item(decision.restore.as_item()).source == decision.restore.source


def test_it_needs_no_snapshot_of_the_release() -> None:
    """That one is gone, or is what nobody trusts any more."""
    assert plan_shared(history={}).choice is Choice.RESTORE


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"snapshot": None}, "is not there, or not shared with this account"),
        ({"snapshot": RecoverySnapshot(SHARED, "creating", at(2))}, "is creating"),
    ],
)
def test_a_shared_snapshot_that_is_none_is_refused(changes: Mapping[str, Any], named: str) -> None:
    decision = plan_shared(**changes)

    assert decision.choice is Choice.REFUSED
    assert named in decision.reason


def test_only_accounts_of_settings_decide_what_users_get() -> None:
    """Anybody may share a snapshot with anybody."""
    decision = plan_shared(occasion=replace(OCCASION, snapshot_accounts=("333344445555",)))

    assert decision.choice is Choice.REFUSED
    assert "account 222233334444 is none that settings name" in decision.reason


def test_what_was_restored_from_it_is_not_restored_again() -> None:
    first = plan_shared().restore
    assert first is not None
    done = replace(first, status=RestoreStatus.RESTORED, source={**first.source, "snapshot_id": "by another execution"})

    assert plan_shared(latest=done).choice is Choice.NOTHING


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"forward": replace(FORWARD, latest_restorable=at(4))}, "reach until 2026-03-01T10:04:00.000Z by now"),
        ({"forward": replace(FORWARD, latest_restorable="")}, "backups are turned off"),
        ({"history": {"snapshot": HISTORY["snapshot"]}}, "never received traffic"),
        ({"serving": replace(SERVING, instance="receipts-test")}, "serves since 2026-03-01T10:20:00.000Z only"),
    ],
)
def test_a_moment_that_backups_do_not_reach_is_refused(changes: Mapping[str, Any], named: str) -> None:
    decision = plan(read_restore_request({"reason": "x", "to": "before-release"}), **changes)

    assert decision.choice is Choice.REFUSED
    assert named in decision.reason


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"record": EnvironmentRecord()}, "Nothing was released"),
        ({"history": {}}, "release new has no snapshot"),
        ({"snapshot": None}, "runback-receipts-test-new of release new is gone"),
        ({"snapshot": replace(SNAPSHOT, status="creating")}, "is creating, not available"),
        ({"forward": None}, "instance that serves is not there"),
    ],
)
def test_what_cannot_be_brought_back_is_refused(changes: Mapping[str, Any], named: str) -> None:
    decision = plan(**changes)

    assert (decision.choice, decision.restore) == (Choice.REFUSED, None)
    assert named in decision.reason


def test_whoever_works_on_the_environment_goes_first() -> None:
    work = Work(token=1, holder=DEPLOYMENT, phase=Phase.SHIFTING, release_id="newer")

    decision = plan(record=EnvironmentRecord(work=work, live=LIVE))

    assert decision.choice is Choice.REFUSED
    assert f"Release newer is shifting under execution {DEPLOYMENT}" in decision.reason


def test_one_restore_at_a_time_waits_for_approval() -> None:
    waiting = planned(requested_by=OTHER_RESTORING, restore_id="r-new-other")

    refused = plan(latest=waiting, latest_runs=True)

    assert refused.choice is Choice.REFUSED
    assert '{"action": "reject", "release_id": "new", "reason": "…"}' in refused.reason
    assert plan(latest=waiting, latest_runs=False).is_new  # its execution was stopped
    assert plan(latest=replace(waiting, expires_at=at(29)), latest_runs=True).is_new


def test_an_attempt_that_is_repeated_finds_its_own_plan() -> None:
    """Step Functions may deliver the same step twice, minutes apart."""
    first = planned()

    again = decide(REQUEST, replace(FACTS, latest=first), replace(OCCASION, now=at(33)))

    assert (again.choice, again.restore, again.is_new) == (Choice.RESTORE, first, False)


def test_what_was_brought_back_is_not_brought_back_again() -> None:
    """It would throw away what was written since."""
    decision = plan(latest=planned(status=RestoreStatus.RESTORED, requested_by=OTHER_RESTORING))

    assert decision.choice is Choice.NOTHING
    assert '{"undo": true}' in decision.reason


def dead(**more: Any) -> EnvironmentRecord:
    return EnvironmentRecord(
        Work(token=9, holder=OTHER_RESTORING, phase=Phase.RESTORING, release_id="new", **more), ROLLED_BACK
    )


UNENDED = {"status": RestoreStatus.RESTORING, "requested_by": OTHER_RESTORING}


@pytest.mark.parametrize(
    "record", [dead(), EnvironmentRecord(Work(token=9, phase=Phase.FROZEN, release_id="new"), ROLLED_BACK)]
)
def test_a_restore_that_did_not_end_goes_on_or_is_given_up(record: EnvironmentRecord) -> None:
    """Whether its execution is just dead, or a rollback has written that down already. Neither needs an approval."""
    latest = planned(**UNENDED)

    on = plan(replace(REQUEST, release_id="new"), record=record, latest=latest)
    back = plan(replace(REQUEST, undo=True), record=record, latest=latest)

    assert (on.choice, on.restore, on.is_new) == (Choice.RESUME, latest, False)
    assert (back.choice, back.restore, back.is_new) == (Choice.GIVE_UP, latest, False)


def test_nothing_else_is_restored_before_it() -> None:
    decision = plan(replace(REQUEST, release_id="older"), record=dead(), latest=planned(**UNENDED))

    assert decision.choice is Choice.REFUSED
    assert 'start the restore-database machine with {"release_id": "new"' in decision.reason


def test_a_restore_that_runs_is_left_alone() -> None:
    decision = plan(record=dead(), latest=planned(**UNENDED), holder_runs=True)

    assert decision.choice is Choice.REFUSED
    assert "Wait for its end" in decision.reason


def test_a_restore_can_be_undone() -> None:
    serving = replace(FORWARD, name="runback-r1", host="r1.example")
    decision = plan(replace(REQUEST, undo=True), serving=SERVING, forward=serving, former=FORMER)
    restore = decision.restore

    assert decision.choice is Choice.UNDO
    assert restore is not None
    assert restore.source == {"kind": "undo", "instance": "receipts-old"}
    assert (restore.forward_instance, restore.restored_instance) == ("runback-r1", "receipts-old")
    assert (restore.recovery_point, restore.loss_seconds) == (at(20), 600)


@pytest.mark.parametrize(
    ("changes", "choice", "named"),
    [
        ({"serving": None}, Choice.REFUSED, "no restore has changed which instance serves"),
        ({"former": None}, Choice.REFUSED, "receipts-old, which served before, is gone"),
        ({"former": replace(FORMER, status="stopped")}, Choice.REFUSED, "is stopped: start it in RDS"),
        ({"forward": None}, Choice.REFUSED, "runback-r1, which should serve, is gone"),
    ],
)
def test_what_cannot_be_undone_is_refused(changes: Mapping[str, Any], choice: Choice, named: str) -> None:
    facts = replace(FACTS, serving=SERVING, former=FORMER)

    decision = plan(replace(REQUEST, undo=True), facts, **changes)

    assert decision.choice is choice
    assert named in decision.reason


def test_a_restore_is_undone_once() -> None:
    undone = planned(status=RestoreStatus.RESTORED, source={"kind": "undo", "instance": "x"}, requested_by="one")

    assert plan(replace(REQUEST, undo=True), serving=SERVING, latest=undone).choice is Choice.NOTHING


@pytest.mark.parametrize(("live", "expected"), [(ROLLED_BACK, "new"), (LIVE, "new"), (None, "")])
def test_without_a_name_it_is_about_the_last_release_that_had_traffic(live: Live | None, expected: str) -> None:
    assert target_release(REQUEST, EnvironmentRecord(live=live), None) == expected


def test_settings_that_were_put_right_win_over_the_last_restore() -> None:
    assert serving_instance(SERVING, "receipts-test") == "runback-r1"
    assert serving_instance(SERVING, "receipts-three") == "receipts-three"
    assert serving_instance(None, "receipts-test") == "receipts-test"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (59, "59 s"), (3600, "1 h"), (3661, "1 h 1 min"), (90061, "1 d 1 h"), (86400, "1 d")],
)
def test_durations_are_told_as_humans_do(seconds: int, expected: str) -> None:
    assert describe_seconds(seconds) == expected


# The claim


APPROVED = {"status": RestoreStatus.APPROVED}


def claim(record: EnvironmentRecord, restore: Restore | None, *, holder_runs: bool = False) -> Lease | None:
    restore_id = plan().restore.restore_id  # type: ignore[union-attr]
    return check_restore_claim(record, restore, restore_id, RESTORING, holder_runs=holder_runs)


def test_an_approved_restore_claims_what_is_free() -> None:
    assert claim(EnvironmentRecord(), planned(**APPROVED)) is None


def test_a_restore_takes_over_from_one_that_died() -> None:
    assert claim(dead(), planned(**UNENDED)) is None


def test_a_repeated_claim_finds_its_lease() -> None:
    held = Work(token=3, holder=RESTORING, phase=Phase.RESTORING, release_id="new")

    assert claim(EnvironmentRecord(held), planned(**UNENDED)) == Lease(RESTORING, 3)


@pytest.mark.parametrize(
    ("record", "changes", "holder_runs"),
    [
        (EnvironmentRecord(), {"status": RestoreStatus.WAITING}, False),
        (EnvironmentRecord(), {"status": RestoreStatus.REJECTED}, False),
        (EnvironmentRecord(), {**APPROVED, "restore_id": "r-another"}, False),
        (EnvironmentRecord(Work(3, DEPLOYMENT, Phase.PREPARING, "newer")), APPROVED, False),
        (EnvironmentRecord(Work(3, None, Phase.FROZEN, "older")), APPROVED, False),
        (dead(), UNENDED, True),
        (dead(), APPROVED, False),
    ],
)
def test_nothing_is_claimed_without_approval_or_from_somebody_else(
    record: EnvironmentRecord,
    changes: Mapping[str, Any],
    holder_runs: bool,  # noqa: FBT001
) -> None:
    with pytest.raises(EnvironmentBusy):
        claim(record, planned(**changes), holder_runs=holder_runs)
