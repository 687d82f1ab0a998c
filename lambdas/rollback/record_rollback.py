"""Write down that the old color serves again, and let the environment go."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.parameters import Parameters
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work, other_color
from lambdas.rollback.rules import restored


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
parameters = Parameters.from_json(client("ssm"), environ["PARAMETERS"], environ["ROUTES"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "reason", "now"}; return {"phase"}."""
    record_rollback(Lease.from_event(event), event["release_id"], event["reason"], event["now"])
    return {"phase": Phase.ROLLED_BACK.value}


def record_rollback(lease: Lease, release_id: str, reason: str, now: str) -> None:
    """
    Make the rollback point's release live again, mark the point consumed, and free the environment.

    Safe to repeat. Raises LeaseLost when another rollback has taken over.
    """
    found = record.read()
    if _is_done(found.work, lease):
        return
    record.require_lease(lease, now)
    live = restored(found.live, now)
    parameters.point_at(live.color, other_color(live.color))
    preempted = found.work.loser.get("release_id", release_id)
    outcomes = {preempted: {"outcome": "aborted"}, release_id: {"outcome": "rolled_back", "issue": reason}}
    record.finish(lease, Phase.ROLLED_BACK, now, outcomes, live=live)


def _is_done(work: Work, lease: Lease) -> bool:
    return work.token == lease.token and work.holder is None and work.phase is Phase.ROLLED_BACK
