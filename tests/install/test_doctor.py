"""What doctor says about an account in which everything is right, and about one in which one thing is wrong."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from cdk.assembly import SETTINGS_FOLDER
from cdk.settings import Approval, EnvironmentSettings, load_settings
from install import doctor
from install.account import READS, Account
from install.findings import HARMLESS, Finding, Level
from lambdas.release.rules import Phase, Work
from tests.install.clients import TRAIL, WatchedClients, lambda_limits, refuse
from tests.install.customer import Customer, pretend_aws

Change = Callable[[Any], object]
GONE = "0123456789abcdef"
"""What no resource of the good account has at the end of its id."""
SECRET_ARNS = "arn:aws:secretsmanager:eu-west-1:111122223333:secret"  # noqa: S105  it names one, and is none


@pytest.fixture(scope="module")
def customer(settings: EnvironmentSettings) -> Iterator[Customer]:
    """Return the owner of an account in which nothing is missing. No test here changes it: that is the point."""
    with pretend_aws(settings):
        customer = Customer(settings)
        customer.build()
        yield customer


@pytest.fixture
def clients(customer: Customer) -> WatchedClients:
    return WatchedClients(customer.settings.region)


def examined(settings: EnvironmentSettings, clients: WatchedClients, part: str | None = None) -> list[Finding]:
    """Return all findings, or those about one part of the settings."""
    checks = dict(doctor.CHECKS)
    wanted = checks.values() if part is None else [checks[part]]
    account = Account(clients)
    return [finding for check in wanted for finding in check(settings, account)]


def complaints(settings: EnvironmentSettings, clients: WatchedClients, part: str | None = None) -> list[Finding]:
    return [each for each in examined(settings, clients, part) if each.level not in HARMLESS]


def with_setting(settings: EnvironmentSettings, path: str, value: object) -> EnvironmentSettings:
    """Return settings that differ in one field, such as "routes.0.blue"."""
    content = settings.model_dump()
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    table: Any = content
    for part in parents:
        table[part] = list(table[part]) if isinstance(table[part], tuple) else table[part]
        table = table[part]
    table[last] = value
    return EnvironmentSettings.model_validate(content)


def test_a_good_account_has_everything(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    findings = examined(settings, clients)
    assert [] == [each for each in findings if each.level not in HARMLESS]
    assert len(findings) > 20


def test_looking_changes_nothing_and_reads_no_secret(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    examined(settings, clients)
    operations = {operation for _, operation in clients.calls} - {"batch_get_item"}
    assert all(operation.startswith(READS) for operation in operations)
    assert "describe_secret" in operations
    assert "get_secret_value" not in operations


@pytest.mark.parametrize("operation", ["delete_rule", "modify_listener", "put_parameter", "get_secret_value"])
def test_the_account_can_be_asked_for_nothing_but_reads(clients: WatchedClients, operation: str) -> None:
    with pytest.raises(ValueError, match="not a plain read"):
        Account(clients).read("elbv2", operation)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("routes.0.listener_arn", "…/50dc6c495c0c9188", "routes[0].listener_arn"),
        ("routes.0.test_listener_arn", "…", "routes[0].test_listener_arn"),
        ("routes.0.green", "…", "routes[0].green"),
        ("colors.green.auto_scaling_group", "nobody", "colors.green.auto_scaling_group"),
        ("colors.green.launch_template_id", f"lt-{GONE}", "colors.green.launch_template_id"),
        ("colors.blue.instance_role_arn", "arn:aws:iam::111122223333:role/nobody", "colors.blue.instance_role_arn"),
        ("database.instance", "nobody", "database.instance"),
        ("network.subnet_ids", (f"subnet-{GONE}",), "network.subnet_ids"),
        ("network.security_group_ids", (f"sg-{GONE}",), "network.security_group_ids"),
        ("network.secrets_manager_endpoint_id", f"vpce-{GONE}", "network.secrets_manager_endpoint_id"),
        ("logs.group", "/nobody", "logs.group"),
        (
            "database.secret_arn",
            f"{SECRET_ARNS}:nobody-AbCdEf",
            "database.secret_arn",
        ),
    ],
)
def test_what_does_not_exist_is_missing(
    settings: EnvironmentSettings, clients: WatchedClients, path: str, value: Any, field: str
) -> None:
    if isinstance(value, str) and value.startswith("…"):
        route, name = settings.routes[0], path.rpartition(".")[2]
        value = f"{getattr(route, name).rpartition('/')[0]}/{GONE}"
    part = {"database.secret_arn": "secrets"}.get(path, path.partition(".")[0])
    found = complaints(with_setting(settings, path, value), clients, part)
    assert (Level.MISSING, field) in {(each.level, each.field) for each in found}
    assert all(each.fix for each in found)


def first(items: str, **changes: object) -> Change:
    """Return a change of the first item of an answer's list."""
    return lambda answer: answer[items] and answer[items][0].update(changes)


def every(items: str, **changes: object) -> Change:
    """Return a change of all items of an answer's list."""
    return lambda answer: [item.update(changes) for item in answer[items]]


def without(items: str, *path: str) -> Change:
    """Return a change that removes something from every item of an answer's list."""

    def changed(answer: Any) -> None:
        for item in answer[items]:
            table = item
            for part in path[:-1]:
                table = table[part]
            table.pop(path[-1], None)

    return changed


GROUPS = ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")
TEMPLATES = ("ec2", "describe_launch_template_versions", "LaunchTemplateVersions")
TARGET_GROUPS = ("elbv2", "describe_target_groups", "TargetGroups")
ENDPOINTS = ("ec2", "describe_vpc_endpoints", "VpcEndpoints")
INSTANCES = ("rds", "describe_db_instances", "DBInstances")
SECRETS = ("secretsmanager", "describe_secret")
BOTH_GROUPS = {"colors.blue.auto_scaling_group", "colors.green.auto_scaling_group"}
BOTH_TEMPLATES = {"colors.blue.launch_template_id", "colors.green.launch_template_id"}
BOTH_TARGET_GROUPS = {"routes[0].blue", "routes[0].green"}
ENDPOINT = {"network.secrets_manager_endpoint_id"}


@pytest.mark.parametrize(
    ("part", "operation", "change", "fields", "says"),
    [
        ("routes", TARGET_GROUPS, every("TargetGroups", TargetType="ip"), BOTH_TARGET_GROUPS, "targets of type ip"),
        ("routes", TARGET_GROUPS, every("TargetGroups", HealthCheckEnabled=False), BOTH_TARGET_GROUPS, "turned off"),
        ("routes", TARGET_GROUPS, every("TargetGroups", VpcId="vpc-other"), BOTH_TARGET_GROUPS, "is in vpc-other"),
        (
            "routes",
            TARGET_GROUPS,
            every("TargetGroups", LoadBalancerArns=["arn:aws:elasticloadbalancing:r:a:loadbalancer/app/other/1"]),
            BOTH_TARGET_GROUPS,
            "another load balancer: other",
        ),
        (
            "routes",
            ("elbv2", "describe_target_health"),
            every("TargetHealthDescriptions", TargetHealth={"State": "unhealthy"}),
            {"routes[0].blue"},
            "none of its 2 targets is healthy",
        ),
        ("routes", ("elbv2", "describe_load_balancers"), first("LoadBalancers", Type="network"), {"routes"}, "network"),
        ("colors", GROUPS, every("AutoScalingGroups", MaxSize=1), {"colors.green.auto_scaling_group"}, "2"),
        ("colors", GROUPS, every("AutoScalingGroups", TargetGroupARNs=[]), BOTH_GROUPS, "is not attached"),
        ("colors", GROUPS, every("AutoScalingGroups", WarmPoolConfiguration={}), BOTH_GROUPS, "warm pool"),
        (
            "colors",
            GROUPS,
            every("AutoScalingGroups", SuspendedProcesses=[{"ProcessName": "Launch"}]),
            BOTH_GROUPS,
            "suspended Launch",
        ),
        (
            "colors",
            GROUPS,
            every("AutoScalingGroups", LaunchTemplate={"LaunchTemplateId": "lt-other", "Version": "1"}),
            BOTH_GROUPS,
            "launches from lt-other",
        ),
        ("colors", GROUPS, without("AutoScalingGroups", "LaunchTemplate"), BOTH_GROUPS, "a launch configuration"),
        (
            "colors",
            ("autoscaling", "describe_instance_refreshes"),
            None,
            BOTH_GROUPS,
            "in an instance refresh (InProgress)",
        ),
        (
            "colors",
            TEMPLATES,
            without("LaunchTemplateVersions", "LaunchTemplateData", "TagSpecifications"),
            BOTH_TEMPLATES,
            "no tag runback:version",
        ),
        (
            "colors",
            TEMPLATES,
            lambda answer: answer["LaunchTemplateVersions"][0]["LaunchTemplateData"].update(ImageId="resolve:ssm:/x"),
            BOTH_TEMPLATES,
            "takes its image from a parameter",
        ),
        (
            "colors",
            GROUPS,
            every("AutoScalingGroups", Tags=[{"Key": "team/owner", "Value": "x", "PropagateAtLaunch": True}]),
            BOTH_GROUPS,
            "team/owner, which an instance cannot be shown",
        ),
        ("database", INSTANCES, first("DBInstances", DBInstanceStatus="stopped"), {"database.instance"}, "is stopped"),
        ("database", INSTANCES, first("DBInstances", Engine="mysql"), {"database.instance"}, "is mysql"),
        (
            "database",
            INSTANCES,
            first("DBInstances", Endpoint={"Address": "other.example", "Port": 5432}),
            {"database.host"},
            "answers as other.example",
        ),
        (
            "database",
            INSTANCES,
            first("DBInstances", CACertificateIdentifier="rds-ca-2019"),
            {"database.ca_file"},
            "rds-ca-2019",
        ),
        ("network", ENDPOINTS, first("VpcEndpoints", PrivateDnsEnabled=False), ENDPOINT, "private DNS False"),
        ("network", ENDPOINTS, first("VpcEndpoints", State="pending"), ENDPOINT, "is pending"),
        ("network", ENDPOINTS, first("VpcEndpoints", VpcId="vpc-other"), ENDPOINT, "is in vpc-other"),
        ("network", ENDPOINTS, first("VpcEndpoints", ServiceName="com.amazonaws.eu-west-1.sqs"), ENDPOINT, "sqs"),
        (
            "network",
            ("ec2", "describe_security_groups"),
            first("SecurityGroups", VpcId="vpc-other"),
            {"network.security_group_ids"},
            "not in the VPC",
        ),
        (
            "secrets",
            SECRETS,
            lambda secret: secret.update(DeletedDate=datetime(2026, 1, 1, tzinfo=UTC)),
            {
                "database.secret_arn",
                "github.token_secret_arn",
                "checks.smoke[1].body_secret_arn",
                "checks.smoke[2].token_secret_arn",
            },
            "scheduled for deletion",
        ),
        (
            "secrets",
            SECRETS,
            lambda secret: secret.update(VersionIdsToStages={}),
            {
                "database.secret_arn",
                "github.token_secret_arn",
                "checks.smoke[1].body_secret_arn",
                "checks.smoke[2].token_secret_arn",
            },
            "no value",
        ),
    ],
)
def test_what_would_not_work_is_wrong(
    settings: EnvironmentSettings,
    clients: WatchedClients,
    part: str,
    operation: tuple[str, ...],
    change: Change | None,
    fields: set[str],
    says: str,
) -> None:
    """One thing is as it should not be: it is found, and nothing else is complained about."""
    service, name = operation[:2]
    if change is None:
        clients.answers[service, name] = lambda **_: {"InstanceRefreshes": [{"Status": "InProgress"}]}
    else:
        clients.change(service, name, change)
    found = complaints(settings, clients, part)
    assert fields == {each.field for each in found}
    assert all(says in each.says and each.fix for each in found), found


def test_a_rule_that_a_switch_would_leave_behind_is_named(
    settings: EnvironmentSettings, clients: WatchedClients
) -> None:
    """After a rollback it would still send its users to the bad version."""
    rule = {
        "RuleArn": "arn:aws:…:listener-rule/app/x/1/2/3",
        "IsDefault": False,
        "Actions": [{"Type": "forward", "TargetGroupArn": settings.routes[0].green}],
    }
    clients.change("elbv2", "describe_rules", lambda answer: answer["Rules"].append(rule))
    found = complaints(settings, clients, "routes")
    assert {"routes"} == {each.field for each in found}
    assert all("listener-rule/app/x/1/2/3 forwards to receipt-vault-staging-green" in each.says for each in found)


@pytest.mark.parametrize(("restores", "fields"), [(True, {"routes"}), (False, set())])
def test_a_rule_in_the_place_of_a_freeze_is_named(
    settings: EnvironmentSettings, clients: WatchedClients, *, restores: bool, fields: set[str]
) -> None:
    """A restore would refuse to begin, in the worst of moments."""
    rule = {"RuleArn": "arn:of:theirs", "IsDefault": False, "Priority": "1", "Actions": [{"Type": "fixed-response"}]}
    clients.change("elbv2", "describe_rules", lambda answer: answer["Rules"].append(rule))
    (production,) = load_settings(SETTINGS_FOLDER, ("production",))
    restore = production.restore.model_copy() if production.restore and restores else None
    found = complaints(settings.model_copy(update={"restore": restore}), clients, "routes")
    assert fields == {each.field for each in found}
    assert all("arn:of:theirs has priority 1" in each.says for each in found)


def test_who_is_frozen_along_with_us_is_told(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    """Other services on the listener learn it before a restore, or never."""
    rule = {"RuleArn": "arn:of:theirs", "IsDefault": False, "Priority": "9", "Actions": [{"Type": "fixed-response"}]}
    clients.change("elbv2", "describe_rules", lambda answer: answer["Rules"].append(rule))
    (production,) = load_settings(SETTINGS_FOLDER, ("production",))
    restoring = settings.model_copy(update={"restore": production.restore})
    told = [each for each in examined(restoring, clients, "routes") if "503" in each.says]

    assert told
    assert all(each.level is Level.NOTE and "arn:of:theirs" in each.says for each in told)
    assert [each for each in examined(settings, clients, "routes") if "503" in each.says] == []


@pytest.mark.parametrize(
    ("forwards", "says"),
    [
        ({"blue": 90, "green": 10}, "divides traffic between both colors"),
        ({}, "forwards to no target group"),
        ({"other": 100}, "neither blue nor green"),
    ],
)
def test_a_listener_must_send_everything_to_one_color(
    settings: EnvironmentSettings, clients: WatchedClients, forwards: dict[str, int], says: str
) -> None:
    route = settings.routes[0]
    other = route.blue.replace("-blue/", "-other/")
    groups = [{"TargetGroupArn": getattr(route, color, other), "Weight": weight} for color, weight in forwards.items()]
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}} if groups else {"Type": "fixed-response"}

    def changed(answer: Any) -> None:
        for listener in answer["Listeners"]:
            if listener["ListenerArn"] == route.listener_arn:
                listener["DefaultActions"] = [action]

    clients.change("elbv2", "describe_listeners", changed)
    found = complaints(settings, clients, "routes")
    assert ["routes[0].listener_arn"] == [each.field for each in found if says in each.says]


def test_a_new_account_cannot_reserve_concurrency(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    """With its limit of 10 the deployment would fail half-way."""
    clients.answers["lambda", "get_account_settings"] = lambda **_: lambda_limits(10, 10)
    (found,) = complaints(settings, clients, "account and Region")
    assert (Level.WRONG, "account") == (found.level, found.field)
    assert "Service Quotas" in found.fix


def test_what_is_reserved_already_is_not_counted_again(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    """After the deployment exactly what must be left is left."""
    clients.answers["lambda", "get_account_settings"] = lambda **_: lambda_limits(106, 100)
    clients.answers["lambda", "get_function_concurrency"] = lambda **_: {"ReservedConcurrentExecutions": 2}
    assert [] == complaints(settings, clients, "account and Region")


def test_a_region_without_the_cdks_resources_is_told_how_to_get_them(
    settings: EnvironmentSettings, clients: WatchedClients
) -> None:
    clients.answers["ssm", "get_parameter"] = lambda **_: refuse("ParameterNotFound")
    (found,) = complaints(settings, clients, "account and Region")
    assert Level.MISSING is found.level
    assert "cdk bootstrap aws://111122223333/eu-west-1" in found.fix


def test_what_may_not_be_asked_cannot_be_told(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    """Credentials without a right are the rule; the rest of the report must not suffer."""
    clients.deny("elbv2", "describe_rules")
    clients.deny("ec2", "describe_launch_template_versions", "UnauthorizedOperation")
    found = complaints(settings, clients)
    assert {Level.UNKNOWN} == {each.level for each in found}
    assert {"routes", *BOTH_TEMPLATES} == {each.field for each in found}
    assert any("elasticloadbalancing:DescribeRules" in each.fix for each in found)


def test_not_even_a_denial_of_everything_is_a_crash(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    examined(settings, clients)
    for service, operation in set(clients.calls):
        clients.deny(service, operation)
    found = examined(settings, clients)
    assert {Level.UNKNOWN, Level.NOTE} == {each.level for each in found}


def test_a_held_environment_is_said_to_be_held(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    work = Work(token=3, holder="arn:…:deploy:now", phase=Phase.SHIFTING, release_id="4f2c1e9-0a1b2c3d")
    item = {
        "environment": {"S": settings.environment},
        "item": {"S": "lease"},
        "token": {"N": str(work.token)},
        "holder": {"S": str(work.holder)},
        "phase": {"S": "shifting"},
        "release_id": {"S": str(work.release_id)},
    }
    table = f"{settings.prefix}-record"
    clients.answers["dynamodb", "batch_get_item"] = lambda **_: {"Responses": {table: [item]}}
    said = [each.says for each in examined(settings, clients, "Runback") if "is held" in each.says]
    assert ["arn:…:deploy:now (release 4f2c1e9-0a1b2c3d, phase shifting" in text for text in said] == [True]


def test_an_unconfirmed_subscription_is_wrong(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    """Everything works then, but nobody is told."""
    email = settings.notifications.emails[0]
    pending = {"Subscriptions": [{"Endpoint": email, "SubscriptionArn": "PendingConfirmation"}]}
    clients.answers["sns", "list_subscriptions_by_topic"] = lambda **_: pending
    (found,) = complaints(settings, clients, "Runback")
    assert ("notifications.emails", True) == (found.field, email in found.says)


@pytest.mark.parametrize(
    ("status", "levels"),
    [("UPDATE_COMPLETE", set()), ("ROLLBACK_COMPLETE", {Level.WRONG}), ("UPDATE_IN_PROGRESS", {Level.WRONG})],
)
def test_the_stack_is_sound_or_not(
    settings: EnvironmentSettings, clients: WatchedClients, status: str, levels: set[Level]
) -> None:
    stack = {"StackStatus": status, "CreationTime": datetime(2026, 1, 1, tzinfo=UTC)}
    clients.answers["cloudformation", "describe_stacks"] = lambda **_: {"Stacks": [stack]}
    assert levels == {each.level for each in complaints(settings, clients, "Runback")}


@pytest.mark.parametrize(
    ("detail", "says"),
    [
        ({"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}, "a policy of the organization"),
        ({"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}}, "a permissions boundary"),
    ],
)
def test_what_is_forbidden_from_above_is_wrong(
    settings: EnvironmentSettings, clients: WatchedClients, detail: dict[str, Any], says: str
) -> None:
    """The role itself allows it, so that nobody would know before the first release."""
    clients.answers["lambda", "get_function_configuration"] = lambda **given: {
        "Role": f"role-of-{given['FunctionName']}"
    }

    def simulate(PolicySourceArn: str, ActionNames: list[str]) -> dict[str, Any]:  # noqa: N803  as boto3 has them
        results = [{"EvalActionName": action, "EvalDecision": "implicitDeny"} for action in ActionNames]
        if PolicySourceArn.endswith("-switch-listener"):
            results[0] |= detail
        return {"EvaluationResults": results}

    clients.answers["iam", "simulate_principal_policy"] = simulate
    (found,) = complaints(settings, clients, "rights")
    assert "account" == found.field
    assert found.says.startswith(says)
    assert found.says.endswith("to switch-listener")


def test_the_report_names_field_and_fix(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    clients.answers["ssm", "get_parameter"] = lambda **_: refuse("ParameterNotFound")
    screen = StringIO()
    sections = doctor.show(doctor.examine(settings, Account(clients)), Console(file=screen))
    assert "missing     region: is not bootstrapped" in screen.getvalue()
    assert "Not ready: 1 missing" in doctor.summary(sections)
    first_finding = json.loads(doctor.as_json(sections))[0]
    assert {"part", "level", "field", "says", "fix"} == first_finding.keys()
    assert "missing" == first_finding["level"]


APPROVER = "arn:aws:iam::111122223333:role/approver"


@pytest.fixture
def approving(settings: EnvironmentSettings, clients: WatchedClients) -> EnvironmentSettings:
    """Return settings with an approver, who is there."""

    def role(**asked: str) -> dict[str, Any]:
        return {"Role": {"Arn": APPROVER}} if asked["RoleName"] == "approver" else refuse("NoSuchEntity")

    clients.answers["iam", "get_role"] = role
    return settings.model_copy(update={"approval": Approval(approver_arns=(APPROVER,))})


def selected(**management: Any) -> dict[str, Any]:
    """Return the answer of a trail with advanced selectors."""
    fields = [{"Field": "eventCategory", "Equals": ["Management"]}]
    fields += [{"Field": name, "Equals": value} for name, value in management.items()]
    return {"AdvancedEventSelectors": [{"FieldSelectors": fields}]}


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("describe_trails", {"trailList": []}),
        ("describe_trails", {"trailList": [{**TRAIL, "IsMultiRegionTrail": False}]}),
        ("get_trail_status", {"IsLogging": False}),
        ("get_event_selectors", {"EventSelectors": [{"ReadWriteType": "ReadOnly"}]}),
        ("get_event_selectors", {"EventSelectors": [{"IncludeManagementEvents": False}]}),
        ("get_event_selectors", selected(readOnly=["true"])),
        ("get_event_selectors", {}),
    ],
)
def test_a_trail_that_does_not_tell_who_has_asked_is_as_good_as_none(
    approving: EnvironmentSettings, clients: WatchedClients, operation: str, answer: dict[str, Any]
) -> None:
    """Everybody would find out in the night in which a restore has to be approved."""
    clients.answers["cloudtrail", operation] = lambda **_: answer

    (found,) = complaints(approving, clients, "approval")

    assert (found.level, found.field) == (Level.MISSING, "approval")
    assert "nobody will be able to approve by URL" in found.says


@pytest.mark.parametrize("answer", [selected(), selected(readOnly=["false"]), {"EventSelectors": [{}]}])
def test_a_trail_that_logs_what_writes_is_enough(
    approving: EnvironmentSettings, clients: WatchedClients, answer: dict[str, Any]
) -> None:
    clients.answers["cloudtrail", "get_event_selectors"] = lambda **_: answer

    assert complaints(approving, clients, "approval") == []


@pytest.mark.parametrize(
    ("arn", "level", "says"),
    [
        ("arn:aws:iam::111122223333:role/nobody", Level.MISSING, "nobody"),
        ("arn:aws:iam::111122223333:user/nobody", Level.MISSING, "nobody"),
        ("arn:aws:iam::111122223333:role/teams/approver", Level.WRONG, "is arn:aws:iam::"),
    ],
)
def test_an_approver_who_is_not_there_is_named(
    approving: EnvironmentSettings, clients: WatchedClients, arn: str, level: Level, says: str
) -> None:
    """Lambda refuses a permission for a principal that does not exist, in the middle of a deployment."""
    (found,) = complaints(
        approving.model_copy(update={"approval": Approval(approver_arns=(arn,))}), clients, "approval"
    )

    assert (found.level, found.field) == (level, "approval.approver_arns[0]")
    assert says in found.says


@pytest.mark.parametrize("is_fixed", [True, False])
def test_who_may_choose_the_name_of_his_session_is_noted(
    approving: EnvironmentSettings, clients: WatchedClients, *, is_fixed: bool
) -> None:
    """He could ask as one and approve as another."""
    condition = {"StringLike": {"sts:RoleSessionName": "${aws:username}"}} if is_fixed else {}
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Condition": condition}]}
    clients.answers["iam", "get_role"] = lambda **_: {"Role": {"Arn": APPROVER, "AssumeRolePolicyDocument": trust}}

    noted = [each for each in examined(approving, clients, "approval") if each.level is Level.NOTE]

    assert bool(noted) is not is_fixed


def test_without_approvers_nothing_is_looked_for(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    (found,) = examined(settings.model_copy(update={"approval": None}), clients, "approval")

    assert (found.level, clients.calls) == (Level.NOTE, [])


@pytest.fixture(scope="module")
def terraforming(customer: Customer) -> EnvironmentSettings:
    """Return settings with the infrastructure of production, and have what it needs in the account."""
    (production,) = load_settings(SETTINGS_FOLDER, ("production",))
    assert production.infrastructure
    customer.terraform(production.infrastructure)
    return customer.settings.model_copy(update={"infrastructure": production.infrastructure})


def test_all_that_terraform_needs_is_there(terraforming: EnvironmentSettings, clients: WatchedClients) -> None:
    assert {each.level for each in examined(terraforming, clients, "infrastructure")} == {Level.OK}


def test_connection_that_nobody_has_finished_is_wrong(
    terraforming: EnvironmentSettings, clients: WatchedClients
) -> None:
    """AWS makes it pending; somebody has to agree at GitHub."""
    pending = {"Connection": {"ConnectionName": "github", "ConnectionStatus": "PENDING"}}
    clients.answers["codeconnections", "get_connection"] = lambda **_: pending

    (found,) = complaints(terraforming, clients, "infrastructure")

    assert (found.level, found.field) == (Level.WRONG, "infrastructure.connection_arn")
    assert "no build can check a commit out" in found.says


def test_connection_in_another_region_is_noted(terraforming: EnvironmentSettings, clients: WatchedClients) -> None:
    assert terraforming.infrastructure
    arn = terraforming.infrastructure.connection_arn.replace("eu-west-1", "eu-central-1")
    changed = with_setting(terraforming, "infrastructure.connection_arn", arn)

    noted = [each for each in examined(changed, clients, "infrastructure") if each.level is Level.NOTE]

    assert [each.field for each in noted] == ["infrastructure.connection_arn"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("infrastructure.plan_policy_arns.0", "arn:aws:iam::111122223333:policy/nowhere"),
        ("infrastructure.state_bucket_arn", "arn:aws:s3:::receipt-vault-nowhere"),
    ],
)
def test_what_terraform_needs_and_is_not_there_is_missing(
    path: str, value: str, terraforming: EnvironmentSettings, clients: WatchedClients
) -> None:
    (found,) = complaints(with_setting(terraforming, path, value), clients, "infrastructure")

    assert found.level is Level.MISSING


def test_state_without_former_versions_is_noted(terraforming: EnvironmentSettings, clients: WatchedClients) -> None:
    clients.answers["s3", "get_bucket_versioning"] = lambda **_: {}

    noted = [each for each in examined(terraforming, clients, "infrastructure") if each.level is Level.NOTE]

    assert "cannot be brought back" in noted[0].says


def test_without_infrastructure_nothing_is_looked_for(settings: EnvironmentSettings, clients: WatchedClients) -> None:
    (found,) = examined(settings, clients, "infrastructure")

    assert found.level is Level.NOTE
