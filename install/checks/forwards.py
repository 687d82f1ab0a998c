"""Reading where listeners and rules send traffic."""

from collections.abc import Mapping, Sequence
from typing import Any

from cdk.settings import COLORS, EnvironmentSettings, Route
from install.account import Account, NotThere

Actions = Sequence[Mapping[str, Any]]


def live_place(route: Route) -> tuple[str, str]:
    """Return the field and the ARN of the listener or rule that users come through."""
    return ("listener_arn", route.listener_arn) if route.listener_arn else ("rule_arn", str(route.rule_arn))


def test_place(route: Route) -> tuple[str, str]:
    """Return the field and the ARN of the listener or rule that tests come through."""
    if route.test_listener_arn:
        return "test_listener_arn", route.test_listener_arn
    return "test_rule_arn", str(route.test_rule_arn)


def balancer_of(arn: str) -> str:
    """Return the ARN of the load balancer that a listener or rule belongs to; it is part of theirs."""
    before, _, path = arn.partition(":listener")
    return f"{before}:loadbalancer/{'/'.join(path.partition('/')[2].split('/')[:3])}"


def listener_of(arn: str) -> str:
    """Return the ARN of the listener that a rule stands on, which is part of the rule's; a listener's is its own."""
    if ":listener-rule/" not in arn:
        return arn
    return arn.replace(":listener-rule/", ":listener/").rpartition("/")[0]


def actions_of(account: Account, arn: str) -> Actions:
    """Read the actions of a rule, or the default ones of a listener. Raises NotThere, Unreadable."""
    if ":listener-rule/" in arn:
        return _first(account.read("elbv2", "describe_rules", RuleArns=[arn])["Rules"], arn)["Actions"]
    return _first(account.read("elbv2", "describe_listeners", ListenerArns=[arn])["Listeners"], arn)["DefaultActions"]


def weights_of(actions: Actions) -> dict[str, int]:
    """Return target group ARN → weight over all forwards; one that is alone counts whatever its weight."""
    weights: dict[str, int] = {}
    for action in actions:
        if action["Type"] == "forward":
            groups = action.get("ForwardConfig", {}).get("TargetGroups") or [action]
            alone = len(groups) == 1
            weights |= {each["TargetGroupArn"]: 1 if alone else each.get("Weight", 1) for each in groups}
    return weights


def receivers(account: Account, arn: str) -> set[str]:
    """Read which target groups get any traffic of a listener or rule. Raises NotThere, Unreadable."""
    return {group for group, weight in weights_of(actions_of(account, arn)).items() if weight}


def active_colors(settings: EnvironmentSettings, account: Account) -> set[str]:
    """Read which colors get traffic, over all routes. Raises NotThere, Unreadable."""
    return {
        color
        for route in settings.routes
        for color in COLORS
        if getattr(route, color) in receivers(account, live_place(route)[1])
    }


def target_groups_of(settings: EnvironmentSettings, color: str) -> set[str]:
    """Return the ARNs of a color's target groups, over all routes."""
    return {getattr(route, color) for route in settings.routes}


def _first(found: Sequence[Mapping[str, Any]], arn: str) -> Mapping[str, Any]:
    if not found:
        raise NotThere(f"there is no {arn} in this account and Region")
    return found[0]
