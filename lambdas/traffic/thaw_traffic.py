"""Let users in again: take away what a freeze has put before the application, and nothing else."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.traffic.freeze_rules import OfRestore, Owner, listener_of
from lambdas.traffic.listeners import Listeners
from lambdas.traffic.rules import Route


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    owner: Owner
    table: str
    routes: tuple[Route, ...]


settings = Settings(
    Owner(environ["SERVICE"], environ["ENVIRONMENT"]),
    environ["RECORD_TABLE"],
    Route.all_from_json(environ["ROUTES"]),
)
listeners = Listeners(client("elbv2"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.owner.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"thawed": how many rules were deleted}; 0 when nothing was frozen."""
    return {"thawed": thaw_traffic(OfRestore.from_event(event), settings.owner, settings.routes)}


def thaw_traffic(thaw: OfRestore, owner: Owner, routes: tuple[Route, ...]) -> int:
    """
    Delete every rule that a freeze of this environment has made, and say how many there were.

    Of whichever restore, also of one that died: whoever thaws has decided that users may come. A rule is known by its
    tags, wherever somebody may have moved it to, and one without them is never touched. Safe to repeat. Raises
    LeaseLost.
    """
    live = sorted({listener_of(route.arn) for route in routes})
    ours = [rule.arn for each in live for rule in listeners.tagged_rules(each) if owner.made(rule)]
    record.require_lease(thaw.lease, thaw.now)
    for rule in ours:
        listeners.delete(rule)
    record.note_release(thaw.release_id, {"thaw": {"restore_id": thaw.restore_id, "at": thaw.now}})
    return len(ours)
