"""The rules of the load balancer's listeners: which there are, whose they are, and the one that freezes traffic."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from lambdas.errors import FreezeRefused
from lambdas.traffic.freeze_rules import BODY, CONTENT_TYPE, EVERYTHING, PRIORITY, STATUS, Condition, ListenerRule

if TYPE_CHECKING:
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_elbv2.type_defs import RuleConditionUnionTypeDef, RuleTypeDef, TagDescriptionTypeDef

_TAGGED_AT_ONCE = 20
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html"""


@dataclass(frozen=True)
class Listeners:
    """`elbv2` is a boto3 client."""

    elbv2: "ElasticLoadBalancingv2Client"

    def rules(self, listener: str) -> list[ListenerRule]:
        """Read all rules of a listener but its default action, without their tags."""
        pages = self.elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener)
        found = [rule for page in pages for rule in page["Rules"]]
        return [_listener_rule(rule) for rule in found if not rule["IsDefault"]]

    def tagged_rules(self, listener: str) -> list[ListenerRule]:
        """Read all rules of a listener but its default action, with their tags."""
        rules = self.rules(listener)
        tags = {
            described["ResourceArn"]: {tag["Key"]: tag.get("Value", "") for tag in described["Tags"]}
            for described in self._tags([rule.arn for rule in rules])
        }
        return [replace(rule, tags=tags.get(rule.arn, {})) for rule in rules]

    def freeze(self, listener: str, tags: Mapping[str, str], conditions: Sequence[Condition] = EVERYTHING) -> str:
        """
        Let the load balancer answer the requests to a listener itself, before any other rule; return the rule.

        The tags come with the rule, so that there is never one that nobody can tell whose it is. Raises FreezeRefused
        when somebody else was faster, or the load balancer has as many rules as AWS allows. A request whose answer was
        lost is recognised.
        """
        try:
            made = self.elbv2.create_rule(
                ListenerArn=listener,
                Priority=PRIORITY,
                Conditions=[cast("RuleConditionUnionTypeDef", each) for each in conditions],
                Actions=[
                    {
                        "Type": "fixed-response",
                        "FixedResponseConfig": {
                            "StatusCode": STATUS,
                            "ContentType": CONTENT_TYPE,
                            "MessageBody": BODY,
                        },
                    }
                ],
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )
        except ClientError as error:
            return self._made_before(listener, tags, conditions, error)
        return str(made["Rules"][0]["RuleArn"])

    def _made_before(
        self, listener: str, tags: Mapping[str, str], conditions: Sequence[Condition], error: ClientError
    ) -> str:
        """Return the rule of a request that has worked already; pass on what is no refusal."""
        details = error.response["Error"]
        if details["Code"] not in ("PriorityInUse", "TooManyRules"):
            raise error
        for rule in self.tagged_rules(listener):
            if (rule.priority, rule.answers, rule.conditions, rule.tags) == (PRIORITY, True, tuple(conditions), tags):
                return rule.arn
        raise FreezeRefused(f"Listener {listener} cannot be frozen: {details.get('Message', '')}") from error

    def delete(self, rule: str) -> None:
        """Delete a rule. Safe to repeat."""
        try:
            self.elbv2.delete_rule(RuleArn=rule)
        except ClientError as error:
            if error.response["Error"]["Code"] != "RuleNotFound":
                raise

    def _tags(self, arns: Sequence[str]) -> Iterator["TagDescriptionTypeDef"]:
        for first in range(0, len(arns), _TAGGED_AT_ONCE):
            asked = arns[first : first + _TAGGED_AT_ONCE]
            yield from self.elbv2.describe_tags(ResourceArns=asked)["TagDescriptions"]


def _listener_rule(rule: "RuleTypeDef") -> ListenerRule:
    conditions = tuple(_condition(each) for each in rule["Conditions"])
    answers = any(action["Type"] == "fixed-response" for action in rule["Actions"])
    return ListenerRule(
        arn=rule["RuleArn"],
        priority=int(rule["Priority"]),
        answers_everything=answers and conditions == EVERYTHING,
        answers=answers,
        conditions=conditions,
    )


def _condition(found: Mapping[str, Any]) -> Condition:
    """
    Return a condition as CreateRule takes it: values stand in the configuration of its field, and not beside it, too.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleCondition.html
    """
    given = {name: value for name, value in found.items() if value}
    field, values = given["Field"], given.pop("Values", None)
    config = "".join(word.capitalize() for word in field.split("-")) + "Config"
    return {config: {"Values": values}, **given} if values else given
