"""Look whether a step of the release has been observed for long enough, and what an operator has ordered meanwhile."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.bake_rules import Look, bake_of, look_at_bake
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "percent", "bake_seconds", "now"}; return {"done", "again_at": timestamp or ""}."""
    look = check_bake(Lease.from_event(event), int(event["percent"]), int(event["bake_seconds"]), event["now"])
    return {"done": look.done, "again_at": look.again_at}


def check_bake(lease: Lease, percent: int, bake_seconds: int, now: str) -> Look:
    """
    Prove that the lease is held still, and look at bake and orders.

    The first look at a step writes down when its bake began and ends; later and repeated ones keep that. Raises
    LeaseLost, and PauseExpired when nobody has let a paused release go on in time.
    """
    work = record.renew_lease(lease, now)
    bake = bake_of(work.bake, percent, bake_seconds, now)
    if bake != work.bake:
        work = record.renew_lease(lease, now, bake=bake)
    return look_at_bake(bake, work.order, now)
