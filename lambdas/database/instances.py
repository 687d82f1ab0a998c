"""RDS instances: described, restored beside each other, changed, never deleted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.database.instance_rules import SourceSnapshot
from lambdas.database.instance_settings_rules import Description, Parameters
from lambdas.database.snapshots import describe_snapshot
from lambdas.errors import RestoreFailed

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

_BUSY = "InvalidDBInstanceState"
_EXISTS = "DBInstanceAlreadyExists"
_ROLE_IS_THERE = "DBInstanceRoleAlreadyExists"
_NO_SUCH_SNAPSHOT = "DBSnapshotNotFound"
_NO_SUCH_MOMENT = frozenset({"InvalidRestoreFault", "PointInTimeRestoreNotEnabled"})


@dataclass(frozen=True)
class Instances:
    """`rds` is a boto3 client."""

    rds: "RDSClient"

    def describe(self, instance: str) -> Description:
        """Return everything that RDS says about an instance."""
        found: Any = self.rds.describe_db_instances(DBInstanceIdentifier=instance)["DBInstances"][0]
        return found  # type: ignore[no-any-return]  # the stubs' shape is a dict with fewer promises

    def find_snapshot(self, snapshot_id: str) -> SourceSnapshot | None:
        """Read what decides whether a snapshot can be restored; None when there is none."""
        try:
            return self.snapshot(snapshot_id)
        except ClientError as error:
            if _code(error) != _NO_SUCH_SNAPSHOT:
                raise
            return None

    def snapshot(self, snapshot_id: str) -> SourceSnapshot:
        """Read what decides whether a snapshot can be restored; one of another account is named by its ARN."""
        found = describe_snapshot(self.rds, snapshot_id)
        return SourceSnapshot(
            snapshot_id=found["DBSnapshotIdentifier"],
            arn=found["DBSnapshotArn"],
            status=found["Status"],
            encrypted=found["Encrypted"],
            engine=found["Engine"],
            key=found.get("KmsKeyId", "") if found["Encrypted"] else "",
        )

    def restore_snapshot(self, snapshot_id: str, instance: str, settings: Parameters) -> bool:
        """Begin to make a new instance of a snapshot; return False when there is one of that name."""
        return self._begin(
            "restore_db_instance_from_db_snapshot",
            DBInstanceIdentifier=instance,
            DBSnapshotIdentifier=snapshot_id,
            **settings,
        )

    def restore_moment(self, source: str, moment: str, instance: str, settings: Parameters) -> bool:
        """
        Begin to make a new instance with what another one held at a moment; return False when the name is taken.

        Raises RestoreFailed when the automated backups do not reach to that moment.
        """
        try:
            return self._begin(
                "restore_db_instance_to_point_in_time",
                SourceDBInstanceIdentifier=source,
                TargetDBInstanceIdentifier=instance,
                RestoreTime=moment,
                **settings,
            )
        except ClientError as error:
            if _code(error) not in _NO_SUCH_MOMENT:
                raise
            message = f"RDS has no backup of {source} that reaches to {moment}: {error.response['Error']['Message']}"
            raise RestoreFailed(message) from error

    def modify(self, instance: str, change: Parameters) -> None:
        """Change settings now, not in the maintenance window. An instance that is busy is left to the next look."""
        try:
            self.rds.modify_db_instance(DBInstanceIdentifier=instance, ApplyImmediately=True, **change)
        except ClientError as error:
            if _code(error) != _BUSY:
                raise

    def add_role(self, instance: str, role_arn: str, feature: str) -> None:
        """Give an instance a role. Safe to repeat."""
        try:
            self.rds.add_role_to_db_instance(DBInstanceIdentifier=instance, RoleArn=role_arn, FeatureName=feature)
        except ClientError as error:
            if _code(error) not in {_BUSY, _ROLE_IS_THERE}:
                raise

    def _begin(self, operation: str, **request: Any) -> bool:  # noqa: ANN401  many shapes
        try:
            getattr(self.rds, operation)(**request)
        except ClientError as error:
            if _code(error) != _EXISTS:
                raise
            return False
        return True


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
