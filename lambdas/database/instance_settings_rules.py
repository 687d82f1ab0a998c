"""
What is known of an instance's settings, and how each of them gets to an instance that is restored. All pure.

A restored instance is a new one, and gets AWS's defaults for whatever the request leaves out: the default security
group, the default parameter group, a single Availability Zone, no deletion protection. So every member of an instance's
description stands in exactly one of four tables: what the restore request sets (`RESTORED`), what only
ModifyDBInstance sets (`MODIFIED`), what comes with the data (`INHERITED`), and what may differ (`DIFFERS`), with the
reason. What differs and may not is an error: nobody should find it out under load.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_RestoreFromSnapshot.html
"""

from collections.abc import Callable, Mapping
from typing import Any

SMALLEST_WITH_OWN_IOPS = 400
"""
GiB of a gp3 volume from which on IOPS and throughput may be given; below, RDS describes them but refuses to be told.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html#gp3-storage
"""

Description = Mapping[str, Any]
"""What DescribeDBInstances says about one instance."""
Parameters = dict[str, Any]

_OURS = "runback:"
_RESERVED = "aws:"


# -- how members are compared


def _each(name: str) -> Callable[[Any], Any]:
    return lambda members: sorted(each[name] for each in members)


def _without_status(members: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401  as RDS describes it
    return [{name: value for name, value in each.items() if not name.endswith("Status")} for each in members]


def _own_tags(tags: Any) -> list[tuple[str, str]]:  # noqa: ANN401  as RDS describes it
    """Leave out AWS's own tags, which nobody may set, and ours, which name a restore."""
    pairs = sorted((each["Key"], each["Value"]) for each in tags)
    return [pair for pair in pairs if not pair[0].startswith((_RESERVED, _OURS))]


COMPARED: Mapping[str, Callable[[Any], Any]] = {
    "AdditionalStorageVolumes": _each("VolumeName"),
    "AssociatedRoles": lambda roles: sorted((each["RoleArn"], each.get("FeatureName", "")) for each in roles),
    "DBParameterGroups": _each("DBParameterGroupName"),
    "DBSubnetGroup": lambda group: group["DBSubnetGroupName"],
    "DomainMemberships": _without_status,
    "EnabledCloudwatchLogsExports": sorted,
    "Endpoint": lambda endpoint: endpoint["Port"],
    "MasterUserSecret": lambda secret: secret.get("KmsKeyId", "managed by RDS"),
    "OptionGroupMemberships": _each("OptionGroupName"),
    "ProcessorFeatures": lambda features: sorted((each["Name"], each["Value"]) for each in features),
    "TagList": _own_tags,
    "VpcSecurityGroups": _each("VpcSecurityGroupId"),
}
"""What of a member counts, where not all of it does: never the state in which an assignment is."""

SETTLED: Mapping[str, tuple[str, str]] = {
    "AssociatedRoles": ("Status", "ACTIVE"),
    "DBParameterGroups": ("ParameterApplyStatus", "in-sync"),
    "OptionGroupMemberships": ("Status", "in-sync"),
    "VpcSecurityGroups": ("Status", "active"),
}
"""In which state an assignment is done, by member."""


# -- what the restore request sets


def _same(name: str) -> Callable[[Description], Parameters]:
    return lambda wanted: {name: wanted[name]}


def _as(parameter: str, name: str) -> Callable[[Description], Parameters]:
    """Say the member under another name, and only what counts of it; what is off is AWS's default."""
    return lambda wanted: {parameter: value} if (value := comparable(name, wanted)) else {}


def _first_as(parameter: str, name: str) -> Callable[[Description], Parameters]:
    return lambda wanted: {parameter: comparable(name, wanted)[0]}


def _zone(wanted: Description) -> Parameters:
    """RDS chooses the zones of an instance that is in several, and refuses to be told one."""
    return {} if wanted.get("MultiAZ") else {"AvailabilityZone": wanted["AvailabilityZone"]}


def _own_speed(name: str) -> Callable[[Description], Parameters]:
    return lambda wanted: {name: wanted[name]} if _has_own_speed(wanted) else {}


def _has_own_speed(wanted: Description) -> bool:
    return wanted.get("StorageType") != "gp3" or wanted.get("AllocatedStorage", 0) >= SMALLEST_WITH_OWN_IOPS


def _domain(wanted: Description) -> Parameters:
    """AWS's own directory is joined through a role, one of the customer's own through a secret."""
    (member,) = comparable("DomainMemberships", wanted)
    if "AuthSecretArn" not in member:
        return {"Domain": member["Domain"], "DomainIAMRoleName": member["IAMRoleName"]}
    names = {"FQDN": "DomainFqdn", "OU": "DomainOu", "AuthSecretArn": "DomainAuthSecretArn", "DnsIps": "DomainDnsIps"}
    return {parameter: member[name] for name, parameter in names.items() if name in member}


_RESTORED_BY_ITS_NAME = (
    "AllocatedStorage",
    "AutoMinorVersionUpgrade",
    "BackupRetentionPeriod",
    "BackupTarget",
    "CACertificateIdentifier",
    "CopyTagsToSnapshot",
    "DBCapacityReservationIdentifier",
    "DBInstanceClass",
    "DedicatedLogVolume",
    "DeletionProtection",
    "EngineLifecycleSupport",
    "LicenseModel",
    "MultiAZ",
    "NetworkType",
    "PreferredBackupWindow",
    "ProcessorFeatures",
    "PubliclyAccessible",
    "StorageType",
)

RESTORED: Mapping[str, Callable[[Description], Parameters]] = {
    **{name: _same(name) for name in _RESTORED_BY_ITS_NAME},
    "AvailabilityZone": _zone,
    "CustomerOwnedIpEnabled": _as("EnableCustomerOwnedIp", "CustomerOwnedIpEnabled"),
    "DBParameterGroups": _first_as("DBParameterGroupName", "DBParameterGroups"),
    "DBSubnetGroup": _as("DBSubnetGroupName", "DBSubnetGroup"),
    "DomainMemberships": _domain,
    "EnabledCloudwatchLogsExports": _as("EnableCloudwatchLogsExports", "EnabledCloudwatchLogsExports"),
    "Endpoint": _as("Port", "Endpoint"),
    "IAMDatabaseAuthenticationEnabled": _as("EnableIAMDatabaseAuthentication", "IAMDatabaseAuthenticationEnabled"),
    "Iops": _own_speed("Iops"),
    "OptionGroupMemberships": _first_as("OptionGroupName", "OptionGroupMemberships"),
    "StorageThroughput": _own_speed("StorageThroughput"),
    "TagList": lambda _: {},  # Tags, with ours among them, see `restore_request`
    "VpcSecurityGroups": _as("VpcSecurityGroupIds", "VpcSecurityGroups"),
}
"""What a restore request says about each member that it can set."""

NOT_ASKED_FOR: Mapping[str, str] = {
    "AdditionalStorageVolumes": "Oracle and SQL Server only; they come with the snapshot",
    "CustomIamInstanceProfile": "RDS Custom only",
    "DBClusterSnapshotIdentifier": "for snapshots of clusters",
    "DBName": "Oracle and SQL Server only; the databases come with the snapshot",
    "Engine": "the snapshot's",
    "ManageMasterUserPassword": "Oracle only in this request; ModifyDBInstance sets it",
    "MasterUserSecretKmsKeyId": "with ManageMasterUserPassword",
    "TagSpecifications": "tags of the automated backup, which no description tells",
    "TdeCredentialArn": "Oracle and SQL Server only",
    "TdeCredentialPassword": "Oracle and SQL Server only",
    "UseDefaultProcessorFeatures": "without ProcessorFeatures the class's own are used",
}
"""Parameters of RestoreDBInstanceFromDBSnapshot that are never given, and why."""


# -- what only ModifyDBInstance sets


def _storage_limit(wanted: Description, _: Description) -> Parameters:
    """A limit that is no more than what is allocated is none: that is how growing by itself is turned off."""
    return {"MaxAllocatedStorage": wanted.get("MaxAllocatedStorage", wanted.get("AllocatedStorage"))}


def _monitoring(wanted: Description, _: Description) -> Parameters:
    """Interval and role are taken together only."""
    if not wanted.get("MonitoringInterval"):
        return {"MonitoringInterval": 0}
    return {"MonitoringInterval": wanted["MonitoringInterval"], "MonitoringRoleArn": wanted["MonitoringRoleArn"]}


def _insights(wanted: Description, _: Description) -> Parameters:
    """Mode, retention and key depend on each other."""
    change: Parameters = {"EnablePerformanceInsights": bool(wanted.get("PerformanceInsightsEnabled"))}
    for name in ("DatabaseInsightsMode", "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod"):
        if wanted.get(name):
            change[name] = wanted[name]
    return change


def _managed_password(wanted: Description, _: Description) -> Parameters:
    """RDS makes a secret of its own for the master user, beside that of the instance that serves."""
    secret = wanted.get("MasterUserSecret")
    if not secret:
        return {}  # it could only be replaced by a password, and nobody here knows one
    key = {"MasterUserSecretKmsKeyId": secret["KmsKeyId"]} if secret.get("KmsKeyId") else {}
    return {"ManageMasterUserPassword": True, **key}


def _minor_version(wanted: Description, found: Description) -> Parameters:
    """A snapshot may be older than a minor upgrade. A major one belongs to the data, and is not done by the way."""
    major, found_major = (str(each.get("EngineVersion", "")).split(".")[0] for each in (wanted, found))
    return {"EngineVersion": wanted["EngineVersion"]} if major == found_major else {}


def _maintenance(wanted: Description, _: Description) -> Parameters:
    return {"PreferredMaintenanceWindow": wanted["PreferredMaintenanceWindow"]}


MODIFIED: Mapping[str, Callable[[Description, Description], Parameters]] = {
    "DatabaseInsightsMode": _insights,
    "EngineVersion": _minor_version,
    "MasterUserSecret": _managed_password,
    "MaxAllocatedStorage": _storage_limit,
    "MonitoringInterval": _monitoring,
    "MonitoringRoleArn": _monitoring,
    "PerformanceInsightsEnabled": _insights,
    "PerformanceInsightsKMSKeyId": _insights,
    "PerformanceInsightsRetentionPeriod": _insights,
    "PreferredMaintenanceWindow": _maintenance,
}
"""What ModifyDBInstance is told when the member of the restored instance (second) is not that of the first."""

ADDED = "AssociatedRoles"
"""Set by neither: AddRoleToDBInstance gives an instance its roles, one by one."""


# -- what nobody sets

INHERITED = frozenset(
    {
        "ActivityStreamEngineNativeAuditFieldsIncluded",
        "ActivityStreamKinesisStreamName",
        "ActivityStreamKmsKeyId",
        "ActivityStreamMode",
        "ActivityStreamPolicyStatus",
        "ActivityStreamStatus",
        "AdditionalStorageVolumes",
        "AutomationMode",
        "CharacterSetName",
        "CustomIamInstanceProfile",
        "DBClusterIdentifier",
        "DBName",
        "DBSecurityGroups",
        "DbInstancePort",
        "Engine",
        "KmsKeyId",
        "MasterUsername",
        "MultiTenant",
        "NcharCharacterSetName",
        "PromotionTier",
        "StorageEncrypted",
        "StorageEncryptionType",
        "TdeCredentialArn",
        "Timezone",
    }
)
"""What comes with the snapshot, or is not there for PostgreSQL: it must be equal without anybody's doing."""

DIFFERS: Mapping[str, str] = {
    "AutomaticRestartTime": "about a stopped instance",
    "AwsBackupRecoveryPointArn": "AWS Backup's latest copy of one instance; its plans choose theirs by tags or by ARN",
    "CertificateDetails": "every instance has a certificate of its own; its authority is in CACertificateIdentifier",
    "DBInstanceArn": "the new name",
    "DBInstanceAutomatedBackupsReplications": "replication of backups into another Region is begun for each instance",
    "DBInstanceIdentifier": "the new name",
    "DBInstanceStatus": "waited for",
    "DBSystemId": "RDS Custom only, and generated",
    "DbiResourceId": "generated",
    "EnhancedMonitoringResourceArn": "the log stream of one instance",
    "InstanceCreateTime": "a new instance",
    "IsStorageConfigUpgradeAvailable": "a new volume may have a newer file system",
    "LatestRestorableTime": "backups begin anew",
    "ListenerEndpoint": "the new name",
    "PendingModifiedValues": "must be none on the restored one; on the other one they wait for its window",
    "PercentProgress": "of an optimisation of one volume",
    "ReadReplicaDBClusterIdentifiers": "replicas stay with the instance that they follow",
    "ReadReplicaDBInstanceIdentifiers": "replicas stay with the instance that they follow",
    "ReadReplicaSourceDBClusterIdentifier": "a restored instance follows nobody; a replica is not restored",
    "ReadReplicaSourceDBInstanceIdentifier": "a restored instance follows nobody; a replica is not restored",
    "ReplicaMode": "Oracle and Db2 only, of replicas",
    "ResumeFullAutomationModeTime": "RDS Custom only, and a moment",
    "SecondaryAvailabilityZone": "RDS chooses it",
    "StatusInfos": "of replicas",
    "StorageOperationPercentProgress": "of one volume",
    "StorageOperationStatus": "of one volume",
    "StorageVolumeStatus": "of one volume",
    "UpgradeRolloutOrder": "a policy of AWS Organizations decides it, by tags, and in its own time",
}
"""What may differ, and why that is well."""


# -- reading descriptions


def comparable(name: str, description: Description) -> Any:  # noqa: ANN401  as RDS describes it
    """Return what of a member counts; None for what is absent, empty, zero or off: RDS says it in any of these ways."""
    if name == "AvailabilityZone" and description.get("MultiAZ"):
        return None
    value = description.get(name)
    if not value:
        return None
    return COMPARED[name](value) or None if name in COMPARED else value


def is_given(name: str, description: Description) -> bool:
    """False and 0 are settings, too; what is empty or absent is none."""
    return description.get(name) not in (None, "", [], {})
