"""
What a function may be allowed to do: a permission is a few actions on exactly the resources that settings name.

A star stands only where it must, and says why.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from aws_cdk import aws_iam as iam

from cdk.names import APPLY, PLAN, STARTERS, Names
from cdk.settings import EnvironmentSettings, HealthCheck, Restore, SmokeCheck
from lambdas.traffic.freeze_rules import ENVIRONMENT_TAG, SERVICE_TAG

Conditions = Mapping[str, Mapping[str, object]]

_NO_RESOURCE = "AWS knows no resource for this action, as the Service Authorization Reference lists it."
_GENERATED_ID = "The star is an id that AWS generates; the name beside it is unique."
_MADE_LATER = "The star is what Runback or AWS makes later, below a name that is this environment's alone."


@dataclass(frozen=True)
class Permission:
    """
    Actions, and how to find the resources and conditions to which an environment limits them.

    `why_star` is the reason for a star among the resources, and empty where there is none.
    """

    actions: tuple[str, ...]
    resources: Callable[[EnvironmentSettings], list[str]]
    conditions: Callable[[EnvironmentSettings], Conditions] = field(default=lambda _: {})
    why_star: str = ""

    def statements(self, settings: EnvironmentSettings) -> list[iam.PolicyStatement]:
        """Return the policy statement that grants this in one environment; none where it has no such resource."""
        resources = self.resources(settings)
        if not resources:
            return []
        return [
            iam.PolicyStatement(
                actions=list(self.actions), resources=resources, conditions=dict(self.conditions(settings))
            )
        ]


def _everything(_: EnvironmentSettings) -> list[str]:
    return ["*"]


def _record(settings: EnvironmentSettings) -> list[str]:
    return [Names(settings).record_table_arn]


def _topic(settings: EnvironmentSettings) -> list[str]:
    return [Names(settings).topic_arn]


def _reports(settings: EnvironmentSettings) -> list[str]:
    return [Names(settings).reports_arn]


def _given(arns: Iterable[str | None]) -> list[str]:
    return [arn for arn in arns if arn]


def _listeners(settings: EnvironmentSettings) -> list[str]:
    return _given(arn for route in settings.routes for arn in (route.listener_arn, route.test_listener_arn))


def _rules(settings: EnvironmentSettings) -> list[str]:
    return _given(arn for route in settings.routes for arn in (route.rule_arn, route.test_rule_arn))


def _auto_scaling_groups(settings: EnvironmentSettings) -> list[str]:
    return [
        settings.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{each.auto_scaling_group}")
        for each in settings.colors.both
    ]


def _database(settings: EnvironmentSettings) -> list[str]:
    return [settings.arn("rds", f"db:{settings.database.instance}")]


def _where_restored(
    resources: Callable[[EnvironmentSettings, Restore], list[str]],
) -> Callable[[EnvironmentSettings], list[str]]:
    """Leave an environment that restores no database without what only a restore needs."""
    return lambda settings: resources(settings, settings.restore) if settings.restore else []


def _our_instances(settings: EnvironmentSettings) -> list[str]:
    return [settings.arn("rds", f"db:runback-{settings.prefix}-*")]


def _databases(settings: EnvironmentSettings, _: Restore) -> list[str]:
    return [*_database(settings), *_our_instances(settings)]


def _whatever_a_database_is_made_of(settings: EnvironmentSettings) -> list[str]:
    return [settings.arn("rds", f"{kind}:*") for kind in ("og", "pg", "subgrp")]


def _roles_of_databases(settings: EnvironmentSettings, _: Restore) -> list[str]:
    return [f"arn:{settings.partition}:iam::{settings.account}:role/*"]


def _restarted_groups(settings: EnvironmentSettings, restore: Restore) -> list[str]:
    workers = [
        settings.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{each}") for each in restore.worker_groups
    ]
    return [*_auto_scaling_groups(settings), *workers]


def _live_listeners(settings: EnvironmentSettings) -> list[str]:
    """Return the listeners through which users come, also those of which only a rule is a route."""
    of_rules = (
        route.rule_arn.replace(":listener-rule/", ":listener/").rpartition("/")[0]
        for route in settings.routes
        if route.rule_arn
    )
    return sorted({*_given(route.listener_arn for route in settings.routes), *of_rules})


def _rules_of_live_listeners(settings: EnvironmentSettings, _: Restore) -> list[str]:
    return [f"{each.replace(':listener/', ':listener-rule/')}/*" for each in _live_listeners(settings)]


def _our_snapshots(settings: EnvironmentSettings) -> list[str]:
    return [settings.arn("rds", f"snapshot:runback-{settings.prefix}-*")]


def _shared_snapshots(settings: EnvironmentSettings, restore: Restore) -> list[str]:
    return [
        f"arn:{settings.partition}:rds:{settings.region}:{account}:snapshot:*" for account in restore.snapshot_accounts
    ]


def _keys_of_snapshots(settings: EnvironmentSettings, restore: Restore) -> list[str]:
    return [
        f"arn:{settings.partition}:kms:{settings.region}:{account}:key/*"
        for account in (settings.account, *restore.snapshot_accounts)
    ]


def _launch_templates(settings: EnvironmentSettings) -> list[str]:
    return [settings.arn("ec2", f"launch-template/{each.launch_template_id}") for each in settings.colors.both]


def _instance_roles(settings: EnvironmentSettings) -> list[str]:
    return sorted({each.instance_role_arn for each in settings.colors.both})


def _whatever_an_instance_is_made_of(settings: EnvironmentSettings) -> list[str]:
    shared = [f"arn:{settings.partition}:ec2:{settings.region}::{kind}/*" for kind in ("image", "snapshot")]
    network = ("network-interface", "security-group", "subnet")
    own = ("instance", "key-pair", "launch-template", "volume", *network)
    return shared + [settings.arn("ec2", f"{kind}/*") for kind in own]


def _whatever_a_new_instance_can_tag(settings: EnvironmentSettings) -> list[str]:
    return [settings.arn("ec2", f"{kind}/*") for kind in ("instance", "network-interface", "volume")]


def _parameter(settings: EnvironmentSettings, name: str) -> str:
    return settings.arn("ssm", f"parameter{name}")


def _secrets_of_checks(settings: EnvironmentSettings) -> list[str]:
    return _secrets_of((*settings.checks.health, *settings.checks.smoke))


def _secrets_of_the_probe(settings: EnvironmentSettings) -> list[str]:
    return _secrets_of(settings.checks.probed)


def _secrets_of(checks: Iterable[HealthCheck | SmokeCheck]) -> list[str]:
    return sorted({arn for check in checks for arn in (check.body_secret_arn, check.token_secret_arn) if arn})


def _secrets_of_data_stores(settings: EnvironmentSettings) -> list[str]:
    return sorted({arn for arn in (settings.database.secret_arn, settings.cache.secret_arn) if arn})


def _only_through_the_endpoint(settings: EnvironmentSettings) -> Conditions:
    endpoint = settings.network.secrets_manager_endpoint_id
    return {"StringEquals": {"aws:SourceVpce": endpoint}} if endpoint else {}


def _application_log(settings: EnvironmentSettings) -> list[str]:
    return [settings.arn("logs", f"log-group:{settings.logs.group}:*")]


def _executions(*machines: str) -> Callable[[EnvironmentSettings], list[str]]:
    return lambda settings: [Names(settings).execution_arns(machine) for machine in machines]


def _executions_of_holders(settings: EnvironmentSettings) -> list[str]:
    """Return what can hold the environment."""
    restores = ("restore-database",) if settings.restore else ()
    return _executions("deploy", "rollback", "clean-up", *restores)(settings)


def _record_before(settings: EnvironmentSettings) -> list[str]:
    """Return the record of the environment that goes before this one."""
    after = settings.pushes.after if settings.pushes else None
    return [settings.arn("dynamodb", f"table/{Names(settings).record_table_of(after)}")] if after else []


def _token_of_github(settings: EnvironmentSettings) -> list[str]:
    return [settings.github.token_secret_arn] if settings.github else []


# Nobody may delete from the record: what happened to an environment stays on it.
READ_RECORD = Permission(("dynamodb:BatchGetItem",), _record)
READ_RELEASE = Permission(("dynamodb:GetItem",), _record)
UPDATE_RECORD = Permission(("dynamodb:UpdateItem",), _record)
REPLACE_IN_RECORD = Permission(("dynamodb:PutItem",), _record)
CHECK_RECORD = Permission(("dynamodb:ConditionCheckItem",), _record)
FIND_IN_RECORD = Permission(("dynamodb:Query",), _record)
READ_RECORD_BEFORE = Permission(("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"), _record_before)

READ_LISTENERS = (
    Permission(
        ("elasticloadbalancing:DescribeListeners",),
        lambda settings: ["*"] if any(_listeners(settings)) else [],
        why_star=_NO_RESOURCE,
    ),
    Permission(
        ("elasticloadbalancing:DescribeRules",),
        lambda settings: ["*"] if any(_rules(settings)) else [],
        why_star=_NO_RESOURCE,
    ),
)
READ_RULES = Permission(("elasticloadbalancing:DescribeRules",), _everything, why_star=_NO_RESOURCE)
READ_TARGET_HEALTH = Permission(
    ("elasticloadbalancing:DescribeTargetHealth",),
    _everything,
    why_star=_NO_RESOURCE,
)
_MODIFY_LISTENER, _MODIFY_RULE = ("elasticloadbalancing:ModifyListener",), ("elasticloadbalancing:ModifyRule",)
WRITE_LIVE_ROUTES = (
    Permission(_MODIFY_LISTENER, lambda settings: _given(route.listener_arn for route in settings.routes)),
    Permission(_MODIFY_RULE, lambda settings: _given(route.rule_arn for route in settings.routes)),
)
WRITE_TEST_ROUTES = (
    Permission(_MODIFY_LISTENER, lambda settings: _given(route.test_listener_arn for route in settings.routes)),
    Permission(_MODIFY_RULE, lambda settings: _given(route.test_rule_arn for route in settings.routes)),
)

READ_GROUPS = Permission(
    ("autoscaling:DescribeAutoScalingGroups",),
    _everything,
    why_star=_NO_RESOURCE,
)
READ_REFRESHES = Permission(
    ("autoscaling:DescribeInstanceRefreshes",),
    _everything,
    why_star=_NO_RESOURCE,
)
UPDATE_GROUPS = Permission(("autoscaling:UpdateAutoScalingGroup",), _auto_scaling_groups, why_star=_GENERATED_ID)
SUSPEND_SCALING = Permission(("autoscaling:SuspendProcesses",), _auto_scaling_groups, why_star=_GENERATED_ID)
RESUME_SCALING = Permission(("autoscaling:ResumeProcesses",), _auto_scaling_groups, why_star=_GENERATED_ID)
START_REFRESHES = Permission(("autoscaling:StartInstanceRefresh",), _auto_scaling_groups, why_star=_GENERATED_ID)
CANCEL_REFRESHES = Permission(("autoscaling:CancelInstanceRefresh",), _auto_scaling_groups, why_star=_GENERATED_ID)

READ_LAUNCH_TEMPLATES = Permission(
    ("ec2:DescribeLaunchTemplateVersions",),
    _everything,
    why_star=_NO_RESOURCE,
)
VERSION_LAUNCH_TEMPLATES = Permission(("ec2:CreateLaunchTemplateVersion",), _launch_templates)
# Whoever gives a group a launch template must be allowed to launch, tag and equip its instances himself; see "Control
# Amazon EC2 launch template usage in Auto Scaling groups" in the Amazon EC2 Auto Scaling user guide.
LAUNCH_FROM_TEMPLATES = Permission(
    ("ec2:RunInstances",),
    _whatever_an_instance_is_made_of,
    lambda settings: {"ArnEquals": {"ec2:LaunchTemplate": _launch_templates(settings)}},
    why_star="What an instance is made of stands in the launch template, and only those of settings are allowed.",
)
TAG_NEW_INSTANCES = Permission(
    ("ec2:CreateTags",),
    _whatever_a_new_instance_can_tag,
    lambda _: {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
    why_star="What is tagged does not exist before it is launched, and nothing else may be tagged.",
)
PASS_INSTANCE_ROLES = Permission(
    ("iam:PassRole",),
    _instance_roles,
    lambda _: {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
)

USE_LAUNCH_TEMPLATES = (LAUNCH_FROM_TEMPLATES, TAG_NEW_INSTANCES, PASS_INSTANCE_ROLES)

READ_EXECUTIONS = Permission(("states:DescribeExecution",), _executions_of_holders, why_star=_MADE_LATER)
READ_HISTORIES = Permission(("states:GetExecutionHistory",), _executions_of_holders, why_star=_MADE_LATER)
STOP_DEPLOYMENTS = Permission(
    ("states:DescribeExecution", "states:StopExecution"), _executions("deploy"), why_star=_MADE_LATER
)
START_ROLLBACKS = Permission(("states:StartExecution",), lambda settings: [Names(settings).machine_arn("rollback")])
START_RELEASES = Permission(("states:StartExecution",), lambda settings: [Names(settings).machine_arn("deploy")])
START_PUSHES = Permission(("states:StartExecution",), lambda settings: [Names(settings).machine_arn("push")])
READ_RELEASES_OF_PUSHES = Permission(
    ("states:DescribeExecution", "states:GetExecutionHistory"), _executions("deploy"), why_star=_MADE_LATER
)
READ_DEPLOYMENTS = Permission(("states:DescribeExecution",), _executions("deploy"), why_star=_MADE_LATER)
READ_PUSHES = Permission(("states:DescribeExecution",), _executions("push"), why_star=_MADE_LATER)

WRITE_PARAMETERS = Permission(
    ("ssm:PutParameter",),
    lambda settings: [
        _parameter(settings, settings.parameters.target_group),
        _parameter(settings, settings.parameters.previous_target_group),
    ],
)
WRITE_WAY_BACK = Permission(("ssm:PutParameter",), lambda settings: [_parameter(settings, settings.way_back_parameter)])
READ_WAY_BACK = Permission(("ssm:GetParameter",), lambda settings: [_parameter(settings, settings.way_back_parameter)])

# Of metric alarms alone: composite ones are described only to who may describe everything.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
READ_ALARMS = Permission(
    ("cloudwatch:DescribeAlarms",),
    lambda settings: [settings.arn("cloudwatch", "alarm:*")],
    why_star="Alarms are looked up by the beginning of their names, which AWS authorizes on all alarms of the account.",
)
READ_METRICS = Permission(("cloudwatch:GetMetricData",), _everything, why_star=_NO_RESOURCE)
# Nobody reads or deletes a report: humans do the one with their own rights, the bucket's age limit the other.
WRITE_REPORTS = Permission(("s3:PutObject",), _reports, why_star=_MADE_LATER)


def certify(machine: str) -> tuple[Permission, ...]:
    """Return what a machine's certificate looks at; whose rights it asks for stands in `Functions.allow_simulation`."""
    return (
        Permission(("states:DescribeStateMachine",), lambda settings: [Names(settings).machine_arn(machine)]),
        Permission(
            ("lambda:GetFunctionConcurrency", "lambda:GetFunctionConfiguration"),
            lambda settings: [Names(settings).function_arn("*")],
            why_star="The star is the functions of this environment, in all their versions.",
        ),
        Permission(
            ("events:DescribeRule", "events:ListTargetsByRule"),
            lambda settings: [
                settings.arn("events", f"rule/{Names(settings).named(rule)}") for rule in STARTERS.get(machine, ())
            ],
        ),
    )


READ_SUBSCRIPTIONS = Permission(("sns:ListSubscriptionsByTopic",), _topic)

PUBLISH_NOTICES = Permission(("sns:Publish",), _topic)

TAKE_SNAPSHOTS = (
    Permission(
        ("rds:CreateDBSnapshot",),
        lambda settings: [*_database(settings), *_our_snapshots(settings)],
        why_star=_MADE_LATER,
    ),
    # Only the snapshot is tagged; to tag the database would be to change it.
    Permission(("rds:AddTagsToResource",), _our_snapshots, why_star=_MADE_LATER),
)
# Of whichever instance serves, which may be one that an earlier restore has made.
TAKE_SAFETY_SNAPSHOTS = (
    Permission(
        ("rds:CreateDBSnapshot",),
        lambda settings: [*_database(settings), *_our_instances(settings), *_our_snapshots(settings)],
        why_star=_MADE_LATER,
    ),
    Permission(("rds:AddTagsToResource",), _our_snapshots, why_star=_MADE_LATER),
)
READ_SHARED_SNAPSHOTS = Permission(
    ("rds:DescribeDBSnapshots",),
    _where_restored(_shared_snapshots),
    why_star="Settings name the accounts whose shared snapshots may be restored, and a human names the snapshot.",
)
# Whoever lets RDS copy with a key must be allowed to use it himself, that of the other account as well.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/share-encrypted-snapshot.html
COPY_SHARED_SNAPSHOTS = (
    Permission(
        ("rds:CopyDBSnapshot",),
        _where_restored(lambda settings, restore: [*_our_snapshots(settings), *_shared_snapshots(settings, restore)]),
        why_star=_MADE_LATER,
    ),
    Permission(
        ("rds:AddTagsToResource",), _where_restored(lambda settings, _: _our_snapshots(settings)), why_star=_MADE_LATER
    ),
    Permission(
        ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"),
        _where_restored(_keys_of_snapshots),
        lambda settings: {"StringEquals": {"kms:ViaService": [f"rds.{settings.region}.amazonaws.com"]}},
        why_star="What is copied, and what serves, is encrypted with keys that settings do not name.",
    ),
)
READ_SNAPSHOTS = Permission(("rds:DescribeDBSnapshots",), _our_snapshots, why_star=_MADE_LATER)

READ_TOKEN_OF_GITHUB = Permission(("secretsmanager:GetSecretValue",), _token_of_github)
READ_SECRETS_OF_CHECKS = Permission(("secretsmanager:GetSecretValue",), _secrets_of_checks)
READ_SECRETS_OF_PROBE = Permission(("secretsmanager:GetSecretValue",), _secrets_of_the_probe)
READ_SECRET_OF_DATABASE = Permission(
    ("secretsmanager:GetSecretValue",), lambda settings: [settings.database.secret_arn], _only_through_the_endpoint
)
READ_SECRETS_OF_DATA_STORES = Permission(
    ("secretsmanager:GetSecretValue",), _secrets_of_data_stores, _only_through_the_endpoint
)
READ_APPLICATION_LOG = Permission(
    ("logs:FilterLogEvents",),
    _application_log,
    why_star="The star is the group's log streams, whose names are generated.",
)
READ_EVIDENCE = (
    replace(READ_METRICS, resources=lambda settings: [] if settings.judge.source == "logs" else _everything(settings)),
    replace(
        READ_APPLICATION_LOG,
        resources=lambda settings: _application_log(settings) if settings.judge.source == "logs" else [],
    ),
)

_NETWORK_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
CONNECT_TO_NETWORK = Permission(
    _NETWORK_INTERFACES,
    _everything,
    why_star="Lambda wants these on everything to connect a function to a VPC; they are denied to the function's code.",
)

# What only a restore of the database needs. Nobody may delete an instance or a snapshot.
READ_INSTANCES = Permission(("rds:DescribeDBInstances",), _where_restored(_databases), why_star=_MADE_LATER)
_PARTS_ARE_ITS_OWN = "What it is made of is what the instance that serves is made of, which settings do not name."
RESTORE_INSTANCES = (
    Permission(
        ("rds:RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceToPointInTime"),
        _where_restored(
            lambda settings, restore: [
                *_databases(settings, restore),
                *_our_snapshots(settings),
                *_whatever_a_database_is_made_of(settings),
            ]
        ),
        why_star=_PARTS_ARE_ITS_OWN,
    ),
    Permission(
        ("rds:AddTagsToResource",), _where_restored(lambda settings, _: _our_instances(settings)), why_star=_MADE_LATER
    ),
)
# What a certificate looks at, so that no restore finds out too late that something is missing.
READ_PARTS_OF_INSTANCES = (
    Permission(
        ("rds:DescribeDBParameterGroups", "rds:DescribeDBSubnetGroups", "rds:DescribeOptionGroups"),
        _where_restored(lambda settings, _: _whatever_a_database_is_made_of(settings)),
        why_star=_PARTS_ARE_ITS_OWN,
    ),
    Permission(("rds:DescribeAccountAttributes",), _where_restored(lambda *_: ["*"]), why_star=_NO_RESOURCE),
    Permission(
        ("kms:DescribeKey",),
        _where_restored(lambda settings, _: [settings.arn("kms", "key/*")]),
        why_star=_PARTS_ARE_ITS_OWN,
    ),
)
LOOK_AROUND_A_RESTORE = (
    Permission(
        ("secretsmanager:DescribeSecret",),
        _where_restored(lambda _, restore: [restore.application_secret_arn, restore.administrator_secret_arn]),
    ),
    Permission(
        ("s3:ListBucket",),
        _where_restored(lambda settings, _: [f"arn:{settings.partition}:s3:::{settings.exports_bucket}"]),
    ),
)
MODIFY_INSTANCES = Permission(
    ("rds:ModifyDBInstance", "rds:AddRoleToDBInstance"),
    _where_restored(lambda settings, _: [*_our_instances(settings), *_whatever_a_database_is_made_of(settings)]),
    why_star=_PARTS_ARE_ITS_OWN,
)
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html
MAKE_MASTER_SECRETS = Permission(
    ("secretsmanager:CreateSecret", "secretsmanager:TagResource"),
    _where_restored(lambda settings, _: [settings.arn("secretsmanager", "secret:rds!*")]),
    why_star="RDS names the secret of an instance's master user itself.",
)
PASS_DATABASE_ROLES = Permission(
    ("iam:PassRole",),
    _where_restored(_roles_of_databases),
    lambda _: {"StringEquals": {"iam:PassedToService": ["monitoring.rds.amazonaws.com", "rds.amazonaws.com"]}},
    why_star=_PARTS_ARE_ITS_OWN,
)
USE_DATABASE_KEYS = Permission(
    ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"),
    _where_restored(lambda settings, _: [settings.arn("kms", "key/*")]),
    lambda settings: {
        "StringEquals": {
            "kms:ViaService": [f"{each}.{settings.region}.amazonaws.com" for each in ("rds", "secretsmanager")]
        }
    },
    why_star=_PARTS_ARE_ITS_OWN,
)
_READ_SECRET = ("secretsmanager:GetSecretValue",)
READ_SECRET_OF_ADMINISTRATOR = Permission(
    _READ_SECRET, _where_restored(lambda _, restore: [restore.administrator_secret_arn]), _only_through_the_endpoint
)
READ_SECRETS_OF_RESTORE = Permission(
    _READ_SECRET,
    _where_restored(lambda _, restore: [restore.administrator_secret_arn, restore.application_secret_arn]),
    _only_through_the_endpoint,
)
# From outside of the VPC, where RDS itself is asked.
SET_MASTER_PASSWORDS = (
    Permission(_READ_SECRET, _where_restored(lambda _, restore: [restore.administrator_secret_arn])),
    Permission(
        ("rds:ModifyDBInstance",), _where_restored(lambda settings, _: _our_instances(settings)), why_star=_MADE_LATER
    ),
)
SWAP_CONNECTION = Permission(
    (*_READ_SECRET, "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"),
    _where_restored(lambda _, restore: [restore.application_secret_arn]),
)
# The key's own policy lets the function encrypt: its ARN is known only when it is made.
WRITE_EXPORTS = Permission(
    ("s3:PutObject",), _where_restored(lambda settings, _: [Names(settings).exports_arn]), why_star=_MADE_LATER
)


def _of_migrations(kind: str) -> Callable[[EnvironmentSettings], list[str]]:
    """Return what migrates the database, if it is of this kind."""

    def resources(settings: EnvironmentSettings) -> list[str]:
        hook = settings.migrations
        if kind == "project":
            return [settings.arn("codebuild", f"project/{hook.project}")] if hook and hook.project else []
        return [hook.function_arn] if hook and hook.function_arn else []

    return resources


# What migrates the database is the customer's, and has rights of its own. Nobody may stop it.
RUN_MIGRATIONS = (
    Permission(("lambda:InvokeFunction",), _of_migrations("function")),
    Permission(("codebuild:StartBuild",), _of_migrations("project")),
)
READ_MIGRATIONS = Permission(("codebuild:BatchGetBuilds",), _of_migrations("project"))
FIND_MIGRATIONS = Permission(("codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject"), _of_migrations("project"))


# Plans and applies of Terraform. What a build may do is its project's own role's; nobody may stop one.
def _projects(*names: str) -> Callable[[EnvironmentSettings], list[str]]:
    return lambda settings: [Names(settings).project_arn(each) for each in names] if settings.infrastructure else []


PLAN_INFRASTRUCTURE = Permission(("codebuild:StartBuild",), _projects(PLAN))
READ_PLANS = (
    Permission(("codebuild:BatchGetBuilds",), _projects(PLAN)),
    # The key's own policy lets the function decrypt: its ARN is known only when it is made.
    Permission(
        ("s3:GetObject",),
        lambda settings: [Names(settings).plans_arn] if settings.infrastructure else [],
        why_star=_MADE_LATER,
    ),
)
APPLY_INFRASTRUCTURE = Permission(
    ("codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject", "codebuild:StartBuild"), _projects(APPLY)
)
READ_APPLIES = Permission(("codebuild:BatchGetBuilds",), _projects(APPLY))
FIND_APPLIES = Permission(("codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject"), _projects(APPLY))

READ_RULE_TAGS = Permission(("elasticloadbalancing:DescribeTags",), _everything, why_star=_NO_RESOURCE)
FREEZE_LISTENERS = (
    Permission(("elasticloadbalancing:CreateRule",), _where_restored(lambda settings, _: _live_listeners(settings))),
    Permission(
        ("elasticloadbalancing:AddTags",),
        _where_restored(_rules_of_live_listeners),
        lambda _: {"StringEquals": {"elasticloadbalancing:CreateAction": "CreateRule"}},
        why_star=_MADE_LATER,
    ),
)
# Customers' rules stand beside it, and only its tags tell which one was made to freeze.
THAW_LISTENERS = Permission(
    ("elasticloadbalancing:DeleteRule",),
    _where_restored(_rules_of_live_listeners),
    lambda settings: {
        "StringEquals": {
            f"aws:ResourceTag/{SERVICE_TAG}": settings.service,
            f"aws:ResourceTag/{ENVIRONMENT_TAG}": settings.environment,
        }
    },
    why_star=_MADE_LATER,
)
RESTART_GROUPS = Permission(
    ("autoscaling:StartInstanceRefresh", "autoscaling:CancelInstanceRefresh"),
    _where_restored(_restarted_groups),
    why_star=_GENERATED_ID,
)
HOLD_GROUPS = (
    replace(UPDATE_GROUPS, resources=_where_restored(_restarted_groups)),
    replace(SUSPEND_SCALING, resources=_where_restored(_restarted_groups)),
)
GIVE_GROUPS_BACK = (
    replace(UPDATE_GROUPS, resources=_where_restored(_restarted_groups)),
    replace(RESUME_SCALING, resources=_where_restored(_restarted_groups)),
)
READ_EC2_INSTANCES = Permission(("ec2:DescribeInstances",), _everything, why_star=_NO_RESOURCE)

# A task token names no resource; whoever has it was given it, and only the record has it.
ANSWER_TASKS = Permission(("states:SendTaskSuccess",), _everything, why_star=_NO_RESOURCE)
