"""Count and keep what a restore loses, a bounded piece at a time, before anybody can write to the restored database."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.database.data_rules import DataSettings
from lambdas.database.exports import Export
from lambdas.database.login_rules import credentials
from lambdas.database.lost_writes import LostWrites
from lambdas.database.lost_writes_rules import Cursor, Unaccounted
from lambdas.database.postgres import Session, session
from lambdas.database.roles import Roles
from lambdas.database.tables import Tables
from lambdas.database.unaccounted import Others, unaccounted
from lambdas.errors import LossNotCounted
from lambdas.observability import logger, step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease

_PATIENT_SECONDS = 20
_QUERY_SECONDS = 240
"""A restored volume is read from S3 the first time."""
_MOST_LISTED = 100
"""A state of an execution holds 256 KB; all of it is in the summary beside the export."""


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    data: DataSettings


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], DataSettings.from_json(environ["RESTORE"]))
secrets = Secrets(client("secretsmanager"))
s3 = client("s3", _PATIENT_SECONDS)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Compare a piece.

    Read {"lease", "release_id", "restore_id", "forward_host", "restored_host", "cursor", "now"}, with {} as the first
    cursor; return {"done", "cursor", "lost": {table: {"inserted", "changed", "deleted"}}, "unaccounted": [{"table",
    "rows", "why", "differs"}], "exported": address}. What is unaccounted for is known when it is done: what differs, or
    may differ, beyond the rows that were counted. No key and no row is in any of it.
    """
    record.require_lease(Lease.from_event(event), event["now"])
    begin = Cursor.from_event(event["cursor"])
    export = Export(s3, settings.data.bucket, event["restore_id"], begin.part)
    cursor, left = count_lost_writes(event["forward_host"], event["restored_host"], begin, export)
    answer = {
        "done": left is not None,
        "cursor": cursor.as_event(),
        "lost": {table: asdict(lost) for table, lost in cursor.lost.items()},
        "unaccounted": _listed([each for each in left or () if each.differs is not False]),
        "exported": export.address,
    }
    if left is not None:
        export.put_summary({"lost": answer["lost"], "not_compared_by_row": [asdict(each) for each in left]})
    logger.info("Compared a piece", compared_rows=cursor.compared_rows, done=answer["done"])
    return answer


def count_lost_writes(
    forward_host: str, restored_host: str, begin: Cursor, export: Export
) -> tuple[Cursor, list[Unaccounted] | None]:
    """
    Compare a piece, export its rows, and return how far that came; when that is the end, also what was left out.

    Safe to repeat: the same cursor makes the same parts again. Raises LossNotCounted when the forward server is open to
    its application.
    """
    data = settings.data
    administrator = credentials(secrets.text(data.administrator_secret_arn), "administrator")
    with (
        session(data.server(forward_host), administrator, seconds=_QUERY_SECONDS) as forward,
        session(data.server(restored_host), administrator, seconds=_QUERY_SECONDS) as restored,
    ):
        _require_fence(forward)
        counting = LostWrites(Tables(forward), Tables(restored), export)
        cursor = counting.count(data.tables, begin)
        if cursor.table < len(data.tables):
            return cursor, None
        return cursor, unaccounted(Others(forward), Others(restored), data.tables, cursor)


def _require_fence(forward: Session) -> None:
    if able := Roles(forward).able_to_log_in(settings.data.application_roles):
        raise LossNotCounted(
            f"{', '.join(able)} can log in to the forward instance, so what is counted may not be all that is lost."
        )


def _listed(left: Sequence[Unaccounted]) -> list[dict[str, Any]]:
    listed = [asdict(each) for each in left[:_MOST_LISTED]]
    if len(left) > _MOST_LISTED:
        more = Unaccounted(f"{len(left) - _MOST_LISTED} more", None, "are in summary.json of the export")
        listed.append(asdict(more))
    return listed
