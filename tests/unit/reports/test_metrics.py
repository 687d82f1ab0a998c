"""What is asked of CloudWatch, and what a part of an answer is taken for."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from lambdas.errors import AwsCallFailed
from lambdas.reports.metrics import Metrics
from lambdas.reports.traffic_rules import Query, Span
from tests.unit.reports.histories import BEGAN, after

SPAN = Span(BEGAN, after(600), 60)


@dataclass
class CloudWatch:
    """A client whose answers are played, page by page. Requests and answers are checked against AWS's own model."""

    pages: list[dict[str, Any]]
    client: Any = field(default_factory=lambda: boto3.client("cloudwatch"))
    asked: list[dict[str, Any]] = field(default_factory=list)

    def read(self, queries: list[Query], *, readable: bool = False) -> Any:
        self.client.meta.events.register("before-parameter-build.*.GetMetricData", self._note)
        with Stubber(self.client) as stubber:
            for page in self.pages:
                stubber.add_response("get_metric_data", page)
            metrics = Metrics(self.client)
            return metrics.readable(queries, SPAN) if readable else metrics.read(queries, SPAN)

    def _note(self, params: dict[str, Any], **_: Any) -> None:
        self.asked.append(dict(params))


def asking(count: int = 1) -> list[Query]:
    return [Query(f"q{n}", "green", "RequestCount", "Sum", "app/it/1", f"targetgroup/it/{n}") for n in range(count)]


def result(query: str, *values: float, first: datetime = BEGAN, status: str = "Complete") -> dict[str, Any]:
    moments = [after((first - BEGAN).total_seconds() + 60 * number) for number in range(len(values))]
    return {"Id": query, "Timestamps": moments, "Values": list(values), "StatusCode": status}


def test_request_names_metric_dimensions_and_step() -> None:
    cloudwatch = CloudWatch([{"MetricDataResults": [result("q0", 3, 4)]}])
    own = Query("q1", "", "HTTPCode_ELB_5XX_Count", "Sum", "app/it/1")
    assert cloudwatch.read([*asking(), own]) == {"q0": {BEGAN: 3, after(60): 4}, "q1": {}}
    (request,) = cloudwatch.asked
    assert (request["StartTime"], request["EndTime"], request["ScanBy"]) == (BEGAN, after(600), "TimestampAscending")
    of_green, of_balancer = request["MetricDataQueries"]
    assert of_green == {
        "Id": "q0",
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/ApplicationELB",
                "MetricName": "RequestCount",
                "Dimensions": [
                    {"Name": "LoadBalancer", "Value": "app/it/1"},
                    {"Name": "TargetGroup", "Value": "targetgroup/it/0"},
                ],
            },
            "Period": 60,
            "Stat": "Sum",
        },
    }
    dimensions = of_balancer["MetricStat"]["Metric"]["Dimensions"]
    assert dimensions == [{"Name": "LoadBalancer", "Value": "app/it/1"}]


def test_values_that_come_in_pages_are_put_together() -> None:
    first = {"MetricDataResults": [result("q0", 1, 2, status="PartialData")], "NextToken": "more"}
    cloudwatch = CloudWatch([first, {"MetricDataResults": [result("q0", 3, first=after(120))]}])
    assert cloudwatch.read(asking()) == {"q0": {BEGAN: 1, after(60): 2, after(120): 3}}


def test_no_request_asks_for_more_than_aws_answers() -> None:
    cloudwatch = CloudWatch([{"MetricDataResults": []}] * 3)
    cloudwatch.read(asking(1001))
    assert [len(request["MetricDataQueries"]) for request in cloudwatch.asked] == [500, 500, 1]


@pytest.mark.parametrize("status", ["InternalError", "Forbidden"])
def test_answer_that_lacks_a_metric_is_not_taken_for_no_traffic(status: str) -> None:
    page = {"MetricDataResults": [result("q0", status=status)]}
    with pytest.raises(AwsCallFailed, match=status):
        CloudWatch([page]).read(asking())
    assert CloudWatch([page]).read(asking(), readable=True) is None


def test_metrics_that_can_be_read_are_read() -> None:
    assert CloudWatch([{"MetricDataResults": [result("q0", 3)]}]).read(asking(), readable=True) == {"q0": {BEGAN: 3}}


def test_cloudwatch_that_does_not_answer_is_no_failure_of_the_report() -> None:
    client = boto3.client("cloudwatch")
    with Stubber(client) as stubber:
        stubber.add_client_error("get_metric_data", "AccessDenied")
        assert Metrics(client).readable(asking(), SPAN) is None
        stubber.add_client_error("get_metric_data", "AccessDenied")
        with pytest.raises(ClientError):
            Metrics(client).read(asking(), SPAN)
