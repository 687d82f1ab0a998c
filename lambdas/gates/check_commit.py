"""Look at the gates that are about the commit: what GitHub says of it, and whether it was built, validated, planned."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.errors import GitHubRefused
from lambdas.gates.artifacts import Artifacts
from lambdas.gates.commit_rules import (
    look_at_artifact,
    look_at_check,
    look_at_coverage,
    look_at_plan,
    look_at_validation,
)
from lambdas.gates.gate_rules import Found, Gate, GateSettings, commit_check
from lambdas.gates.looking import look_at_gates
from lambdas.gates.validations import Validations
from lambdas.github.github_api import github_of
from lambdas.github.github_rules import Check, GitHubSettings
from lambdas.observability import step


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    gates: GateSettings
    github: GitHubSettings | None


def _settings() -> Settings:
    told = environ["GITHUB"]
    return Settings(GateSettings.from_json(environ["GATES"]), GitHubSettings.from_json(told) if told else None)


settings = _settings()
github = github_of(settings.github, Secrets(client("secretsmanager"))) if settings.github else None
artifacts = Artifacts(client("s3"), client("ecr"))
validations = Validations(client("dynamodb"), settings.gates.validated_table, settings.gates.validated_in)


@dataclass(frozen=True)
class Asked:
    """Which version is to be released, whether it brings its infrastructure, and what an emergency skips."""

    version: str
    infrastructure: bool
    skips: tuple[str, ...]

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read {"version", "infrastructure": bool, "emergency_skips"}."""
        return cls(event["version"], event["infrastructure"], tuple(event["emergency_skips"]))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"version", "release_id", "infrastructure": bool, "emergency_skips": names of gates, "now"}.

    Return {"results": [{"gate", "level", "status", "detail", "again_at"}]}. Changes nothing.
    """
    return check_commit(Asked.from_event(event))


def check_commit(asked: Asked) -> dict[str, Any]:
    """Look at every gate of the commit. GitHub is asked once, however many gates are about its checks."""
    gates = settings.gates

    @cache
    def checks() -> tuple[Check, ...]:
        if github is None:
            raise GitHubRefused("Settings name no repository: add the table [github], and deploy Runback.")
        return github.checks(asked.version)

    def plan() -> Found:
        known = checks() if asked.infrastructure and gates.plan_check else ()
        return look_at_plan(gates, known, applies=asked.infrastructure, skips=asked.skips)

    looks = {
        commit_check(name): partial(lambda name: look_at_check(name, checks()), name) for name in gates.commit_checks
    }
    return look_at_gates(
        gates,
        {
            **looks,
            Gate.COVERAGE: lambda: look_at_coverage(gates, checks()),
            Gate.ARTIFACT: lambda: _artifact(asked.version),
            Gate.VALIDATED: lambda: look_at_validation(
                gates.validated_in, validations.releases(asked.version), asked.version
            ),
            Gate.PLAN_REVIEWED: plan,
        },
        asked.skips,
    )


def _artifact(version: str) -> Found:
    location = settings.gates.artifact.replace("{version}", version)
    return look_at_artifact(location, exists=artifacts.exists(location))
