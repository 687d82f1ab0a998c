"""Each function gets what its page of the table says, and no more."""

import ast
import re
from pathlib import Path

import pytest

from cdk.functions import FUNCTIONS, FunctionSpec
from tests.infrastructure.template import Resources, functions, of_type, role_of, statements

ROOT = Path(__file__).parents[2]

LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACE = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
READ = {"dynamodb:BatchGetItem"}
READ_RELEASE = {"dynamodb:GetItem"}
UPDATE = {"dynamodb:UpdateItem"}
REPLACE = {"dynamodb:PutItem"}
LISTENERS = {"elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules"}
HEALTH = {"elasticloadbalancing:DescribeTargetHealth"}
SHIFT = {"elasticloadbalancing:ModifyListener"}
GROUPS = {"autoscaling:DescribeAutoScalingGroups"}
REFRESHES = {"autoscaling:DescribeInstanceRefreshes"}
RESIZE = {"autoscaling:UpdateAutoScalingGroup"}
TEMPLATES = {"ec2:DescribeLaunchTemplateVersions"}
LAUNCH = {"ec2:CreateTags", "ec2:RunInstances", "iam:PassRole"}

ACTIONS: dict[str, set[str]] = {
    "validate-request": set(),
    "claim-environment": READ | UPDATE | REPLACE | LISTENERS,
    "promote": READ | UPDATE | REPLACE | LISTENERS | {"ssm:PutParameter"},
    "release-environment": READ | UPDATE,
    "claim-clean-up": READ | REPLACE | LISTENERS,
    "record-rollback-point": READ
    | READ_RELEASE
    | UPDATE
    | REPLACE
    | HEALTH
    | GROUPS
    | TEMPLATES
    | {"ssm:PutParameter"},
    "claim-rollback": READ | REPLACE | {"states:DescribeExecution"},
    "stop-deployment": UPDATE | {"states:DescribeExecution", "states:StopExecution"},
    "record-rollback": READ | UPDATE | REPLACE | {"ssm:PutParameter"},
    "watchdog": READ | REPLACE | HEALTH | {"states:DescribeExecution", "states:StartExecution"},
    "take-snapshot": UPDATE | {"rds:AddTagsToResource", "rds:CreateDBSnapshot"},
    "check-snapshot": UPDATE | {"rds:DescribeDBSnapshots"},
    "prepare-idle-color": READ
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
    "resume-scaling": READ_RELEASE | UPDATE | RESIZE | {"autoscaling:ResumeProcesses"},
    "scale-back-idle-color": READ_RELEASE | UPDATE | RESIZE | LAUNCH | {"autoscaling:CancelInstanceRefresh"},
    "scale-in-old-color": READ_RELEASE | UPDATE | LISTENERS | RESIZE | {"autoscaling:ResumeProcesses"},
    "switch-listener": READ | READ_RELEASE | UPDATE | REPLACE | LISTENERS | HEALTH | SHIFT,
    "settle": READ | UPDATE | LISTENERS | SHIFT,
    "notify": {"sns:Publish", "ssm:GetParameter"},
}

# The Service Authorization Reference lists no resource for these.
WITHOUT_RESOURCES = LISTENERS | HEALTH | GROUPS | REFRESHES | TEMPLATES | TRACE


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

    assert reserved == {"claim-rollback": 2, "switch-listener": 2, "settle": 2}


def test_published_versions_survive_updates(resources: Resources) -> None:
    """An execution that is under way goes on with the versions of its time."""
    versions = [each for each in resources.values() if each["Type"] == "AWS::Lambda::Version"]

    assert {"Retain"} == {each["DeletionPolicy"] for each in versions}
    assert len(FUNCTIONS) == len(versions)


def test_every_function_logs_to_a_group_that_forgets_after_a_year(resources: Resources) -> None:
    groups = of_type(resources, "AWS::Logs::LogGroup")

    for name, properties in functions(resources).items():
        group = groups[properties["LoggingConfig"]["LogGroup"]["Ref"]]
        assert group == {"LogGroupName": f"/aws/lambda/receipt-vault-production-{name}", "RetentionInDays": 365}
        assert properties["TracingConfig"] == {"Mode": "Active"}


def _source(spec: FunctionSpec) -> str:
    return (ROOT / "lambdas" / f"{spec.module.replace('.', '/')}.py").read_text(encoding="utf-8")


def _parse(spec: FunctionSpec) -> ast.Module:
    return ast.parse(_source(spec))
