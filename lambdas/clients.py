"""boto3 clients that give up well before the function around them does."""

from typing import Any

import boto3
from botocore.config import Config

# A function on the rollback's path has ten seconds: two tries of three seconds each leave room for its own work.
_READ_SECONDS = 3


def client(service: str, read_seconds: int = _READ_SECONDS) -> Any:  # noqa: ANN401  boto3 makes its classes at run time
    """Return a client for `service`, such as "elbv2", in the function's own account and Region."""
    config = Config(connect_timeout=2, read_timeout=read_seconds, retries={"mode": "standard", "total_max_attempts": 2})
    return boto3.client(service, config=config)  # type: ignore[call-overload]
