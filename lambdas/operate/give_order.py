"""Carry out what an operator orders, if it fits what the environment is doing."""

from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import EnvironmentBusy
from lambdas.observability import step
from lambdas.operate.rules import (
    KINDS,
    Decision,
    OrderRequest,
    PauseLimits,
    Verdict,
    addressed,
    decide,
    read_order,
    remembered,
    rollback_name,
)
from lambdas.release.record import Orders, ReleaseRecord
from lambdas.release.rules import EnvironmentRecord, Order, OrderAction

_ATTEMPTS = 3


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    limits: PauseLimits


def _limits(release: dict[str, Any], database: dict[str, Any]) -> PauseLimits:
    return PauseLimits(
        longest_seconds=int(release["longest_pause_seconds"]),
        waits_seconds=int(database["snapshot_timeout_seconds"]) + int(release["prepare_timeout_seconds"]),
        bakes={int(each["weight"]): int(each["bake_seconds"]) for each in release["steps"]},
    )


settings = Settings(
    environ["ENVIRONMENT"], environ["RECORD_TABLE"], _limits(loads(environ["RELEASE"]), loads(environ["DATABASE"]))
)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"input": of the machine, "execution", "now"}.

    Return {"verdict", "reason": why or with which consequence, "asked": the operator's reason, "action", "release_id",
    "kind": of the message, "start_as": name of the rollback that an abort starts, "accept_unaccounted": bool}.
    """
    request = read_order(event["input"], settings.limits.longest_seconds)
    return give_order(request, event["execution"], event["now"])


def give_order(request: OrderRequest, execution: str, now: str) -> dict[str, Any]:
    """
    Decide, and write order and history in one conditional write against what was read.

    When somebody else was faster, it is decided anew. Safe to repeat: what an earlier attempt has written is found.
    """
    for _ in range(_ATTEMPTS):
        found = record.read()
        release_id = addressed(request, found)
        history = record.release(release_id) if release_id else {}
        decision = decide(request, found, history, execution, now, settings.limits)
        try:
            if decision.maintenance:
                record.note_maintenance(found.work, decision.maintenance)
            elif decision.order:
                _write(found, decision.order, release_id, history.get("orders", []))
        except EnvironmentBusy:
            continue
        return _answer(request, decision, release_id, execution)
    reason = "The environment changed hands again and again while this order was given. Look, and give it again."
    return _answer(request, Decision(Verdict.REFUSED, reason), "", execution)


def _write(found: EnvironmentRecord, order: Order, release_id: str, before: list[dict[str, Any]]) -> None:
    history = Orders(release_id, before, remembered(before, order))
    if order.action is OrderAction.END_WINDOW and found.live:
        record.end_window(found.work, found.live, history)
    else:
        record.give_order(found.work, order, history)


def _answer(request: OrderRequest, decision: Decision, release_id: str, execution: str) -> dict[str, Any]:
    return {
        "verdict": decision.verdict.value,
        "reason": decision.reason,
        "asked": request.reason,
        "action": request.action.value,
        "release_id": release_id,
        "kind": KINDS[request.action].value,
        "start_as": rollback_name(release_id, execution),
        "accept_unaccounted": request.accept_unaccounted,
    }
