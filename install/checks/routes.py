"""Listeners, rules and target groups: where traffic is divided."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cdk.settings import COLORS, EnvironmentSettings, Route
from install.account import Account
from install.checks.forwards import (
    actions_of,
    active_colors,
    balancer_of,
    listener_of,
    live_place,
    receivers,
    target_groups_of,
    test_place,
    weights_of,
)
from install.findings import Finding, attempt, note, ok, wrong

FREEZE_PRIORITY = "1"
_CORRECT_ARN = "make it, or correct the ARN in settings"


def check_routes(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look at everything that traffic goes through, and at what goes past the routes of the settings."""
    for index, route in enumerate(settings.routes):
        for find, (field, arn) in ((_live, live_place(route)), (_test, test_place(route))):
            place = f"routes[{index}].{field}"
            yield from attempt(place, find(place, arn, route, account), otherwise=_CORRECT_ARN)
        yield from _same_balancer(f"routes[{index}]", route)
    yield from attempt("routes", _agreement(settings, account), otherwise=_CORRECT_ARN)
    for balancer in sorted(_balancers(settings)):
        yield from attempt("routes", _balancer(balancer, account), otherwise=_CORRECT_ARN)
        yield from attempt("routes", _strangers(balancer, settings, account), otherwise=_CORRECT_ARN)
    if settings.restore:
        yield from attempt("routes", _reserved(settings, account), otherwise=_CORRECT_ARN)
        yield from attempt("routes", _frozen_along(settings, account), otherwise=_CORRECT_ARN)
    for index, route in enumerate(settings.routes):
        balancer = balancer_of(live_place(route)[1])
        for color in COLORS:
            field, arn = f"routes[{index}].{color}", getattr(route, color)
            yield from attempt(field, _target_group(field, arn, balancer, account), otherwise=_CORRECT_ARN)
            yield from attempt(field, _health(field, color, arn, settings, account), otherwise=_CORRECT_ARN)


def _live(field: str, arn: str, route: Route, account: Account) -> Iterator[Finding]:
    colors = {getattr(route, color): color for color in COLORS}
    found = receivers(account, arn)
    if not found:
        yield wrong(field, "forwards to no target group", "let it forward to the target group of one color")
    elif not found <= colors.keys():
        yield wrong(
            field,
            f"forwards to {_names(found - colors.keys())}, which is neither blue nor green of this route",
            "let it forward to the target group of one color, or correct the route's blue and green",
        )
    elif len(found) > 1:
        yield wrong(
            field,
            "divides traffic between both colors, as during a release",
            "wait for the release to end; if there is none, let it forward to one color alone",
        )
    else:
        yield ok(field, f"forwards to {colors[found.pop()]}")


def _test(field: str, arn: str, route: Route, account: Account) -> Iterator[Finding]:
    colors = {getattr(route, color): color for color in COLORS}
    named = weights_of(actions_of(account, arn)).keys()
    if not named or not named <= colors.keys():
        yield wrong(
            field,
            f"forwards to {_names(named - colors.keys()) or 'no target group'}",
            "let it forward to the target group of either color: the one that serves nobody is best",
        )
    else:
        yield ok(field, f"forwards to {' and '.join(sorted(colors[each] for each in named))}")


def _same_balancer(field: str, route: Route) -> Iterator[Finding]:
    """A target group can be used by one load balancer only, so both listeners must stand on the same."""
    live, test = balancer_of(live_place(route)[1]), balancer_of(test_place(route)[1])
    if live != test:
        yield wrong(
            field,
            f"has its test listener on another load balancer ({_name(test)}) than users come through ({_name(live)})",
            "make the test listener on the load balancer that users come through",
        )


def _agreement(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    active = active_colors(settings, account)
    if len(settings.routes) > 1 and len(active) > 1:
        yield wrong(
            "routes", "do not agree on which color is active", "let all of them forward to the same color, by hand"
        )


def _balancers(settings: EnvironmentSettings) -> set[str]:
    places = (place(route)[1] for route in settings.routes for place in (live_place, test_place))
    return {balancer_of(arn) for arn in places}


def _balancer(arn: str, account: Account) -> Iterator[Finding]:
    balancer = account.read("elbv2", "describe_load_balancers", LoadBalancerArns=[arn])["LoadBalancers"][0]
    state = balancer.get("State", {}).get("Code", "active")
    if balancer["Type"] != "application":
        yield wrong("routes", f"load balancer {_name(arn)} is a {balancer['Type']} one", "use an application one")
    elif state not in {"active", "active_impaired"}:
        yield wrong("routes", f"load balancer {_name(arn)} is {state}", "wait until it is active")
    elif balancer.get("Scheme") == "internal":
        yield note(
            "routes",
            f"load balancer {_name(arn)} is internal",
            "smoke checks come from the internet: make sure that the URLs in [checks] can be reached from there",
        )
    else:
        yield ok("routes", f"load balancer {_name(arn)} is {state}")


def _strangers(balancer: str, settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Find what would still send traffic to the old color after a switch, because nobody told Runback of it."""
    known = {place(route)[1] for route in settings.routes for place in (live_place, test_place)}
    ours = target_groups_of(settings, "blue") | target_groups_of(settings, "green")
    listeners = account.read("elbv2", "describe_listeners", LoadBalancerArn=balancer)["Listeners"]
    for listener in listeners:
        for rule in account.read("elbv2", "describe_rules", ListenerArn=listener["ListenerArn"])["Rules"]:
            place = listener["ListenerArn"] if rule["IsDefault"] else rule["RuleArn"]
            named = weights_of(rule["Actions"]).keys() & ours
            if named and place not in known:
                yield wrong(
                    "routes",
                    f"{place} forwards to {_names(named)} and is in no route: a switch would leave it behind",
                    "add a [[routes]] table for it, or let it forward elsewhere",
                )


def _reserved(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Find what would keep a restore of the database from keeping users away, before a restore finds it."""
    for listener in sorted({listener_of(live_place(route)[1]) for route in settings.routes}):
        for rule in account.read("elbv2", "describe_rules", ListenerArn=listener)["Rules"]:
            if rule.get("Priority") == FREEZE_PRIORITY:
                yield wrong(
                    "routes",
                    f"{rule['RuleArn']} has priority {FREEZE_PRIORITY}, where a restore of the database has to put the"
                    f" rule that keeps users away",
                    "give it another priority; if it is such a rule, left behind by a restore, end that restore first",
                )


def _frozen_along(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Find who else gets 503 while a restore keeps users away: there is room for one rule before all others."""
    live = [live_place(route)[1] for route in settings.routes]
    for listener in sorted({listener_of(arn) for arn in live}):
        here = [arn for arn in live if listener_of(arn) == listener]
        rules = account.read("elbv2", "describe_rules", ListenerArn=listener)["Rules"]
        others = [each["RuleArn"] for each in rules if not each["IsDefault"] and each["RuleArn"] not in live]
        if others and (len(here) > 1 or here == [listener]):
            yield note(
                "routes",
                f"while a restore of the database keeps users away, it answers everything on {listener} with 503, also"
                f" what goes to {', '.join(sorted(others))}",
                "to let other services go on, give them a listener of their own, or let one rule be the only route",
            )


def _target_group(field: str, arn: str, balancer: str, account: Account) -> Iterator[Finding]:
    group = account.read("elbv2", "describe_target_groups", TargetGroupArns=[arn])["TargetGroups"][0]
    vpc = account.read("elbv2", "describe_load_balancers", LoadBalancerArns=[balancer])["LoadBalancers"][0]["VpcId"]
    problems = list(_unusable(field, group, balancer, vpc))
    yield from problems or [ok(field, _described(arn, account))]
    if not group.get("LoadBalancerArns"):
        yield note(
            field,
            "is used by no listener, so its targets are not health-checked; a release points the test listener at it",
        )


def _unusable(field: str, group: Mapping[str, Any], balancer: str, vpc: str) -> Iterator[Finding]:
    kind = group.get("TargetType", "instance")
    if kind != "instance":
        yield wrong(field, f"has targets of type {kind}", "Auto Scaling groups need target type instance")
    if group.get("HealthCheckEnabled") is False:
        yield wrong(field, "has its health check turned off", "turn it on: without it nothing is ever healthy")
    if group.get("VpcId") != vpc:
        yield wrong(field, f"is in {group.get('VpcId')}, but its load balancer in {vpc}", "make it in that VPC")
    others = set(group.get("LoadBalancerArns", [])) - {balancer}
    if others:
        yield wrong(field, f"is used by another load balancer: {_names(others)}", "use a target group of its own")


def _described(arn: str, account: Account) -> str:
    answer = account.read("elbv2", "describe_target_group_attributes", TargetGroupArn=arn)
    attributes = {each["Key"]: each.get("Value") for each in answer["Attributes"]}
    sticky = attributes.get("stickiness.enabled") == "true"
    delay = attributes.get("deregistration_delay.timeout_seconds", "300")
    return f"can be used; stickiness {'on' if sticky else 'off'}, deregistration delay {delay} s"


def _health(field: str, color: str, arn: str, settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    if color not in active_colors(settings, account):
        return
    answer = account.read("elbv2", "describe_target_health", TargetGroupArn=arn)["TargetHealthDescriptions"]
    healthy = sum(1 for target in answer if target["TargetHealth"]["State"] == "healthy")
    if healthy:
        yield ok(field, f"gets the traffic, and has {healthy} healthy of {len(answer)} targets")
    else:
        yield wrong(
            field,
            f"gets the traffic, and none of its {len(answer)} targets is healthy",
            "repair the application first: a release would be refused",
        )


def _names(arns: Iterable[str]) -> str:
    return ", ".join(sorted(_name(arn) for arn in arns))


def _name(arn: str) -> str:
    """Return the name in the ARN of a load balancer or target group."""
    parts = arn.partition("/")[2].split("/")
    return parts[1] if parts[0] == "app" else parts[0]
