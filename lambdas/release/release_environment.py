"""Let the environment go: the work has ended, committed, aborted or handed to a human."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import OUTCOMES, Lease, Phase, explain_failure


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"])
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "phase", "failure": of a Catch block or {}, "now"}; return {"issue": text or ""}."""
    issue = explain_failure(event["failure"])
    release_environment(Lease.from_event(event), event["release_id"], Phase(event["phase"]), issue, event["now"])
    return {"issue": issue}


def release_environment(lease: Lease, release_id: str, phase: Phase, issue: str, now: str) -> None:
    """
    Write the outcome into the release's history and give the lease back. Safe to repeat. Raises LeaseLost.

    That a release was promoted is written by `record.commit`: what comes later, such as its clean-up, may find that it
    ended otherwise meanwhile. That a restore of the database has left the traffic frozen says nothing of the release.
    """
    if phase is Phase.FROZEN:
        record.finish(lease, phase, now, {})
        return
    facts = ({} if phase is Phase.COMMITTED else {"outcome": OUTCOMES[phase]}) | ({"issue": issue} if issue else {})
    record.finish(lease, phase, now, {release_id: facts})
