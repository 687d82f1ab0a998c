"""Who gets what is published to a topic."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


@dataclass(frozen=True)
class Subscribers:
    """`sns` is a boto3 client."""

    sns: "SNSClient"

    def confirmed(self, topic: str) -> int:
        """Count the subscriptions that have an ARN: the others wait for a confirmation, or were deleted."""
        pages = self.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        found = [each["SubscriptionArn"] for page in pages for each in page["Subscriptions"]]
        return sum(each.startswith("arn:") for each in found)
