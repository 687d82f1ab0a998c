"""Every right is on the resources of its environment, and a star has its reason."""

import pytest

from cdk import permissions
from cdk.assembly import SETTINGS_FOLDER
from cdk.permissions import READ_EVIDENCE, READ_LISTENERS, WRITE_LIVE_ROUTES, Permission
from cdk.settings import EnvironmentSettings, load_settings

RULE = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener-rule/app/it/50dc6c495c0c9188/f2f7dc8efc522ab2/9a"


@pytest.fixture(scope="module")
def settings() -> EnvironmentSettings:
    (found,) = load_settings(SETTINGS_FOLDER, ("production",))
    return found


@pytest.fixture(scope="module")
def of_rules(settings: EnvironmentSettings) -> EnvironmentSettings:
    """Return an environment whose live traffic is divided by a rule, and its test traffic by a listener."""
    route = settings.routes[0].model_copy(update={"listener_arn": None, "rule_arn": RULE})
    return settings.model_copy(update={"routes": (route,)})


def _all_permissions() -> dict[str, Permission]:
    found = {}
    for name, value in vars(permissions).items():
        several = value if isinstance(value, tuple) else (value,)
        found |= {f"{name} {number}": each for number, each in enumerate(several) if isinstance(each, Permission)}
    return found


@pytest.mark.parametrize("permission", _all_permissions().values(), ids=_all_permissions().keys())
def test_a_star_has_a_reason_and_nothing_else_has_one(permission: Permission, of_rules: EnvironmentSettings) -> None:
    resources = permission.resources(of_rules)
    has_star = any("*" in resource for resource in resources)
    assert not resources or has_star == bool(permission.why_star)


def test_only_an_environment_with_rules_may_read_rules(
    settings: EnvironmentSettings, of_rules: EnvironmentSettings
) -> None:
    def granted(environment: EnvironmentSettings) -> list[str]:
        given = [statement for permission in READ_LISTENERS for statement in permission.statements(environment)]
        return [action for statement in given for action in statement.actions]

    listeners, rules = "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules"
    assert [listeners] == granted(settings)
    assert [listeners, rules] == granted(of_rules)


def test_a_route_that_is_a_rule_is_written_as_a_rule(of_rules: EnvironmentSettings) -> None:
    """ModifyListener on a rule would allow nothing, and on its listener it would allow too much."""
    granted = [statement for permission in WRITE_LIVE_ROUTES for statement in permission.statements(of_rules)]
    assert [(["elasticloadbalancing:ModifyRule"], [RULE])] == [(each.actions, each.resources) for each in granted]


@pytest.mark.parametrize(
    ("source", "action"),
    [
        ("application", "cloudwatch:GetMetricData"),
        ("load_balancer", "cloudwatch:GetMetricData"),
        ("logs", "logs:FilterLogEvents"),
    ],
)
def test_a_judge_may_read_the_evidence_that_settings_name_and_no_other(
    settings: EnvironmentSettings, source: str, action: str
) -> None:
    judging = settings.model_copy(update={"judge": settings.judge.model_copy(update={"source": source})})
    granted = [statement for permission in READ_EVIDENCE for statement in permission.statements(judging)]
    assert [[action]] == [each.actions for each in granted]
