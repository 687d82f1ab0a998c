"""A restored instance is like the one that serves: every setting that AWS knows is accounted for."""

from typing import Any

import pytest
from botocore.model import ServiceModel, StructureShape
from botocore.session import get_session

from lambdas.database import instance_rules as rules
from lambdas.database import instance_settings_rules as settings
from lambdas.database.instance_rules import SourceSnapshot, differences, look, restore_request
from lambdas.errors import RestoreFailed
from tests.builders import at

ACCOUNT = "111122223333"
FORWARD: dict[str, Any] = {
    "AllocatedStorage": 20,
    "AssociatedRoles": [],
    "AutoMinorVersionUpgrade": True,
    "AvailabilityZone": "eu-west-1b",
    "BackupRetentionPeriod": 7,
    "BackupTarget": "region",
    "CACertificateIdentifier": "rds-ca-rsa2048-g1",
    "CertificateDetails": {"CAIdentifier": "rds-ca-rsa2048-g1", "ValidTill": "2027-01-01"},
    "CopyTagsToSnapshot": True,
    "CustomerOwnedIpEnabled": False,
    "DBInstanceArn": f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:receipts-test",
    "DBInstanceClass": "db.m7g.large",
    "DBInstanceIdentifier": "receipts-test",
    "DBInstanceStatus": "available",
    "DBName": "receiptvault",
    "DBParameterGroups": [{"DBParameterGroupName": "receipts", "ParameterApplyStatus": "in-sync"}],
    "DBSecurityGroups": [],
    "DBSubnetGroup": {"DBSubnetGroupName": "private", "VpcId": "vpc-1", "Subnets": []},
    "DatabaseInsightsMode": "standard",
    "DbInstancePort": 0,
    "DbiResourceId": "db-FORWARD",
    "DedicatedLogVolume": False,
    "DeletionProtection": True,
    "DomainMemberships": [],
    "EnabledCloudwatchLogsExports": ["upgrade", "postgresql"],
    "Endpoint": {"Address": "receipts-test.c9.eu-west-1.rds.amazonaws.com", "Port": 5433, "HostedZoneId": "Z1"},
    "Engine": "postgres",
    "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
    "EngineVersion": "18.4",
    "IAMDatabaseAuthenticationEnabled": True,
    "Iops": 3000,
    "KmsKeyId": "arn:aws:kms:eu-west-1:111122223333:key/1",
    "LicenseModel": "postgresql-license",
    "MasterUsername": "postgres",
    "MasterUserSecret": {"SecretArn": "arn:forward", "SecretStatus": "active", "KmsKeyId": "key/2"},
    "MaxAllocatedStorage": 100,
    "MonitoringInterval": 60,
    "MonitoringRoleArn": f"arn:aws:iam::{ACCOUNT}:role/monitoring",
    "MultiAZ": False,
    "NetworkType": "IPV4",
    "OptionGroupMemberships": [{"OptionGroupName": "default:postgres-18", "Status": "in-sync"}],
    "PerformanceInsightsEnabled": True,
    "PerformanceInsightsKMSKeyId": "key/3",
    "PerformanceInsightsRetentionPeriod": 7,
    "PreferredBackupWindow": "02:00-02:30",
    "PreferredMaintenanceWindow": "sun:03:00-sun:03:30",
    "PubliclyAccessible": False,
    "ReadReplicaDBInstanceIdentifiers": ["receipts-reader"],
    "StorageEncrypted": True,
    "StorageThroughput": 125,
    "StorageType": "gp3",
    "TagList": [{"Key": "team", "Value": "receipts"}, {"Key": "aws:cloudformation:stack-name", "Value": "db"}],
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
}
"""As RDS describes an instance of PostgreSQL whose settings are the defaults in next to nothing."""

LATER = ("MasterUserSecret", "MaxAllocatedStorage", "MonitoringInterval", "MonitoringRoleArn", "DatabaseInsightsMode")
INSIGHTS = ("PerformanceInsightsEnabled", "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod")


def restored(**changes: Any) -> dict[str, Any]:
    """Describe what came of the restore, when all is as it should be."""
    return {
        **FORWARD,
        "DBInstanceIdentifier": "restored",
        "DBInstanceArn": f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:restored",
        "DbiResourceId": "db-RESTORED",
        "Endpoint": {"Address": "restored.c9.eu-west-1.rds.amazonaws.com", "Port": 5433},
        "MasterUserSecret": {"SecretArn": "arn:restored", "SecretStatus": "active", "KmsKeyId": "key/2"},
        "ReadReplicaDBInstanceIdentifiers": [],
        "TagList": [
            {"Key": "runback:restore", "Value": "r-1"},
            {"Key": "runback:environment", "Value": "test"},
            {"Key": "team", "Value": "receipts"},
        ],
        **changes,
    }


def without(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in restored(**changes).items() if name not in names}


def looked(found: dict[str, Any], now: str = at(5), forward: dict[str, Any] = FORWARD) -> rules.Look:
    return look(forward, found, ready_by=at(30), now=now)


def model() -> ServiceModel:
    return get_session().get_service_model("rds")


def members(operation: str) -> set[str]:
    shape = model().operation_model(operation).input_shape
    assert isinstance(shape, StructureShape)
    return set(shape.members)


def test_every_setting_of_an_instance_is_accounted_for_exactly_once() -> None:
    """A member that AWS adds must be looked at by a human: a restored instance might silently not have it."""
    shape = model().shape_for("DBInstance")
    assert isinstance(shape, StructureShape)
    tables = [*settings.RESTORED, *settings.MODIFIED, settings.ADDED, *settings.INHERITED, *settings.DIFFERS]
    assert len(tables) == len(set(tables))
    assert set(shape.members) == set(tables)
    assert settings.COMPARED.keys() <= set(tables) - settings.DIFFERS.keys()


def test_all_that_a_restore_accepts_is_asked_for_or_left_out_with_a_reason() -> None:
    described = {
        **FORWARD,
        "CustomerOwnedIpEnabled": True,
        "DBCapacityReservationIdentifier": "dbcr-1",
        "ProcessorFeatures": [{"Name": "coreCount", "Value": "2"}],
        "StorageType": "io2",
    }
    joined = {"Domain": "d-1", "Status": "joined", "FQDN": "corp.example", "IAMRoleName": "directory"}
    own = {
        "FQDN": "corp.example",
        "OU": "db",
        "AuthSecretArn": "arn:secret",
        "DnsIps": ["10.0.0.2"],
        "Status": "joined",
    }
    asked = {
        name
        for domain in (joined, own)
        for name in restore_request({**described, "DomainMemberships": [domain]}, "r-1", "test")
    }
    beside = {"DBInstanceIdentifier", "DBSnapshotIdentifier"}
    assert members("RestoreDBInstanceFromDBSnapshot") == asked | settings.NOT_ASKED_FOR.keys() | beside
    assert asked <= members("RestoreDBInstanceToPointInTime")
    assert not asked & settings.NOT_ASKED_FOR.keys()


def test_a_restore_asks_for_the_settings_of_the_instance_that_serves() -> None:
    request = restore_request(FORWARD, "r-1", "test")
    assert {
        "DBSubnetGroupName": "private",
        "VpcSecurityGroupIds": ["sg-1"],
        "DBParameterGroupName": "receipts",
        "OptionGroupName": "default:postgres-18",
        "Port": 5433,
        "EnableIAMDatabaseAuthentication": True,
        "EnableCloudwatchLogsExports": ["postgresql", "upgrade"],
        "DeletionProtection": True,
        "PubliclyAccessible": False,
        "MultiAZ": False,
        "AvailabilityZone": "eu-west-1b",
    }.items() <= request.items()
    assert request["Tags"] == [
        {"Key": "team", "Value": "receipts"},
        {"Key": "runback:restore", "Value": "r-1"},
        {"Key": "runback:environment", "Value": "test"},
    ]


def test_a_restore_does_not_ask_for_what_rds_refuses() -> None:
    """A small gp3 volume has IOPS that nobody may name, and an instance in several zones no zone of its own."""
    assert not {"Iops", "StorageThroughput"} & restore_request(FORWARD, "r-1", "test").keys()
    large = restore_request({**FORWARD, "AllocatedStorage": 400, "MultiAZ": True}, "r-1", "test")
    assert (large["Iops"], large["StorageThroughput"]) == (3000, 125)
    assert "AvailabilityZone" not in large


def test_a_restore_of_a_restored_instance_has_its_own_tags() -> None:
    request = restore_request(restored(), "r-2", "test")
    assert {"Key": "runback:restore", "Value": "r-2"} in request["Tags"]
    assert {"Key": "runback:restore", "Value": "r-1"} not in request["Tags"]


def test_an_equal_instance_is_available() -> None:
    assert looked(restored()) == rules.Look(available=True, settings="equal")


def test_an_instance_is_waited_for_until_the_time_is_up() -> None:
    assert looked(restored(DBInstanceStatus="creating")).settings == "restoring"
    assert looked(restored(DBInstanceStatus="configuring-enhanced-monitoring")).settings == "modifying"
    with pytest.raises(RestoreFailed, match="still creating when the time was up"):
        looked(restored(DBInstanceStatus="creating"), now=at(30))


@pytest.mark.parametrize("status", ["failed", "incompatible-restore", "incompatible-parameters", "deleting"])
def test_an_instance_that_failed_is_not_waited_for(status: str) -> None:
    with pytest.raises(RestoreFailed, match=status):
        looked(restored(DBInstanceStatus=status))


def test_what_a_restore_cannot_set_is_set_afterwards() -> None:
    seen = looked(without(*LATER, *INSIGHTS, PreferredMaintenanceWindow="wed:06:38-wed:07:08"))
    assert (seen.available, seen.settings) == (False, "modifying")
    assert seen.change == {
        "MaxAllocatedStorage": 100,
        "MonitoringInterval": 60,
        "MonitoringRoleArn": FORWARD["MonitoringRoleArn"],
        "EnablePerformanceInsights": True,
        "DatabaseInsightsMode": "standard",
        "PerformanceInsightsKMSKeyId": "key/3",
        "PerformanceInsightsRetentionPeriod": 7,
        "PreferredMaintenanceWindow": "sun:03:00-sun:03:30",
        "ManageMasterUserPassword": True,
        "MasterUserSecretKmsKeyId": "key/2",
    }
    assert seen.change.keys() <= members("ModifyDBInstance")


def test_what_the_instance_that_serves_does_not_have_is_switched_off() -> None:
    """A volume that grows by itself and monitoring cost money, and somebody switched them off."""
    plain = {name: value for name, value in FORWARD.items() if name not in (*LATER, *INSIGHTS)}
    found = without("MasterUserSecret")
    assert looked(found, forward=plain).change == {
        "MaxAllocatedStorage": 20,
        "MonitoringInterval": 0,
        "EnablePerformanceInsights": False,
    }


def test_a_minor_version_is_caught_up_with_and_a_major_one_is_not() -> None:
    assert looked(restored(EngineVersion="18.3")).change == {"EngineVersion": "18.4"}
    with pytest.raises(RestoreFailed, match=r"EngineVersion is '17\.6' and should be '18\.4'"):
        looked(restored(EngineVersion="17.6"))


def test_roles_are_given_one_by_one() -> None:
    role = {"RoleArn": "arn:role", "FeatureName": "s3Import", "Status": "ACTIVE"}
    forward = {**FORWARD, "AssociatedRoles": [role]}
    seen = looked(restored(), forward=forward)
    assert (seen.available, seen.roles) == (False, (("arn:role", "s3Import"),))
    pending = restored(AssociatedRoles=[{**role, "Status": "PENDING"}])
    assert looked(pending, forward=forward) == rules.Look(available=False, settings="modifying")
    assert looked(restored(AssociatedRoles=[role]), forward=forward).available


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-default", "Status": "active"}]}, "['sg-default']"),
        ({"DBParameterGroups": [{"DBParameterGroupName": "default.postgres18"}]}, "should be ['receipts']"),
        ({"MultiAZ": True}, "MultiAZ is True and should be off"),
        ({"KmsKeyId": "another"}, "KmsKeyId"),
        ({"TagList": []}, "TagList"),
        ({"SomethingNew": "on"}, "SomethingNew"),
    ],
)
def test_a_difference_that_nobody_can_explain_fails_the_restore(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RestoreFailed) as failed:
        looked(restored(**changes))
    assert said in str(failed.value)
    assert "restored is not like receipts-test" in str(failed.value)


def test_what_is_under_way_is_no_difference_until_the_time_is_up() -> None:
    """Nor is an instance equal as long as RDS has yet to do something."""
    group = [{"DBParameterGroupName": "receipts", "ParameterApplyStatus": "pending-reboot"}]
    for pending in (restored(DBParameterGroups=group), restored(PendingModifiedValues={"MultiAZ": True})):
        assert looked(pending) == rules.Look(available=False, settings="modifying")
    with pytest.raises(RestoreFailed, match="pending-reboot"):
        looked(restored(DBParameterGroups=group), now=at(30))


def test_absent_and_off_are_the_same() -> None:
    assert differences(FORWARD, without("CustomerOwnedIpEnabled", "DomainMemberships", "DedicatedLogVolume")) == []


def test_only_plain_instances_are_made_again() -> None:
    for changes in ({"DBClusterIdentifier": "aurora"}, {"ReadReplicaSourceDBInstanceIdentifier": "primary"}):
        with pytest.raises(RestoreFailed, match=next(iter(changes.values()))):
            restore_request({**FORWARD, **changes}, "r-1", "test")


SNAPSHOT = SourceSnapshot(
    "runback-1", f"arn:aws:rds:eu-west-1:{ACCOUNT}:snapshot:runback-1", "available", encrypted=True, engine="postgres"
)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "creating"}, "is creating, and only an available one"),
        ({"engine": "mysql"}, "is of mysql"),
        ({"arn": "arn:aws:rds:eu-west-1:999999999999:snapshot:runback-1"}, "shared by account 999999999999.*copy-db-"),
    ],
)
def test_a_snapshot_that_cannot_be_restored_is_refused_in_words(changes: dict[str, str], said: str) -> None:
    rules.require_restorable(SNAPSHOT, FORWARD)
    with pytest.raises(RestoreFailed, match=said):
        rules.require_restorable(SourceSnapshot(**{**vars(SNAPSHOT), **changes}), FORWARD)


def test_a_shared_snapshot_that_is_not_encrypted_can_be_restored() -> None:
    other = SNAPSHOT.arn.replace(ACCOUNT, "999999999999")
    rules.require_restorable(SourceSnapshot("s", other, "available", encrypted=False, engine="postgres"), FORWARD)


def test_only_what_this_restore_made_is_adopted() -> None:
    rules.require_ours(restored(), "r-1", "test")
    for restore_id, environment in (("r-2", "test"), ("r-1", "production")):
        with pytest.raises(RestoreFailed, match="find out whose it is"):
            rules.require_ours(restored(), restore_id, environment)


def test_the_instance_that_served_before_is_compared_with_nothing() -> None:
    """Nobody changed it for the restore, and it served with just these settings."""
    assert rules.undone(restored(PendingModifiedValues={"MultiAZ": True}), at(30), at(5)).available
    with pytest.raises(RestoreFailed, match="stopped"):
        rules.undone(restored(DBInstanceStatus="stopped"), at(30), at(5))
