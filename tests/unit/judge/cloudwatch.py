"""A stand-in for CloudWatch with alarms and counts that tests set, because emulated ones would need a day's metrics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import boto3
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

PREFIX = "receipts-test"
CRITICAL = (
    f"{PREFIX}-rolls-back-error-rate-api-blue",
    f"{PREFIX}-rolls-back-error-rate-api-green",
    f"{PREFIX}-pages-database-all",
)
WARNING = f"{PREFIX}-warns-error-rate-api-green"
_LONG_AGO = "2026-03-01T00:00:00+00:00"
_PER_PAGE = 2


@dataclass
class FakeCloudWatch:
    """
    CloudWatch behind boto3's own paginators, which checks requests against AWS's own model of them.

    `on` is since when an alarm is on, by its name. `counts` is requests, errors and slow requests, by the value of the
    last dimension; each page of an answer has half of them. `refuses` is the error code with which an operation fails.
    """

    alarms: list[str] = field(default_factory=lambda: [*CRITICAL, WARNING])
    on: dict[str, str] = field(default_factory=dict)
    counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    status: str = "Complete"
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def counted(self) -> dict[str, Any]:
        """Return the last request for counts."""
        return [request for operation, request in self.asked if operation == "GetMetricData"][-1]

    def client(self) -> Any:
        """Return a client that asks here."""
        client = boto3.client("cloudwatch")
        client._make_api_call = lambda operation, request: self._answer(client, operation, request)
        return client

    def _answer(self, client: Any, operation: str, request: dict[str, Any]) -> Mapping[str, Any]:
        self.asked.append((operation, request))
        shape = client.meta.service_model.operation_model(operation).input_shape
        assert not ParamValidator().validate(request, shape).has_errors()
        if code := self.refuses.get(operation):
            raise ClientError({"Error": {"Code": code, "Message": ""}}, operation)
        return {"DescribeAlarms": self._describe, "GetMetricData": self._count}[operation](request)

    def _describe(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        assert request["AlarmTypes"] == ["MetricAlarm"]
        found = [name for name in sorted(self.alarms) if name.startswith(request["AlarmNamePrefix"])]
        if "StateValue" in request:
            found = [name for name in found if self._alarm(name)["StateValue"] == request["StateValue"]]
        first = int(request.get("NextToken", "0"))
        more = {"NextToken": str(first + _PER_PAGE)} if len(found) > first + _PER_PAGE else {}
        return {"MetricAlarms": [self._alarm(name) for name in found[first : first + _PER_PAGE]], **more}

    def _alarm(self, name: str) -> Mapping[str, Any]:
        since = datetime.fromisoformat(self.on.get(name, _LONG_AGO))
        return {
            "AlarmName": name,
            "StateValue": "ALARM" if name in self.on else "OK",
            "StateReason": "Threshold Crossed",
            "StateUpdatedTimestamp": datetime.fromisoformat("2026-03-01T23:59:59+00:00"),
            "StateTransitionedTimestamp": since,
            "TreatMissingData": "notBreaching",
            "ActionsEnabled": True,
            "AlarmActions": [],
        }

    def _count(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        assert request["StartTime"] < request["EndTime"]
        is_second = "NextToken" in request
        more = {} if is_second else {"NextToken": "second"}
        return {"MetricDataResults": list(self._results(request, is_second=is_second)), **more}

    def _results(self, request: Mapping[str, Any], *, is_second: bool) -> Iterator[Mapping[str, Any]]:
        for query in request["MetricDataQueries"]:
            metric, statistic = query["MetricStat"]["Metric"], query["MetricStat"]["Stat"]
            requests, errors, slow = self.counts.get(metric["Dimensions"][-1]["Value"], (0, 0, 0))
            found = {
                "Requests": requests,
                "RequestCount": requests,
                "Errors": errors,
                "HTTPCode_Target_5XX_Count": errors,
                "TargetConnectionErrorCount": 0,
            }.get(metric["MetricName"], slow)
            assert statistic == ("TC(3:)" if metric["MetricName"].endswith("ResponseTime") else "Sum")
            half = found - found // 2 if is_second else found // 2
            values = [half] if half else []
            yield {"Id": query["Id"], "StatusCode": self.status, "Values": values, "Timestamps": values}
