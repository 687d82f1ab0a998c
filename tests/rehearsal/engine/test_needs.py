"""What a request needs on AWS: every line of the table against the Service Authorization Reference."""

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)  # it leaves a file open while it is imported
    import parliament

from rehearsal.engine.needs import NO_RESOURCE, TABLE, Need, UnknownNeeds, needs_of
from rehearsal.engine.shapes import violations

REGION, ACCOUNT = "eu-west-1", "111122223333"
PLACE = f"{REGION}:{ACCOUNT}"
TEMPLATE = {"LaunchTemplateId": "lt-0a20c965061f64abc", "Version": "7"}
GROUP = {"AutoScalingGroupName": "blue"}
TABLE_NAME = {"TableName": "record"}
KEY = {"environment": {"S": "production"}}
LISTENER = f"arn:aws:elasticloadbalancing:{PLACE}:listener/app/main/50dc6c495c0c9188/f2f7dc8efc522ab2"
BALANCER = LISTENER.replace(":listener/", ":loadbalancer/").rpartition("/")[0]
RULE = LISTENER.replace(":listener/", ":listener-rule/") + "/9683b2d02a6cabee"
GROUP_ARN = f"arn:aws:elasticloadbalancing:{PLACE}:targetgroup/blue/6d0ecf831eec9f09"
FORWARD = [{"Type": "forward", "TargetGroupArn": GROUP_ARN}]
MACHINE = f"arn:aws:states:{PLACE}:stateMachine:rollback"
EXECUTION = f"arn:aws:states:{PLACE}:execution:rollback:one"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/of-the-database"
SECRET = f"arn:aws:secretsmanager:{PLACE}:secret:receipts/login-b4TzKd"
BUILD = "0f1e2d3c-4b5a-6978-8f9e-0d1c2b3a4958"
TAGS = [{"Key": "service", "Value": "receipts"}]

EXAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("acm", "DescribeCertificate"): {"CertificateArn": f"arn:aws:acm:{PLACE}:certificate/{BUILD}"},
    ("autoscaling", "CancelInstanceRefresh"): GROUP,
    ("autoscaling", "DescribeAutoScalingGroups"): {"AutoScalingGroupNames": ["blue"]},
    ("autoscaling", "DescribeInstanceRefreshes"): {**GROUP, "MaxRecords": 1},
    ("autoscaling", "ResumeProcesses"): {**GROUP, "ScalingProcesses": ["AZRebalance"]},
    ("autoscaling", "StartInstanceRefresh"): {**GROUP, "DesiredConfiguration": {"LaunchTemplate": TEMPLATE}},
    ("autoscaling", "SuspendProcesses"): {**GROUP, "ScalingProcesses": ["AZRebalance"]},
    ("autoscaling", "UpdateAutoScalingGroup"): {**GROUP, "LaunchTemplate": TEMPLATE, "MinSize": 2},
    ("cloudfront", "GetDistribution"): {"Id": "E2QWRUHAPOMQZL"},
    ("cloudwatch", "DescribeAlarms"): {"AlarmNamePrefix": "receipts-rolls-back-", "AlarmTypes": ["MetricAlarm"]},
    ("cloudwatch", "GetMetricData"): {
        "MetricDataQueries": [{"Id": "q0", "Expression": "SUM(METRICS())"}],
        "StartTime": "2026-03-01T10:00:00+00:00",
        "EndTime": "2026-03-01T11:00:00+00:00",
    },
    ("codebuild", "BatchGetBuilds"): {"ids": [f"plan:{BUILD}"]},
    ("codebuild", "ListBuildsForProject"): {"projectName": "plan", "sortOrder": "DESCENDING"},
    ("codebuild", "StartBuild"): {"projectName": "plan", "idempotencyToken": "one"},
    ("codebuild", "StopBuild"): {"id": f"plan:{BUILD}"},
    ("dynamodb", "BatchGetItem"): {"RequestItems": {"record": {"Keys": [KEY]}}},
    ("dynamodb", "GetItem"): {**TABLE_NAME, "Key": KEY},
    ("dynamodb", "PutItem"): {**TABLE_NAME, "Item": KEY},
    ("dynamodb", "Query"): {**TABLE_NAME, "KeyConditionExpression": "environment = :environment"},
    ("ecr", "DescribeImages"): {"repositoryName": "receipts", "imageIds": [{"imageTag": "1a2b3c4"}]},
    ("dynamodb", "TransactWriteItems"): {
        "TransactItems": [
            {"Put": {**TABLE_NAME, "Item": KEY}},
            {"Update": {**TABLE_NAME, "Key": KEY, "UpdateExpression": "SET a = b"}},
            {"Delete": {**TABLE_NAME, "Key": KEY}},
            {"ConditionCheck": {**TABLE_NAME, "Key": KEY, "ConditionExpression": "a = b"}},
        ]
    },
    ("dynamodb", "UpdateItem"): {**TABLE_NAME, "Key": KEY},
    ("ec2", "CreateLaunchTemplateVersion"): {
        "LaunchTemplateId": TEMPLATE["LaunchTemplateId"],
        "LaunchTemplateData": {"TagSpecifications": [{"ResourceType": "instance", "Tags": TAGS}]},
    },
    ("ec2", "DescribeInstances"): {"InstanceIds": ["i-0123456789abcdef0"]},
    ("ec2", "DescribeLaunchTemplateVersions"): {"LaunchTemplateId": TEMPLATE["LaunchTemplateId"], "Versions": ["7"]},
    ("elbv2", "CreateRule"): {
        "ListenerArn": LISTENER,
        "Priority": 1,
        "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["*"]}}],
        "Actions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}],
        "Tags": TAGS,
    },
    ("elbv2", "DeleteRule"): {"RuleArn": RULE},
    ("elbv2", "DescribeListenerCertificates"): {"ListenerArn": LISTENER},
    ("elbv2", "DescribeListeners"): {"ListenerArns": [LISTENER]},
    ("elbv2", "DescribeLoadBalancers"): {"LoadBalancerArns": [BALANCER]},
    ("elbv2", "DescribeRules"): {"RuleArns": [RULE]},
    ("elbv2", "DescribeTags"): {"ResourceArns": [RULE]},
    ("elbv2", "DescribeTargetHealth"): {"TargetGroupArn": GROUP_ARN},
    ("elbv2", "ModifyListener"): {"ListenerArn": LISTENER, "DefaultActions": FORWARD},
    ("elbv2", "ModifyRule"): {"RuleArn": RULE, "Actions": FORWARD},
    ("events", "DescribeRule"): {"Name": "critical-alarm"},
    ("events", "ListTargetsByRule"): {"Rule": "critical-alarm"},
    ("events", "PutEvents"): {
        "Entries": [
            {"EventBusName": "receipts-github", "Source": "github.com", "DetailType": "push", "Detail": "{}"},
        ]
    },
    ("iam", "SimulatePrincipalPolicy"): {
        "PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:role/switch-listener",
        "ActionNames": ["sns:Publish"],
        "ResourceArns": ["*"],
        "ContextEntries": [
            {"ContextKeyName": "ec2:CreateAction", "ContextKeyValues": ["RunInstances"], "ContextKeyType": "string"}
        ],
    },
    ("kms", "DescribeKey"): {"KeyId": f"arn:aws:kms:{PLACE}:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"},
    ("lambda", "GetFunctionConcurrency"): {"FunctionName": "notify"},
    ("lambda", "GetFunctionConfiguration"): {"FunctionName": "notify"},
    ("lambda", "Invoke"): {"FunctionName": f"arn:aws:lambda:{PLACE}:function:notify:3", "Payload": "{}"},
    ("logs", "FilterLogEvents"): {"logGroupName": "/receipts/application", "limit": 10_000},
    ("rds", "AddRoleToDBInstance"): {"DBInstanceIdentifier": "receipts", "RoleArn": ROLE, "FeatureName": "s3Import"},
    ("rds", "CopyDBSnapshot"): {
        "SourceDBSnapshotIdentifier": f"arn:aws:rds:{REGION}:222233334444:snapshot:nightly",
        "TargetDBSnapshotIdentifier": "runback-copy",
        "KmsKeyId": f"arn:aws:kms:{PLACE}:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
        "Tags": TAGS,
    },
    ("rds", "CreateDBSnapshot"): {
        "DBInstanceIdentifier": "receipts",
        "DBSnapshotIdentifier": "runback-1",
        "Tags": TAGS,
    },
    ("rds", "DescribeAccountAttributes"): {},
    ("rds", "DescribeDBInstances"): {"DBInstanceIdentifier": "receipts"},
    ("rds", "DescribeDBParameterGroups"): {"DBParameterGroupName": "receipts"},
    ("rds", "DescribeDBSnapshots"): {"DBSnapshotIdentifier": "runback-1"},
    ("rds", "DescribeDBSubnetGroups"): {"DBSubnetGroupName": "receipts"},
    ("rds", "DescribeOptionGroups"): {"OptionGroupName": "receipts"},
    ("rds", "ModifyDBInstance"): {
        "DBInstanceIdentifier": "receipts",
        "ApplyImmediately": True,
        "DBParameterGroupName": "receipts-18",
        "DBSubnetGroupName": "private",
        "OptionGroupName": "default:postgres-18",
        "MonitoringInterval": 60,
        "MonitoringRoleArn": ROLE,
        "ManageMasterUserPassword": True,
        "MasterUserSecretKmsKeyId": f"arn:aws:kms:{PLACE}:key/1",
        "EnablePerformanceInsights": True,
        "PerformanceInsightsKMSKeyId": "2",
    },
    ("rds", "RestoreDBInstanceFromDBSnapshot"): {
        "DBInstanceIdentifier": "restored",
        "DBSnapshotIdentifier": "runback-1",
        "DBParameterGroupName": "receipts-18",
        "Tags": TAGS,
        "Domain": "d-1",
        "DomainIAMRoleName": "directory",
    },
    ("rds", "RestoreDBInstanceToPointInTime"): {
        "SourceDBInstanceIdentifier": "receipts",
        "TargetDBInstanceIdentifier": "restored",
        "RestoreTime": "2026-03-01T10:00:00+00:00",
        "Tags": TAGS,
    },
    ("s3", "GetObject"): {"Bucket": "plans", "Key": "plans/one/release/plan.json"},
    ("route53", "ListResourceRecordSets"): {"HostedZoneId": "Z0123456789ABC", "StartRecordName": "receipts.invalid"},
    ("s3", "HeadBucket"): {"Bucket": "exports"},
    ("s3", "HeadObject"): {"Bucket": "artifacts", "Key": "releases/1a2b3c4.zip"},
    ("s3", "PutObject"): {
        "Bucket": "reports",
        "Key": "releases/one.html",
        "Body": "<p>",
        "ServerSideEncryption": "AES256",
        "ACL": "private",
        "Tagging": "a=b",
        "ObjectLockMode": "GOVERNANCE",
        "ObjectLockLegalHoldStatus": "ON",
    },
    ("secretsmanager", "DescribeSecret"): {"SecretId": SECRET},
    ("secretsmanager", "GetSecretValue"): {"SecretId": SECRET},
    ("secretsmanager", "PutSecretValue"): {
        "SecretId": SECRET,
        "ClientRequestToken": "5f0c1c3a-0000-4000-8000-000000000002",
        "SecretString": "{}",
        "VersionStages": ["RUNBACK"],
    },
    ("secretsmanager", "UpdateSecretVersionStage"): {
        "SecretId": SECRET,
        "VersionStage": "AWSCURRENT",
        "RemoveFromVersionId": "5f0c1c3a-0000-4000-8000-000000000001",
        "MoveToVersionId": "5f0c1c3a-0000-4000-8000-000000000002",
    },
    ("sns", "ListSubscriptionsByTopic"): {"TopicArn": f"arn:aws:sns:{PLACE}:notices"},
    ("sns", "Publish"): {"TopicArn": f"arn:aws:sns:{PLACE}:notices", "Message": "Rolled back"},
    ("ssm", "GetCalendarState"): {"CalendarNames": [f"arn:aws:ssm:{PLACE}:document/freezes", "holidays"]},
    ("ssm", "GetParameter"): {"Name": "/receipts/way-back"},
    ("ssm", "GetParameterHistory"): {"Name": "/receipts/way-back"},
    ("ssm", "PutParameter"): {"Name": "/receipts/way-back", "Value": "x", "Type": "String", "Tags": TAGS},
    ("stepfunctions", "DescribeExecution"): {"executionArn": EXECUTION},
    ("stepfunctions", "DescribeStateMachine"): {"stateMachineArn": MACHINE},
    ("stepfunctions", "GetExecutionHistory"): {"executionArn": EXECUTION, "maxResults": 1000},
    ("stepfunctions", "SendTaskSuccess"): {"taskToken": "a token", "output": "{}"},
    ("stepfunctions", "StartExecution"): {"stateMachineArn": MACHINE, "input": "{}"},
    ("stepfunctions", "StopExecution"): {"executionArn": EXECUTION, "cause": "Rolled back"},
}
"""A request for every line of the table, with everything in it that needs something more."""


class Described:
    """An account in which every launch template is the same."""

    region = REGION
    account = ACCOUNT

    def launch_template_data(self, template_id: str, version: str) -> Mapping[str, Any]:
        assert TEMPLATE == {"LaunchTemplateId": template_id, "Version": version}
        tagged = [{"ResourceType": kind, "Tags": TAGS} for kind in ("instance", "volume")]
        profile = {"Name": "application"}
        return {
            "ImageId": "ami-1",
            "KeyName": "k",
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": "snap-1"}}],
            "NetworkInterfaces": [{"Groups": ["sg-1"]}],
            "TagSpecifications": tagged,
            "IamInstanceProfile": profile,
        }

    def role_of_profile(self, profile: Mapping[str, str]) -> str:
        return f"arn:aws:iam::{ACCOUNT}:role/{profile['Name']}"

    def tags_of_rule(self, arn: str) -> Mapping[str, str]:
        assert arn == RULE
        return {each["Key"]: each["Value"] for each in TAGS}


def needed(service: str, operation: str, **changes: Any) -> list[Need]:
    return needs_of(service, operation, {**EXAMPLES[service, operation], **changes}, Described())


def arns(needs: list[Need], action: str) -> list[str]:
    return [need.resource for need in needs if need.action == action]


def documented(action: str) -> Iterator[str]:
    """Yield the ARN patterns of the resources that an action works on, as AWS documents them; none, if it has none."""
    prefix, _, name = action.partition(":")
    for service in (each for each in parliament.iam_definition if each["prefix"] == prefix):
        formats = {each["resource"]: each["arn"] for each in service["resources"]}
        for privilege in (each for each in service["privileges"] if each["privilege"] == name):
            kinds = {each["resource_type"].rstrip("*") for each in privilege["resource_types"]}
            yield from (re.sub(r"\$\{\w+\}", "*", formats[kind]) for kind in kinds if kind)


def exists(action: str) -> bool:
    prefix, _, name = action.partition(":")
    return any(
        name == privilege["privilege"]
        for service in parliament.iam_definition
        if service["prefix"] == prefix
        for privilege in service["privileges"]
    )


def test_there_is_an_example_of_every_request() -> None:
    assert EXAMPLES.keys() == TABLE.keys()


@pytest.mark.parametrize(("service", "operation"), TABLE)
def test_examples_are_requests_that_the_model_accepts(service: str, operation: str) -> None:
    assert [] == list(violations(service, operation, EXAMPLES[service, operation]))


@pytest.mark.parametrize(("service", "operation"), TABLE)
def test_actions_and_resources_are_as_aws_documents_them(service: str, operation: str) -> None:
    """An action that does not exist, or a resource that it does not work on, would be allowed by no policy."""
    for need in needed(service, operation):
        patterns = list(documented(need.action))
        assert exists(need.action)
        if need.resource == NO_RESOURCE:
            assert [] == patterns
        else:
            assert any(parliament.is_arn_match("*", pattern, need.resource) for pattern in patterns), (need, patterns)


def test_a_group_that_gets_a_launch_template_needs_what_launching_needs() -> None:
    """Or whoever may resize a group could start anything with any role."""
    template = f"arn:aws:ec2:{PLACE}:launch-template/{TEMPLATE['LaunchTemplateId']}"
    for needs in (needed("autoscaling", "UpdateAutoScalingGroup"), needed("autoscaling", "StartInstanceRefresh")):
        launches = [need for need in needs if need.action == "ec2:RunInstances"]
        parts = {f"arn:aws:ec2:{PLACE}:{part}" for part in ("key-pair/k", "security-group/sg-1", "subnet/*")}
        made_of = {f"arn:aws:ec2:{REGION}::{part}" for part in ("image/ami-1", "snapshot/snap-1")}
        assert {template, *parts, *made_of} <= {need.resource for need in launches}
        assert all(need.context == {"ec2:LaunchTemplate": template} for need in launches)
        assert [f"arn:aws:ec2:{PLACE}:{kind}/*" for kind in ("instance", "volume")] == arns(needs, "ec2:CreateTags")
        assert [f"arn:aws:iam::{ACCOUNT}:role/application"] == arns(needs, "iam:PassRole")


def test_a_group_that_keeps_its_launch_template_needs_only_itself() -> None:
    resized = needs_of("autoscaling", "UpdateAutoScalingGroup", {**GROUP, "MinSize": 1}, Described())

    assert ["autoscaling:UpdateAutoScalingGroup"] == [need.action for need in resized]


def test_events_need_their_bus_and_say_whose_they_are() -> None:
    """Or whoever may put a push could put anything, on any bus."""
    mine = {"EventBusName": f"arn:aws:events:{PLACE}:event-bus/github", "Source": "github.com", "DetailType": "push"}
    other = {"Source": "nobody", "DetailType": "push"}

    needs = needs_of("events", "PutEvents", {"Entries": [mine, other]}, Described())

    context = {"events:source": "github.com", "events:detail-type": "push"}
    assert needs == [
        Need("events:PutEvents", f"arn:aws:events:{PLACE}:event-bus/github", context),
        Need("events:PutEvents", f"arn:aws:events:{PLACE}:event-bus/default", {**context, "events:source": "nobody"}),
    ]


def test_tags_need_a_permission_of_their_own() -> None:
    assert "rds:AddTagsToResource" in {need.action for need in needed("rds", "CreateDBSnapshot")}
    assert "rds:AddTagsToResource" not in {need.action for need in needed("rds", "CreateDBSnapshot", Tags=[])}
    assert "ssm:AddTagsToResource" in {need.action for need in needed("ssm", "PutParameter")}
    (tagging,) = [need for need in needed("elbv2", "CreateRule") if need.action.endswith(":AddTags")]
    assert tagging.resource == RULE.rpartition("/")[0] + "/*"
    assert tagging.context == {"elasticloadbalancing:CreateAction": "CreateRule"}
    assert [need.resource for need in needed("elbv2", "CreateRule", Tags=[])] == [LISTENER]


def test_what_an_object_is_given_beside_its_content_needs_a_permission_of_its_own() -> None:
    """A function that only writes pages must not be able to open them to the world."""
    plain = {"Bucket": "reports", "Key": "releases/one.html", "Body": "<p>", "ContentType": "text/html"}

    assert [Need("s3:PutObject", "arn:aws:s3:::reports/releases/one.html")] == needs_of(
        "s3", "PutObject", plain, Described()
    )
    beside = {"Acl", "LegalHold", "Retention", "Tagging"}
    assert {f"s3:PutObject{each}" for each in beside} < {need.action for need in needed("s3", "PutObject")}


def test_a_transaction_needs_what_its_items_need() -> None:
    actions = ["PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"]

    assert [f"dynamodb:{name}" for name in actions] == [
        need.action for need in needed("dynamodb", "TransactWriteItems")
    ]


def test_a_copy_of_another_accounts_snapshot_needs_both_keys() -> None:
    needs = needed("rds", "CopyDBSnapshot")
    source = f"arn:aws:rds:{REGION}:222233334444:snapshot:nightly"
    assert [source, f"arn:aws:rds:{PLACE}:snapshot:runback-copy"] == arns(needs, "rds:CopyDBSnapshot")
    own = f"arn:aws:kms:{PLACE}:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    assert [own, f"arn:aws:kms:{REGION}:222233334444:key/*"] == arns(needs, "kms:CreateGrant")


def test_a_restore_needs_the_groups_that_it_does_not_name_too() -> None:
    """An instance always has one of each, and AWS asks whether its maker may use the default one."""
    action = "rds:RestoreDBInstanceFromDBSnapshot"
    kinds = ("snapshot:runback-1", "db:restored", "og:default:*", "pg:receipts-18", "subgrp:default")
    assert [f"arn:aws:rds:{PLACE}:{kind}" for kind in kinds] == arns(needed("rds", action.partition(":")[2]), action)


def test_what_an_instance_is_handed_needs_a_permission_of_its_own() -> None:
    """Or whoever may change an instance could give it any role, and read with any key."""
    needs = needed("rds", "ModifyDBInstance")
    assert [ROLE] == arns(needs, "iam:PassRole")
    assert [f"arn:aws:kms:{PLACE}:key/{number}" for number in (1, 2)] == arns(needs, "kms:Decrypt")
    assert [f"arn:aws:secretsmanager:{PLACE}:secret:rds!*"] == arns(needs, "secretsmanager:CreateSecret")
    assert [ROLE] == arns(needed("rds", "AddRoleToDBInstance"), "iam:PassRole")


def test_a_call_of_a_version_needs_that_version() -> None:
    arn = f"arn:aws:lambda:{PLACE}:function:notify"

    assert [f"{arn}:3"] == arns(needed("lambda", "Invoke"), "lambda:InvokeFunction")
    assert [f"{arn}:live"] == arns(
        needed("lambda", "Invoke", FunctionName="notify", Qualifier="live"), "lambda:InvokeFunction"
    )
    assert [arn] == arns(needed("lambda", "Invoke", FunctionName="notify"), "lambda:InvokeFunction")


def test_a_look_at_a_version_needs_that_version() -> None:
    """As a call does: https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html."""
    assert [Need("lambda:GetFunctionConfiguration", f"arn:aws:lambda:{PLACE}:function:notify:3")] == needed(
        "lambda", "GetFunctionConfiguration", Qualifier="3"
    )


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "said"),
    [
        ("dynamodb", "DeleteItem", {}, "nobody has said in rehearsal/engine/needs.py what dynamodb:DeleteItem needs"),
        ("s3", "PutObject", {"Bucket": "b", "Key": "k", "ServerSideEncryption": "aws:kms"}, "with a key of KMS needs"),
        ("sns", "Publish", {"PhoneNumber": "+1"}, "cannot be told without 'TopicArn'"),
        ("dynamodb", "TransactWriteItems", {"TransactItems": [{"Wish": TABLE_NAME}]}, "cannot be told without 'Wish'"),
    ],
)
def test_what_the_table_does_not_know_is_said(service: str, operation: str, parameters: Any, said: str) -> None:
    """A request whose needs nobody knows must not pass for one that needs nothing."""
    with pytest.raises(UnknownNeeds, match=re.escape(said)):
        needs_of(service, operation, parameters, Described())
