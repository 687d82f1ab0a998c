"""The snapshots of the database that could be restored, and how far RDS's own backups reach."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lambdas.gates.infrastructure_gate_rules import Backup

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

_COMPLETE = "available"


@dataclass(frozen=True)
class Backups:
    """`rds` is a boto3 client."""

    rds: "RDSClient"

    def complete(self, instance: str) -> list[Backup]:
        """Return all snapshots of an instance that are complete, those that RDS takes by itself and all others."""
        pages = self.rds.get_paginator("describe_db_snapshots").paginate(DBInstanceIdentifier=instance)
        return [
            Backup(each["DBSnapshotIdentifier"], _moment(each["SnapshotCreateTime"]))
            for page in pages
            for each in page["DBSnapshots"]
            if each["Status"] == _COMPLETE and "SnapshotCreateTime" in each
        ]

    def restorable_until(self, instance: str) -> str:
        """Return the moment up to which RDS could bring an instance back by its own backups; "" without them."""
        (found,) = self.rds.describe_db_instances(DBInstanceIdentifier=instance)["DBInstances"]
        latest = found.get("LatestRestorableTime")
        return _moment(latest) if latest else ""


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")
