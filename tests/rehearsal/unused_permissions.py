"""What roles may do and no scenario does: a right that nobody needs is a right that a mistake can use."""

from collections.abc import Iterator, Mapping
from itertools import chain

from tests.infrastructure.template import Resources, functions, machines, of_type, role_of, statements

Actions = Mapping[str, set[str]]
"""IAM actions, by the name of the function, machine, rule or project, without service and environment."""

USED_BY_SERVICES = {
    "codeconnections:GetConnection": "CodeBuild checks the repository out with a build's role",
    "codeconnections:GetConnectionToken": "as above",
    "ec2:AssignPrivateIpAddresses": "Lambda connects a function to the VPC with the function's role",
    "ec2:CreateNetworkInterface": "as above",
    "ec2:DeleteNetworkInterface": "as above",
    "ec2:DescribeNetworkInterfaces": "as above",
    "ec2:DescribeSubnets": "as above",
    "ec2:UnassignPrivateIpAddresses": "as above",
    "logs:CreateLogDelivery": "Step Functions writes a machine's log with the machine's role",
    "logs:CreateLogStream": "Lambda writes a function's log with the function's role, and CodeBuild a build's",
    "logs:DeleteLogDelivery": "Step Functions, as above",
    "logs:DescribeLogGroups": "Step Functions, as above",
    "logs:DescribeResourcePolicies": "Step Functions, as above",
    "logs:GetLogDelivery": "Step Functions, as above",
    "logs:ListLogDeliveries": "Step Functions, as above",
    "logs:PutLogEvents": "Lambda and CodeBuild, as above",
    "logs:PutResourcePolicy": "Step Functions, as above",
    "logs:UpdateLogDelivery": "Step Functions, as above",
    "xray:GetSamplingRules": "both send their traces with the role",
    "xray:GetSamplingTargets": "as above",
    "xray:PutTelemetryRecords": "as above",
    "xray:PutTraceSegments": "as above",
}
"""Nothing that runs in a rehearsal makes these requests."""

_OF_CUSTOMER_KEYS = ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey")

NOT_IN_A_SCENARIO = {
    ("check-migrations", "dynamodb:GetItem"): "the pretended migrations are a function's, which has ended before",
    ("check-commit", "s3:ListBucket"): "a version was not built: without it S3 would say 403 of what is not there",
    ("decide-gates", "dynamodb:GetItem"): "a request that is refused at its gates had ended otherwise before",
    ("prepare-idle-color", "dynamodb:PutItem"): "a release within the window of the one before closes that window",
    **dict.fromkeys(
        [
            *(("restore-instance", action) for action in _OF_CUSTOMER_KEYS),
            *(("check-restored-instance", action) for action in _OF_CUSTOMER_KEYS),
        ],
        "the pretended database is encrypted with the key of AWS",
    ),
    **dict.fromkeys(
        [
            ("restore-instance", "iam:PassRole"),
            ("check-restored-instance", "iam:PassRole"),
            ("check-restored-instance", "rds:AddRoleToDBInstance"),
        ],
        "the pretended database has no role, neither for monitoring nor for S3",
    ),
    **dict.fromkeys(
        [
            ("check-restored-instance", "secretsmanager:CreateSecret"),
            ("check-restored-instance", "secretsmanager:TagResource"),
        ],
        "RDS keeps no password of the pretended database in Secrets Manager",
    ),
    ("certify-restore", "autoscaling:DescribeAutoScalingGroups"): "production has no group of workers",
    ("certify-restore", "elasticloadbalancing:DescribeTags"): "production's listener has no rule before a restore",
    ("certify-restore", "rds:DescribeOptionGroups"): "the pretended database has the option group that AWS makes",
    **dict.fromkeys(
        [("check-safety-snapshot", "rds:CreateDBSnapshot"), ("check-safety-snapshot", "rds:AddTagsToResource")],
        "an instance that was busy with its daily backup took no snapshot when it was asked to",
    ),
    **dict.fromkeys(
        [
            *(("plan", action) for action in ("s3:GetObject", "s3:ListBucket")),
            *(("apply", action) for action in ("s3:DeleteObject", "s3:ListBucket", "s3:PutObject")),
        ],
        "the pretended Terraform keeps its state, and the lock of that, in no bucket",
    ),
    **dict.fromkeys(
        [
            ("restart-application", "autoscaling:CancelInstanceRefresh"),
            ("restart-application", "autoscaling:DescribeInstanceRefreshes"),
        ],
        "another instance refresh is in the way of the restart",
    ),
}
"""Which state of affairs it takes, that no scenario has."""

BY_CHANCE = {
    ("claim-rollback", "cloudwatch:GetMetricData"): "when an alarm comes before the judge's next look at a shift",
    ("answer-by-url", "states:DescribeExecution"): "when the restore that was asked about does not wait any more",
    ("answer-approval", "states:DescribeExecution"): "when the restore that was asked about does not wait any more",
    ("claim-restore", "states:DescribeExecution"): "when nobody was told yet that the restore before it is dead",
    ("claim-rollback", "states:DescribeExecution"): "when somebody holds the environment of whom no event has told",
    ("release-environment", "dynamodb:BatchGetItem"): "when the step is repeated",
    ("settle", "elasticloadbalancing:ModifyListener"): "when the loser wrote after the switch",
    ("stop-deployment", "states:StopExecution"): "when the deployment still runs as the rollback takes over",
    ("watchdog", "cloudwatch:GetMetricData"): "when an alarm outlasts a minute while both colors serve",
    ("watchdog", "states:StartExecution"): "when it comes before the status rule",
}
"""A race decides whether a scenario does it."""


def allowed_actions(resources: Resources) -> dict[str, set[str]]:
    """Return what the template allows."""
    found: dict[str, set[str]] = {}
    for name, role in _roles(resources):
        granted = (each["Action"] for each in statements(resources, role) if each["Effect"] == "Allow")
        found.setdefault(name, set()).update(chain.from_iterable(granted))
    return found


def findings(allowed: Actions, used: Actions) -> list[str]:
    """Say what is allowed and not used, without a reason; and which reasons are none any more."""
    reasons = NOT_IN_A_SCENARIO.keys() | BY_CHANCE.keys()
    granted = {(name, action) for name, actions in allowed.items() for action in actions}
    done = {(name, action) for name, actions in used.items() for action in actions}
    unused = {each for each in granted - done - reasons if each[1] not in USED_BY_SERVICES}
    return [
        *(f"{name} may do {action}, which no scenario does" for name, action in sorted(unused)),
        *(f"{name} does {action}, and has a reason not to" for name, action in sorted(done & NOT_IN_A_SCENARIO.keys())),
        *(f"{name} may not do {action}, and has a reason to" for name, action in sorted(reasons - granted)),
    ]


def _roles(resources: Resources) -> Iterator[tuple[str, str]]:
    """Yield every function, machine, rule and project with the logical ids of the roles that it has."""
    for project in of_type(resources, "AWS::CodeBuild::Project").values():
        yield project["Name"].removeprefix("receipt-vault-production-"), role_of(project)
    yield from ((name, role_of(properties)) for name, properties in functions(resources).items())
    yield from ((name, role_of(properties)) for name, (_, properties) in machines(resources).items())
    for rule in of_type(resources, "AWS::Events::Rule").values():
        for target in (each for each in rule["Targets"] if "RoleArn" in each):
            yield rule["Name"].removeprefix("receipt-vault-production-"), role_of(target)
