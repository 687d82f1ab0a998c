"""Take the environment for an approved restore, or over from one that died, and read which color is active."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.restore_rules import check_restore_claim, restoring
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.restores import Restores
from lambdas.release.rules import Phase, other_color
from lambdas.rollback.executions import Executions
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
executions = Executions(client("stepfunctions"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
restores = Restores(record)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"execution", "restore_id", "release_id", "now"}.

    Return {"lease", "release_id", "active": color, "idle": color, "accept_unaccounted": whether somebody has accepted
    that writes to tables which settings do not name are lost uncounted}.
    """
    return claim_restore(event["restore_id"], event["execution"], event["now"])


def claim_restore(restore_id: str, execution: str, now: str) -> dict[str, Any]:
    """
    Claim the environment and begin the restore in one conditional write.

    Safe to repeat. Raises EnvironmentBusy, and ListenerDrifted when the traffic is not all on the live release; nothing
    has changed then.
    """
    found, restore = record.read(), restores.latest()
    holder = found.work.holder
    adopts = holder not in (None, execution) and found.work.phase is Phase.RESTORING
    holder_runs = executions.runs(str(holder)) if adopts else True
    lease = check_restore_claim(found, restore, restore_id, execution, holder_runs=holder_runs)
    active = require_live(settings.routes, load_balancer.forwards(route.arn for route in settings.routes), found.live)
    if restore and lease is None:
        wanted = restoring(restore, execution, now, found.work)
        lease = record.claim(found.work, wanted, also=[] if restore.is_decided else [restores.beginning(restore_id)])
    return {
        "lease": lease.as_event() if lease else {},
        "release_id": restore.release_id if restore else "",
        "active": active,
        "idle": other_color(active),
        "accept_unaccounted": bool(
            restore and (restore.accept_unaccounted or (restore.approval and restore.approval.accept_unaccounted))
        ),
    }
