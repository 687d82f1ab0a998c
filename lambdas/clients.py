"""boto3 clients that give up well before the function around them does."""

from typing import Any

import boto3
from botocore.config import Config

# A function on the rollback's path has ten seconds: two tries of three seconds each leave room for its own work.
_CONFIG = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})


def client(service: str) -> Any:  # noqa: ANN401  boto3 makes its client classes at run time
    """Return a client for `service`, such as "elbv2", in the function's own account and Region."""
    return boto3.client(service, config=_CONFIG)
