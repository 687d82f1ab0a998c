"""Tell the application that its database is at another place now, or that it is where it was before."""

from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.connection_rules import Address, address_in, moved, token
from lambdas.database.connections import Version, connection
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    connection_arn: str


settings = Settings(
    environ["ENVIRONMENT"], environ["RECORD_TABLE"], loads(environ["RESTORE"])["application_secret_arn"]
)
kept = connection(client("secretsmanager"), client("ssm"), settings.connection_arn)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"lease", "restore_id", "release_id", "host", "port", "restored_instance", "undo"?: bool, "now"}.

    Return {"version_id", "previous_version_id", "finding": text or ""}; with "undo" host, port and instance are not
    looked at, and "previous_version_id" is the version that led to the restored instance. Raises LeaseLost,
    RestoreFailed.
    """
    record.require_lease(Lease.from_event(event), event["now"])
    if event.get("undo"):
        return swap_back(event["release_id"], event["restore_id"])
    to = Address(event["host"], int(event["port"]), event["restored_instance"])
    return swap(to, event["release_id"], event["restore_id"])


def swap(to: Address, release_id: str, restore_id: str) -> dict[str, Any]:
    """
    Write down where the application found its database so far, then lead it to the new place.

    Safe to repeat: what leads there already is left as it is. The version before is kept.
    """
    current = kept.current()
    was = address_in(current.text, settings.connection_arn)
    if was.is_same_place(to):
        before = _before(release_id, restore_id)
        return _answer(current.version_id, before.get("version_id", ""), current)
    text = moved(current.text, to, settings.connection_arn)
    note = {"version_id": current.version_id, **was.as_item()}
    record.note_release(release_id, {_fact(restore_id): note})
    return _answer(kept.replace(current, text, token(restore_id, current.version_id)), current.version_id, current)


def swap_back(release_id: str, restore_id: str) -> dict[str, Any]:
    """
    Lead the application to where it was before this restore; without a swap there is nothing to do.

    The old version becomes current again, unless somebody has changed the text since, as by rotating the password:
    then only the address in it is changed back. Safe to repeat.
    """
    current, before = kept.current(), _before(release_id, restore_id)
    if not before:
        return _answer(current.version_id, "", current)
    to = Address.from_item(before)
    if address_in(current.text, settings.connection_arn).is_same_place(to):
        return _answer(current.version_id, "", current)
    ours = token(restore_id, before["version_id"])
    if current.version_id == ours and kept.go_back(current, before["version_id"]):
        return _answer(before["version_id"], ours, current)
    text = moved(current.text, to, settings.connection_arn)
    return _answer(kept.replace(current, text, token(restore_id, current.version_id)), current.version_id, current)


def _before(release_id: str, restore_id: str) -> dict[str, Any]:
    """Return what `swap` wrote down; empty when it changed nothing."""
    before: dict[str, Any] = record.release(release_id).get(_fact(restore_id), {})
    return before


def _fact(restore_id: str) -> str:
    return f"connection_before_{restore_id}"


def _answer(version_id: str, previous_version_id: str, current: Version) -> dict[str, Any]:
    return {"version_id": version_id, "previous_version_id": previous_version_id, "finding": current.finding}
