"""Listener actions and rules: refuse what AWS refuses and moto accepts, translate the rest for the data plane."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import FakeListener

REHEARSED_CONDITIONS = frozenset({"path-pattern", "host-header", "http-request-method"})
_ROUTING = ("forward", "fixed-response", "redirect")
_MOST_TARGET_GROUPS = 5
_HEAVIEST = 999
_LONGEST_BODY = 1024
_CONTENT_TYPES = frozenset({"text/plain", "text/css", "text/html", "application/javascript", "application/json"})
_LARGEST_PRIORITY = 50_000
_MOST_RULES = 100
_MOST_TAGS = 50
_MOST_CONDITION_VALUES = 5
_LONGEST_CONDITION_VALUE = 128
_LONGEST_STICKINESS_SECONDS = 604800


def validate_actions(actions: Sequence[Mapping[str, Any]], target_groups: Collection[str]) -> None:
    """
    Raise moto's ELBClientError with AWS's error code for actions that AWS refuses.

    The codes are those of the API reference (Action, ForwardActionConfig, TargetGroupTuple) where it names one; where
    it only states a limit, ValidationError. Raises NotImplementedError for what AWS accepts and we do not rehearse.
    """
    if unrehearsed := {action["Type"] for action in actions} - set(_ROUTING):
        raise NotImplementedError(f"listener actions {unrehearsed}")
    if len(actions) != 1:
        raise ELBClientError("InvalidLoadBalancerAction", "A rule must have exactly one routing action")
    (action,) = actions
    if action["Type"] == "forward":
        _validate_forward(action, target_groups)
    elif action["Type"] == "fixed-response":
        _validate_fixed_response(action.get("FixedResponseConfig", {}))


def _validate_forward(action: Mapping[str, Any], target_groups: Collection[str]) -> None:
    single = action.get("TargetGroupArn")
    tuples = action.get("ForwardConfig", {}).get("TargetGroups", [])
    arns = [each["TargetGroupArn"] for each in tuples]
    if not single and not arns:
        raise ELBClientError("ValidationError", "A target group must be specified for a forward action")
    if single and arns and arns != [single]:
        raise ELBClientError("ValidationError", "TargetGroupArn and ForwardConfig name different target groups")
    if len(arns) > _MOST_TARGET_GROUPS:
        raise ELBClientError("ValidationError", f"A forward action takes up to {_MOST_TARGET_GROUPS} target groups")
    if len(set(arns)) != len(arns):
        raise ELBClientError("ValidationError", "A target group is specified more than once")
    _validate_weights(tuples)
    for arn in arns or [single]:
        if arn not in target_groups:
            raise ELBClientError("TargetGroupNotFound", f"Target group '{arn}' not found")
    _validate_stickiness(action.get("ForwardConfig", {}).get("TargetGroupStickinessConfig", {}))


def _validate_weights(tuples: Sequence[Mapping[str, Any]]) -> None:
    for each in tuples:
        if len(tuples) > 1 and each.get("Weight") is None:
            raise ELBClientError("ValidationError", "A weight must be specified for each of several target groups")
        if not 0 <= each.get("Weight", 0) <= _HEAVIEST:
            message = f"The weight for each target group must be between 0 and {_HEAVIEST}, inclusive"
            raise ELBClientError("ValidationError", message)


def _validate_stickiness(stickiness: Mapping[str, Any]) -> None:
    """Refuse durations outside of TargetGroupStickinessConfig's, and an enabled one without any."""
    seconds = stickiness.get("DurationSeconds", 0 if stickiness.get("Enabled") else 1)
    if not 1 <= int(seconds) <= _LONGEST_STICKINESS_SECONDS:
        message = f"Target group stickiness lasts between 1 and {_LONGEST_STICKINESS_SECONDS} seconds"
        raise ELBClientError("ValidationError", message)


def _validate_fixed_response(response: Mapping[str, Any]) -> None:
    if not re.fullmatch(r"[245]\d\d", response.get("StatusCode", "")):
        raise ELBClientError("ValidationError", "The fixed response's status code must be 2XX, 4XX or 5XX")
    if len(response.get("MessageBody", "")) > _LONGEST_BODY:
        raise ELBClientError("ValidationError", f"A fixed response's body has at most {_LONGEST_BODY} characters")
    if response.get("ContentType", "text/plain") not in _CONTENT_TYPES:
        raise ELBClientError("ValidationError", f"A fixed response is one of {sorted(_CONTENT_TYPES)}")


def validate_conditions(conditions: Sequence[Mapping[str, Any]]) -> None:
    """Raise NotImplementedError for conditions that the data plane would not honour."""
    if unrehearsed := {condition["Field"] for condition in conditions} - REHEARSED_CONDITIONS:
        raise NotImplementedError(f"rule conditions {unrehearsed}")


def validate_rule(
    priority: int, conditions: Sequence[Mapping[str, Any]], tags: Sequence[Mapping[str, str]], rules_before: int
) -> None:
    """
    Raise moto's ELBClientError for a new rule that AWS refuses. `rules_before` are those of its load balancer.

    Limits: the API reference (CreateRule, RuleCondition), and the default quotas of an Application Load Balancer:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
    """
    if not 1 <= priority <= _LARGEST_PRIORITY:
        raise ELBClientError("ValidationError", f"A rule's priority must be between 1 and {_LARGEST_PRIORITY}")
    values = [value for condition in conditions for value in _condition(condition)["values"]]
    if not values:
        raise ELBClientError("ValidationError", "A condition value must be specified")
    if len(values) > _MOST_CONDITION_VALUES:
        raise ELBClientError("ValidationError", f"A rule has at most {_MOST_CONDITION_VALUES} condition values")
    if any(len(value) > _LONGEST_CONDITION_VALUE for value in values):
        message = f"A condition value has at most {_LONGEST_CONDITION_VALUE} characters"
        raise ELBClientError("ValidationError", message)
    if len({tag["Key"] for tag in tags}) < len(tags):
        raise ELBClientError("DuplicateTagKeys", "A tag key was specified more than once")
    if len(tags) > _MOST_TAGS:
        raise ELBClientError("TooManyTags", "The maximum number of tags has been reached")
    if rules_before >= _MOST_RULES:
        raise ELBClientError("TooManyRules", "The maximum number of rules for this load balancer has been reached")


def completed(action: Mapping[str, Any]) -> dict[str, Any]:
    """
    The action as AWS's Describe calls return it; moto returns it as it was sent.

    A forward always has a ForwardConfig, and also a TargetGroupArn when it has one target group.
    """
    if action["Type"] != "forward":
        return dict(action)
    tuples = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights(action).items()]
    stickiness = action.get("ForwardConfig", {}).get("TargetGroupStickinessConfig") or {"Enabled": False}
    config = {"TargetGroups": tuples, "TargetGroupStickinessConfig": stickiness}
    single = {"TargetGroupArn": tuples[0]["TargetGroupArn"]} if len(tuples) == 1 else {}
    return {**action, **single, "ForwardConfig": config}


def weights(action: Mapping[str, Any]) -> dict[str, int]:
    """Target group → weight of an action, 1 for a single target group; empty for one that does not forward."""
    if action["Type"] != "forward":
        return {}
    tuples = action.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"]}]
    return {each["TargetGroupArn"]: int(each.get("Weight", 1)) for each in tuples}


def rules_of(listener: FakeListener) -> list[dict[str, Any]]:
    """
    A listener's rules by ascending priority, the default last, as the data plane's configuration has them.

    moto keeps them in order of creation.
    """
    by_priority = sorted(listener._non_default_rules.values(), key=lambda rule: int(rule.priority))
    rules = [
        {"conditions": [_condition(each) for each in rule.conditions], "action": _action(rule.actions[0].data)}
        for rule in by_priority
    ]
    return [*rules, {"conditions": [], "action": _action(listener.default_actions[0].data)}]


def _condition(condition: Mapping[str, Any]) -> dict[str, Any]:
    configured: dict[str, Any] = next((value for key, value in condition.items() if key.endswith("Config")), {})
    return {"field": condition["Field"], "values": condition.get("Values") or configured["Values"]}


def _action(action: Mapping[str, Any]) -> dict[str, Any]:
    if action["Type"] == "forward":
        return {"forward": list(weights(action).items()), "sticky_seconds": _sticky_seconds(action)}
    if action["Type"] == "redirect":
        return {"respond": _redirect(action["RedirectConfig"])}
    response = action["FixedResponseConfig"]
    headers = {"Content-Type": response.get("ContentType", "text/plain")}
    return {
        "respond": {"status": int(response["StatusCode"]), "body": response.get("MessageBody", ""), "headers": headers}
    }


def _sticky_seconds(action: Mapping[str, Any]) -> int | None:
    stickiness = action.get("ForwardConfig", {}).get("TargetGroupStickinessConfig", {})
    return int(stickiness["DurationSeconds"]) if stickiness.get("Enabled") else None


def _redirect(redirect: Mapping[str, Any]) -> dict[str, Any]:
    """Its Location is as on AWS: it names the pretend account's host and port, and nothing here follows it."""
    protocol = redirect.get("Protocol", "#{protocol}").lower()
    port = redirect.get("Port", "#{port}")
    path = redirect.get("Path", "/#{path}")
    query = redirect.get("Query", "#{query}")
    location = f"{protocol}://{redirect.get('Host', '#{host}')}:{port}{path}?{query}"
    status = int(redirect["StatusCode"].removeprefix("HTTP_"))
    return {"status": status, "body": "", "headers": {"Location": location}}
