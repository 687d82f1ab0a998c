"""Take the lease of an environment for one deployment, and read from the listener which color is active."""

from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work, check_deploy_claim, other_color
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route, require_live


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]
    may_expire_window: bool


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
    loads(environ["RELEASE"])["next_release_in_window"] == "expire",
)
load_balancer = LoadBalancer(client("elbv2"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Claim:
    """Who claims the environment, and for which release."""

    execution: str
    release_id: str
    version: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"execution", "release_id", "version", "now"}."""
        return cls(event["execution"], event["release_id"], event["version"], event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"lease": {"holder", "token"}, "active": color, "idle": color}."""
    claim = Claim.from_event(event)
    lease, active = claim_environment(claim)
    return {"lease": lease.as_event(), "active": active, "idle": other_color(active)}


def claim_environment(claim: Claim) -> tuple[Lease, str]:
    """
    Claim the environment if nobody else works on it and the listener is what the record says.

    Safe to repeat: the same execution gets the same lease again. Raises EnvironmentBusy, RollbackWindowOpen and
    ListenerDrifted; nothing has changed then.
    """
    found = record.read()
    check_deploy_claim(found, claim.execution, claim.now, may_expire_window=settings.may_expire_window)
    active = require_live(settings.routes, load_balancer.forwards(route.arn for route in settings.routes), found.live)
    if found.work.lease and found.work.holder == claim.execution:
        return found.work.lease, active
    record.note_release(
        claim.release_id,
        {},
        keep={"version": claim.version, "execution": claim.execution, "requested_at": claim.now},
    )
    wanted = Work(
        holder=claim.execution,
        phase=Phase.PREPARING,
        release_id=claim.release_id,
        claimed_at=claim.now,
        progress_at=claim.now,
    )
    return record.claim(found.work, wanted), active
