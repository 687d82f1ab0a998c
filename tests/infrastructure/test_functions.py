"""Each function gets what its page of the table says, and no more."""

import ast
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cdk.assembly import SETTINGS_FOLDER
from cdk.functions import FUNCTIONS, VARIABLES, FunctionSpec
from cdk.permissions import (
    READ_SECRET_OF_DATABASE,
    READ_SECRETS_OF_CHECKS,
    READ_SECRETS_OF_DATA_STORES,
    READ_SECRETS_OF_PROBE,
    SWAP_CONNECTION,
    WRITE_EXPORTS,
)
from cdk.settings import EnvironmentSettings, load_settings
from lambdas.checks.rules import LogRules
from lambdas.judge.evidence_rules import JudgeSettings
from lambdas.traffic.freeze_rules import ENVIRONMENT_TAG, SERVICE_TAG, Owner
from tests.infrastructure.template import Resources, functions, of_type, policies, role_of, statements

ROOT = Path(__file__).parents[2]

LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACE = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
READ = {"dynamodb:BatchGetItem"}
READ_RELEASE = {"dynamodb:GetItem"}
CHECK = {"dynamodb:ConditionCheckItem"}
FIND = {"dynamodb:Query"}
UPDATE = {"dynamodb:UpdateItem"}
REPLACE = {"dynamodb:PutItem"}
LISTENERS = {"elasticloadbalancing:DescribeListeners"}
HEALTH = {"elasticloadbalancing:DescribeTargetHealth"}
SHIFT = {"elasticloadbalancing:ModifyListener"}
GROUPS = {"autoscaling:DescribeAutoScalingGroups"}
REFRESHES = {"autoscaling:DescribeInstanceRefreshes"}
RESIZE = {"autoscaling:UpdateAutoScalingGroup"}
TEMPLATES = {"ec2:DescribeLaunchTemplateVersions"}
LAUNCH = {"ec2:CreateTags", "ec2:RunInstances", "iam:PassRole"}
METRICS = {"cloudwatch:GetMetricData"}
ALARMS = {"cloudwatch:DescribeAlarms"}
SECRETS = {"secretsmanager:GetSecretValue"}
RULES = {"elasticloadbalancing:DescribeRules"}
RULE_TAGS = {"elasticloadbalancing:DescribeTags"}
EC2 = {"ec2:DescribeInstances"}
INSTANCES = {"rds:DescribeDBInstances"}
SNAPSHOT = {"rds:AddTagsToResource", "rds:CreateDBSnapshot"}
SNAPSHOTS = {"rds:DescribeDBSnapshots"}
ANSWER = {"states:SendTaskSuccess"}
EXECUTIONS = {"states:DescribeExecution"}
START = {"states:StartExecution"}
BUILD = {"codebuild:StartBuild"}
LOOK_AT_BUILDS = {"codebuild:BatchGetBuilds"}
FIND_BUILDS = {"codebuild:ListBuildsForProject"}
KEYS = {"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"}
INTERFACES = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}

ACTIONS: dict[str, set[str]] = {
    "validate-request": set(),
    "claim-environment": READ | UPDATE | REPLACE | LISTENERS | RULES,
    "check-bake": UPDATE,
    "promote": READ | UPDATE | REPLACE | LISTENERS | {"ssm:PutParameter"},
    "release-environment": READ | UPDATE,
    "claim-clean-up": READ | REPLACE | LISTENERS,
    "record-rollback-point": READ | READ_RELEASE | UPDATE | REPLACE | HEALTH | GROUPS | TEMPLATES,
    "certify-rollback": READ
    | READ_RELEASE
    | UPDATE
    | LISTENERS
    | HEALTH
    | GROUPS
    | ALARMS
    | {"ssm:GetParameter", "states:DescribeStateMachine", "sns:ListSubscriptionsByTopic"}
    | {"events:DescribeRule", "events:ListTargetsByRule", "iam:SimulatePrincipalPolicy"}
    | {"lambda:GetFunctionConcurrency", "lambda:GetFunctionConfiguration"},
    "certify-restore": READ_RELEASE
    | UPDATE
    | RULES
    | RULE_TAGS
    | GROUPS
    | INSTANCES
    | SNAPSHOTS
    | {"rds:DescribeAccountAttributes", "rds:DescribeDBParameterGroups", "rds:DescribeDBSubnetGroups"}
    | {"rds:DescribeOptionGroups", "kms:DescribeKey", "secretsmanager:DescribeSecret", "s3:ListBucket"}
    | {"states:DescribeStateMachine", "iam:SimulatePrincipalPolicy"}
    | {"lambda:GetFunctionConcurrency", "lambda:GetFunctionConfiguration"},
    "claim-rollback": READ | REPLACE | ALARMS | METRICS | {"states:DescribeExecution"},
    "stop-deployment": UPDATE | {"states:DescribeExecution", "states:StopExecution"},
    "record-rollback": READ | UPDATE | REPLACE | {"ssm:PutParameter"},
    "watchdog": READ | REPLACE | HEALTH | ALARMS | METRICS | {"states:DescribeExecution", "states:StartExecution"},
    "start-plan": BUILD,
    "check-plan": UPDATE | LOOK_AT_BUILDS | {"s3:GetObject"},
    "start-apply": READ_RELEASE | UPDATE | BUILD | LOOK_AT_BUILDS | FIND_BUILDS,
    "check-apply": READ_RELEASE | UPDATE | LOOK_AT_BUILDS,
    "check-unfinished-apply": READ | READ_RELEASE | UPDATE | LOOK_AT_BUILDS | FIND_BUILDS,
    "take-snapshot": UPDATE | {"rds:AddTagsToResource", "rds:CreateDBSnapshot"},
    "start-migrations": READ_RELEASE | UPDATE | {"lambda:InvokeFunction"},
    "check-migrations": READ_RELEASE | UPDATE,
    "look-at-migrations": READ_RELEASE | UPDATE,
    "check-snapshot": UPDATE | {"rds:DescribeDBSnapshots"},
    "run-smoke-checks": UPDATE | SECRETS,
    "check-data-stores": SECRETS | INTERFACES,
    "probe": SECRETS,
    "probe-database": SECRETS | INTERFACES,
    "check-error-rate": UPDATE | {"logs:FilterLogEvents"},
    "check-alarms": UPDATE | ALARMS,
    "judge-bake": READ | READ_RELEASE | UPDATE | ALARMS | METRICS | LISTENERS | HEALTH | SNAPSHOTS,
    "prepare-idle-color": {"ssm:PutParameter"}
    | READ
    | READ_RELEASE
    | UPDATE
    | REPLACE
    | LISTENERS
    | SHIFT
    | REFRESHES
    | RESIZE
    | TEMPLATES
    | LAUNCH
    | {"autoscaling:StartInstanceRefresh", "ec2:CreateLaunchTemplateVersion"},
    "check-idle-color": UPDATE | REFRESHES | HEALTH,
    "hold-old-color": READ_RELEASE | UPDATE | RESIZE | {"autoscaling:SuspendProcesses"},
    "resume-scaling": READ | READ_RELEASE | UPDATE | RESIZE | {"autoscaling:ResumeProcesses"},
    "scale-back-idle-color": READ_RELEASE
    | UPDATE
    | LISTENERS
    | RESIZE
    | LAUNCH
    | {"autoscaling:CancelInstanceRefresh"},
    "scale-in-old-color": READ_RELEASE
    | UPDATE
    | LISTENERS
    | RESIZE
    | {"autoscaling:ResumeProcesses", "ssm:PutParameter"},
    "switch-listener": READ | READ_RELEASE | UPDATE | REPLACE | LISTENERS | HEALTH | SHIFT,
    "settle": READ | UPDATE | LISTENERS | SHIFT,
    "give-order": READ | READ_RELEASE | UPDATE | REPLACE | CHECK,
    "free-environment": READ
    | READ_RELEASE
    | UPDATE
    | REPLACE
    | LISTENERS
    | {"states:DescribeExecution", "ssm:PutParameter"},
    "answer-approval": READ_RELEASE | UPDATE | EXECUTIONS | ANSWER,
    "answer-by-url": READ_RELEASE | UPDATE | EXECUTIONS | ANSWER | {"sns:Publish"},
    "note-caller": READ_RELEASE | UPDATE | REPLACE | {"sns:Publish"},
    "plan-restore": READ | READ_RELEASE | REPLACE | EXECUTIONS | INSTANCES | SNAPSHOTS,
    "check-commit": SECRETS | FIND | {"s3:GetObject", "s3:ListBucket"},
    "check-infrastructure": READ_RELEASE
    | ALARMS
    | INSTANCES
    | SNAPSHOTS
    | LISTENERS
    | {"elasticloadbalancing:DescribeListenerCertificates", "elasticloadbalancing:DescribeLoadBalancers"}
    | {"acm:DescribeCertificate", "route53:ListResourceRecordSets", "cloudfront:GetDistribution"},
    "check-operations": READ | {"ssm:GetCalendarState", "sns:ListSubscriptionsByTopic"},
    "decide-gates": READ_RELEASE | UPDATE,
    "ask-release-approval": READ | READ_RELEASE | UPDATE | SECRETS | {"sns:Publish"},
    "end-release-approval": READ_RELEASE | UPDATE,
    "report-status": READ | READ_RELEASE | UPDATE | REPLACE | EXECUTIONS | SECRETS,
    "ask-approval": UPDATE,
    "copy-snapshot": READ_RELEASE | INSTANCES | SNAPSHOTS | KEYS | {"rds:AddTagsToResource", "rds:CopyDBSnapshot"},
    "check-copied-snapshot": READ_RELEASE | SNAPSHOTS,
    "claim-restore": READ | READ_RELEASE | UPDATE | REPLACE | EXECUTIONS | LISTENERS,
    "freeze-traffic": UPDATE | RULES | RULE_TAGS | {"elasticloadbalancing:AddTags", "elasticloadbalancing:CreateRule"},
    "thaw-traffic": UPDATE | RULES | RULE_TAGS | {"elasticloadbalancing:DeleteRule"},
    "point-test-listener": UPDATE | LISTENERS | SHIFT,
    "fence-writers": UPDATE | SECRETS | INTERFACES,
    "lift-fence": UPDATE | SECRETS | INTERFACES,
    "take-safety-snapshot": UPDATE | SNAPSHOT,
    "check-safety-snapshot": UPDATE | SNAPSHOT | SNAPSHOTS,
    "restore-instance": UPDATE
    | INSTANCES
    | SNAPSHOTS
    | KEYS
    | {
        "iam:PassRole",
        "rds:AddTagsToResource",
        "rds:RestoreDBInstanceFromDBSnapshot",
        "rds:RestoreDBInstanceToPointInTime",
    },
    "check-restored-instance": UPDATE
    | INSTANCES
    | KEYS
    | {
        "iam:PassRole",
        "rds:AddRoleToDBInstance",
        "rds:ModifyDBInstance",
        "secretsmanager:CreateSecret",
        "secretsmanager:TagResource",
    },
    "verify-restored-data": UPDATE | SECRETS | INTERFACES,
    "count-lost-writes": UPDATE | SECRETS | INTERFACES | {"s3:PutObject"},
    "swap-connection": READ_RELEASE
    | UPDATE
    | SECRETS
    | {"secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"},
    "set-master-password": UPDATE | SECRETS | {"rds:DescribeDBInstances", "rds:ModifyDBInstance"},
    "hold-capacity": READ_RELEASE
    | UPDATE
    | GROUPS
    | {"autoscaling:UpdateAutoScalingGroup", "autoscaling:SuspendProcesses"},
    "give-capacity-back": READ_RELEASE | UPDATE | {"autoscaling:UpdateAutoScalingGroup", "autoscaling:ResumeProcesses"},
    "restart-application": READ_RELEASE
    | UPDATE
    | REFRESHES
    | {"autoscaling:CancelInstanceRefresh", "autoscaling:StartInstanceRefresh"},
    "check-restart": READ_RELEASE | UPDATE | REFRESHES | GROUPS | HEALTH | EC2,
    "record-restore": READ | READ_RELEASE | UPDATE | REPLACE | {"ssm:PutParameter"},
    "take-push": READ | READ_RELEASE | FIND | REPLACE | EXECUTIONS | SECRETS,
    "start-release": READ | READ_RELEASE | FIND | REPLACE | START | SECRETS,
    "check-release": READ | READ_RELEASE | REPLACE | EXECUTIONS | {"states:GetExecutionHistory"},
    "reconcile": READ | READ_RELEASE | FIND | REPLACE | EXECUTIONS | START | SECRETS,
    "notify": {"sns:Publish", "ssm:GetParameter"},
    "tell-alarm": READ | {"sns:Publish"},
    "write-report": READ_RELEASE | UPDATE | METRICS | {"states:GetExecutionHistory", "s3:PutObject"},
}

# The Service Authorization Reference lists no resource for these; Lambda insists on everything for the interfaces.
WITHOUT_RESOURCES = (
    LISTENERS
    | RULES
    | RULE_TAGS
    | HEALTH
    | GROUPS
    | REFRESHES
    | TEMPLATES
    | METRICS
    | TRACE
    | INTERFACES
    | EC2
    | ANSWER
    | {"rds:DescribeAccountAttributes"}
    | {"elasticloadbalancing:DescribeListenerCertificates", "elasticloadbalancing:DescribeLoadBalancers"}
)

HERE = "eu-west-1:111122223333"
SECRET = f"arn:aws:secretsmanager:{HERE}:secret:receipt-vault/production"
IN_NETWORK = (
    "check-data-stores",
    "probe-database",
    "fence-writers",
    "lift-fence",
    "verify-restored-data",
    "count-lost-writes",
)
ASKING_GITHUB = ("ask-release-approval", "check-commit", "reconcile", "report-status", "start-release", "take-push")
ADMINISTRATOR = f"{SECRET}/database-administrator-e8KpGc"
APPLICATION = f"{SECRET}/database-application-T5vHnY"
THROUGH_ENDPOINT = {"StringEquals": {"aws:SourceVpce": "vpce-0f1e2d3c4b5a69788"}}


def test_every_function_of_the_table_is_in_the_template(resources: Resources) -> None:
    assert {spec.name for spec in FUNCTIONS} == set(functions(resources)) == set(ACTIONS)


@pytest.mark.parametrize("name", ACTIONS)
def test_a_function_may_do_exactly_what_it_needs(name: str, resources: Resources) -> None:
    """A right that nobody needs is a right that a mistake can use."""
    allowed = statements(resources, role_of(functions(resources)[name]))

    assert ACTIONS[name] | LOG | TRACE == {action for statement in allowed for action in statement["Action"]}


@pytest.mark.parametrize("name", ACTIONS)
def test_a_function_reaches_everything_only_where_aws_knows_no_resource(name: str, resources: Resources) -> None:
    for statement in statements(resources, role_of(functions(resources)[name])):
        if "*" in statement["Resource"]:
            assert set(statement["Action"]) <= WITHOUT_RESOURCES


@pytest.mark.parametrize("name", ACTIONS)
def test_a_function_has_a_role_of_its_own_and_no_managed_policy(name: str, resources: Resources) -> None:
    role = role_of(functions(resources)[name])
    users = [other for other, properties in functions(resources).items() if role_of(properties) == role]

    assert users == [name]
    assert "ManagedPolicyArns" not in resources[role]["Properties"]


def test_only_the_switch_and_settle_can_change_live_traffic_and_both_are_dead_after_ten_seconds(
    resources: Resources,
) -> None:
    """A rollback waits as long as the slowest writer may still write."""
    live = "listener/app/receipt-vault-production/50dc6c495c0c9188/f2f7dc8efc522ab2"
    writers = {
        name: properties["Timeout"]
        for name, properties in functions(resources).items()
        for statement in statements(resources, role_of(properties))
        if SHIFT & set(statement["Action"]) and live in str(statement["Resource"])
    }

    assert {"switch-listener", "settle"} == set(writers)
    assert max(writers.values()) <= 10


def test_launching_is_limited_to_the_two_launch_templates(resources: Resources) -> None:
    """Whoever can start any instance with any role owns the account."""
    allowed = list(statements(resources, role_of(functions(resources)["prepare-idle-color"])))
    (launch,) = [each for each in allowed if "ec2:RunInstances" in each["Action"]]
    (tag,) = [each for each in allowed if "ec2:CreateTags" in each["Action"]]
    (pass_role,) = [each for each in allowed if "iam:PassRole" in each["Action"]]

    templates = [
        f"arn:aws:ec2:eu-west-1:111122223333:launch-template/{name}"
        for name in ("lt-0a20c965061f64abc", "lt-0b31da76172f75bcd")
    ]
    assert launch["Condition"] == {"ArnEquals": {"ec2:LaunchTemplate": templates}}
    assert tag["Condition"] == {"StringEquals": {"ec2:CreateAction": "RunInstances"}}
    assert pass_role["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    assert pass_role["Resource"] == ["arn:aws:iam::111122223333:role/receipt-vault-production-instance"]


def test_only_what_asks_database_and_cache_is_in_the_network(resources: Resources) -> None:
    """In there it reaches what settings name, and AWS only where somebody has made a way for it."""
    connected = {name: each["VpcConfig"] for name, each in functions(resources).items() if "VpcConfig" in each}
    network = {
        "SubnetIds": ["subnet-0b6f3c1d2e4a59687", "subnet-0c7a4d2e3f5b6a798"],
        "SecurityGroupIds": ["sg-0a1b2c3d4e5f60718"],
    }

    assert connected == dict.fromkeys(IN_NETWORK, network)


@pytest.mark.parametrize("name", IN_NETWORK)
def test_a_function_in_the_network_is_made_after_its_rights(name: str, resources: Resources) -> None:
    """Lambda refuses to make it without the right to connect it."""
    (function,) = [
        each
        for each in resources.values()
        if each["Properties"].get("FunctionName") == f"receipt-vault-production-{name}"
    ]
    role = role_of(function["Properties"])
    beside = [name for name, policy in policies(resources).items() if {"Ref": role} in policy["Roles"]]

    assert beside == [f"{role} Rights"]  # which are there as soon as the role is
    assert role in function["DependsOn"]


@pytest.mark.parametrize("name", IN_NETWORK)
def test_the_rights_to_connect_are_lambda_s_and_not_the_code_s(name: str, resources: Resources) -> None:
    function = f"arn:aws:lambda:{HERE}:function:receipt-vault-production-{name}"
    found = statements(resources, role_of(functions(resources)[name]))
    connecting = [each for each in found if INTERFACES & set(each["Action"])]

    assert [set(each["Action"]) - TRACE for each in connecting] == [INTERFACES, INTERFACES]
    assert {each["Effect"]: each.get("Condition") for each in connecting} == {
        "Allow": None,
        "Deny": {"ArnEquals": {"lambda:SourceFunctionArn": [function]}},
    }


def test_nothing_is_denied_to_anybody_else(resources: Resources) -> None:
    denied = {
        name
        for name, properties in functions(resources).items()
        for statement in statements(resources, role_of(properties))
        if statement["Effect"] == "Deny"
    }

    assert denied == set(IN_NETWORK)


@pytest.mark.parametrize(
    ("name", "expected", "condition"),
    [
        ("run-smoke-checks", [f"{SECRET}/smoke-login-b4TzKd", f"{SECRET}/smoke-token-Lr8YnP"], None),
        ("probe", [f"{SECRET}/smoke-login-b4TzKd", f"{SECRET}/smoke-token-Lr8YnP"], None),
        ("check-data-stores", [f"{SECRET}/database-check-Q7mXw2"], THROUGH_ENDPOINT),
        ("probe-database", [f"{SECRET}/database-check-Q7mXw2"], THROUGH_ENDPOINT),
        ("fence-writers", [ADMINISTRATOR], THROUGH_ENDPOINT),
        ("lift-fence", [ADMINISTRATOR], THROUGH_ENDPOINT),
        ("verify-restored-data", [ADMINISTRATOR, APPLICATION], THROUGH_ENDPOINT),
        ("count-lost-writes", [ADMINISTRATOR], THROUGH_ENDPOINT),
        ("swap-connection", [APPLICATION], None),
    ],
)
def test_a_check_reads_the_secrets_that_settings_name_for_it_and_no_others(
    name: str, expected: list[str], condition: object, resources: Resources
) -> None:
    """Those of the data stores only through their endpoint: copied credentials of the role are worth nothing."""
    (reading,) = [
        each for each in statements(resources, role_of(functions(resources)[name])) if SECRETS & set(each["Action"])
    ]

    assert expected == reading["Resource"]
    assert condition == reading.get("Condition")


def test_the_probe_reads_the_secrets_of_what_it_asks_alone() -> None:
    """A customer whose upload is not probed has no token that the probe could lose."""
    checks = production().checks.model_copy(update={"probe": ("login",)})
    (statement,) = READ_SECRETS_OF_PROBE.statements(production(checks=checks))

    assert statement.resources == [f"{SECRET}/smoke-login-b4TzKd"]


def test_the_probe_of_the_database_reads_no_other_secret() -> None:
    cache = production().cache.model_copy(update={"secret_arn": f"{SECRET}/cache-AbCdEf"})
    (statement,) = READ_SECRET_OF_DATABASE.statements(production(cache=cache))

    assert statement.resources == [f"{SECRET}/database-check-Q7mXw2"]


def test_errors_are_counted_in_the_application_s_log_alone(resources: Resources) -> None:
    (reading,) = [
        each
        for each in statements(resources, role_of(functions(resources)["check-error-rate"]))
        if "logs:FilterLogEvents" in each["Action"]
    ]

    assert reading["Resource"] == [f"arn:aws:logs:{HERE}:log-group:/receipt-vault/production/application:*"]


def reports_bucket(resources: Resources) -> dict[str, Any]:
    """Return the bucket of the reports, which is not that of the exports."""
    buckets = of_type(resources, "AWS::S3::Bucket").values()
    (found,) = [each for each in buckets if "-reports-" in each["BucketName"]]
    return found


def test_nothing_that_restores_can_delete_what_holds_data(resources: Resources) -> None:
    """Neither an instance nor a snapshot, nor a version of a secret, nor what was exported."""
    deleting = {
        action
        for properties in functions(resources).values()
        for statement in statements(resources, role_of(properties))
        for action in statement["Action"]
        if re.search("Delete|Remove", action) and statement["Effect"] == "Allow"
    }

    assert deleting == {"ec2:DeleteNetworkInterface", "elasticloadbalancing:DeleteRule"}


def test_only_instances_of_restores_can_be_changed(resources: Resources) -> None:
    """The instance that serves is read, copied and kept."""
    ours = f"arn:aws:rds:{HERE}:db:runback-receipt-vault-production-*"
    (modifying,) = [
        each
        for each in statements(resources, role_of(functions(resources)["check-restored-instance"]))
        if "rds:ModifyDBInstance" in each["Action"]
    ]

    assert [each for each in modifying["Resource"] if ":db:" in each] == [ours]


def test_traffic_is_frozen_and_thawed_on_live_listeners_alone(resources: Resources) -> None:
    live = "listener/app/receipt-vault-production/50dc6c495c0c9188/f2f7dc8efc522ab2"
    rules = f"arn:aws:elasticloadbalancing:{HERE}:{live.replace('listener/', 'listener-rule/')}/*"
    found = {
        action: statement["Resource"]
        for name in ("freeze-traffic", "thaw-traffic")
        for statement in statements(resources, role_of(functions(resources)[name]))
        for action in statement["Action"]
        if re.search("Create|AddTags|Delete", action) and action.startswith("elasticloadbalancing:")
    }

    assert found == {
        "elasticloadbalancing:CreateRule": [f"arn:aws:elasticloadbalancing:{HERE}:{live}"],
        "elasticloadbalancing:AddTags": [rules],
        "elasticloadbalancing:DeleteRule": [rules],
    }


def test_no_rule_can_be_deleted_but_one_that_was_made_to_freeze(resources: Resources) -> None:
    """Customers' own rules stand on the same listener."""
    (deleting,) = [
        each
        for each in statements(resources, role_of(functions(resources)["thaw-traffic"]))
        if "elasticloadbalancing:DeleteRule" in each["Action"]
    ]
    made = Owner("receipt-vault", "production").tags("a restore")
    asked = deleting["Condition"]["StringEquals"]

    assert {f"aws:ResourceTag/{SERVICE_TAG}", f"aws:ResourceTag/{ENVIRONMENT_TAG}"} == set(asked)
    assert all(made[key.removeprefix("aws:ResourceTag/")] == value for key, value in asked.items())


def test_what_only_a_restore_needs_comes_with_its_settings() -> None:
    settings = production(restore=None)

    gone = {spec.name for spec in FUNCTIONS if not spec.is_part_of(settings)}

    assert {"freeze-traffic", "fence-writers", "swap-connection", "record-restore"} <= gone
    assert not {"notify", "run-smoke-checks", "answer-approval", "claim-rollback"} & gone
    assert not [permission for permission in (WRITE_EXPORTS, SWAP_CONNECTION) if permission.statements(settings)]


def test_what_only_approvers_need_comes_with_their_settings() -> None:
    gone = {spec.name for spec in FUNCTIONS if not spec.is_part_of(production(approval=None))}

    assert gone == {"answer-by-url", "note-caller", "ask-release-approval", "end-release-approval"}


def test_where_releases_need_no_approval_nobody_asks_for_one() -> None:
    approval = production().approval
    assert approval is not None
    only_restores = production(approval=approval.model_copy(update={"releases": False}))
    gone = {spec.name for spec in FUNCTIONS if not spec.is_part_of(only_restores)}

    assert gone == {"ask-release-approval", "end-release-approval"}


def test_reports_are_written_where_reports_are_and_nowhere_else(resources: Resources) -> None:
    """Neither read nor deleted: what is there was there for somebody else."""
    found = list(statements(resources, role_of(functions(resources)["write-report"])))
    (writing,) = [each for each in found if "s3:PutObject" in each["Action"]]
    bucket = reports_bucket(resources)

    assert writing["Resource"] == [f"arn:aws:s3:::{bucket['BucketName']}/releases/*"]
    assert [action for each in found for action in each["Action"] if action.startswith("s3:")] == ["s3:PutObject"]


def test_a_report_is_made_of_executions_that_can_be_part_of_a_release(resources: Resources) -> None:
    (reading,) = [
        each
        for each in statements(resources, role_of(functions(resources)["write-report"]))
        if "states:GetExecutionHistory" in each["Action"]
    ]

    assert set(reading["Resource"]) == {
        f"arn:aws:states:{HERE}:execution:receipt-vault-production-{machine}:*"
        for machine in ("deploy", "rollback", "clean-up", "restore-database")
    }


@pytest.mark.parametrize("name", ["write-report", "notify"])
def test_a_report_is_told_and_written_under_one_name(name: str, resources: Resources) -> None:
    told = json.loads(functions(resources)[name]["Environment"]["Variables"]["REPORTS"])
    bucket = reports_bucket(resources)

    assert told == {
        "bucket": bucket["BucketName"],
        "url": (
            "https://eu-west-1.console.aws.amazon.com/s3/object/"
            "receipt-vault-production-reports-111122223333-eu-west-1?region=eu-west-1&prefix="
        ),
    }


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("ap-southeast-1", "ap-southeast-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_each_part_of_aws_has_a_console_of_its_own(region: str, host: str) -> None:
    url = urlsplit(json.loads(VARIABLES["REPORTS"](production(region=region)))["url"])

    assert url.hostname == host
    assert parse_qs(url.query, keep_blank_values=True) == {"region": [region], "prefix": [""]}


def production(**changes: object) -> EnvironmentSettings:
    (settings,) = load_settings(SETTINGS_FOLDER, ("production",))
    return settings.model_copy(update=changes)


def test_secrets_are_read_from_anywhere_when_there_is_no_endpoint() -> None:
    """The subnets may have a NAT gateway instead."""
    network = production().network.model_copy(update={"secrets_manager_endpoint_id": None})
    (statement,) = READ_SECRETS_OF_DATA_STORES.statements(production(network=network))

    assert statement.to_statement_json() == {
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": f"{SECRET}/database-check-Q7mXw2",
    }


def test_the_secret_of_a_cache_is_read_like_that_of_the_database() -> None:
    cache = production().cache.model_copy(update={"secret_arn": f"{SECRET}/cache-AbCdEf"})
    (statement,) = READ_SECRETS_OF_DATA_STORES.statements(production(cache=cache))

    assert statement.resources == [f"{SECRET}/cache-AbCdEf", f"{SECRET}/database-check-Q7mXw2"]


def test_checks_without_secrets_get_no_right_to_read_any() -> None:
    """A statement without resources is one that IAM refuses."""
    checks = production().checks
    bare = checks.model_copy(update={"smoke": checks.smoke[:1]})

    assert READ_SECRETS_OF_CHECKS.statements(production(checks=bare)) == []


def test_only_what_asks_the_product_has_drivers(resources: Resources) -> None:
    """The functions that bring traffic back load nothing that they do not need."""
    layers = {
        name: [resources[layer["Ref"]]["Properties"]["Description"] for layer in properties["Layers"]]
        for name, properties in functions(resources).items()
    }
    libraries = "Powertools for AWS Lambda, for Runback's functions"
    drivers = "Clients of HTTP, PostgreSQL and Redis, for Runback's checks"

    asking = {"run-smoke-checks", "probe", *ASKING_GITHUB, *IN_NETWORK}
    assert {name for name, found in layers.items() if drivers in found} == asking
    assert all(set(found) <= {libraries, drivers} and libraries in found for found in layers.values())


@pytest.mark.parametrize("spec", FUNCTIONS, ids=lambda spec: spec.name)
def test_a_function_has_the_drivers_that_it_imports(spec: FunctionSpec) -> None:
    """Here everything is installed; there the function would not even start."""
    assert spec.drivers == bool({"pg8000", "redis", "scramp", "urllib3"} & _imports(f"lambdas.{spec.module}"))


@pytest.mark.parametrize("spec", FUNCTIONS, ids=lambda spec: spec.name)
def test_a_function_s_variables_fit_into_lambda_s_4_kb(spec: FunctionSpec, resources: Resources) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""
    variables = functions(resources)[spec.name]["Environment"]["Variables"]

    assert len(json.dumps(variables)) < 4096


@pytest.mark.parametrize("spec", FUNCTIONS, ids=lambda spec: spec.name)
def test_a_handler_is_where_the_template_says(spec: FunctionSpec) -> None:
    tree = _parse(spec)

    assert "lambda_handler" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("spec", FUNCTIONS, ids=lambda spec: spec.name)
def test_a_function_is_told_exactly_what_it_reads(spec: FunctionSpec) -> None:
    """A missing variable shows only when the function starts; one too many outlives its reason."""
    read = set(re.findall(r"environ\[\"(\w+)\"\]", _source(spec)))

    assert read == set(spec.variables)


def test_what_stands_between_an_event_and_safe_traffic_cannot_be_starved(resources: Resources) -> None:
    reserved = {
        name: properties["ReservedConcurrentExecutions"]
        for name, properties in functions(resources).items()
        if "ReservedConcurrentExecutions" in properties
    }

    one_at_a_time = {"report-status": 1}
    assert reserved == {"claim-rollback": 2, "switch-listener": 2, "settle": 2, **one_at_a_time}


def test_published_versions_survive_updates(resources: Resources) -> None:
    """An execution that is under way goes on with the versions of its time. Who calls a URL is answered at once."""
    versions = [each for each in resources.values() if each["Type"] == "AWS::Lambda::Version"]
    published = {
        resources[each["Properties"]["FunctionName"]["Ref"]]["Properties"]["FunctionName"] for each in versions
    }

    assert {"Retain"} == {each["DeletionPolicy"] for each in versions}
    assert len(published) == len(versions)
    assert {spec.name for spec in FUNCTIONS} - {each.split("production-")[1] for each in published} == {"answer-by-url"}


def test_every_function_logs_to_a_group_that_forgets_after_a_year(resources: Resources) -> None:
    groups = of_type(resources, "AWS::Logs::LogGroup")

    for name, properties in functions(resources).items():
        group = groups[properties["LoggingConfig"]["LogGroup"]["Ref"]]
        assert group == {"LogGroupName": f"/aws/lambda/receipt-vault-production-{name}", "RetentionInDays": 365}
        assert properties["TracingConfig"] == {"Mode": "Active"}


def _imports(module: str) -> set[str]:
    """Return the packages that are imported with a module, also through other modules of ours."""
    found: set[str] = set()
    modules = [module]
    for each in modules:
        path = ROOT / f"{each.replace('.', '/')}.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
                if node.module.startswith("lambdas.") and node.module not in modules:
                    modules.append(node.module)
            elif isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
    return found


def _source(spec: FunctionSpec) -> str:
    return (ROOT / "lambdas" / f"{spec.module.replace('.', '/')}.py").read_text(encoding="utf-8")


def _parse(spec: FunctionSpec) -> ast.Module:
    return ast.parse(_source(spec))


@pytest.mark.parametrize("settings", load_settings(SETTINGS_FOLDER), ids=lambda settings: settings.environment)
def test_what_the_judge_is_told_can_be_read_by_it(settings: EnvironmentSettings) -> None:
    """It reads everything when it starts: what is missing or too much there would fail at the first look."""
    told = JudgeSettings.from_json(VARIABLES["JUDGE"](settings))

    assert told.source == settings.judge.source
    assert (told.metrics is None) == (settings.judge.metrics is None)
    assert LogRules.from_json(VARIABLES["LOGS"](settings)).slow_pattern == settings.logs.slow_pattern
