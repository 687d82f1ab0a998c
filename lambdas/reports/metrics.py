"""What the load balancer has measured, in CloudWatch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.errors import AwsCallFailed
from lambdas.observability import logger
from lambdas.reports.traffic_rules import Query, Span, Values

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import DimensionTypeDef, MetricDataQueryTypeDef

_MOST_QUERIES = 500
"""In one request: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""
_UNREAD = frozenset({"InternalError", "Forbidden"})


@dataclass(frozen=True)
class Metrics:
    """`cloudwatch` is a boto3 client."""

    cloudwatch: "CloudWatchClient"

    def readable(self, queries: Sequence[Query], span: Span) -> Values | None:
        """Read as `read` does, or say that it cannot be done: a report without traffic is better than none."""
        try:
            return self.read(queries, span)
        except (ClientError, BotoCoreError, AwsCallFailed):
            logger.warning("The metrics of the load balancer could not be read", exc_info=True)
            return None

    def read(self, queries: Sequence[Query], span: Span) -> Values:
        """
        Read what was measured, by the id of the query and the beginning of each step.

        Where nothing happened there is no value. Raises AwsCallFailed when CloudWatch answers with a part of it only.
        """
        values: dict[str, dict[datetime, float]] = {query.id: {} for query in queries}
        for first in range(0, len(queries), _MOST_QUERIES):
            pages = self.cloudwatch.get_paginator("get_metric_data").paginate(
                MetricDataQueries=[_asked(query, span) for query in queries[first : first + _MOST_QUERIES]],
                StartTime=span.since,
                EndTime=span.until,
                ScanBy="TimestampAscending",
            )
            for page in pages:
                for result in page["MetricDataResults"]:
                    if result["StatusCode"] in _UNREAD:
                        message = f"CloudWatch did not answer all that was asked for: {result['StatusCode']}"
                        raise AwsCallFailed(message)
                    values[result["Id"]] |= zip(result["Timestamps"], result["Values"], strict=True)
        return values


def _asked(query: Query, span: Span) -> "MetricDataQueryTypeDef":
    dimensions: list[DimensionTypeDef] = [{"Name": "LoadBalancer", "Value": query.load_balancer}]
    if query.target_group:
        dimensions.append({"Name": "TargetGroup", "Value": query.target_group})
    return {
        "Id": query.id,
        "MetricStat": {
            "Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": query.metric, "Dimensions": dimensions},
            "Period": span.seconds,
            "Stat": query.statistic,
        },
    }
