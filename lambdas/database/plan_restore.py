"""First step of every restore: decide whether there is one to make, and what it would cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.recovery_points import RecoveryPoints
from lambdas.database.restore_rules import (
    Decision,
    Facts,
    Occasion,
    RestoreRequest,
    decide,
    read_restore_request,
    serving_instance,
    target_release,
)
from lambdas.database.shared_snapshot_rules import why_not_shared
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.restores import Restores
from lambdas.rollback.executions import Executions


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    service: str
    environment: str
    table: str
    instance: str
    approval_seconds: int
    snapshot_accounts: tuple[str, ...]


_restore = loads(environ["RESTORE"])
settings = Settings(
    environ["SERVICE"],
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    _restore["database"]["instance"],
    int(_restore["approval_minutes"]) * 60,
    tuple(_restore["snapshot_accounts"]),
)
points = RecoveryPoints(client("rds"))
executions = Executions(client("stepfunctions"))
restores = Restores(ReleaseRecord(client("dynamodb"), settings.table, settings.environment))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"input": of the machine, "execution", "now"}.

    Return {"decision", "reason", "release_id", "restore_id", "plan": {} or `Restore.as_plan`}.
    """
    decision = plan_restore(read_restore_request(event["input"]), event["execution"], event["now"])
    restore = decision.restore
    return {
        "decision": decision.choice.value,
        "reason": decision.reason,
        "release_id": restore.release_id if restore else "",
        "restore_id": restore.restore_id if restore else "",
        "plan": restore.as_plan() if restore else {},
    }


def plan_restore(request: RestoreRequest, execution: str, now: str) -> Decision:
    """
    Decide, and write a new plan down in place of what was observed.

    Safe to repeat: the plan of an earlier attempt is found. Raises EnvironmentBusy when another restore was asked for
    at the same moment.
    """
    occasion = Occasion(
        settings.service, settings.environment, execution, now, settings.approval_seconds, settings.snapshot_accounts
    )
    facts = Facts(restores.record.read()) if request.problem else _facts(request)
    decision = decide(request, facts, occasion)
    if decision.restore and decision.is_new:
        restores.plan(decision.restore, facts.latest)
    return decision


def _facts(request: RestoreRequest) -> Facts:
    record, latest, serving = restores.record.read(), restores.latest(), restores.serving()
    release_id = target_release(request, record, latest)
    history = restores.record.release(release_id) if release_id else {}
    snapshot = _snapshot_of(request, history)
    return Facts(
        record=record,
        latest=latest,
        serving=serving,
        history=history,
        snapshot=points.snapshot(snapshot) if snapshot else None,
        forward=points.instance(serving_instance(serving, settings.instance)),
        former=points.instance(serving.former_instance) if serving and request.undo else None,
        holder_runs=executions.runs(record.work.holder) if record.work.holder else False,
        latest_runs=executions.runs(latest.requested_by) if latest else False,
    )


def _snapshot_of(request: RestoreRequest, history: Mapping[str, Any]) -> str:
    """Name the snapshot to look at; "" where there is none, or where it is nobody's whom settings trust."""
    if request.snapshot:
        return "" if why_not_shared(request.snapshot, settings.snapshot_accounts) else request.snapshot
    return str(history.get("snapshot", {}).get("id", ""))
