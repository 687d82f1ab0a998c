"""The gates of what the environment stands on, asked of an emulated account."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lambdas.gates import check_infrastructure as function
from lambdas.gates.backups import Backups
from lambdas.gates.certificates import Certificates
from lambdas.gates.distributions import Distributions
from lambdas.gates.dns import Dns
from lambdas.gates.gate_rules import DnsRecord
from lambdas.judge.alarms import Alarms
from lambdas.release.record import ReleaseRecord, to_dynamodb
from lambdas.release.restores import Restores
from lambdas.release.rules import parse_moment
from tests.builders import LISTENER, TABLE, at
from tests.unit.judge.cloudwatch import CRITICAL, FakeCloudWatch

ZONE = "Z0412987RECEIPTS"
DISTRIBUTION = "E2QWRUHAPOMQZL"
BALANCER = "receipts-1.eu-west-1.elb.amazonaws.com"
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
EXTRA = "arn:aws:acm:eu-west-1:123456789012:certificate/2"


@dataclass
class Answers:
    """What AWS says, by the operation as boto3 calls it. A test changes an entry, or lets it raise."""

    said: dict[str, Callable[[dict[str, Any]], Any]]

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation.startswith("_") or operation not in self.said:
            raise AttributeError(operation)
        return lambda **request: self.said[operation](request)

    def get_paginator(self, operation: str) -> Any:
        @dataclass
        class Pages:
            answers: Answers

            def paginate(self, **request: Any) -> list[Any]:
                return [self.answers.said[operation](request)]

        return Pages(self)

    def refuse(self, operation: str) -> None:
        def refuse(_: dict[str, Any]) -> Any:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, operation)

        self.said[operation] = refuse


def snapshot(name: str = "rds:receipts-1", hour: int = 9, status: str = "available", **more: Any) -> dict[str, Any]:
    taken = {"SnapshotCreateTime": datetime(2026, 3, 1, hour, tzinfo=UTC)}
    return {"DBSnapshotIdentifier": name, "Status": status, **taken, **more}


def alias(name: str, host: str, kind: str = "A") -> dict[str, Any]:
    return {"Name": f"{name}.", "Type": kind, "AliasTarget": {"DNSName": f"{host}."}}


@pytest.fixture
def aws() -> Answers:
    records = [
        alias("api.receipts.example", f"dualstack.{BALANCER}"),
        alias("api.receipts.example", f"dualstack.{BALANCER}", "AAAA"),
        alias("receipts.example", "d111111abcdef8.cloudfront.net"),
        {"Name": "receipts.example.", "Type": "NS", "ResourceRecords": [{"Value": "ns-1.awsdns.com."}]},
    ]
    return Answers(
        {
            "describe_db_snapshots": lambda _: {"DBSnapshots": [snapshot()]},
            "describe_db_instances": lambda _: {
                "DBInstances": [{"LatestRestorableTime": datetime(2026, 3, 1, 9, 55, tzinfo=UTC)}]
            },
            "describe_listeners": lambda asked: {
                "Listeners": [{"ListenerArn": each, "Protocol": "HTTPS"} for each in asked["ListenerArns"]]
            },
            "describe_listener_certificates": lambda _: {
                "Certificates": [{"CertificateArn": CERTIFICATE, "IsDefault": True}, {"CertificateArn": EXTRA}]
            },
            "describe_certificate": lambda asked: {
                "Certificate": {
                    "CertificateArn": asked["CertificateArn"],
                    "DomainName": "api.receipts.example",
                    "Status": "ISSUED",
                    "NotAfter": datetime(2026, 9, 1, tzinfo=UTC),
                }
            },
            "describe_load_balancers": lambda _: {"LoadBalancers": [{"DNSName": BALANCER}]},
            "list_resource_record_sets": lambda asked: {
                "ResourceRecordSets": [
                    each for each in records if each["Name"] >= asked["StartRecordName"] or "api" in each["Name"]
                ]
            },
            "get_distribution": lambda asked: {
                "Distribution": {
                    "Id": asked["Id"],
                    "Status": "Deployed",
                    "DomainName": "d111111abcdef8.cloudfront.net",
                    "DistributionConfig": {"Enabled": True},
                }
            },
        }
    )


@pytest.fixture
def cloudwatch() -> FakeCloudWatch:
    return FakeCloudWatch()


@pytest.fixture(autouse=True)
def wired(aws: Answers, cloudwatch: FakeCloudWatch, record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "backups", Backups(aws))  # type: ignore[arg-type]
    monkeypatch.setattr(function, "certificates", Certificates(aws, aws))  # type: ignore[arg-type]
    monkeypatch.setattr(function, "dns", Dns(aws, aws))  # type: ignore[arg-type]
    monkeypatch.setattr(function, "distributions", Distributions(aws))
    monkeypatch.setattr(function, "alarms", Alarms(cloudwatch.client(), function.settings.alarms))
    monkeypatch.setattr(function, "restores", Restores(record))


def look(despite: str = "", skips: tuple[str, ...] = ()) -> dict[str, Any]:
    event = {"despite_alarms": despite, "emergency_skips": list(skips), "now": at(0)}
    answer = function.lambda_handler.__wrapped__(event, None)
    return {each["gate"]: each for each in answer["results"]}


def statuses(**more: Any) -> dict[str, str]:
    return {gate: each["status"] for gate, each in look(**more).items()}


ALL_PASSED = dict.fromkeys(("backup", "alarms", "certificate", "dns", "cdn"), "passed")


def test_sound_environment_passes_every_gate() -> None:
    assert statuses() == ALL_PASSED


@pytest.mark.parametrize(
    ("operation", "gates"),
    [
        ("describe_db_snapshots", {"backup"}),
        ("describe_listeners", {"certificate"}),
        ("describe_certificate", {"certificate"}),
        ("describe_load_balancers", {"dns"}),
        ("list_resource_record_sets", {"dns"}),
        ("get_distribution", {"dns", "cdn"}),
    ],
)
def test_what_cannot_be_asked_is_an_error_of_its_gates_alone(aws: Answers, operation: str, gates: set[str]) -> None:
    aws.refuse(operation)
    assert statuses() == {**ALL_PASSED, **dict.fromkeys(gates, "error")}


def test_alarms_that_cannot_be_read_or_are_missing_are_an_error(cloudwatch: FakeCloudWatch) -> None:
    cloudwatch.alarms.remove(CRITICAL[0])
    assert "2 critical alarms" in look()["alarms"]["detail"]
    assert statuses()["alarms"] == "error"
    cloudwatch.refuses = {"DescribeAlarms": "AccessDenied"}
    assert statuses()["alarms"] == "error"


def test_critical_alarm_that_is_on_fails_unless_the_request_says_why(cloudwatch: FakeCloudWatch) -> None:
    cloudwatch.on = {CRITICAL[1]: at(0)}
    assert statuses()["alarms"] == "failed"
    assert statuses(despite="it mends that")["alarms"] == "passed"


def test_snapshot_that_is_not_complete_is_no_backup(aws: Answers) -> None:
    busy = {**snapshot("new", status="creating")}
    aws.said["describe_db_snapshots"] = lambda _: {"DBSnapshots": [busy]}
    assert statuses()["backup"] == "failed"
    busy.pop("SnapshotCreateTime")  # as RDS leaves it out until there is something to restore
    old = snapshot("old", status="available")
    aws.said["describe_db_snapshots"] = lambda _: {"DBSnapshots": [busy, old]}
    assert "old" in look()["backup"]["detail"]


def test_backup_is_that_of_the_instance_which_serves_since_a_restore(aws: Answers, record: ReleaseRecord) -> None:
    asked: list[str] = []
    said = aws.said["describe_db_snapshots"]
    aws.said["describe_db_snapshots"] = lambda request: (asked.append(request["DBInstanceIdentifier"]), said(request))[
        1
    ]
    item = {
        **record.plain_key("database"),
        "instance": "runback-receipts-test-1",
        "host": "database.receipts.example",
        "port": 5432,
        "since": at(0),
        "restore_id": "r-1",
        "release_id": "x",
        "former_instance": "receipts-test",
        "settings_instance": "receipts-test",
    }
    look()
    boto3.client("dynamodb").put_item(TableName=TABLE, Item=to_dynamodb(item))
    look()
    boto3.client("dynamodb").put_item(TableName=TABLE, Item=to_dynamodb({**item, "settings_instance": "another"}))
    look()
    assert asked == ["receipts-test", "runback-receipts-test-1", "receipts-test"]


def test_every_certificate_of_the_listener_counts(aws: Answers) -> None:
    """DescribeListeners has the default one alone."""
    said = aws.said["describe_certificate"]

    def ends_soon(asked: dict[str, Any]) -> Any:
        found = said(asked)
        if asked["CertificateArn"] == EXTRA:
            found["Certificate"]["NotAfter"] = datetime(2026, 3, 5, tzinfo=UTC)
        return found

    aws.said["describe_certificate"] = ends_soon
    assert statuses()["certificate"] == "failed"


def test_listener_without_tls_has_no_certificate(aws: Answers) -> None:
    aws.said["describe_listeners"] = lambda _: {"Listeners": [{"ListenerArn": LISTENER, "Protocol": "HTTP"}]}
    found = look()["certificate"]
    assert found["status"] == "failed"
    assert LISTENER in found["detail"]


def test_certificate_that_was_never_issued_fails(aws: Answers) -> None:
    aws.said["describe_certificate"] = lambda asked: {
        "Certificate": {"CertificateArn": asked["CertificateArn"], "Status": "PENDING_VALIDATION"}
    }
    assert statuses()["certificate"] == "failed"


def test_name_that_leads_to_another_load_balancer_fails(aws: Answers) -> None:
    aws.said["describe_load_balancers"] = lambda _: {"LoadBalancers": [{"DNSName": "new-2.elb.amazonaws.com"}]}
    found = look()["dns"]
    assert found["status"] == "failed"
    assert "api.receipts.example" in found["detail"]
    assert "new-2.elb.amazonaws.com" in found["detail"]


def test_name_behind_a_distribution_leads_there(aws: Answers) -> None:
    said = aws.said["get_distribution"]
    aws.said["get_distribution"] = lambda asked: {
        "Distribution": {**said(asked)["Distribution"], "DomainName": "d999.cloudfront.net"}
    }
    found = look()["dns"]
    assert found["status"] == "failed"
    assert "d999.cloudfront.net" in found["detail"]


def test_records_of_the_next_name_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zone answers with what comes after a name, too, also if there is nothing of the name itself."""
    record = DnsRecord(ZONE, "aaa.receipts.example")
    monkeypatch.setattr(
        function,
        "settings",
        replace(function.settings, gates=replace(function.settings.gates, dns_records=(record,))),
    )
    assert "aaa.receipts.example has no record" in look()["dns"]["detail"]


def test_distribution_that_is_being_deployed_is_pending(aws: Answers) -> None:
    said = aws.said["get_distribution"]
    aws.said["get_distribution"] = lambda asked: {
        "Distribution": {**said(asked)["Distribution"], "Status": "InProgress"}
    }
    assert statuses()["cdn"] == "pending"


def test_load_balancer_of_a_listener_is_known_from_its_arn() -> None:
    assert function.settings.load_balancers == [
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/receipts/50dc6c495c0c9188"
    ]


def test_adapters_ask_as_aws_wants_it() -> None:
    """Of real clients, over an emulated account: a mistyped parameter would be an error of the gate for ever."""
    rds, acm, route53 = boto3.client("rds"), boto3.client("acm"), boto3.client("route53")
    instance = {"DBInstanceIdentifier": "db", "DBInstanceClass": "db.t3.micro", "Engine": "postgres"}
    rds.create_db_instance(**instance, MasterUsername="root", MasterUserPassword="password", AllocatedStorage=20)
    rds.create_db_snapshot(DBInstanceIdentifier="db", DBSnapshotIdentifier="by-hand")
    backups = {each.name: each for each in Backups(rds).complete("db")}
    assert parse_moment(backups["by-hand"].taken_at).tzinfo
    arn = acm.request_certificate(DomainName="api.receipts.example")["CertificateArn"]
    assert Certificates(boto3.client("elbv2"), acm).describe(arn).domain == "api.receipts.example"
    zone = route53.create_hosted_zone(Name="receipts.example", CallerReference="1")["HostedZone"]["Id"]
    change = {"Name": "api.receipts.example", "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": BALANCER}]}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": change}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)
    (found,) = Dns(route53, boto3.client("elbv2")).records(zone.rpartition("/")[2], "api.receipts.example")
    assert (found.type, found.targets) == ("CNAME", (BALANCER,))
