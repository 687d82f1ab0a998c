"""Decide whether it is time to give the way back up; if so, take the environment and say so in the record."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import EnvironmentBusy
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import (
    CleanUp,
    CleanUpRequest,
    CleanUpVerdict,
    EnvironmentRecord,
    Lease,
    clean_up_work,
    decide_clean_up,
    expired,
    read_clean_up_request,
    wait_for_others,
)
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route, require_live


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], Route.all_from_json(environ["ROUTES"]))
load_balancer = LoadBalancer(client("elbv2"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"input": of the machine, "execution", "now"}.

    Return {"action", "reason", "again_at": timestamp or "", "lease", "release_id", "color": the old one}.
    """
    return claim_clean_up(read_clean_up_request(event["input"]), event["execution"], event["now"])


def claim_clean_up(request: CleanUpRequest, execution: str, now: str) -> dict[str, Any]:
    """
    Decide, and take lease and way back in one conditional write, from one consistent read.

    Safe to repeat. When somebody else claims in between, it is decided anew later. Raises ListenerDrifted when the
    traffic is not all on the live release; nothing has changed then.
    """
    found = record.read()
    verdict = decide_clean_up(request, found, execution, now)
    if verdict.action is not CleanUp.CLEAN or found.live is None:
        return _answer(found, verdict, Lease("", 0))
    if found.work.lease and found.work.holder == execution:
        return _answer(found, verdict, found.work.lease)
    require_live(settings.routes, load_balancer.forwards(route.arn for route in settings.routes), found.live)
    try:
        lease = record.claim(found.work, clean_up_work(found.live, execution, now), live=expired(found.live))
    except EnvironmentBusy as error:
        return _answer(found, wait_for_others(str(error), now), Lease("", 0))
    return _answer(found, verdict, lease)


def _answer(found: EnvironmentRecord, verdict: CleanUpVerdict, lease: Lease) -> dict[str, Any]:
    point = found.live.rollback_point if found.live else None
    return {
        "action": verdict.action.value,
        "reason": verdict.reason,
        "again_at": verdict.again_at,
        "lease": lease.as_event(),
        "release_id": found.live.release_id if found.live else "",
        "color": point.color if point else "",
    }
