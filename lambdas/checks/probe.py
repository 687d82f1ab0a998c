"""Every minute, ask what is live what a user would ask, and publish how it went: AWS has no metric for that."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.product import Product
from lambdas.checks.rules import PROBE_NAMESPACE, Check, Checks, Result
from lambdas.checks.secrets import Secrets
from lambdas.checks.web import Web
from lambdas.clients import client
from lambdas.errors import AwsCallFailed
from lambdas.observability import logger, publish, step


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    service: str
    environment: str
    checks: Checks


settings = Settings(environ["SERVICE"], environ["ENVIRONMENT"], Checks.from_json(environ["CHECKS"]))
product = Product(Web(settings.checks.allowed_hosts), Secrets(client("secretsmanager")))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read nothing of the event; return {"passed": [names], "failed": [names], "not_asked": [names]}."""
    return probe()


def probe() -> dict[str, list[str]]:
    """
    Run every check, a second time if it fails, and publish "Success" (100 or 0) and "Milliseconds" of each.

    A check that fails is a measurement, and no failure of this function. One that could not be asked, because its
    secret cannot be read, publishes nothing: a release must not be taken back for it.
    """
    results = {check.name: _run(check) for check in settings.checks.probed}
    return {
        "passed": [name for name, result in results.items() if result and not result.problem],
        "failed": [name for name, result in results.items() if result and result.problem],
        "not_asked": [name for name, result in results.items() if result is None],
    }


def _run(check: Check) -> Result | None:
    try:
        result = product.run(check)
        if result.problem:
            logger.info("A check failed, and is tried once more", check=check.name, problem=result.problem)
            result = product.run(check)
    except AwsCallFailed as error:
        logger.error("A check could not be asked", check=check.name, reason=str(error))
        return None
    if result.problem:
        logger.warning("A check failed", check=check.name, problem=result.problem)
    publish(
        PROBE_NAMESPACE,
        {"Service": settings.service, "Environment": settings.environment, "Check": check.name},
        {
            "Success": (MetricUnit.Percent, 0 if result.problem else 100),
            "Milliseconds": (MetricUnit.Milliseconds, result.milliseconds),
        },
    )
    return result
