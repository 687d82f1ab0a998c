"""A pretend environment: a load balancer with two listeners, two colors, and the real world below."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.calls import Calls
from rehearsal.world.application import Behaviour
from rehearsal.world.application_process import ApplicationProcess
from rehearsal.world.certificates import Certificate, issue
from rehearsal.world.data_plane import DataPlane
from rehearsal.world.fleet import Fleet
from rehearsal.world.load_balancer import LoadBalancer
from rehearsal.world.network import Network
from tests.waiting import eventually

REGION = "eu-west-1"
ACCOUNT = "123456789012"
ARN = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
LISTENER = f"{ARN}:listener/app/receipts/0123456789abcdef/1111111111111111"
TEST_LISTENER = f"{ARN}:listener/app/receipts/0123456789abcdef/2222222222222222"
BLUE = f"{ARN}:targetgroup/receipts-blue/aaaaaaaaaaaaaaaa"
GREEN = f"{ARN}:targetgroup/receipts-green/bbbbbbbbbbbbbbbb"
TARGET_GROUPS = {"blue": BLUE, "green": GREEN}
OLD_SHA, NEW_SHA, BAD_SHA = "0" * 40, "1" * 40, "2" * 40
HEALTH_CHECK_INTERVAL_SECONDS = 10
UNHEALTHY_THRESHOLD = 2
SERVER_NAME = "api.receipts.test"


collect_ignore = [] if shutil.which("terraform") else ["test_real_terraform.py"]


@cache
def client(service: str) -> Any:
    """Return a client for all tests: to make one takes longer than most of them."""
    return boto3.client(service, REGION, aws_access_key_id="A" * 20, aws_secret_access_key="test")


class World:
    """What a test can reach: boto3 clients, the overlays, and shorthand for what most tests do first."""

    def __init__(
        self,
        clock: TwoSpeedClock,
        load_balancer: LoadBalancer,
        fleet: Fleet,
        data_plane: DataPlane,
        certificate: Certificate,
    ) -> None:
        self.clock = clock
        self.load_balancer = load_balancer
        self.fleet = fleet
        self.data_plane = data_plane
        self.certificate = certificate
        self.elbv2 = client("elbv2")
        self.autoscaling = client("autoscaling")
        self.ec2 = client("ec2")
        self.launch_template = ""

    def build(self) -> None:
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zones = (("10.0.1.0/24", "a"), ("10.0.2.0/24", "b"))
        subnets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=REGION + zone)["Subnet"]["SubnetId"]
            for block, zone in zones
        ]
        self.launch_template = self.ec2.create_launch_template(
            LaunchTemplateName="receipts", LaunchTemplateData=_template_data(OLD_SHA)
        )["LaunchTemplate"]["LaunchTemplateId"]
        for color, arn in TARGET_GROUPS.items():
            self._build_target_group(color, arn, vpc)
        balancer = self.elbv2.create_load_balancer(Name="receipts", Subnets=subnets)["LoadBalancers"][0]
        for arn, port, target_group in ((LISTENER, 80, BLUE), (TEST_LISTENER, 9000, BLUE)):
            created = self.elbv2.create_listener(
                LoadBalancerArn=self._load_balancer_arn() or balancer["LoadBalancerArn"],
                Protocol="HTTP",
                Port=port,
                DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
            )["Listeners"][0]["ListenerArn"]
            self.load_balancer.adopt_listener(created, arn)
        for color, arn in TARGET_GROUPS.items():
            self.autoscaling.create_auto_scaling_group(
                AutoScalingGroupName=color,
                MinSize=0,
                MaxSize=4,
                DesiredCapacity=0,
                VPCZoneIdentifier=subnets[0],
                TargetGroupARNs=[arn],
                HealthCheckGracePeriod=20,
                LaunchTemplate={"LaunchTemplateId": self.launch_template, "Version": "1"},
            )

    def scale(self, group: str, capacity: int) -> None:
        self.autoscaling.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=capacity)

    def serve_from(self, color: str, capacity: int = 1) -> None:
        """Scale a color whose target group is in use, and wait until all of it is healthy."""
        self.scale(color, capacity)

        def is_healthy() -> bool:
            assert all(instance.application.is_running() for instance in self.fleet.instances(color))
            return self.load_balancer.healthy_targets(TARGET_GROUPS[color]) == capacity

        eventually(is_healthy)

    def pids(self, group: str) -> list[int]:
        """Return the ids of the applications' processes."""
        applications = [instance.application for instance in self.fleet.instances(group)]
        return [each.pid for each in applications if isinstance(each, ApplicationProcess)]

    def both_colors_serve(self) -> None:
        self.forward(TEST_LISTENER, {GREEN: 1})
        self.serve_from("blue")
        self.serve_from("green")

    def forward(self, listener: str, weights: dict[str, int]) -> None:
        groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        self.elbv2.modify_listener(ListenerArn=listener, DefaultActions=[action])

    def new_version(self, sha: str) -> str:
        """Make a launch template version like the first one, but for the commit. Returns its number."""
        made = self.ec2.create_launch_template_version(
            LaunchTemplateId=self.launch_template, SourceVersion="1", LaunchTemplateData=_version_tag(sha)
        )
        return str(made["LaunchTemplateVersion"]["VersionNumber"])

    def imported_certificate(self) -> str:
        """Return the ARN of the certificate in ACM, where HTTPS listeners want theirs to be."""
        files = self.certificate
        imported = client("acm").import_certificate(
            Certificate=files.chain_file.read_bytes(), PrivateKey=files.key_file.read_bytes()
        )
        return str(imported["CertificateArn"])

    def target_health(self, target_group: str) -> list[tuple[str, str | None]]:
        """State and reason of each target, as AWS tells them."""
        described = self.elbv2.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
        healths = [each["TargetHealth"] for each in described]
        return [(health["State"], health.get("Reason")) for health in healths]

    def refresh(self, group: str, version: str, **preferences: Any) -> str:
        """Start an instance refresh to a launch template version. Returns its id."""
        template = {"LaunchTemplateId": self.launch_template, "Version": version}
        return self.autoscaling.start_instance_refresh(
            AutoScalingGroupName=group, DesiredConfiguration={"LaunchTemplate": template}, Preferences=preferences
        )["InstanceRefreshId"]

    def refresh_described(self, group: str) -> dict[str, Any]:
        """Return the newest refresh."""
        return self.autoscaling.describe_instance_refreshes(AutoScalingGroupName=group)["InstanceRefreshes"][0]

    def refreshed(self, group: str) -> dict[str, Any]:
        """Wait for the newest refresh to end."""
        eventually(lambda: "EndTime" in self.refresh_described(group))
        return self.refresh_described(group)

    def _build_target_group(self, color: str, arn: str, vpc: str) -> None:
        created = self.elbv2.create_target_group(
            Name=f"receipts-{color}",
            Protocol="HTTP",
            Port=8080,
            VpcId=vpc,
            HealthCheckPath="/health",
            HealthCheckIntervalSeconds=HEALTH_CHECK_INTERVAL_SECONDS,
            HealthCheckTimeoutSeconds=5,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=UNHEALTHY_THRESHOLD,
        )["TargetGroups"][0]["TargetGroupArn"]
        self.load_balancer.adopt_target_group(created, arn)

    def _load_balancer_arn(self) -> str | None:
        """The one that a listener has been adopted with, None before."""
        wanted = LISTENER.replace(":listener/", ":loadbalancer/").rpartition("/")[0]
        balancers = self.elbv2.describe_load_balancers()["LoadBalancers"]
        return next((each["LoadBalancerArn"] for each in balancers if each["LoadBalancerArn"] == wanted), None)


def _template_data(sha: str) -> dict[str, Any]:
    return {"ImageId": "ami-12345678", "InstanceType": "t3.small", **_version_tag(sha)}


def _version_tag(sha: str) -> dict[str, Any]:
    tags = [{"Key": "runback:version", "Value": sha}]
    return {"TagSpecifications": [{"ResourceType": "instance", "Tags": tags}]}


@pytest.fixture(scope="session")
def data_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    """Return one process for all tests; each configures it anew."""
    process = DataPlane(tmp_path_factory.mktemp("data-plane"))
    yield process
    process.stop()


@pytest.fixture
def world(tmp_path: Path, data_plane: DataPlane) -> Iterator[World]:
    clock, network = TwoSpeedClock(speed=100.0), Network()
    certificate = issue([SERVER_NAME], tmp_path / "tls")
    with ExitStack() as open_things:
        open_things.enter_context(mock_aws())
        calls = open_things.enter_context(Calls(clock))
        load_balancer = open_things.enter_context(
            LoadBalancer(clock, network, data_plane, ACCOUNT, REGION, certificate)
        )
        fleet = Fleet(
            clock,
            network,
            load_balancer,
            ACCOUNT,
            REGION,
            account_lock=calls.lock,
            log_directory=tmp_path,
            colors={"blue": "blue", "green": "green"},
            behaviours={BAD_SHA: Behaviour(health_status=503)},
        )
        open_things.enter_context(fleet)
        calls.add_observer(fleet.observe)
        calls.add_observer(load_balancer.observe)
        built = World(clock, load_balancer, fleet, data_plane, certificate)
        built.build()
        yield built
    assert not [each for each in threading.enumerate() if each.name.startswith("refresh-") and each.is_alive()]
