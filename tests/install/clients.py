"""boto3 clients between a test and the pretend account: they remember every call, and answer some by themselves."""

from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ClientError

Answer = Callable[..., Any]
TRAIL = {
    "TrailARN": "arn:aws:cloudtrail:us-east-1:111122223333:trail/everything",
    "HomeRegion": "us-east-1",
    "IsMultiRegionTrail": True,
}


@cache
def aws_client(service: str, region: str) -> Any:
    """Make every client once: that takes longer than the whole test."""
    return boto3.client(service, region_name=region)


class WatchedClients:
    """
    Makes clients, as `Account` wants them. `calls` are (service, operation) in their order.

    What moto does not know is answered as in an account without anything special in it.
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self.calls: list[tuple[str, str]] = []
        self.answers: dict[tuple[str, str], Answer] = {
            ("lambda", "get_account_settings"): lambda **_: lambda_limits(1000, 900),
            ("lambda", "get_function_concurrency"): lambda **_: refuse("ResourceNotFoundException"),
            ("autoscaling", "describe_instance_refreshes"): lambda **_: {"InstanceRefreshes": []},
            ("iam", "simulate_principal_policy"): lambda **_: {"EvaluationResults": []},
            ("codeconnections", "get_connection"): lambda **_: {
                "Connection": {"ConnectionName": "github", "ConnectionStatus": "AVAILABLE"}
            },
            ("cloudtrail", "describe_trails"): lambda **_: {"trailList": [TRAIL]},
            ("cloudtrail", "get_trail_status"): lambda **_: {"IsLogging": True},
            ("cloudtrail", "get_event_selectors"): lambda **_: {"EventSelectors": [{"ReadWriteType": "WriteOnly"}]},
        }

    def __call__(self, service: str) -> Any:
        return _Watched(self, service, aws_client(service, self._region))

    def change(self, service: str, operation: str, changed: Callable[[Any], object]) -> None:
        """Let `changed` alter every answer to this before it is seen, as if the account were so."""
        client = aws_client(service, self._region)

        def answer(**parameters: object) -> Any:
            found = getattr(client, operation)(**parameters)
            changed(found)
            return found

        self.answers[service, operation] = answer

    def deny(self, service: str, operation: str, code: str = "AccessDenied") -> None:
        """Answer as AWS does to somebody who may not ask."""
        self.answers[service, operation] = lambda **_: refuse(code)


class _Watched:
    def __init__(self, clients: WatchedClients, service: str, client: Any) -> None:
        self._clients, self._service, self._client = clients, service, client

    def can_paginate(self, operation: str) -> bool:
        self._clients.calls.append((self._service, operation))
        is_answered = (self._service, operation) in self._clients.answers
        return not is_answered and bool(self._client.can_paginate(operation))

    def __getattr__(self, operation: str) -> Any:
        if operation != "get_paginator":
            self._clients.calls.append((self._service, operation))
        return self._clients.answers.get((self._service, operation)) or getattr(self._client, operation)


def refuse(code: str, message: str = "no") -> Any:
    raise ClientError({"Error": {"Code": code, "Message": message}}, "an operation")


def lambda_limits(concurrent: int, unreserved: int) -> dict[str, Any]:
    return {"AccountLimit": {"ConcurrentExecutions": concurrent, "UnreservedConcurrentExecutions": unreserved}}
