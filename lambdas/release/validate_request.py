"""Look at what an operator or an event asked for, before anything else happens."""

from dataclasses import asdict, dataclass
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.observability import step
from lambdas.release.rules import read_request


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    can_migrate: bool
    can_apply: bool
    skippable: tuple[str, ...]


settings = Settings(
    can_migrate=bool(environ["MIGRATIONS"]),
    can_apply=bool(environ["INFRASTRUCTURE"]),
    skippable=tuple(loads(environ["SKIPPABLE"])),
)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"input": anything, "execution_name"}.

    Return {"version", "release_id", "problem": text or "", "despite_alarms", "migrations", "no_automatic_rollback",
    "infrastructure": bool, "pushed_by", "emergency", "skip_gates", "skips_approval": bool}.
    """
    request = read_request(
        event["input"],
        event["execution_name"],
        can_migrate=settings.can_migrate,
        can_apply=settings.can_apply,
        skippable=settings.skippable,
    )
    return asdict(request)
