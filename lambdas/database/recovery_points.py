"""What RDS could bring a database back to: a snapshot, or any moment that its automated backups reach."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.database.restore_rules import Instance, RecoverySnapshot
from lambdas.database.snapshots import describe_snapshot

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

_NOT_FOUND = frozenset({"DBSnapshotNotFound", "DBInstanceNotFound"})


@dataclass(frozen=True)
class RecoveryPoints:
    """`rds` is a boto3 client."""

    rds: "RDSClient"

    def snapshot(self, snapshot_id: str) -> RecoverySnapshot | None:
        """
        Read what a snapshot holds; None when there is none of that name.

        One of another account is named by its ARN. It holds what was committed by SnapshotDatabaseTime, which is before
        it was complete.
        https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBSnapshot.html
        """
        try:
            found: Any = describe_snapshot(self.rds, snapshot_id)
        except ClientError as error:
            _raise_unless_not_found(error)
            return None
        taken = found.get("SnapshotDatabaseTime") or found.get("SnapshotCreateTime")
        return RecoverySnapshot(snapshot_id, found["Status"], _moment(taken))

    def instance(self, instance: str) -> Instance | None:
        """Read where an instance answers, and until when it could be brought back; None when there is none."""
        try:
            found: Any = self.rds.describe_db_instances(DBInstanceIdentifier=instance)["DBInstances"][0]
        except ClientError as error:
            _raise_unless_not_found(error)
            return None
        endpoint = found.get("Endpoint", {})
        return Instance(
            name=instance,
            status=found["DBInstanceStatus"],
            host=endpoint.get("Address", ""),
            port=int(endpoint.get("Port", 0)),
            latest_restorable=_moment(found.get("LatestRestorableTime")),
        )


def _raise_unless_not_found(error: ClientError) -> None:
    if error.response["Error"]["Code"] not in _NOT_FOUND:
        raise error


def _moment(time: datetime | None) -> str:
    """Write a moment as the record has them; "" for none."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds") if time else ""
