"""Let CodeBuild plan what Terraform would change. It is given rights to read, and changes nothing."""

from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.infrastructure.builds import Builds
from lambdas.infrastructure.rules import InfrastructureSettings, Purpose, plan_key, require_commit
from lambdas.observability import step
from lambdas.release.rules import later

settings = InfrastructureSettings.from_json(environ["INFRASTRUCTURE"])
builds = Builds(client("codebuild"))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"release_id", "version", "purpose": "release" or "rollback", "now"}; return {"build_id", "ready_by"}."""
    build_id = start_plan(event["release_id"], event["version"], Purpose(event["purpose"]), event["now"])
    return {"build_id": build_id, "ready_by": later(event["now"], settings.longest_build_seconds)}


def start_plan(release_id: str, version: str, purpose: Purpose, now: str) -> str:
    """
    Begin to plan a version's infrastructure, and return the build's id. Raises PlanFailed without a commit.

    A step that is tried again keeps its moment, and gets the same build; a later one makes a plan of its own.
    """
    variables = {"RUNBACK_PLAN_KEY": plan_key(release_id, purpose), "RUNBACK_TARGETS": settings.targets(purpose)}
    token = f"{release_id}-{purpose.value}-{now}"
    return builds.start(settings.plan_project, token, require_commit(version), variables)
