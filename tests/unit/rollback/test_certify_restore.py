"""What a release does about its database: everything that a restore takes is looked at, before it could be wanted."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lambdas.database.exports import has_bucket
from lambdas.database.instance_rules import SourceSnapshot
from lambdas.database.restorable_rules import Quota, SubnetGroup
from lambdas.errors import AwsCallFailed, LeaseLost, RestoreNotCertified
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from lambdas.rollback import certify_restore as function
from lambdas.rollback.certificate_rules import FunctionState, MachineState, Need, Question, RuleState
from lambdas.traffic.freeze_rules import ListenerRule
from tests.builders import DEPLOYMENT, RESTORE, at

CERTIFICATE = function.settings.certificate
SETTLE = "receipts-test-settle"
VERSION = "arn:aws:lambda:eu-west-1:123456789012:function:receipts-test-settle:7"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/mrk-1"
SNAPSHOT = SourceSnapshot(
    "runback-receipts-test-new",
    "arn:aws:rds:eu-west-1:123456789012:snapshot:runback-receipts-test-new",
    "available",
    encrypted=True,
    engine="postgres",
    key=KEY,
)
INSTANCE: dict[str, Any] = {
    "DBInstanceIdentifier": "receipts-test",
    "DBInstanceArn": "arn:aws:rds:eu-west-1:123456789012:db:receipts-test",
    "Engine": "postgres",
    "AllocatedStorage": 100,
    "AvailabilityZone": "eu-west-1a",
    "DBParameterGroups": [{"DBParameterGroupName": "receipts18", "ParameterApplyStatus": "in-sync"}],
    "OptionGroupMemberships": [{"OptionGroupName": "receipts-options", "Status": "in-sync"}],
    "DBSubnetGroup": {"DBSubnetGroupName": "receipts-subnets"},
}
SUBNETS = SubnetGroup("receipts-subnets", "Complete", frozenset({"eu-west-1a", "eu-west-1b"}))


@dataclass
class Account:
    """Everything that the certificate looks at, in one, and well until a test takes something away."""

    refused: Need | None = None
    instance: dict[str, Any] = field(default_factory=lambda: dict(INSTANCE))
    snapshot: SourceSnapshot | None = SNAPSHOT
    parameter_group: bool = True
    option_group: bool = True
    subnets: SubnetGroup | None = SUBNETS
    key: str = "Enabled"
    quota: dict[str, Quota] = field(default_factory=lambda: {"DBInstances": Quota(3, 40)})
    secret: bool = True
    bucket: bool = True
    workers: bool = True
    first_rule: ListenerRule | None = None
    fails: ClientError | None = None
    asked: list[str] = field(default_factory=list)

    def describe(self, name: str) -> Any:
        self.asked.append(name)
        if name == CERTIFICATE.machine:
            return MachineState("ACTIVE", "machine", {SETTLE: VERSION})
        return FunctionState("Active", "function", 2) if name == VERSION else self.instance

    def rule(self, _: str) -> RuleState:
        return RuleState("ENABLED", {CERTIFICATE.machine: "rule"})

    def decide(self, _: str, question: Question) -> dict[Need, str]:
        return {need: "implicitDeny" if need == self.refused else "allowed" for need in question.needs}

    def find_snapshot(self, _: str) -> SourceSnapshot | None:
        return self.snapshot

    def has_parameter_group(self, name: str) -> bool:
        assert "receipts18" == name
        return self.parameter_group

    def has_option_group(self, name: str) -> bool:
        assert "receipts-options" == name
        return self.option_group

    def subnet_group(self, _: str) -> SubnetGroup | None:
        return self.subnets

    def quotas(self) -> dict[str, Quota]:
        return self.quota

    def state(self, key: str) -> str:
        assert key == KEY
        if self.fails:
            raise self.fails
        return self.key

    def exists(self, name: str) -> bool:
        return self.workers if name == "receipts-workers" else self.secret

    def tagged_rules(self, _: str) -> list[ListenerRule]:
        return [self.first_rule] if self.first_rule else []


@pytest.fixture(autouse=True)
def account(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Account:
    """Return what the function finds."""
    found = Account()
    names = ("instances", "parts", "keys", "secrets", "auto_scaling", "listeners")
    for name in (*names, "event_bus", "lambda_functions", "machines", "simulator"):
        monkeypatch.setattr(function, name, found)
    monkeypatch.setattr(function, "has_bucket", lambda *_: found.bucket)
    monkeypatch.setattr(function, "settings", replace(function.settings, worker_groups=("receipts-workers",)))
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "restores", replace(function.restores, record=record))
    return found


@pytest.fixture
def lease(record: ReleaseRecord) -> Lease:
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))


def certify(lease: Lease, concern: str = "") -> dict[str, Any]:
    about = {"release_id": "new", "snapshot_id": SNAPSHOT.snapshot_id, "concern": concern, "now": at(3)}
    answer: dict[str, Any] = function.lambda_handler.__wrapped__({"lease": lease.as_event(), **about}, None)
    return answer


def test_a_release_whose_database_can_come_back_goes_on(record: ReleaseRecord, lease: Lease) -> None:
    for _ in range(2):
        answer = certify(lease, "The release began without proof.")
        assert "The release began without proof." == answer["concern"]
    noted = record.release("new")["restore_certificate"]
    assert ("passed", True, answer["checks"]) == (noted["outcome"], noted["enforced"], len(noted["passed"]))
    assert f"snapshot {SNAPSHOT.snapshot_id}" in noted["passed"]


TAKE_AWAY: list[tuple[str, Any, str]] = [
    ("refused", CERTIFICATE.actors[1].needs[0], "receipts-test-settle may not"),
    ("snapshot", None, "Snapshot runback-receipts-test-new does not exist"),
    ("snapshot", replace(SNAPSHOT, status="failed"), "Snapshot runback-receipts-test-new is failed"),
    ("instance", {**INSTANCE, "DBClusterIdentifier": "aurora"}, "receipts-test belongs to cluster aurora"),
    ("parameter_group", False, "Parameter group receipts18 does not exist"),
    ("option_group", False, "Option group receipts-options does not exist"),
    ("subnets", None, "Subnet group receipts-subnets does not exist"),
    ("subnets", replace(SUBNETS, status="Invalid"), "Subnet group receipts-subnets is Invalid"),
    ("subnets", replace(SUBNETS, zones=frozenset({"eu-west-1c"})), "has no subnet in eu-west-1a"),
    ("key", "PendingDeletion", f"Key {KEY} is PendingDeletion"),
    ("key", "", f"Key {KEY} does not exist"),
    ("quota", {"DBInstances": Quota(40, 40)}, "has 40 of 40 DBInstances, and a restore takes one more instance"),
    ("quota", {"ManualSnapshots": Quota(100, 100)}, "100 of 100 ManualSnapshots, and a restore takes one more"),
    ("quota", {"AllocatedStorage": Quota(950, 1000)}, "and a restore takes 100 GiB more of storage"),
    ("secret", False, "Secret receipts/test/application-YzAbCd is gone"),
    ("secret", False, "Secret receipts/test/administrator-EfGhIj is gone"),
    ("bucket", False, f"Bucket {RESTORE['bucket']} does not exist"),
    ("workers", False, "Worker group receipts-workers does not exist"),
    ("first_rule", ListenerRule("arn:of:somebody", 1), "Rule arn:of:somebody has priority 1"),
]


@pytest.mark.parametrize(("what", "left", "named"), TAKE_AWAY)
def test_whatever_is_missing_ends_the_release_and_is_named(
    record: ReleaseRecord, account: Account, lease: Lease, what: str, left: Any, named: str
) -> None:
    setattr(account, what, left)
    with pytest.raises(RestoreNotCertified) as refused:
        certify(lease)
    assert named in str(refused.value)
    assert "failed" == record.release("new")["restore_certificate"]["outcome"]


def test_groups_that_aws_makes_itself_are_always_there(account: Account, lease: Lease) -> None:
    """And an instance outside of a VPC's subnet group has none to be looked for."""
    account.instance |= {
        "DBParameterGroups": [{"DBParameterGroupName": "default.postgres18"}],
        "OptionGroupMemberships": [{"OptionGroupName": "default:postgres-18"}],
        "DBSubnetGroup": {},
    }
    account.parameter_group = account.option_group = False
    account.subnets = None
    assert "" == certify(lease)["concern"]


def test_a_key_that_may_not_be_described_is_no_proof(record: ReleaseRecord, account: Account, lease: Lease) -> None:
    """Its policy decides that, which IAM's simulator does not see."""
    denied = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}
    account.fails = ClientError(denied, "DescribeKey")
    with pytest.raises(AwsCallFailed, match="not authorized"):
        certify(lease)
    assert "error" == record.release("new")["restore_certificate"]["outcome"]


def test_where_settings_only_warn_the_release_goes_on_with_both_concerns(
    account: Account, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "settings", replace(function.settings, enforce=False))
    account.key = "Disabled"
    concern = certify(lease, "A rule is off.")["concern"]
    assert concern.startswith(
        "A rule is off.\nThe release began without proof that its database could be restored. 1 of"
    )
    assert f"Key {KEY} is Disabled" in concern


def test_who_has_lost_the_lease_certifies_nothing(record: ReleaseRecord, account: Account, lease: Lease) -> None:
    record.claim(record.read().work, Work(holder="a rollback", phase=Phase.ROLLING_BACK, release_id="new"))
    with pytest.raises(LeaseLost):
        certify(lease)
    assert [] == account.asked


# What AWS says


def missing(code: str) -> Callable[..., Any]:
    def answer(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "Describe")

    return answer


def test_what_is_gone_is_read_from_how_each_service_says_so() -> None:
    rds, kms, secrets, s3 = (boto3.client(each) for each in ("rds", "kms", "secretsmanager", "s3"))
    parts = function.InstanceParts(rds)
    assert not parts.has_option_group("none")
    assert not parts.has_parameter_group("none")
    assert None is parts.subnet_group("none")
    rds.describe_db_parameter_groups = missing("DBParameterGroupNotFound")
    assert not parts.has_parameter_group("none")
    assert "" == function.Keys(kms).state("arn:aws:kms:eu-west-1:123456789012:key/none")
    assert not function.StoredSecrets(secrets).exists(
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:none-AbCdEf"
    )
    assert not has_bucket(s3, "none")


def test_what_is_there_is_found() -> None:
    rds, kms, secrets, ec2 = (boto3.client(each) for each in ("rds", "kms", "secretsmanager", "ec2"))
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"]
        for n, zone in enumerate("ab")
    ]
    subnets = [each["SubnetId"] for each in made]
    rds.create_db_subnet_group(DBSubnetGroupName="ours", DBSubnetGroupDescription="of us", SubnetIds=subnets)
    assert SubnetGroup("ours", "Complete", SUBNETS.zones) == function.InstanceParts(rds).subnet_group("ours")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key.rpartition("/")[2])
    assert "Disabled" == function.Keys(kms).state(key)
    arn = secrets.create_secret(Name="ours", SecretString="x")["ARN"]
    assert function.StoredSecrets(secrets).exists(arn)
    secrets.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
    assert not function.StoredSecrets(secrets).exists(arn)
