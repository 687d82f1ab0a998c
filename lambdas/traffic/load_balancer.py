"""The Application Load Balancer: what its listeners and rules forward to, and the health of the targets behind them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.errors import ListenerDrifted
from lambdas.observability import logger
from lambdas.traffic.rules import TargetHealth, Weights, is_rule

if TYPE_CHECKING:
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_elbv2.type_defs import ActionOutputTypeDef, TargetGroupTupleTypeDef

Action: TypeAlias = "ActionOutputTypeDef"

# `unused` and `initial` say that nobody has judged the target, not that it is bad:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
_UNKNOWN_STATES = frozenset({"unused", "initial", "unavailable"})


@dataclass(frozen=True)
class LoadBalancer:
    """`elbv2` is a boto3 client."""

    elbv2: "ElasticLoadBalancingv2Client"

    def actions(self, arns: Iterable[str]) -> dict[str, list[Action]]:
        """Read the actions of listeners (their default ones) and rules, by ARN."""
        wanted = sorted(set(arns))
        listeners = [arn for arn in wanted if not is_rule(arn)]
        rules = [arn for arn in wanted if is_rule(arn)]
        found: dict[str, list[Action]] = {}
        if listeners:
            described = self.elbv2.describe_listeners(ListenerArns=listeners)["Listeners"]
            found |= {listener["ListenerArn"]: listener["DefaultActions"] for listener in described}
        if rules:
            found |= {rule["RuleArn"]: rule["Actions"] for rule in self.elbv2.describe_rules(RuleArns=rules)["Rules"]}
        return found

    def forwards(self, arns: Iterable[str]) -> dict[str, dict[str, int]]:
        """Read only the weights: ARN of listener or rule → target group ARN → percent."""
        return {arn: weights_of(arn, actions) for arn, actions in self.actions(arns).items()}

    def forward(self, arn: str, actions: list[Action], weights: Weights) -> None:
        """
        Give a listener or rule other weights. `actions` are its present ones.

        ModifyListener and ModifyRule replace the whole list, so whatever stands before the forward, such as a log-in,
        is sent again unchanged.
        """
        changed = [_forwarding(action, weights) if action["Type"] == "forward" else action for action in actions]
        if is_rule(arn):
            self.elbv2.modify_rule(RuleArn=arn, Actions=changed)
        else:
            self.elbv2.modify_listener(ListenerArn=arn, DefaultActions=changed)

    def health(self, target_group: str) -> TargetHealth:
        """Count the targets of a group that are healthy and those that have not been judged."""
        answer = self.elbv2.describe_target_health(TargetGroupArn=target_group)
        states = [target["TargetHealth"]["State"] for target in answer["TargetHealthDescriptions"]]
        return TargetHealth(
            healthy=states.count("healthy"), unknown=sum(1 for state in states if state in _UNKNOWN_STATES)
        )

    def healthy_instances(self, target_group: str) -> set[str]:
        """Name the instances of a group that are healthy."""
        answer = self.elbv2.describe_target_health(TargetGroupArn=target_group)
        return {
            target["Target"]["Id"]
            for target in answer["TargetHealthDescriptions"]
            if target["TargetHealth"]["State"] == "healthy"
        }

    def readable_health(self, target_group: str) -> TargetHealth | None:
        """Count as `health` does, or say that it cannot be read: a rollback must not fail because a reading does."""
        try:
            return self.health(target_group)
        except (ClientError, BotoCoreError):
            logger.warning("The health of a target group could not be read", exc_info=True)
            return None


def weights_of(arn: str, actions: list[Action]) -> dict[str, int]:
    """Read the weights of the one forward among a listener's or rule's actions."""
    forwards = [action for action in actions if action["Type"] == "forward"]
    if len(forwards) != 1:
        raise ListenerDrifted(f"{arn} has {len(forwards)} forward actions, and needs exactly one.")
    groups = forwards[0].get("ForwardConfig", {}).get("TargetGroups", [])
    if not groups:
        return {forwards[0]["TargetGroupArn"]: 100}
    if len(groups) == 1:
        return {groups[0]["TargetGroupArn"]: 100}
    return {group["TargetGroupArn"]: group.get("Weight", 1) for group in groups}


def _forwarding(action: Action, weights: Weights) -> Action:
    config: Mapping[str, Any] = action.get("ForwardConfig", {})
    groups: list[TargetGroupTupleTypeDef] = [
        {"TargetGroupArn": group, "Weight": weight} for group, weight in sorted(weights.items())
    ]
    changed: Action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
    if "Order" in action:
        changed["Order"] = action["Order"]
    stickiness = config.get("TargetGroupStickinessConfig")
    if stickiness is not None:
        changed["ForwardConfig"]["TargetGroupStickinessConfig"] = stickiness
    return changed
