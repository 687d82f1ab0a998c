"""Where the secrets of the pretend customer turn up that only those may read whom they are for."""

import json
from collections.abc import Iterator

from rehearsal.account import Account
from rehearsal.world import customer, customer_infrastructure, github

SECRETS = {
    "the password of the database": customer.CHECK_PASSWORD,
    "the application's password of the database": customer.APPLICATION_PASSWORD,
    "the administrator's password of the database": customer.ADMINISTRATOR_PASSWORD,
    "the administrator's rotated password": customer.ROTATED_PASSWORD,
    "the password of the log-in check": customer.SMOKE_PASSWORD,
    "the token of the upload check": customer.SERVICE_TOKEN,
    "the token of the cache": customer.CACHE_TOKEN,
    "the token of GitHub": github.TOKEN,
    "the secret of the webhook": github.WEBHOOK_SECRET,
    "a password in Terraform's state": customer_infrastructure.STATE_PASSWORD,
}

_PLANS = "plans/"
"""What the keys of Terraform's plans begin with, in which secrets stand in clear: those may read them who may plan."""


def told(account: Account) -> list[str]:
    """Return each secret that stands in an execution's history, a log, the record, a message or a report, and where."""
    return [
        f"{name} stands in {place}"
        for place, text in _places(account)
        for name, secret in SECRETS.items()
        if secret in text
    ]


def _places(account: Account) -> Iterator[tuple[str, str]]:
    """Yield what people read who must not know them, with its name."""
    for arn, execution in sorted(account.interpreter.executions.items()):
        history = execution.to_history_output()["events"]  # where moto keeps it: a long one has many pages
        yield f"the history of {arn}", json.dumps(history, default=str)
    for path in sorted((account.folder / "logs").iterdir()):
        yield path.name, path.read_text(encoding="utf-8", errors="replace")
    for each in (account, *account.beside.values()):
        items = account.client("dynamodb").scan(TableName=each.stack.table())["Items"]
        yield f"the record of {each.settings.environment}", json.dumps(items)
    if account.ingress:
        items = account.client("dynamodb").scan(TableName=account.ingress.table())["Items"]
        yield "what is remembered of webhooks", json.dumps(items)
    for call in list(account.calls.log):
        if call.action == "Publish":
            yield "a message", json.dumps(dict(call.parameters), default=str)
        elif call.action == "PutObject" and not call.parameters["Key"].startswith(_PLANS):
            yield f"the report {call.parameters['Key']}", str(call.parameters.get("Body", ""))
