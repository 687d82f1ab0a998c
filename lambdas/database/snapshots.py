"""Snapshots of an RDS instance."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.database.rules import Snapshot
from lambdas.database.shared_snapshot_rules import owner_of

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

# A repeated request meets the snapshot of the first one, and possibly an instance that is busy making it
_ALREADY_TAKEN = frozenset({"DBSnapshotAlreadyExists", "InvalidDBInstanceState"})
_NOT_FOUND = "DBSnapshotNotFound"


def describe_snapshot(rds: "RDSClient", snapshot: str) -> Any:  # noqa: ANN401  as RDS describes it
    """
    Return what RDS says about a snapshot, by its name, or by its ARN if another account shares it.

    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshots.html
    """
    if owner_of(snapshot):
        return rds.describe_db_snapshots(DBSnapshotIdentifier=snapshot, IncludeShared=True)["DBSnapshots"][0]
    return rds.describe_db_snapshots(DBSnapshotIdentifier=snapshot)["DBSnapshots"][0]


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

    def copy(self, source_arn: str, snapshot_id: str, key: str, tags: dict[str, str]) -> None:
        """Begin to copy a snapshot, encrypted with a key unless that is "". Safe to repeat."""
        encryption: Any = {"KmsKeyId": key} if key else {}
        try:
            self.rds.copy_db_snapshot(
                SourceDBSnapshotIdentifier=source_arn,
                TargetDBSnapshotIdentifier=snapshot_id,
                Tags=[{"Key": name, "Value": value} for name, value in tags.items()],
                **encryption,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "DBSnapshotAlreadyExists":
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
