"""The SNS topic on which humans listen."""

from dataclasses import dataclass
from typing import Any

from lambdas.notices.rules import Message


@dataclass(frozen=True)
class Topic:
    """`sns` is a boto3 client."""

    sns: Any
    arn: str

    def publish(self, message: Message) -> None:
        """Send one message."""
        self.sns.publish(TopicArn=self.arn, Subject=message.subject, Message=message.body)
