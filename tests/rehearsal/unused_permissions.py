"""What roles may do and no scenario does: a right that nobody needs is a right that a mistake can use."""

from collections.abc import Iterator, Mapping
from itertools import chain

from tests.infrastructure.template import Resources, functions, machines, of_type, role_of, statements

Actions = Mapping[str, set[str]]
"""IAM actions, by the name of the function, machine or rule, without service and environment."""

USED_BY_SERVICES = {
    "ec2:AssignPrivateIpAddresses": "Lambda connects a function to the VPC with the function's role",
    "ec2:CreateNetworkInterface": "as above",
    "ec2:DeleteNetworkInterface": "as above",
    "ec2:DescribeNetworkInterfaces": "as above",
    "ec2:DescribeSubnets": "as above",
    "ec2:UnassignPrivateIpAddresses": "as above",
    "logs:CreateLogDelivery": "Step Functions writes a machine's log with the machine's role",
    "logs:CreateLogStream": "Lambda writes a function's log with the function's role",
    "logs:DeleteLogDelivery": "Step Functions, as above",
    "logs:DescribeLogGroups": "Step Functions, as above",
    "logs:DescribeResourcePolicies": "Step Functions, as above",
    "logs:GetLogDelivery": "Step Functions, as above",
    "logs:ListLogDeliveries": "Step Functions, as above",
    "logs:PutLogEvents": "Lambda, as above",
    "logs:PutResourcePolicy": "Step Functions, as above",
    "logs:UpdateLogDelivery": "Step Functions, as above",
    "xray:GetSamplingRules": "both send their traces with the role",
    "xray:GetSamplingTargets": "as above",
    "xray:PutTelemetryRecords": "as above",
    "xray:PutTraceSegments": "as above",
}
"""Nothing that runs in a rehearsal makes these requests."""

NOT_IN_A_SCENARIO = {
    ("prepare-idle-color", "dynamodb:PutItem"): "a release within the window of the one before closes that window",
    ("rollback", "states:StartExecution"): "a rollback starts the clean-up of a promotion that died before it did",
}
"""Which state of affairs it takes, that no scenario has."""

BY_CHANCE = {
    ("claim-rollback", "cloudwatch:GetMetricData"): "when an alarm comes before the judge's next look at a shift",
    ("claim-rollback", "states:DescribeExecution"): "when somebody holds the environment of whom no event has told",
    ("release-environment", "dynamodb:BatchGetItem"): "when the step is repeated",
    ("settle", "elasticloadbalancing:ModifyListener"): "when the loser wrote after the switch",
    ("stop-deployment", "states:StopExecution"): "when the deployment still runs as the rollback takes over",
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
    """Yield every function, machine and rule with the logical ids of the roles that it has."""
    yield from ((name, role_of(properties)) for name, properties in functions(resources).items())
    yield from ((name, role_of(properties)) for name, (_, properties) in machines(resources).items())
    for rule in of_type(resources, "AWS::Events::Rule").values():
        for target in (each for each in rule["Targets"] if "RoleArn" in each):
            yield rule["Name"].removeprefix("receipt-vault-production-"), role_of(target)
