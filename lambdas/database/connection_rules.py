"""
Where an application finds its database: how the text that tells it is changed, and what it was before. All pure.

The text holds the password, too, and is never part of a message.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from lambdas.errors import RestoreFailed

_IDENTIFIER = "dbInstanceIdentifier"
"""What the console of Secrets Manager adds to the secret of an instance, and rotation functions may read."""

_DEFAULT_PORT = 5432
_PROXY = re.compile(r"\.proxy-[^.]+\.[^.]+\.rds\.amazonaws\.com$")


@dataclass(frozen=True)
class Address:
    """Host and port of a database, and the instance's name where the text has a place for it."""

    host: str
    port: int
    instance: str = ""

    def is_same_place(self, other: Self) -> bool:
        """Say whether an application would get to the same server."""
        return (self.host.lower(), self.port) == (other.host.lower(), other.port)

    def as_item(self) -> dict[str, Any]:
        """Return the form in which the record keeps it."""
        return {"host": self.host, "port": self.port, "instance": self.instance}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read what `as_item` made."""
        return cls(str(item["host"]), int(item["port"]), str(item["instance"]))


def address_in(text: str, name: str) -> Address:
    """
    Read where the database is, from JSON with "host" and perhaps "port", or from a URL `postgresql://…`.

    name: what the text is called in messages. Raises RestoreFailed when it is neither.
    """
    if _is_url(text):
        parts = urlsplit(text.strip())
        return Address(parts.hostname or "", parts.port or _DEFAULT_PORT)
    secret = _object(text, name)
    return Address(str(secret["host"]), int(secret.get("port") or _DEFAULT_PORT), str(secret.get(_IDENTIFIER, "")))


def moved(text: str, address: Address, name: str) -> str:
    """
    Return the text with another address in it, and nothing else changed.

    A port stays what it was, number or text, and the instance's name is changed only where there is one.
    Raises RestoreFailed when the text is neither JSON with a host nor a URL, or leads to a proxy.
    """
    host = address_in(text, name).host
    if _PROXY.search(host.lower()):
        raise RestoreFailed(
            f"{name} leads to the proxy {host}, not to the instance. Register {address.instance or address.host} as "
            f"the proxy's target, and restart the application."
        )
    if _is_url(text):
        return _moved_url(text, address)
    secret = _object(text, name)
    as_it_was = type(secret.get("port", 0))
    changed = secret | {"host": address.host}
    if "port" in secret or address.port != _DEFAULT_PORT:
        changed["port"] = str(address.port) if as_it_was is str else address.port
    if _IDENTIFIER in secret and address.instance:
        changed[_IDENTIFIER] = address.instance
    return json.dumps(changed)


def token(restore_id: str, current_version: str) -> str:
    """
    Name the version of a secret that a restore makes of another version; the same for every attempt.

    32 to 64 characters, as a ClientRequestToken has:
    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
    """
    return str(uuid5(NAMESPACE_URL, f"runback:restore:{restore_id}:{current_version}"))


def is_parameter(arn: str) -> bool:
    """Say whether an ARN is that of a parameter of Systems Manager, and not of a secret."""
    return arn.split(":")[2:3] == ["ssm"]


def _is_url(text: str) -> bool:
    return text.strip().startswith(("postgres://", "postgresql://"))


def _moved_url(text: str, address: Address) -> str:
    """Replace what stands between the credentials, in which "@" is escaped, and the path."""
    beginning, _, rest = text.partition("://")
    end = next((at for at, character in enumerate(rest) if character in "/?#"), len(rest))
    place, tail = rest[:end], rest[end:]
    credentials, at, _ = place.rpartition("@")
    return f"{beginning}://{credentials}{at}{address.host}:{address.port}{tail}"


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        secret = json.loads(text)
    except ValueError:
        secret = None
    if not (isinstance(secret, dict) and isinstance(secret.get("host"), str) and secret["host"]):
        raise RestoreFailed(
            f'{name} does not say where the database is: it should be JSON with "host", "port", "username" and '
            f'"password", or a URL postgresql://…. Correct it by hand.'
        )
    return secret
