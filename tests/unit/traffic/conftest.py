from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Live, Phase, PointStatus, RollbackPoint, Work
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route, TargetHealth
from tests.builders import DEPLOYMENT, OLD_VERSION, at


@dataclass(frozen=True)
class JudgedLoadBalancer(LoadBalancer):
    """Emulated listeners, with target health as a test wants it: the emulator calls every target healthy."""

    judged: dict[str, TargetHealth] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)

    def health(self, target_group: str) -> TargetHealth:
        if target_group in self.unreadable:
            error = {"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}
            raise self.elbv2.exceptions.ClientError(error, "DescribeTargetHealth")
        return self.judged.get(target_group, TargetHealth(healthy=2, unknown=0))


@dataclass(frozen=True)
class Account:
    """A load balancer whose two routes, a listener and a rule, send everything to blue."""

    routes: tuple[Route, ...]
    load_balancer: JudgedLoadBalancer

    def shown(self) -> list[dict[str, int]]:
        """Return the weights that every route shows now."""
        forwards = self.load_balancer.forwards(route.arn for route in self.routes)
        return [forwards[route.arn] for route in self.routes]

    def wanted(self, color: str, percent: int) -> list[dict[str, int]]:
        """Return the weights that every route would show with this share for a color."""
        return [route.weights(color, percent) for route in self.routes]

    def judge(self, color: str, healthy: int, unknown: int = 0) -> None:
        """Let every route's target group of a color have this health."""
        for route in self.routes:
            self.load_balancer.judged[route.target_group(color)] = TargetHealth(healthy, unknown)


@pytest.fixture
def account() -> Account:
    ec2, elbv2 = boto3.client("ec2"), boto3.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for block, zone in (("10.0.0.0/24", "eu-west-1a"), ("10.0.1.0/24", "eu-west-1b"))
    ]
    balancer = elbv2.create_load_balancer(Name="receipts", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]

    def group(name: str) -> str:
        made = elbv2.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc)
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def listener(port: int, target_group: str) -> str:
        action: Any = {"Type": "forward", "TargetGroupArn": target_group}
        made = elbv2.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=[action])
        return str(made["Listeners"][0]["ListenerArn"])

    def rule(listener_arn: str, target_group: str) -> str:
        condition = {"Field": "path-pattern", "Values": ["/site/*"]}
        action: Any = {"Type": "forward", "TargetGroupArn": target_group}
        made = elbv2.create_rule(ListenerArn=listener_arn, Conditions=[condition], Priority=10, Actions=[action])
        return str(made["Rules"][0]["RuleArn"])

    api_blue, api_green, site_blue, site_green = (group(name) for name in ("ab", "ag", "sb", "sg"))
    live, test = listener(80, api_blue), listener(8080, api_green)
    routes = (
        Route("api", live, test, api_blue, api_green),
        Route("site", rule(live, site_blue), rule(test, site_green), site_blue, site_green),
    )
    return Account(routes, JudgedLoadBalancer(elbv2))


@pytest.fixture
def preparing(record: ReleaseRecord, account: Account) -> Lease:
    """Return the lease of a deployment of release "new" that is about to shift traffic."""
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new", progress_at=at(1)))
    point = {
        "color": "blue",
        "version": OLD_VERSION,
        "release_id": "old",
        "target_groups": {route.name: route.blue for route in account.routes},
        "capacity": {"minimum": 1, "maximum": 4, "desired": 2},
    }
    record.note_release("new", {"version": "2222222", "rollback_point": point})
    return lease


@pytest.fixture
def live_new(account: Account) -> Live:
    groups = {route.name: route.blue for route in account.routes}
    point = RollbackPoint(PointStatus.VALID, "blue", OLD_VERSION, "old", groups, capacity=2)
    return Live("new", "2222222", "green", at(2), point)
