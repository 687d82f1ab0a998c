"""Snapshots of an RDS instance."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.database.rules import Snapshot

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

# A repeated request meets the snapshot of the first one, and possibly an instance that is busy making it
_ALREADY_TAKEN = frozenset({"DBSnapshotAlreadyExists", "InvalidDBInstanceState"})
_NOT_FOUND = "DBSnapshotNotFound"


@dataclass(frozen=True)
class Snapshots:
    """`rds` is a boto3 client."""

    rds: "RDSClient"

    def take(self, instance: str, snapshot_id: str, tags: dict[str, str]) -> None:
        """Begin a snapshot. Safe to repeat: whether there is one now is for `describe` to say."""
        try:
            self.rds.create_db_snapshot(
                DBInstanceIdentifier=instance,
                DBSnapshotIdentifier=snapshot_id,
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ALREADY_TAKEN:
                raise

    def find(self, snapshot_id: str) -> Snapshot | None:
        """Read how far a snapshot is; None when there is none."""
        try:
            return self.describe(snapshot_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != _NOT_FOUND:
                raise
            return None

    def describe(self, snapshot_id: str) -> Snapshot:
        """Read how far a snapshot is."""
        found = self.rds.describe_db_snapshots(DBSnapshotIdentifier=snapshot_id)["DBSnapshots"][0]
        return Snapshot(
            snapshot_id=found["DBSnapshotIdentifier"],
            instance=found["DBInstanceIdentifier"],
            status=found["Status"],
            percent=int(found.get("PercentProgress", 0)),
        )
