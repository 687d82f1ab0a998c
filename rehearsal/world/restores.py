"""
What AWS makes of a request to restore a snapshot, or to change an instance; moto keeps the source's settings instead.

Whatever the request leaves out is AWS's default and not the source's, but for what belongs to the data: that is the
trap which a restore in a hurry falls into, so here it is open.
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBInstanceFromDBSnapshot.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.rds.exceptions import RDSClientError
from moto.rds.models import DBInstance, DBSnapshot

CREATING, AVAILABLE, MODIFYING = "creating", "available", "modifying"

_SMALLEST_WITH_OWN_IOPS = 400
"""GiB of a gp3 volume of PostgreSQL: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html"""

_WITH_THE_DATA = (
    "allocated_storage",
    "backup_retention_period",
    "db_instance_class",
    "db_name",
    "engine",
    "engine_version",
    "iops",
    "license_model",
    "master_username",
    "port",
    "storage_type",
)
"""What a restored instance has of the snapshot's unless the request says otherwise."""

_WHERE_FROM = frozenset(
    {"db_snapshot_identifier", "restore_time", "source_db_instance_identifier", "target_db_instance_identifier"}
)
"""Parameters that are about the data, and none of the new instance's."""

_OWN_NAMES = {
    "ca_certificate_identifier": "ca_certificate_identifier",
    "customer_owned_ip_enabled": "enable_customer_owned_ip",
    "database_insights_mode": "database_insights_mode",
    "dedicated_log_volume": "dedicated_log_volume",
    "engine_lifecycle_support": "engine_lifecycle_support",
    "network_type": "network_type",
    "performance_insights_enabled": "enable_performance_insights",
    "performance_insights_kms_key_id": "performance_insights_kms_key_id",
    "performance_insights_retention_period": "performance_insights_retention_period",
    "port": "db_port_number",
    "processor_features": "processor_features",
}
"""Attributes of an instance, as moto describes it, which moto would not set: by what requests call them."""


@dataclass(frozen=True)
class RestorePlan:
    """
    How the restores that are asked for from now on will go; in simulated seconds.

    `status` is the one that it ends in: "available", or as "incompatible-restore" one of those of a failure.
    `modify_seconds` is how long an instance is changed by ModifyDBInstance.
    """

    seconds: float = 600.0
    status: str = AVAILABLE
    modify_seconds: float = 60.0


class SnapshotNotAvailable(RDSClientError):
    """What a restore answers for a snapshot that is not complete."""

    def __init__(self, snapshot: str, status: str) -> None:
        super().__init__(
            "InvalidDBSnapshotState",
            f"The snapshot {snapshot} cannot be restored because it is not in the available state; it is {status}.",
        )


class InstanceBusy(RDSClientError):
    """What a request answers for an instance that is busy with something else."""

    def __init__(self, instance: str, status: str) -> None:
        super().__init__(
            "InvalidDBInstanceState",
            f"The database instance {instance} is not currently in the available state; it is {status}.",
        )


class NoSuchMoment(RDSClientError):
    """What a restore answers for a moment that its backups do not hold."""

    def __init__(self, instance: str) -> None:
        super().__init__("InvalidRestoreFault", f"Cannot restore {instance} to that time: no backup of it holds it.")


class NoBackups(RDSClientError):
    """What a restore to a moment answers for an instance without automated backups."""

    def __init__(self, instance: str) -> None:
        super().__init__("PointInTimeRestoreNotEnabled", f"Automated backups are disabled for instance {instance}.")


class WrongCombination(RDSClientError):
    """What a request answers whose parameters do not go together."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidParameterCombination", message)


def require_available(snapshot: DBSnapshot) -> None:
    """Raise SnapshotNotAvailable."""
    if snapshot.status != AVAILABLE:
        raise SnapshotNotAvailable(snapshot.db_snapshot_identifier, snapshot.status)


def settings_of_restored(
    source: DBInstance, request: Mapping[str, Any], snapshot: DBSnapshot | None = None
) -> dict[str, Any]:
    """
    Return what moto makes the instance with: what comes with the data, then the request, and nothing else.

    `source` is the instance that the data are of; how they are encrypted a snapshot knows better. Raises
    WrongCombination.
    """
    _require_combination(int((snapshot or source).allocated_storage or 0), request)
    settings = {name: getattr(source, name) for name in _WITH_THE_DATA}
    is_encrypted = snapshot.encrypted if snapshot else source.storage_encrypted
    settings |= {"storage_encrypted": is_encrypted, "kms_key_id": (snapshot or source).kms_key_id, "tags": source.tags}
    given = {name: value for name, value in request.items() if value is not None}
    settings |= {name: value for name, value in given.items() if name not in _WHERE_FROM}
    if str(settings.get("option_group_name", "")).startswith("default:"):
        del settings["option_group_name"]  # moto knows no default one by its name, but chooses it
    return settings


def apply(instance: DBInstance, request: Mapping[str, Any]) -> None:
    """Set what moto leaves unset, or sets under the request's name and describes under another."""
    for attribute, name in _OWN_NAMES.items():
        if request.get(name) is not None:
            setattr(instance, attribute, request[name])


def _require_combination(source_size: int, request: Mapping[str, Any]) -> None:
    if request.get("multi_az") and request.get("availability_zone"):
        raise WrongCombination("Requesting a specific availability zone is not valid for Multi-AZ instances.")
    size = request.get("allocated_storage") or source_size
    has_own = request.get("iops") or request.get("storage_throughput")
    if request.get("storage_type") == "gp3" and has_own and size < _SMALLEST_WITH_OWN_IOPS:
        raise WrongCombination(
            "You can't specify IOPS or storage throughput for engine postgres and a storage size less than "
            f"{_SMALLEST_WITH_OWN_IOPS}."
        )
