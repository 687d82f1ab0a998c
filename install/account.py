"""The real account, as far as it can be read. Nothing here can change anything in it."""

import json
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

READS = ("describe_", "get_", "list_", "simulate_")
SECRET_READS = frozenset({"get_secret_value", "get_parameter_history", "get_password_data"})
"""They begin like a read, and bring out what nobody needs to see here."""

_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "UnauthorizedOperation",
    }
)
_ABSENT = frozenset({"NoSuchBucket", "NoSuchEntity"})
_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})

Answer = Mapping[str, Any]
Clients = Callable[[str], Any]


class NotThere(Exception):
    """AWS knows no such resource."""


class Unreadable(Exception):
    """AWS did not say; `fix` is what would let it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def clients_in(region: str) -> Clients:
    """Return a way to make boto3 clients with whatever credentials boto3 finds."""
    make: Any = boto3.Session(region_name=region).client  # typed for services that are known by name alone
    return lambda service: make(service, config=_CONFIG)


class Account:
    """One account and Region. What was read once is remembered, so that a report is about one moment."""

    def __init__(self, clients: Clients) -> None:
        self._make_client = clients
        self._clients: dict[str, Any] = {}
        self._known: dict[str, Answer | Exception] = {}

    def read(self, service: str, operation: str, **parameters: object) -> Answer:
        """
        Ask for all pages of something, such as `read("elbv2", "describe_rules", ListenerArn=…)`.

        Raises NotThere for what does not exist, Unreadable when AWS refuses or cannot answer, and ValueError for an
        operation that is no plain read.
        """
        if not operation.startswith(READS) or operation in SECRET_READS:
            raise ValueError(f"{operation} is not a plain read")
        key = json.dumps([service, operation, parameters], sort_keys=True)
        if key not in self._known:
            self._known[key] = self._ask(service, operation, parameters)
        known = self._known[key]
        if isinstance(known, Exception):
            raise known
        return known

    def client(self, service: str) -> Any:  # noqa: ANN401  boto3 makes its classes at run time
        """Return the client itself, for whoever reads afresh every time."""
        if service not in self._clients:
            self._clients[service] = self._make_client(service)
        return self._clients[service]

    def _ask(self, service: str, operation: str, parameters: Mapping[str, object]) -> Answer | Exception:
        client = self.client(service)
        try:
            if client.can_paginate(operation):
                return client.get_paginator(operation).paginate(**parameters).build_full_result()
            return getattr(client, operation)(**parameters)
        except ClientError as error:
            return explained(error, iam_action(service, operation), _named(parameters))
        except BotoCoreError as error:
            return Unreadable(f"AWS could not be asked: {error}", "try again; is the network all right?")


def explained(error: ClientError, action: str, what: str) -> NotThere | Unreadable:
    """Say what an error of AWS means for somebody who only looks, and was looking for this."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code in _DENIED:
        return Unreadable(f"these credentials may not call {action}", f"allow {action}, or run doctor as somebody else")
    if "NotFound" in code or code in _ABSENT or (code == "ValidationError" and "does not exist" in message):
        return NotThere(f"there is no {what} in this account and Region")
    return Unreadable(f"{action} answered {code}: {message}", "try again, or ask AWS what that means")


def _named(parameters: Mapping[str, object]) -> str:
    """Return the ids, names or ARNs that were asked for."""
    lists = (value if isinstance(value, list) else [value] for value in parameters.values())
    return " or ".join(str(each) for each in chain(*lists)) or "such thing"


def iam_action(service: str, operation: str) -> str:
    """Return the name of a read as IAM policies have it: "elasticloadbalancing:DescribeRules"."""
    prefix = {"elbv2": "elasticloadbalancing"}.get(service, service)
    name = "".join(word.capitalize() for word in operation.split("_"))
    return f"{prefix}:{name.replace('Db', 'DB').replace('OpenId', 'OpenID')}"
