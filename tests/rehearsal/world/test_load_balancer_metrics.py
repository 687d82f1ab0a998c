"""What CloudWatch tells of the load balancer is what its data plane saw, a minute at a time and a minute late."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from rehearsal.clock import Clock
from rehearsal.engine.metrics import Metrics
from rehearsal.engine.virtual import VirtualTime
from rehearsal.engine.virtual.virtual_time import START
from rehearsal.world.counter_readings import CounterReadings, Counting
from rehearsal.world.load_balancer_metrics import LoadBalancerMetrics
from rehearsal.world.routing import Choice, Dispatcher, Request, Respond, Routing
from tests.rehearsal.world.conftest import BLUE, GREEN, LISTENER, TEST_LISTENER, World, client
from tests.rehearsal.world.test_load_balancer import get
from tests.waiting import eventually

BALANCER = {"LoadBalancer": "app/receipts/0123456789abcdef"}
OF_BLUE = {**BALANCER, "TargetGroup": "targetgroup/receipts-blue/aaaaaaaaaaaaaaaa"}
OF_GREEN = {**BALANCER, "TargetGroup": "targetgroup/receipts-green/bbbbbbbbbbbbbbbb"}
NAMESPACE = "AWS/ApplicationELB"
MINUTE = timedelta(minutes=1)


class DataPlane:
    """Routes to the group that a test says, and has the answer, or none, that it says."""

    def __init__(self) -> None:
        self._dispatcher = Dispatcher(seed=0)

    def report(self) -> dict[str, Any]:
        return self._dispatcher.report.as_json()

    def answer(self, group: str, status: int = 200, milliseconds: float = 5.0, listener: str = LISTENER) -> None:
        choice = self._choice(group, listener)
        self._dispatcher.answered(listener, choice, status, milliseconds)

    def answer_nothing(self, group: str, status: int, *, connected: bool) -> None:
        self._dispatcher.failed(LISTENER, self._choice(group, LISTENER), status, connected=connected)

    def refuse(self) -> None:
        assert isinstance(self._decide(BLUE, LISTENER, targets=0), Respond)

    def respond(self, status: int, **headers: str) -> None:
        action = {"respond": {"status": status, "body": "frozen", "headers": headers}}
        self._dispatcher.routing = Routing.from_configuration(
            {"listeners": {LISTENER: [{"conditions": [], "action": action}]}, "target_groups": {}}
        )
        assert isinstance(self._dispatcher.decide(LISTENER, Request("GET", "/", {}), 0.0), Respond)

    def _choice(self, group: str, listener: str) -> Choice:
        choice = self._decide(group, listener)
        assert isinstance(choice, Choice)
        self._dispatcher.release(choice)
        return choice

    def _decide(self, group: str, listener: str, targets: int = 1) -> Choice | Respond:
        self._dispatcher.routing = Routing.from_configuration(
            {
                "listeners": {listener: [{"conditions": [], "action": {"forward": [[group, 1]]}}]},
                "target_groups": {group: [{"instance": "i-1", "port": 1, "healthy": True}] * targets},
            }
        )
        return self._dispatcher.decide(listener, Request("GET", "/", {}), 0.0)


class CloudWatch:
    """An account in virtual time that has nothing but a data plane."""

    def __init__(self, time: VirtualTime, data_plane: DataPlane) -> None:
        self.time = time
        self.data_plane = data_plane
        self.client = client("cloudwatch")

    def ask(self, *queries: dict[str, Any], **more: Any) -> dict[str, Any]:
        times = {"StartTime": START, "EndTime": START + timedelta(days=1), "ScanBy": "TimestampAscending"}
        answer: dict[str, Any] = self.client.get_metric_data(MetricDataQueries=queries, **(times | more))
        return answer

    def told(
        self, name: str, dimensions: dict[str, str], stat: str = "Sum", **more: Any
    ) -> list[tuple[datetime, float]]:
        (result,) = self.ask(query(name, dimensions, stat), **more)["MetricDataResults"]
        return list(zip(result["Timestamps"], result["Values"], strict=True))

    def values(self, name: str, dimensions: dict[str, str], stat: str = "Sum") -> list[float]:
        return [value for _, value in self.told(name, dimensions, stat)]


def query(
    name: str = "RequestCount", dimensions: dict[str, str] = OF_BLUE, stat: str = "Sum", **more: Any
) -> dict[str, Any]:
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    metric = {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": named}
    return {"Id": "q", "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat, **more}}


@pytest.fixture
def cloudwatch() -> Iterator[CloudWatch]:
    with ExitStack() as stack:
        time = stack.enter_context(VirtualTime(seed=1))
        stack.enter_context(mock_aws())
        data_plane = DataPlane()
        stack.enter_context(measured(time.clock, data_plane))
        time.sleep(1)  # what comes just as a minute ends is of the one or of the next
        yield CloudWatch(time, data_plane)


@contextmanager
def measured(clock: Clock, data_plane: Counting, balancers: Mapping[str, str] | None = None) -> Iterator[None]:
    with Metrics() as metrics, CounterReadings(clock, data_plane) as readings:
        metrics.register(NAMESPACE, LoadBalancerMetrics(clock, readings, balancers))
        yield


def test_requests_are_told_by_target_group_and_for_the_load_balancer_minute_by_minute(cloudwatch: CloudWatch) -> None:
    plane = cloudwatch.data_plane
    cloudwatch.time.sleep(30)
    for group in (BLUE, BLUE, GREEN):
        plane.answer(group)
    cloudwatch.time.sleep(60)
    plane.answer(GREEN, listener=TEST_LISTENER)
    cloudwatch.time.sleep(180)

    assert [(START, 2.0)] == cloudwatch.told("RequestCount", OF_BLUE)
    assert [(START, 1.0), (START + MINUTE, 1.0)] == cloudwatch.told("RequestCount", OF_GREEN)
    assert [(START, 3.0), (START + MINUTE, 1.0)] == cloudwatch.told("RequestCount", BALANCER)


def test_a_minute_is_told_a_minute_after_its_end(cloudwatch: CloudWatch) -> None:
    """Who looks at once must not see what AWS would not show him yet."""
    cloudwatch.data_plane.answer(BLUE)
    cloudwatch.time.sleep(118)
    assert [] == cloudwatch.told("RequestCount", OF_BLUE)
    cloudwatch.time.sleep(2)
    assert [(START, 1.0)] == cloudwatch.told("RequestCount", OF_BLUE)


def test_what_did_not_happen_is_not_told_as_nought(cloudwatch: CloudWatch) -> None:
    cloudwatch.data_plane.answer(BLUE)
    cloudwatch.time.sleep(600)

    assert [1.0] == cloudwatch.values("RequestCount", OF_BLUE)
    for name in ("HTTPCode_Target_5XX_Count", "TargetConnectionErrorCount", "HTTPCode_ELB_5XX_Count", "NoSuchMetric"):
        assert [] == cloudwatch.values(name, OF_BLUE)
    assert [] == cloudwatch.values("RequestCount", OF_GREEN)
    assert [] == cloudwatch.values("RequestCount", {**OF_BLUE, "AvailabilityZone": "eu-west-1a"})


def test_targets_statuses_are_told_by_their_hundreds(cloudwatch: CloudWatch) -> None:
    for status in (200, 201, 302, 404, 500, 503, 503):
        cloudwatch.data_plane.answer(BLUE, status)
    cloudwatch.time.sleep(120)

    found = {each: cloudwatch.values(f"HTTPCode_Target_{each}XX_Count", OF_BLUE) for each in "2345"}
    assert {"2": [2.0], "3": [1.0], "4": [1.0], "5": [3.0]} == found
    assert [3.0] == cloudwatch.values("HTTPCode_Target_5XX_Count", BALANCER)
    assert [] == cloudwatch.values("HTTPCode_ELB_5XX_Count", BALANCER)


def test_the_load_balancers_own_errors_are_told_for_it_alone(cloudwatch: CloudWatch) -> None:
    """A request for which there was no target is none that AWS counts as one."""
    plane = cloudwatch.data_plane
    plane.answer_nothing(GREEN, 502, connected=False)
    plane.answer_nothing(GREEN, 502, connected=True)
    plane.answer_nothing(GREEN, 504, connected=True)
    plane.refuse()
    cloudwatch.time.sleep(120)

    own = {status: cloudwatch.values(f"HTTPCode_ELB_{status}_Count", BALANCER) for status in ("5XX", 502, 503, 504)}
    assert {"5XX": [4.0], 502: [2.0], 503: [1.0], 504: [1.0]} == own
    assert [] == cloudwatch.values("HTTPCode_ELB_502_Count", OF_GREEN)
    assert [3.0] == cloudwatch.values("RequestCount", BALANCER)
    assert [3.0] == cloudwatch.values("RequestCount", OF_GREEN)
    assert [1.0] == cloudwatch.values("TargetConnectionErrorCount", OF_GREEN)
    assert [] == cloudwatch.values("TargetResponseTime", OF_GREEN)


def test_a_freeze_is_told_apart_from_a_lack_of_targets(cloudwatch: CloudWatch) -> None:
    """Both are a 503 of the load balancer's own, and no request to any target."""
    plane = cloudwatch.data_plane
    plane.refuse()
    for _ in range(3):
        plane.respond(503)
    plane.respond(301, Location="https://receipts.test/")
    cloudwatch.time.sleep(120)

    assert [4.0] == cloudwatch.values("HTTPCode_ELB_503_Count", BALANCER)
    assert [3.0] == cloudwatch.values("HTTP_Fixed_Response_Count", BALANCER)
    assert [] == cloudwatch.values("RequestCount", BALANCER)


def test_response_times_are_told_in_seconds(cloudwatch: CloudWatch) -> None:
    """The data plane counts by ranges of a tenth: percentiles and extremes are no better than that."""
    for milliseconds in range(1, 1001):
        cloudwatch.data_plane.answer(BLUE, milliseconds=float(milliseconds))
    cloudwatch.time.sleep(120)

    def figure(stat: str) -> float:
        (value,) = cloudwatch.values("TargetResponseTime", OF_BLUE, stat)
        return value

    assert [1000.0, 500.5, 0.5005] == [figure(stat) for stat in ("SampleCount", "Sum", "Average")]
    exact = {"Minimum": 0.001, "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "Maximum": 1.0}
    assert {stat: figure(stat) for stat in exact} == pytest.approx(exact, rel=0.1)
    assert figure("Minimum") <= exact["Minimum"]
    assert figure("Maximum") >= exact["Maximum"]


def test_times_of_a_minute_are_those_of_that_minute(cloudwatch: CloudWatch) -> None:
    """The data plane counts from its start."""
    for milliseconds in (1000.0, 10.0):
        cloudwatch.data_plane.answer(BLUE, milliseconds=milliseconds)
        cloudwatch.time.sleep(60)
    cloudwatch.time.sleep(61)

    for stat in ("p99", "Maximum"):
        assert cloudwatch.values("TargetResponseTime", OF_BLUE, stat) == pytest.approx([1.0, 0.01], rel=0.1)


@pytest.mark.parametrize(("stat", "value"), [("Average", 1.0), ("Minimum", 1.0), ("Maximum", 1.0), ("p99", 1.0)])
def test_a_count_is_of_ones(cloudwatch: CloudWatch, stat: str, value: float) -> None:
    """AWS: "Minimum, Maximum, and Average all return 1"."""
    for _ in range(7):
        cloudwatch.data_plane.answer(BLUE)
    cloudwatch.time.sleep(120)

    assert [value] == cloudwatch.values("RequestCount", OF_BLUE, stat)
    assert [7.0] == cloudwatch.values("RequestCount", OF_BLUE, "SampleCount")


def test_another_unit_finds_nothing(cloudwatch: CloudWatch) -> None:
    cloudwatch.data_plane.answer(BLUE)
    cloudwatch.time.sleep(120)

    def found(name: str, unit: str) -> int:
        (result,) = cloudwatch.ask(query(name, Unit=unit))["MetricDataResults"]
        return len(result["Values"])

    assert [1, 0] == [found("RequestCount", unit) for unit in ("Count", "Seconds")]
    assert [0, 1] == [found("TargetResponseTime", unit) for unit in ("Count", "Seconds")]


def test_minutes_are_added_up_to_longer_periods(cloudwatch: CloudWatch) -> None:
    for _ in range(5):
        cloudwatch.data_plane.answer(BLUE)
        cloudwatch.time.sleep(60)
    cloudwatch.time.sleep(61)

    (result,) = cloudwatch.ask(query(Period=120))["MetricDataResults"]
    assert [2.0, 2.0, 1.0] == result["Values"]
    assert [START + minutes * MINUTE for minutes in (0, 2, 4)] == result["Timestamps"]


def test_nothing_is_finer_than_a_minute(cloudwatch: CloudWatch) -> None:
    """AWS: 10, 20 and 30 s are for high-resolution metrics only."""
    cloudwatch.data_plane.answer(BLUE)
    cloudwatch.time.sleep(120)
    with pytest.raises(NotImplementedError, match="by 60 s, not 10"):
        cloudwatch.ask(query(Period=10))


def test_two_load_balancers_are_not_mixed_up(cloudwatch: CloudWatch) -> None:
    """The data plane does not count which of them a target group's requests came through."""
    cloudwatch.data_plane.answer(BLUE)
    cloudwatch.data_plane.answer(BLUE, listener=LISTENER.replace("/receipts/", "/invoices/"))
    cloudwatch.time.sleep(120)
    with pytest.raises(NotImplementedError, match="app/invoices/"):
        cloudwatch.told("RequestCount", OF_BLUE)


def test_two_load_balancers_are_told_apart_by_their_target_groups() -> None:
    """An account has one for each environment."""
    invoices, other = LISTENER.replace("/receipts/", "/invoices/"), "app/invoices/0123456789abcdef"
    with VirtualTime(seed=1) as time, mock_aws():
        plane = DataPlane()
        with measured(time.clock, plane, {BLUE: BALANCER["LoadBalancer"], GREEN: other}):
            cloudwatch = CloudWatch(time, plane)
            time.sleep(1)
            for group, listener in ((BLUE, LISTENER), (GREEN, invoices), (GREEN, invoices)):
                plane.answer(group, listener=listener)
            time.sleep(120)
            counted = [
                cloudwatch.values("RequestCount", {"LoadBalancer": each}) for each in (*BALANCER.values(), other)
            ]
            crossed = cloudwatch.values("RequestCount", {**OF_BLUE, "LoadBalancer": other})

    assert [[1.0], [2.0]] == counted
    assert [] == crossed


@pytest.mark.rehearsed
def test_what_real_users_got_is_what_is_told(world: World) -> None:
    """From a process that serves real requests, on the clock that hurries."""
    world.serve_from("blue")
    with measured(world.clock, world.data_plane):
        begun = world.clock.now()
        for _ in range(20):
            assert 200 == get(world, LISTENER)[0]

        def told(name: str, stat: str) -> list[float]:
            answer = client("cloudwatch").get_metric_data(
                StartTime=begun,
                EndTime=begun + timedelta(hours=1),
                MetricDataQueries=[query(name, OF_BLUE, stat)],
            )
            values: list[float] = answer["MetricDataResults"][0]["Values"]
            return values

        eventually(lambda: sum(told("RequestCount", "Sum")) == 20)
        assert 20 == sum(told("HTTPCode_Target_2XX_Count", "Sum"))
        assert all(0 < seconds < 5 for seconds in told("TargetResponseTime", "p95"))
