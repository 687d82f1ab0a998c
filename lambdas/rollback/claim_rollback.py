"""First step of every rollback: decide from the record what there is to undo, and take the environment for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import EnvironmentBusy
from lambdas.judge.alarm_rules import AlarmSettings
from lambdas.judge.alarms import Alarms
from lambdas.judge.evidence_rules import JudgeSettings
from lambdas.judge.metrics import Metrics
from lambdas.judge.old_color import OldColor
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import EnvironmentRecord, Lease, Phase
from lambdas.rollback.alarm_rules import UNASKED, CriticalAlarms
from lambdas.rollback.executions import Executions
from lambdas.rollback.rules import (
    CLAIMING,
    NO_INFRASTRUCTURE,
    NO_RESTORES,
    Action,
    RollbackRequest,
    Verdict,
    asks_about_holder,
    both_colors_serve,
    check_target_groups,
    claimed_work,
    decide,
    ended_as,
    read_rollback_request,
    with_why,
)
from lambdas.traffic.rules import Route

_CLAIM_ATTEMPTS = 3


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]
    alarms: AlarmSettings
    judge: JudgeSettings
    groups: Mapping[str, str]
    restore_machine: str
    has_infrastructure: bool


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
    AlarmSettings.from_json(environ["ALARMS"]),
    JudgeSettings.from_json(environ["JUDGE"]),
    {color: each["auto_scaling_group"] for color, each in loads(environ["COLORS"]).items()},
    environ["RESTORE_MACHINE_ARN"],
    bool(environ["INFRASTRUCTURE"]),
)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
executions = Executions(client("stepfunctions"))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"input": of the machine, "execution", "asked_at": when that began, "now"}.

    Return {"action", "reason", "lease", "release_id", "active": color that the record calls live, "color" and "version"
    to go back to, "wanted_healthy", "last_healthy", "last_healthy_at", "claimed_at", "loser": execution ARN or "",
    "database": whether a restore is to follow, "why": what that is told as its reason, "asked_by": the rollback that a
    human has asked for it, "infrastructure": whether that is to be taken back, too, "ended_as": phase in which the
    release had ended, if only its infrastructure is}.
    """
    request = replace(read_rollback_request(event["input"]), asked_at=event["asked_at"])
    return claim_rollback(request, event["execution"], event["now"])


def claim_rollback(request: RollbackRequest, execution: str, now: str) -> dict[str, Any]:
    """
    Decide and claim in one conditional write, from one consistent read.

    When somebody else claims in between, the decision is taken anew. Safe to repeat.
    """
    cloudwatch = client("cloudwatch", read_seconds=1, attempts=1) if request.alarm else None
    critical = _critical_alarms(cloudwatch)
    for _ in range(_CLAIM_ATTEMPTS):
        found = record.read()
        verdict = _decide(request, found, critical, execution, now)
        verdict = _unless_way_back_fails(verdict, found, cloudwatch, now)
        if verdict.action not in CLAIMING:
            return _answer(request, found, verdict, Lease("", 0), now)
        if found.work.lease and found.work.holder == execution:
            return _answer(request, found, verdict, found.work.lease, found.work.claimed_at or now)
        try:
            wanted = replace(
                claimed_work(found, verdict, execution, now),
                infrastructure=_infrastructure_too(request, found) or None,
                database=_why_database_too(request, found) or None,
                asked_by=_asked_for_database(request, found, execution) or None,
            )
            lease = record.claim(found.work, wanted)
        except EnvironmentBusy:
            continue
        return _answer(request, found, verdict, lease, now)
    message = f"The environment was claimed by others {_CLAIM_ATTEMPTS} times while this rollback tried."
    raise EnvironmentBusy(message)


def _critical_alarms(cloudwatch: Any) -> CriticalAlarms:  # noqa: ANN401  boto3 makes its classes at run time
    """Ask CloudWatch only for an alarm, and only once and briefly: no rollback waits for it."""
    if cloudwatch is None:
        return UNASKED
    alarms = Alarms(cloudwatch, settings.alarms)
    return CriticalAlarms(settings.alarms.prefix, alarms.readable_that_roll_back())


def _unless_way_back_fails(verdict: Verdict, found: EnvironmentRecord, cloudwatch: Any, now: str) -> Verdict:  # noqa: ANN401
    """
    Let no alarm move traffic to a color that fails, too: while both get traffic, one alarm turns on before the other.

    Once the new color has everything, nobody can say this of the old one.
    """
    point = found.live.rollback_point if found.live else None
    both_serve = both_colors_serve(found.work)
    if cloudwatch is None or verdict.action is not Action.SWITCH or not both_serve or point is None:
        return verdict
    old = OldColor(Metrics(cloudwatch), settings.judge, settings.routes, settings.groups)
    trouble = old.trouble(point.color, now)
    if not trouble:
        return verdict
    return Verdict(Action.PAGE, f"{verdict.reason} But the way back is in trouble, too: {trouble}.")


def _decide(
    request: RollbackRequest, found: EnvironmentRecord, critical: CriticalAlarms, execution: str, now: str
) -> Verdict:
    if request.database and not settings.restore_machine:
        return Verdict(Action.INVALID, NO_RESTORES)
    if request.infrastructure and not settings.has_infrastructure:
        return Verdict(Action.INVALID, NO_INFRASTRUCTURE)
    asks = asks_about_holder(request, found, execution)
    holder_runs = executions.runs(str(found.work.holder)) if asks else False
    verdict = decide(request, found, execution, now, holder_runs=holder_runs, critical=critical)
    checked = check_target_groups(verdict, found.live.rollback_point if found.live else None, settings.routes)
    return with_why(checked, request)


def _infrastructure_too(request: RollbackRequest, found: EnvironmentRecord) -> bool:
    """Whoever goes on with a rollback that died does what that one was asked for."""
    return request.infrastructure or (found.work.phase is Phase.ROLLING_BACK and bool(found.work.infrastructure))


def _why_database_too(request: RollbackRequest, found: EnvironmentRecord) -> str:
    """Say why a restore of the database is to be asked for, also where the rollback died that was told so; or ""."""
    if request.database:
        return request.why or "It was asked for with a rollback."
    return (found.work.database or "") if found.work.phase is Phase.ROLLING_BACK else ""


def _asked_for_database(request: RollbackRequest, found: EnvironmentRecord, execution: str) -> str:
    """Return the rollback that a human has started to have the database brought back: this one, or one that died."""
    if request.database:
        return execution
    return (found.work.asked_by or "") if _why_database_too(request, found) else ""


def _version(found: EnvironmentRecord, verdict: Verdict) -> str:
    """Return the version that serves in the end; when only infrastructure is taken back, it does already."""
    point = found.live.rollback_point if found.live else None
    if verdict.action is Action.INFRASTRUCTURE:
        return found.live.version if found.live else ""
    return point.version if point else ""


def _answer(
    request: RollbackRequest, found: EnvironmentRecord, verdict: Verdict, lease: Lease, claimed_at: str
) -> dict[str, Any]:
    point = found.live.rollback_point if found.live else None
    seen = found.health if found.health and point and found.health.color == point.color else None
    work = claimed_work(found, verdict, lease.holder, claimed_at)
    return {
        "action": verdict.action.value,
        "reason": verdict.reason,
        "lease": lease.as_event(),
        "release_id": work.release_id or "",
        "active": found.live.color if found.live else "",
        "color": point.color if point else "",
        "version": _version(found, verdict),
        "wanted_healthy": point.capacity if point else 0,
        "last_healthy": seen.healthy if seen else 0,
        "last_healthy_at": seen.at if seen else "",
        "claimed_at": claimed_at,
        "loser": work.loser.get("holder", ""),
        "database": bool(_why_database_too(request, found)),
        "infrastructure": _infrastructure_too(request, found),
        "ended_as": ended_as(found).value,
        "why": _why_database_too(request, found),
        "asked_by": _asked_for_database(request, found, lease.holder),
    }
