"""Ask every minute, without any event, whether the environment's holder is dead and the way back healthy."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import logger, step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import HealthReading, Live, Phase, PointStatus, Work, seconds_since
from lambdas.rollback.executions import Executions
from lambdas.rollback.rules import STALE_AFTER_SECONDS, Source
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]
    rollback_machine: str


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
    environ["ROLLBACK_MACHINE_ARN"],
)
load_balancer = LoadBalancer(client("elbv2"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
executions = Executions(client("stepfunctions"))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read the scheduled event's "time"; return {"recovering": execution ARN of the dead holder, or ""}."""
    return {"recovering": watch(event["time"])}


def watch(now: str) -> str:
    """
    Start the rollback machine for a holder that is dead or stuck; it decides from the record what there is to undo.

    The name of that execution holds token and minute: repeated events start it once, and a recovery that failed is
    tried again a minute later.
    """
    found = record.read()
    holder = _lost_holder(found.work, now)
    if holder:
        logger.warning("The holder of the environment is dead or stuck", holder=holder)
        minute = now[:16].replace(":", "-")
        executions.start(
            settings.rollback_machine,
            f"watchdog-{found.work.token}-{minute}",
            {"source": Source.WATCHDOG.value, "execution_arn": holder},
        )
    if found.live:
        _read_way_back(found.live, now)
    return holder


def _lost_holder(work: Work, now: str) -> str:
    if work.holder is None:
        return ""
    stuck = (
        work.phase is Phase.ROLLING_BACK
        and work.progress_at is not None
        and seconds_since(work.progress_at, now) > STALE_AFTER_SECONDS
    )
    return work.holder if stuck or not executions.runs(work.holder) else ""


def _read_way_back(live: Live, now: str) -> None:
    """Keep a health reading of the way back, for a rollback that cannot take one itself."""
    point = live.rollback_point
    if point is None or point.status is not PointStatus.VALID:
        return
    healthy = min(load_balancer.health(route.target_group(point.color)).healthy for route in settings.routes)
    record.note_health(HealthReading(point.color, healthy, now))
