"""Requests to the function URL as GitHub makes them, and as others would."""

import copy
import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from lambdas.github.webhook_rules import Subscription, WebhookRequest

SECRET, NEXT_SECRET = b"a secret of the webhook", b"the secret that replaces it"
REPOSITORY_ID = 412906233
MAIN = "refs/heads/main"
COMMIT, BEFORE, TAG, NOTHING = "4f2c1e9" + "0" * 33, "9e1c2f4" + "0" * 33, "7a6" + "1" * 37, "0" * 40
DELIVERY = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
NOW = datetime(2026, 3, 2, 10, 0, 5, tzinfo=UTC)
PUSHED_AT = int(datetime(2026, 3, 2, 10, 0, 3, tzinfo=UTC).timestamp())
WANTED = Subscription(REPOSITORY_ID, (MAIN, "refs/tags/v*"))

# https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
PAYLOAD: dict[str, Any] = {
    "ref": MAIN,
    "before": BEFORE,
    "after": COMMIT,
    "repository": {
        "id": REPOSITORY_ID,
        "node_id": "MDEwOlJlcG9zaXRvcnkxODY4NTMwMDI=",
        "name": "receipt-vault",
        "full_name": "your-org/receipt-vault",
        "private": True,
        "owner": {"name": "your-org", "email": "canary@example.com", "login": "your-org"},
        "fork": False,
        "created_at": 1557933565,
        "pushed_at": PUSHED_AT,
        "master_branch": "main",
    },
    "pusher": {"name": "ada", "email": "canary@example.com"},
    "sender": {"login": "ada", "id": 21031067, "type": "User"},
    "created": False,
    "deleted": False,
    "forced": False,
    "base_ref": None,
    "compare": "https://github.com/your-org/receipt-vault/compare/9e1c2f400000...4f2c1e900000",
    "commits": [{"id": COMMIT, "message": "canary", "author": {"name": "Ada", "email": "canary@example.com"}}],
    "head_commit": {"id": COMMIT, "message": "canary", "timestamp": "2026-01-01T00:00:00+01:00"},
}


def payload(**changes: Any) -> dict[str, Any]:
    """Return what GitHub tells of a push; a name such as `repository__id` is a field in a table."""
    changed = copy.deepcopy(PAYLOAD)
    for name, value in changes.items():
        *tables, field = name.split("__")
        inner = changed
        for table in tables:
            inner = inner[table]
        inner[field] = value
    return changed


def raw(given: object) -> bytes:
    return json.dumps(given).encode()


def signed(body: bytes, secret: bytes = SECRET) -> str:
    return "sha256=" + hmac.new(secret, body, sha256).hexdigest()


def headers(body: bytes, secret: bytes = SECRET, **changes: str | None) -> dict[str, str]:
    """Return the headers of a push, as Lambda names them; None takes one away."""
    given = {
        "host": "abc.lambda-url.eu-west-1.on.aws",
        "user-agent": "GitHub-Hookshot/044aadd",
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": DELIVERY,
        "x-hub-signature-256": signed(body, secret),
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    return {name: value for name, value in given.items() if value is not None}


def request(
    body: bytes | None = None, now: datetime = NOW, secret: bytes = SECRET, method: str = "POST", **changes: str | None
) -> WebhookRequest:
    body = raw(PAYLOAD) if body is None else body
    return WebhookRequest(method, headers(body, secret, **changes), body, now)


def event(
    body: bytes | None = None,
    now: datetime = NOW,
    secret: bytes = SECRET,
    *,
    method: str = "POST",
    as_base64: bool = False,
    **changes: str | None,
) -> dict[str, Any]:
    """Return what Lambda makes of a request to the function URL."""
    body = raw(PAYLOAD) if body is None else body
    return {
        "version": "2.0",
        "rawPath": "/",
        "headers": headers(body, secret, **changes),
        "requestContext": {
            "http": {"method": method, "path": "/", "sourceIp": "140.82.115.1"},
            "timeEpoch": round(now.timestamp() * 1000),
        },
        "body": b64encode(body).decode() if as_base64 else body.decode(),
        "isBase64Encoded": as_base64,
    }
