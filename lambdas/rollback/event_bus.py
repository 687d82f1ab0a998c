"""The event bus: whether a rule is on, and what it calls."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lambdas.rollback.certificate_rules import RuleState


@dataclass(frozen=True)
class EventBus:
    """`events` is a boto3 client."""

    events: Any

    def rule(self, name: str) -> RuleState | None:
        """Read a rule; None where there is none."""
        try:
            state = self.events.describe_rule(Name=name)["State"]
            targets = self.events.list_targets_by_rule(Rule=name)["Targets"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
        return RuleState(str(state), {each["Arn"]: each.get("RoleArn", "") for each in targets})
