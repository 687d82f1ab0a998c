"""The event bus on which pushes reach the environments."""

import json
from dataclasses import dataclass
from typing import Any

from lambdas.errors import AwsCallFailed
from lambdas.github.webhook_rules import PUSH, SOURCE, Push


@dataclass(frozen=True)
class PushBus:
    """`events` is a boto3 client."""

    events: Any
    name: str

    def put(self, push: Push) -> None:
        """Put one push. Raises AwsCallFailed if EventBridge has not taken it, which is no error of the request."""
        answer = self.events.put_events(
            Entries=[
                {
                    "EventBusName": self.name,
                    "Source": SOURCE,
                    "DetailType": PUSH,
                    "Detail": json.dumps(push.detail(), separators=(",", ":")),
                }
            ]
        )
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            raise AwsCallFailed(f"PutEvents: {entry.get('ErrorCode')}: {entry.get('ErrorMessage')}")
