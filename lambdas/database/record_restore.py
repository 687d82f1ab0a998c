"""Write down how a restore ended, and let the environment go if it held it."""

from collections.abc import Mapping
from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.restore_rules import without_way_back
from lambdas.observability import step
from lambdas.release.parameters import Parameters
from lambdas.release.record import ReleaseRecord
from lambdas.release.restore_rules import RestoreStatus, ServingDatabase
from lambdas.release.restores import Restores
from lambdas.release.rules import Lease, Phase, explain_failure
from lambdas.rollback.way_back import manual_commands
from lambdas.traffic.rules import Route


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    instance: str
    routes: tuple[Route, ...]


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    loads(environ["RESTORE"])["database"]["instance"],
    Route.all_from_json(environ["ROUTES"]),
)
parameters = Parameters.from_json(client("ssm"), environ["PARAMETERS"], environ["ROUTES"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
restores = Restores(record)

_UNCHANGED: Mapping[str, RestoreStatus] = {
    "rejected": RestoreStatus.REJECTED,
    "expired": RestoreStatus.EXPIRED,
    "refused": RestoreStatus.REFUSED,
}
"""Endings before anything was changed, and before anything was held."""
_DECIDED: Mapping[str, RestoreStatus] = {
    "restored": RestoreStatus.RESTORED,
    "restore_failed": RestoreStatus.FAILED,
}
"""Endings that are written down before traffic flows."""
_PHASES: Mapping[RestoreStatus, Phase] = {
    RestoreStatus.RESTORED: Phase.RESTORED,
    RestoreStatus.FAILED: Phase.RESTORE_FAILED,
}
_OVER = "over"
"""Traffic flows, and the environment is let go."""


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"outcome", "restore_id", "release_id", "now"}, and for what holds the environment {"lease", "failure"}.

    "outcome" is rejected, expired or refused; restored or restore_failed, before traffic flows; over, when it does; or
    frozen. With restored come {"plan", "host", "port", "lost"}. Return {"issue": what failed, in words, or ""}.
    """
    outcome = event["outcome"]
    if outcome in _UNCHANGED:
        restores.end_unchanged(event["restore_id"], _UNCHANGED[outcome])
        return {"issue": ""}
    issue = explain_failure(event["failure"])
    lease = Lease.from_event(event)
    if outcome in _DECIDED:
        decide(lease, _DECIDED[outcome], event, issue)
    else:
        let_go(lease, event["restore_id"], outcome, event["now"])
    return {"issue": issue}


def decide(lease: Lease, status: RestoreStatus, event: Mapping[str, Any], issue: str) -> None:
    """
    Say which instance serves from now on, in one write under the lease. From then on nobody turns back.

    How the release ended stays as it was: a restore is about its data. Safe to repeat. Raises LeaseLost.
    """
    restore_id, now = event["restore_id"], event["now"]
    noted = {"restore_id": restore_id, "outcome": event["outcome"], "at": now} | ({"issue": issue} if issue else {})
    writes = [restores.ending(restore_id, status, now)]
    if status is RestoreStatus.RESTORED:
        noted |= {"lost": event["lost"]}
        writes.append(restores.replacing(_serving(event)))
    record.write_under_lease(lease, now, writes)
    record.note_release(event["release_id"], {"restore": noted})


def let_go(lease: Lease, restore_id: str, outcome: str, now: str) -> None:
    """
    Give the lease back, and after a restore the release's way back up, whose instances know the former database.

    The commands for humans in SSM must not name it any more, either: they then name the color that serves, and change
    nothing. A restore that leaves traffic frozen has not ended: its machine can go on with it.

    Safe to repeat. Raises LeaseLost.
    """
    restore = restores.latest()
    phase = Phase.FROZEN
    if outcome == _OVER and restore and restore.restore_id == restore_id and restore.is_decided:
        phase = _PHASES[restore.status]
    live = without_way_back(record.read().live) if phase is Phase.RESTORED else None
    if live:
        record.require_lease(lease, now)
        parameters.write(parameters.way_back, manual_commands(settings.routes, live.color))
    record.finish(lease, phase, now, {}, live=live)


def _serving(event: Mapping[str, Any]) -> ServingDatabase:
    plan = event["plan"]
    return ServingDatabase(
        instance=plan["restored_instance"],
        host=event["host"],
        port=int(event["port"]),
        since=event["now"],
        restore_id=plan["restore_id"],
        release_id=plan["release_id"],
        former_instance=plan["forward_instance"],
        settings_instance=settings.instance,
    )
