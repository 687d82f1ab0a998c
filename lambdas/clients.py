"""boto3 clients that give up well before the function around them does."""

from typing import Any

import boto3
from botocore.config import Config

# A function on the rollback's path has eight seconds: two tries of three seconds each leave room for its own work.
_READ_SECONDS = 3


def client(service: str, read_seconds: int = _READ_SECONDS, attempts: int = 2) -> Any:  # noqa: ANN401  boto3 makes its classes at run time
    """Return a client for `service`, such as "elbv2", in the function's own account and Region."""
    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(connect_timeout=2, read_timeout=read_seconds, retries=retries)
    return boto3.client(service, config=config)  # type: ignore[call-overload]
