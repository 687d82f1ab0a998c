"""A restore against the record itself: what it leaves there, also when repeated, late or beaten."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.database import ask_approval, claim_restore, plan_restore, record_restore
from lambdas.database.restore_rules import Instance, RecoverySnapshot
from lambdas.errors import EnvironmentBusy, ListenerDrifted
from lambdas.operate import answer_approval as function
from lambdas.operate.answer_rules import Answer
from lambdas.operate.rules import Decision, Verdict
from lambdas.release.record import ReleaseRecord
from lambdas.release.restore_rules import Restore, RestoreStatus
from lambdas.release.restores import Restores
from lambdas.release.rules import Lease, Live, OrderAction, Phase, PointStatus, RollbackPoint, Work
from tests.builders import BLUE, DEPLOYMENT, GREEN, OPERATE, OTHER_OPERATE, OTHER_RESTORING, RESTORING, at
from tests.fakes import FakeExecutions, FakeParameters, ShownListener

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)
TOKEN = "a-canary-that-nobody-may-see"  # noqa: S105
POINT = RollbackPoint(PointStatus.CONSUMED, "green", "2222222", "new", {"api": BLUE}, capacity=2)
LIVE = Live("old", "1111111", "blue", at(10), POINT)


class FakePoints:
    """RDS, with one snapshot and one instance."""

    def snapshot(self, snapshot_id: str) -> RecoverySnapshot:
        return RecoverySnapshot(snapshot_id, "available", at(1))

    def instance(self, instance: str) -> Instance:
        return Instance(instance, "available", f"{instance}.example", 5432, at(25))


class FakeTokens:
    """Step Functions, as far as it takes answers: each token is good for one."""

    def __init__(self) -> None:
        self.waiting = {TOKEN}
        self.answers: list[dict[str, Any]] = []

    def succeed(self, task_token: str, output: dict[str, Any]) -> bool:
        if task_token not in self.waiting:
            return False
        self.waiting.remove(task_token)
        self.answers.append(output)
        return True


@pytest.fixture
def restores(record: ReleaseRecord) -> Restores:
    return Restores(record)


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


@pytest.fixture
def executions() -> FakeExecutions:
    return FakeExecutions(running={RESTORING})


@pytest.fixture(autouse=True)
def account(
    restores: Restores, tokens: FakeTokens, executions: FakeExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (plan_restore, ask_approval, claim_restore, record_restore, function):
        monkeypatch.setattr(each, "restores", restores)
        if hasattr(each, "record"):
            monkeypatch.setattr(each, "record", restores.record)
        if hasattr(each, "executions"):
            monkeypatch.setattr(each, "executions", executions)
    monkeypatch.setattr(plan_restore, "points", FakePoints())
    monkeypatch.setattr(claim_restore, "load_balancer", ShownListener({BLUE: 100}))
    monkeypatch.setattr(function, "tokens", tokens)


@pytest.fixture(autouse=True)
def parameters(monkeypatch: pytest.MonkeyPatch) -> FakeParameters:
    fake = FakeParameters()
    monkeypatch.setattr(record_restore, "parameters", fake)
    return fake


@pytest.fixture(autouse=True)
def rolled_back(record: ReleaseRecord) -> None:
    """Let release "new" have been rolled back."""
    work = Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new", claimed_at=at(1), progress_at=at(1))
    lease = record.claim(Work(), work)
    record.note_release("new", {"snapshot": {"id": "runback-receipts-test-new", "instance": "receipts-test"}})
    record.finish(lease, Phase.ROLLED_BACK, at(10), {"new": {"outcome": "rolled_back"}}, live=LIVE)


def under_a_live_release(record: ReleaseRecord) -> None:
    """Let release "new" be live still, with a way back."""
    lease = record.claim(record.read().work, Work(holder=DEPLOYMENT, phase=Phase.BAKING, release_id="new"))
    point = replace(POINT, status=PointStatus.VALID)
    live = Live("new", "3333333", "blue", at(10), point)
    record.finish(lease, Phase.COMMITTED, at(11), {}, live=live)


def plan(execution: str = RESTORING, now: str = at(30), **given: Any) -> dict[str, Any]:
    event = {"input": {"reason": "receipts are garbled", **given}, "execution": execution, "now": now}
    return plan_restore.lambda_handler(event, CONTEXT)


def asked(restores: Restores) -> Restore:
    """Plan a restore that waits for approval."""
    event = {"task_token": TOKEN, "restore_id": plan()["restore_id"], "release_id": "new", "now": at(30)}
    ask_approval.lambda_handler(event, CONTEXT)
    return latest(restores)


def latest(restores: Restores) -> Restore:
    restore = restores.latest()
    assert restore is not None
    return restore


def answer(action: str = "approve", by: str = OPERATE, now: str = at(31), *, accept: bool = False) -> Decision:
    decision, _ = function.answer_approval(
        Answer(OrderAction(action), "new", "it is worth it", by, accept_unaccounted=accept), now
    )
    return decision


def claim(restore: Restore, execution: str = RESTORING, now: str = at(32)) -> dict[str, Any]:
    event = {"restore_id": restore.restore_id, "release_id": "new", "execution": execution, "now": now}
    return claim_restore.lambda_handler(event, CONTEXT)


def end(claimed: dict[str, Any], restore: Restore, outcome: str, now: str = at(50), **more: Any) -> None:
    event = {
        "lease": claimed["lease"],
        "restore_id": restore.restore_id,
        "release_id": "new",
        "outcome": outcome,
        "failure": {},
        "now": now,
        **more,
    }
    record_restore.lambda_handler(event, CONTEXT)


def test_a_plan_is_kept_and_found_again(restores: Restores) -> None:
    first = plan()

    again = plan(now=at(31))

    assert first == again
    assert (first["decision"], latest(restores).status) == ("restore", RestoreStatus.WAITING)
    assert latest(restores).as_plan() == first["plan"]


def test_a_plan_that_is_found_again_is_json_as_the_new_one_was(restores: Restores) -> None:
    """DynamoDB answers with numbers that no answer of a function can hold: what can be done instead has one, too."""
    restores.record.note_release("new", {"shifted_at": at(5)})
    first = plan()

    again = plan(now=at(31))

    assert [each["takes_minutes"] for each in again["plan"]["alternatives"]] == [60]
    assert json.loads(json.dumps(again)) == first


def test_two_plans_at_the_same_moment_are_one(restores: Restores) -> None:
    planned = latest(restores) if plan() else None

    assert planned is not None
    with pytest.raises(EnvironmentBusy):
        restores.plan(replace(planned, restore_id="r-other"), observed=None)


def test_the_token_is_in_the_record_and_in_no_answer(restores: Restores) -> None:
    """Whoever has it can approve without a name."""
    restore = asked(restores)

    assert restore.task_token == TOKEN
    assert TOKEN not in str(restore)
    assert TOKEN not in str(restore.as_plan())
    assert TOKEN not in str(plan(now=at(31)))


def test_an_approval_is_handed_over_recorded_and_used_once(restores: Restores, tokens: FakeTokens) -> None:
    asked(restores)

    given, again = answer(), answer(by=OTHER_OPERATE)

    assert (given.verdict, again.verdict) == (Verdict.CARRIED_OUT, Verdict.ALREADY_SO)
    assert tokens.answers == [{"approved": True, "by": OPERATE, "reason": "it is worth it"}]
    restore = latest(restores)
    assert (restore.status, restore.task_token) == (RestoreStatus.APPROVED, "")
    assert restore.approval is not None
    assert (restore.approval.by, restore.approval.reason, restore.approval.at) == (OPERATE, "it is worth it", at(31))


def test_an_answer_that_was_written_and_not_handed_over_is_handed_over_by_the_next_attempt(
    restores: Restores, tokens: FakeTokens
) -> None:
    """A function can die between the two."""
    restore = asked(restores)
    restores.answer(
        restore.restore_id,
        Answer(OrderAction.APPROVE, "new", "it is worth it", OPERATE, accept_unaccounted=False).as_approval(at(31)),
    )

    assert answer().verdict is Verdict.CARRIED_OUT
    assert len(tokens.answers) == 1
    assert latest(restores).task_token == ""


def test_an_answer_whose_own_answer_was_lost_has_arrived(restores: Restores, tokens: FakeTokens) -> None:
    asked(restores)
    tokens.waiting.clear()  # botocore sent it twice

    assert answer().verdict is Verdict.CARRIED_OUT


def test_an_answer_to_an_execution_that_was_stopped_is_refused(
    restores: Restores, tokens: FakeTokens, executions: FakeExecutions
) -> None:
    asked(restores)
    tokens.waiting.clear()
    executions.running.clear()

    decision = answer()

    assert decision.verdict is Verdict.REFUSED
    assert "has ended. Start it again" in decision.reason


@pytest.mark.parametrize(
    ("now", "is_asked", "named"),
    [(at(59), True, "r-new-"), (at(31), False, "is not ready for an answer yet")],
)
def test_an_answer_comes_in_its_time(restores: Restores, now: str, is_asked: bool, named: str) -> None:  # noqa: FBT001
    if is_asked:
        asked(restores)
        now = "2026-03-01T11:30:00.000Z"
    else:
        plan()

    decision = answer(now=now)

    assert decision.verdict is Verdict.REFUSED
    assert named in decision.reason


def test_an_answer_names_the_release(restores: Restores) -> None:
    asked(restores)

    decision, _ = function.answer_approval(
        Answer(OrderAction.APPROVE, "newer", "because", OPERATE, accept_unaccounted=False), at(31)
    )

    assert (decision.verdict, tokens_of(restores)) == (Verdict.REFUSED, TOKEN)
    assert decision.reason == (
        "Neither release newer nor a restore of it waits for approval; a restore of release new does."
    )


def tokens_of(restores: Restores) -> str:
    return latest(restores).task_token


def test_a_rejected_restore_cannot_claim(restores: Restores) -> None:
    restore = asked(restores)
    answer("reject")

    with pytest.raises(EnvironmentBusy):
        claim(restore)
    assert restores.record.read().work.holder is None


def test_an_approved_restore_claims_once_and_tells_the_colors(restores: Restores) -> None:
    restore = asked(restores)
    answer(accept=True)

    first, again = claim(restore), claim(restore, now=at(33))

    assert first == again
    assert (first["active"], first["idle"], first["accept_unaccounted"]) == ("blue", "green", True)
    work = restores.record.read().work
    assert (work.holder, work.phase, work.release_id, work.is_frozen) == (RESTORING, Phase.RESTORING, "new", True)
    assert latest(restores).status is RestoreStatus.RESTORING


def test_a_divided_traffic_is_not_frozen(restores: Restores, monkeypatch: pytest.MonkeyPatch) -> None:
    restore = asked(restores)
    answer()
    monkeypatch.setattr(claim_restore, "load_balancer", ShownListener({BLUE: 90, GREEN: 10}))

    with pytest.raises(ListenerDrifted):
        claim(restore)
    assert restores.record.read().work.holder is None


def test_a_restore_that_ended_well_says_which_instance_serves(restores: Restores) -> None:
    restore = asked(restores)
    answer()
    claimed = claim(restore)

    for _ in range(2):
        more = {
            "plan": restore.as_plan(),
            "host": "restored.example",
            "port": 5432,
            "lost": {"receipts": {"inserted": 3}},
        }
        end(claimed, restore, "restored", **more)
        assert restores.record.read().work.is_frozen
    for _ in range(2):
        end(claimed, restore, "over", at(51))

    serving, work = restores.serving(), restores.record.read().work
    assert serving is not None
    assert (serving.instance, serving.host, serving.former_instance) == (
        restore.restored_instance,
        "restored.example",
        "receipts-test",
    )
    assert (work.holder, work.phase, work.is_frozen) == (None, Phase.RESTORED, False)
    assert latest(restores).status is RestoreStatus.RESTORED
    history = restores.record.release("new")
    assert history["outcome"] == "rolled_back"
    assert history["restore"]["lost"] == {"receipts": {"inserted": 3}}
    assert plan(OTHER_RESTORING, at(55))["decision"] == "nothing"


def test_a_restore_under_a_live_release_takes_its_way_back(
    restores: Restores, record: ReleaseRecord, parameters: FakeParameters
) -> None:
    """The other color's instances know the former database, which lets nobody in any more."""
    under_a_live_release(record)
    restore = asked(restores)
    answer()
    claimed = claim(restore)
    end(claimed, restore, "restored", plan=restore.as_plan(), host="restored.example", port=5432, lost={})
    assert "no rollback brings traffic back to version 2222222" in restore.summary

    for _ in range(2):
        end(claimed, restore, "over", at(51))

    live = record.read().live
    assert live is not None
    assert live.rollback_point == replace(POINT, status=PointStatus.EXPIRED)
    assert BLUE in parameters.written["/way-back"], "the commands for humans change nothing any more"
    assert GREEN not in parameters.written["/way-back"]


def test_a_failed_restore_under_a_live_release_leaves_its_way_back(
    restores: Restores, record: ReleaseRecord, parameters: FakeParameters
) -> None:
    under_a_live_release(record)
    restore = asked(restores)
    answer()
    claimed = claim(restore)
    end(claimed, restore, "restore_failed", failure={"Error": "RestoreFailed", "Cause": "no"})
    end(claimed, restore, "over", at(51))

    live = record.read().live
    assert live is not None
    assert live.rollback_point == replace(POINT, status=PointStatus.VALID)
    assert parameters.written == {}


def test_a_restore_that_goes_on_was_claimed_when_users_were_shut_out(restores: Restores) -> None:
    """Whatever alarm is on since then says nothing about the release."""
    restore = asked(restores)
    answer()
    end(claim(restore, now=at(32)), restore, "frozen", failure={"Error": "SmokeCheckFailed", "Cause": "no"})

    claim(restore, OTHER_RESTORING, at(56))

    work = restores.record.read().work
    assert (work.claimed_at, work.progress_at) == (at(32), at(56))


def test_a_failed_restore_leaves_the_environment_to_others(restores: Restores) -> None:
    restore = asked(restores)
    answer()
    claimed = claim(restore)
    end(claimed, restore, "restore_failed", failure={"Error": "RestoreFailed", "Cause": "no"})
    end(claimed, restore, "over", at(51))

    assert restores.serving() is None
    assert restores.record.read().work.phase is Phase.RESTORE_FAILED
    assert restores.record.release("new")["restore"]["issue"] == "RestoreFailed: no"
    assert plan(OTHER_RESTORING, at(55))["decision"] == "restore"


def test_a_frozen_environment_is_for_the_same_restore_alone(restores: Restores) -> None:
    """And needs no second approval, because the loss was accepted."""
    restore = asked(restores)
    answer()
    end(claim(restore), restore, "frozen", failure={"Error": "SmokeCheckFailed", "Cause": "no"})

    assert restores.record.read().work.is_frozen
    resumed = plan(OTHER_RESTORING, at(55))
    assert (resumed["decision"], resumed["restore_id"]) == ("resume", restore.restore_id)
    assert claim(restore, OTHER_RESTORING, at(56))["lease"]["holder"] == OTHER_RESTORING


def test_what_died_between_its_decision_and_its_end_is_only_thawed(
    restores: Restores, executions: FakeExecutions
) -> None:
    """Users may have come back already, and have written: to go back from there has to be approved anew."""
    restore = asked(restores)
    answer()
    more = {"plan": restore.as_plan(), "host": "restored.example", "port": 5432, "lost": {}}
    end(claim(restore), restore, "restored", **more)
    executions.running.clear()

    assert plan(OTHER_RESTORING, at(55), undo=True)["decision"] == "refused"
    assert plan(OTHER_RESTORING, at(55))["decision"] == "finish"
    end(claim(restore, OTHER_RESTORING, at(56)), restore, "over", at(57))

    work = restores.record.read().work
    assert (work.holder, work.phase, latest(restores).status) == (None, Phase.RESTORED, RestoreStatus.RESTORED)


def test_a_dead_restore_is_adopted_and_loses_its_lease(restores: Restores, executions: FakeExecutions) -> None:
    restore = asked(restores)
    answer()
    lease = claim(restore)["lease"]
    executions.running.clear()

    assert plan(OTHER_RESTORING, at(55), undo=True)["decision"] == "give_up"
    adopted = claim(restore, OTHER_RESTORING, at(56))

    assert adopted["lease"]["token"] == lease["token"] + 1
    with pytest.raises(Exception, match="no longer holds"):
        restores.record.require_lease(Lease(lease["holder"], lease["token"]), at(57))


@pytest.mark.parametrize("outcome", ["rejected", "expired", "refused"])
def test_a_restore_that_did_not_begin_is_out_of_the_way(restores: Restores, outcome: str) -> None:
    restore = asked(restores)
    event = {"outcome": outcome, "restore_id": restore.restore_id, "release_id": "new", "now": at(59)}

    record_restore.lambda_handler(event, CONTEXT)

    assert (latest(restores).status.value, latest(restores).task_token) == (outcome, "")
    assert answer().verdict is not Verdict.CARRIED_OUT
    assert plan(OTHER_RESTORING, at(59))["decision"] == "restore"
