"""The application's log in CloudWatch Logs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lambdas.checks.rules import Count

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilterLogEventsRequestTypeDef

_MOST_PAGES = 20
"""Each takes up to a second, and many are empty in a large log: CloudWatch Logs answers with what it has searched."""


@dataclass(frozen=True)
class ApplicationLog:
    """`logs` is a boto3 client."""

    logs: "CloudWatchLogsClient"
    group: str

    def count(self, pattern: str, start_ms: int, end_ms: int) -> Count:
        """Count the events that match, from one moment up to another; milliseconds since 1970, both included."""
        request: FilterLogEventsRequestTypeDef = {
            "logGroupName": self.group,
            "filterPattern": pattern,
            "startTime": start_ms,
            "endTime": end_ms,
            "limit": 10_000,
        }
        events, last_ms = 0, 0
        for _ in range(_MOST_PAGES):
            page = self.logs.filter_log_events(**request)
            events += len(page["events"])
            last_ms = max([last_ms, *(event["timestamp"] for event in page["events"])])
            if "nextToken" not in page:
                return Count(events)
            request["nextToken"] = page["nextToken"]
        return Count(events, until_ms=last_ms)
