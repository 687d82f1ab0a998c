"""Take the lease from an execution that is dead, after a look at what really serves."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import LeaseLost, ListenerDrifted
from lambdas.observability import step
from lambdas.operate.rules import (
    KINDS,
    Decision,
    OrderRequest,
    Verdict,
    addressed,
    decide_freeing,
    divided,
    freed,
    given_before,
    remembered,
    still_changes,
    still_works,
    why_not_free,
)
from lambdas.release.parameters import Parameters
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import EnvironmentRecord, Lease, Order, OrderAction, Phase, other_color
from lambdas.rollback.executions import Executions
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route, active_color


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], Route.all_from_json(environ["ROUTES"]))
load_balancer = LoadBalancer(client("elbv2"))
executions = Executions(client("stepfunctions"))
parameters = Parameters.from_json(client("ssm"), environ["PARAMETERS"], environ["ROUTES"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"release_id": or "", "asked": the operator's reason, "execution", "only_look": bool, "now"}.

    Return {"verdict", "reason", "asked", "release_id", "kind"}.
    """
    request = OrderRequest(OrderAction.RELEASE_ENVIRONMENT, event["release_id"], event["asked"])
    return free_environment(request, event["execution"], event["now"], only_look=event["only_look"])


def free_environment(request: OrderRequest, execution: str, now: str, *, only_look: bool) -> dict[str, Any]:
    """
    Free the environment with the dead holder's own token, or say why not; or only look whether that is possible.

    Safe to repeat: what an earlier attempt has done is found in the release's history.
    """
    found = record.read()
    release_id = addressed(request, found)
    history = record.release(release_id) if release_id else {}
    orders = history.get("orders", [])
    if given_before(orders, execution):
        decision = Decision(Verdict.CARRIED_OUT, freed(release_id, history["outcome"]))
    elif refusal := _why_not(request, found, history, now):
        decision = refusal
    else:
        order = Order(request.action, at=now, reason=request.reason, by=execution)
        decision = _free(found, order, orders, only_look=only_look)
    return {
        "verdict": decision.verdict.value,
        "reason": decision.reason,
        "asked": request.reason,
        "release_id": release_id,
        "kind": KINDS[request.action].value,
    }


def _why_not(request: OrderRequest, found: EnvironmentRecord, history: Mapping[str, Any], now: str) -> Decision | None:
    if refusal := why_not_free(request, found.work):
        return refusal
    if found.work.phase is not Phase.ESCALATED and executions.runs(str(found.work.holder)):
        return still_works(found.work)
    return still_changes(history, now)


def _free(found: EnvironmentRecord, order: Order, orders: list[dict[str, Any]], *, only_look: bool) -> Decision:
    try:
        active = active_color(settings.routes, load_balancer.forwards(route.arn for route in settings.routes))
    except ListenerDrifted as drifted:
        return divided(str(drifted))
    freeing = decide_freeing(found, active, order.reason, order.at)
    if isinstance(freeing, Decision):
        return freeing
    if only_look:
        return Decision(Verdict.FREE, "The environment can be freed.")
    release_id = str(found.work.release_id)
    ended = freeing.outcomes[release_id]
    outcomes = {**freeing.outcomes, release_id: {**ended, "orders": remembered(orders, order)}}
    lease = Lease(str(found.work.holder), found.work.token)
    try:
        record.require_lease(lease, order.at)
        if freeing.live:
            parameters.point_at(freeing.live.color, other_color(freeing.live.color))
        record.finish(lease, freeing.phase, order.at, outcomes, live=freeing.live)
    except LeaseLost:
        reason = "Somebody else has claimed the environment meanwhile. Look who, and give this order again if needed."
        return Decision(Verdict.REFUSED, reason)
    return Decision(Verdict.CARRIED_OUT, freed(release_id, ended["outcome"]))
