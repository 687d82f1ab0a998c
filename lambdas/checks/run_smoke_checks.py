"""Ask a version, or the whole system, what users would ask of it."""

from dataclasses import asdict, dataclass
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.product import Product
from lambdas.checks.rules import Checks, Result, Scope, require_passed
from lambdas.checks.secrets import Secrets
from lambdas.checks.web import Web
from lambdas.clients import client
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    checks: Checks


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], Checks.from_json(environ["CHECKS"]))
product = Product(Web(settings.checks.allowed_hosts), Secrets(client("secretsmanager")))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Occasion:
    """For which release checks run, and on which occasion."""

    lease: Lease
    release_id: str
    scope: Scope
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "scope", "now"}."""
        return cls(Lease.from_event(event), event["release_id"], Scope(event["scope"]), event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"passed": names of the checks}."""
    results = run_smoke_checks(Occasion.from_event(event))
    require_passed(results)
    return {"passed": [result.name for result in results]}


def run_smoke_checks(occasion: Occasion) -> list[Result]:
    """
    Run every check of the occasion once, also after one that fails, and write the results into the release's history.

    Safe to repeat, as far as the checks are: an upload uploads once more. Raises LeaseLost before anything is sent.
    """
    record.require_lease(occasion.lease, occasion.now)
    results = [product.run(check) for check in settings.checks.of(occasion.scope)]
    record.note_release(
        occasion.release_id, {f"checks_{occasion.scope}": {"at": occasion.now, "results": [asdict(r) for r in results]}}
    )
    return results
