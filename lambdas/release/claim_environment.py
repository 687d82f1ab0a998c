"""Take the lease of an environment for one deployment, and read from the listener which color is active."""

from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import InWindow, Lease, Phase, Work, check_deploy_claim, other_color
from lambdas.traffic.freeze_rules import listener_of, require_thawed
from lambdas.traffic.listeners import Listeners
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route, require_live


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    routes: tuple[Route, ...]
    in_window: InWindow


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
    InWindow(loads(environ["RELEASE"])["next_release_in_window"]),
)
_elbv2 = client("elbv2")
load_balancer, listeners = LoadBalancer(_elbv2), Listeners(_elbv2)
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
    """
    Return {"lease": {"holder", "token"}, "active": color, "idle": color, "again_at": ""}.

    Or nothing of that but "again_at", a timestamp, when the release has to wait for the end of a window.
    """
    return claim_environment(Claim.from_event(event))


def claim_environment(claim: Claim) -> dict[str, Any]:
    """
    Claim the environment if nobody else works on it, the listener is what the record says, and users reach it.

    Safe to repeat: the same execution gets the same lease again. Raises EnvironmentBusy, RollbackWindowOpen and
    ListenerDrifted; nothing has changed then.
    """
    found = record.read()
    again_at = check_deploy_claim(found, claim.execution, claim.now, in_window=settings.in_window)
    if again_at:
        return {"lease": Lease("", 0).as_event(), "active": "", "idle": "", "again_at": again_at}
    active = require_live(settings.routes, load_balancer.forwards(route.arn for route in settings.routes), found.live)
    require_thawed({each: listeners.rules(each) for each in sorted({listener_of(r.arn) for r in settings.routes})})
    if found.work.lease and found.work.holder == claim.execution:
        return _answer(found.work.lease, active)
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
    return _answer(record.claim(found.work, wanted), active)


def _answer(lease: Lease, active: str) -> dict[str, Any]:
    return {"lease": lease.as_event(), "active": active, "idle": other_color(active), "again_at": ""}
