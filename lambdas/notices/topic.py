"""The SNS topic on which humans listen."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lambdas.notices.rules import Message

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


@dataclass(frozen=True)
class Topic:
    """`sns` is a boto3 client."""

    sns: "SNSClient"
    arn: str

    def publish(self, message: Message) -> None:
        """Send one message."""
        self.sns.publish(TopicArn=self.arn, Subject=message.subject, Message=message.body)
