"""Keep users away from the application while its database is exchanged, and let its health checks go on."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.traffic.freeze_rules import OfRestore, Owner, conditions_of_freeze, is_frozen, live_listeners
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
    """Return {"frozen_at": moment, "rules": [ARN of each rule made, none where a listener was frozen already]}."""
    freeze = OfRestore.from_event(event)
    return {"frozen_at": freeze.now, "rules": freeze_traffic(freeze, settings.owner, settings.routes)}


def freeze_traffic(freeze: OfRestore, owner: Owner, routes: tuple[Route, ...]) -> list[str]:
    """
    Put one rule before all others on every listener through which users come; forwards stay, so that checks go on.

    Where our only route on a listener is a rule, what reaches other services there is not answered.

    Safe to repeat: what a freeze that broke off has left open is completed, and a freeze that an earlier restore left
    behind stays as it is. Raises LeaseLost, and FreezeRefused, after which no listener has changed, when something
    else stands in the place of the rule.
    """
    rules = {each: listeners.tagged_rules(each) for each in live_listeners(routes)}
    frozen = {each: is_frozen(each, found, owner) for each, found in rules.items()}
    open_listeners = [listener for listener, closed in frozen.items() if not closed]
    record.note_release(
        freeze.release_id,
        {"freeze": {"restore_id": freeze.restore_id, "at": freeze.now, "listeners": sorted(frozen)}},
    )
    record.require_lease(freeze.lease, freeze.now)
    tags = owner.tags(freeze.restore_id)
    return [listeners.freeze(each, tags, conditions_of_freeze(each, routes, rules[each])) for each in open_listeners]
