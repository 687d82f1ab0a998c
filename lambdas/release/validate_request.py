"""Look at what an operator or an event asked for, before anything else happens."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.observability import step
from lambdas.release.rules import read_request


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"input": anything, "execution_name"}; return {"version", "release_id", "problem": text or ""}."""
    return asdict(read_request(event["input"], event["execution_name"]))
