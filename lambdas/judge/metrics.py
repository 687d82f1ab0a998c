"""What was counted in CloudWatch's metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.errors import AwsCallFailed
from lambdas.judge.evidence_rules import Query, Span
from lambdas.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

_UNREAD = frozenset({"InternalError", "Forbidden"})


@dataclass(frozen=True)
class Metrics:
    """`cloudwatch` is a boto3 client."""

    cloudwatch: "CloudWatchClient"

    def readable_sums(self, queries: Sequence[Query], span: Span) -> list[float] | None:
        """Add up as `sums` does, or say that it cannot be done: a release must not end because a reading does."""
        try:
            return self.sums(queries, span)
        except (ClientError, BotoCoreError, AwsCallFailed):
            logger.warning("The metrics of both colors could not be read", exc_info=True)
            return None

    def sums(self, queries: Sequence[Query], span: Span) -> list[float]:
        """
        Add each metric up over the span. Where nothing happened there is no value, which counts as 0.

        Raises AwsCallFailed when CloudWatch answers a part only: it must not be taken for the whole.
        """
        totals = dict.fromkeys((_id(number) for number in range(len(queries))), 0.0)
        pages = self.cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[_asked(number, query, span) for number, query in enumerate(queries)],
            StartTime=span.since,
            EndTime=span.until,
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                if result["StatusCode"] in _UNREAD:
                    raise AwsCallFailed(f"CloudWatch did not answer all that was asked for: {result['StatusCode']}")
                totals[result["Id"]] += sum(result["Values"])
        return list(totals.values())


def _id(number: int) -> str:
    return f"q{number}"


def _asked(number: int, query: Query, span: Span) -> "MetricDataQueryTypeDef":
    return {
        "Id": _id(number),
        "MetricStat": {
            "Metric": {
                "Namespace": query.namespace,
                "MetricName": query.metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in query.dimensions.items()],
            },
            "Period": span.period_seconds,
            "Stat": query.statistic,
        },
    }
