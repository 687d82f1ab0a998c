"""Every right is on the resources of its environment, and a star has its reason."""

import pytest

from cdk import permissions
from cdk.assembly import SETTINGS_FOLDER
from cdk.permissions import WRITE_LIVE_ROUTES, Permission
from cdk.settings import EnvironmentSettings, load_settings

RULE = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener-rule/app/it/50dc6c495c0c9188/f2f7dc8efc522ab2/9a"


@pytest.fixture(scope="module")
def settings() -> EnvironmentSettings:
    (found,) = load_settings(SETTINGS_FOLDER, ("production",))
    return found


def _all_permissions() -> dict[str, Permission]:
    found = {}
    for name, value in vars(permissions).items():
        several = value if isinstance(value, tuple) else (value,)
        found |= {f"{name} {number}": each for number, each in enumerate(several) if isinstance(each, Permission)}
    return found


@pytest.mark.parametrize("permission", _all_permissions().values(), ids=_all_permissions().keys())
def test_a_star_has_a_reason_and_nothing_else_has_one(permission: Permission, settings: EnvironmentSettings) -> None:
    has_star = any("*" in resource for resource in permission.resources(settings))
    assert has_star == bool(permission.why_star)


def test_a_route_that_is_a_rule_is_written_as_a_rule(settings: EnvironmentSettings) -> None:
    """ModifyListener on a rule would allow nothing, and on its listener it would allow too much."""
    route = settings.routes[0].model_copy(update={"listener_arn": None, "rule_arn": RULE})
    of_rules = settings.model_copy(update={"routes": (route,)})
    granted = [statement for permission in WRITE_LIVE_ROUTES for statement in permission.statements(of_rules)]
    assert [(["elasticloadbalancing:ModifyRule"], [RULE])] == [(each.actions, each.resources) for each in granted]
