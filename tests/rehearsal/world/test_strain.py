"""How much instances, database and load balancer bear is told once a minute, a minute late."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rehearsal.engine.metrics import Metric, Metrics
from rehearsal.engine.virtual import VirtualTime
from rehearsal.engine.virtual.virtual_time import START
from rehearsal.settings import Settings
from rehearsal.world.application import Behaviour
from rehearsal.world.gauge_metrics import GaugeMetrics
from rehearsal.world.host_metrics import HostMetrics
from rehearsal.world.strain import Strain
from tests.rehearsal.model.test_fleet import world_on
from tests.rehearsal.world.conftest import BLUE, GREEN, LISTENER, OLD_SHA, TEST_LISTENER, World

BALANCER = ("LoadBalancer", "app/receipts/0123456789abcdef")
HOSTS = {
    "blue": frozenset({BALANCER, ("TargetGroup", "targetgroup/receipts-blue/aaaaaaaaaaaaaaaa")}),
    "green": frozenset({BALANCER, ("TargetGroup", "targetgroup/receipts-green/bbbbbbbbbbbbbbbb")}),
}
PRODUCTION = Settings.read("production")
SETTINGS = replace(
    PRODUCTION,
    routes=(replace(PRODUCTION.routes[0], arn=LISTENER, test_arn=TEST_LISTENER, blue=BLUE, green=GREEN),),
    colors={name: replace(color, auto_scaling_group=name) for name, color in PRODUCTION.colors.items()},
)


class Measured:
    """A modelled world in virtual time, with two instances on blue and none on green."""

    def __init__(self, time: VirtualTime, world: World, strain: Strain, gauges: GaugeMetrics) -> None:
        self.time, self.world, self.strain = time, world, strain
        self.metrics = Metrics(gauges)
        self.begun = 0

    def after(self, minutes: float) -> None:
        self.time.sleep(minutes * 60)

    def told(self, namespace: str, name: str, dimensions: frozenset[tuple[str, str]], stat: str) -> dict[float, float]:
        """Minutes since START → value."""
        metric = Metric(namespace, name, dimensions)
        found = self.metrics.values(metric, stat, 60, START, START + timedelta(hours=1))
        return {(at - START).total_seconds() / 60: value for at, value in found.items()}

    def of_color(self, namespace: str, name: str, color: str, stat: str = "Average") -> list[float]:
        dimensions = frozenset({("AutoScalingGroupName", color)})
        return list(self.told(namespace, name, dimensions, stat).values())

    def hosts(self, name: str, color: str) -> list[float]:
        return list(self.told("AWS/ApplicationELB", name, HOSTS[color], "Minimum").values())


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Measured]:
    with ExitStack() as stack:
        time = stack.enter_context(VirtualTime(seed=1))
        world = stack.enter_context(world_on(time.clock, tmp_path))
        world.scale("blue", 2)
        strain = Strain(SETTINGS, world.fleet)
        hosts = HostMetrics(SETTINGS, world.load_balancer)
        gauges = stack.enter_context(GaugeMetrics(time.clock, [hosts.look, strain.look]))
        time.sleep(30)
        yield Measured(time, world, strain, gauges)


def test_a_minute_is_told_a_minute_after_its_end(measured: Measured) -> None:
    measured.after(1.4)
    assert [] == measured.of_color("AWS/EC2", "CPUUtilization", "blue")
    measured.after(0.1)
    assert [30.0] == measured.of_color("AWS/EC2", "CPUUtilization", "blue")


def test_nothing_is_finer_than_a_minute(measured: Measured) -> None:
    metric = Metric("AWS/EC2", "CPUUtilization", frozenset({("AutoScalingGroupName", "blue")}))
    with pytest.raises(NotImplementedError, match="by 60 s, not 10"):
        measured.metrics.values(metric, "Average", 10, START, START + timedelta(hours=1))


def test_each_instance_is_a_value(measured: Measured) -> None:
    measured.after(2)
    for namespace, name in (
        ("AWS/EC2", "CPUUtilization"),
        ("CWAgent", "mem_used_percent"),
        ("CWAgent", "disk_used_percent"),
    ):
        assert [2.0] == measured.of_color(namespace, name, "blue", "SampleCount")
        assert [] == measured.of_color(namespace, name, "green")


def test_a_scenario_changes_what_is_borne_from_then_on(measured: Measured) -> None:
    of_database = frozenset({("DBInstanceIdentifier", SETTINGS.database.instance)})
    measured.after(1)
    measured.strain.cpu("blue", 95.0)
    measured.strain.memory("blue", 96.0)
    measured.strain.disk("blue", 91.0)
    measured.strain.connections(85.0)
    measured.after(2)

    assert [30.0, 95.0] == measured.of_color("AWS/EC2", "CPUUtilization", "blue")
    assert [40.0, 96.0] == measured.of_color("CWAgent", "mem_used_percent", "blue")
    assert [50.0, 91.0] == measured.of_color("CWAgent", "disk_used_percent", "blue")
    assert {0: 50.0, 1: 425.0} == measured.told("AWS/RDS", "DatabaseConnections", of_database, "Maximum")


def test_a_version_may_need_more_memory_every_minute(measured: Measured) -> None:
    """An instance that is launched later begins anew; more than there is it cannot need."""
    measured.world.fleet.behave(OLD_SHA, Behaviour(memory_percent_per_minute=25.0))
    measured.after(1)
    measured.world.scale("blue", 3)
    measured.after(4)

    assert [65.0, 90.0, 100.0, 100.0] == measured.of_color("CWAgent", "mem_used_percent", "blue", "Maximum")
    assert [65.0, 65.0, 90.0, 100.0] == measured.of_color("CWAgent", "mem_used_percent", "blue", "Minimum")


def test_hosts_are_told_by_their_health(measured: Measured) -> None:
    measured.after(1)
    measured.world.fleet.instances("blue")[0].application.kill()
    measured.after(2)

    assert [2.0, 1.0] == measured.hosts("HealthyHostCount", "blue")
    assert [0.0, 1.0] == measured.hosts("UnHealthyHostCount", "blue")


def test_hosts_are_told_only_of_a_group_in_use_that_has_targets(measured: Measured) -> None:
    """AWS: "Reported if there are registered targets"; and there is no load balancer to tell them with otherwise."""
    measured.world.scale("green", 1)
    measured.after(1)
    measured.world.forward(TEST_LISTENER, {GREEN: 1})
    measured.after(1)
    measured.world.scale("green", 0)
    measured.after(3)

    assert [1.0] == measured.hosts("HealthyHostCount", "green")
    assert 4 == len(measured.hosts("HealthyHostCount", "blue"))
