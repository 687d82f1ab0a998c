"""
The customer's own part of the account, which Runback only works on: network, load balancer, launch templates, groups.

Everything has exactly the names and ARNs of the settings, so that the shipped template is used unchanged.
"""

import json
from dataclasses import dataclass
from typing import Any

import boto3
from moto.ec2.models import ec2_backends

from rehearsal.circumstances import Circumstances
from rehearsal.settings import Color, Settings
from rehearsal.world.application import Services
from rehearsal.world.cache import Cache
from rehearsal.world.database import Database
from rehearsal.world.fleet import Fleet
from rehearsal.world.launch_templates import VERSION_TAG
from rehearsal.world.load_balancer import LoadBalancer

CAPACITY = 2
MAXIMUM = 4
_HEALTH_CHECK = {
    "HealthCheckPath": "/health",
    "HealthCheckIntervalSeconds": 10,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 3,
    "UnhealthyThresholdCount": 2,
}


_DATABASE_USER, _DATABASE_PASSWORD = "receipts", "a pretend password"


@dataclass(frozen=True)
class World:
    """What stands behind the resources: real routing, real processes, a real database."""

    load_balancer: LoadBalancer
    fleet: Fleet
    database: Database


def services(settings: Settings, database: Database, cache: Cache) -> Services:
    """Tell an application where its database and its cache are."""
    dsn = database.dsn(settings.database_instance, _DATABASE_USER, _DATABASE_PASSWORD)
    return Services(database=dsn, cache=cache.address)


def build(settings: Settings, world: World, version: str, circumstances: Circumstances) -> None:
    """Build it with all traffic on blue, which runs `version`; so does green, as far as it has instances."""
    session = boto3.Session(region_name=settings.region)
    load_balancer = world.load_balancer
    _database(session, settings, world.database)
    network = _network(session)
    groups = {arn: _target_group(session, arn, network, load_balancer) for arn in _target_group_arns(settings)}
    _listeners(session, settings, groups, network, load_balancer)
    if circumstances.sticky_share:
        _hold_clients(session, settings)
    for name, color in settings.colors.items():
        _role(session, color)
        _launch_template(session, settings, color, version)
        size = CAPACITY if name == "blue" else circumstances.idle_instances
        _auto_scaling_group(session, settings, name, network, size)


def _database(session: boto3.Session, settings: Settings, database: Database) -> None:
    session.client("rds").create_db_instance(
        DBInstanceIdentifier=settings.database_instance,
        DBInstanceClass="db.t4g.small",
        Engine="postgres",
        EngineVersion="18.4",
        AllocatedStorage=20,
        DBName="receiptvault",
        MasterUsername="postgres",
        MasterUserPassword=_DATABASE_PASSWORD,
        StorageEncrypted=True,
    )
    database.create_receipts(settings.database_instance, _DATABASE_USER, _DATABASE_PASSWORD)


def _hold_clients(session: boto3.Session, settings: Settings) -> None:
    elbv2 = session.client("elbv2")
    for route in settings.routes:
        config = {
            "TargetGroups": [{"TargetGroupArn": route.blue, "Weight": 100}],
            "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 3600},
        }
        action: Any = {"Type": "forward", "ForwardConfig": config}
        if _listener_of(route.arn) == route.arn:
            elbv2.modify_listener(ListenerArn=route.arn, DefaultActions=[action])
        else:
            elbv2.modify_rule(RuleArn=route.arn, Actions=[action])


def _network(session: boto3.Session) -> dict[str, Any]:
    ec2 = session.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    zones = [f"{session.region_name}{letter}" for letter in "ab"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for number, zone in enumerate(zones)
    ]
    return {"vpc": vpc, "subnets": subnets}


def _target_group_arns(settings: Settings) -> list[str]:
    return [route.target_group(color) for route in settings.routes for color in settings.colors]


def _target_group(session: boto3.Session, arn: str, network: dict[str, Any], load_balancer: LoadBalancer) -> str:
    created = session.client("elbv2").create_target_group(
        Name=arn.split("/")[-2], Protocol="HTTP", Port=8080, VpcId=network["vpc"], **_HEALTH_CHECK
    )["TargetGroups"][0]["TargetGroupArn"]
    load_balancer.adopt_target_group(created, arn)
    return arn


def _listeners(
    session: boto3.Session,
    settings: Settings,
    groups: dict[str, str],
    network: dict[str, Any],
    load_balancer: LoadBalancer,
) -> None:
    """Make the listeners, then the rules that stand on them; a rule's listener is named by the rule's own ARN."""
    elbv2 = session.client("elbv2")
    name = settings.routes[0].arn.split("/")[2]
    balancer = elbv2.create_load_balancer(Name=name, Subnets=network["subnets"])["LoadBalancers"][0]["LoadBalancerArn"]
    wanted: dict[str, str] = {}
    for route in settings.routes:
        for arn, color in ((route.arn, "blue"), (route.test_arn, "green")):
            wanted.setdefault(_listener_of(arn), groups[route.target_group(color)])
    for port, (arn, group) in enumerate(wanted.items(), start=8000):
        created = elbv2.create_listener(
            LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=[_forward(group)]
        )["Listeners"][0]["ListenerArn"]
        load_balancer.adopt_listener(created, arn)
        balancer = arn.replace(":listener/", ":loadbalancer/").rpartition("/")[0]
    for priority, route in enumerate(settings.routes, start=10):
        for arn, color in ((route.arn, "blue"), (route.test_arn, "green")):
            if _listener_of(arn) != arn:
                created = elbv2.create_rule(
                    ListenerArn=_listener_of(arn),
                    Priority=priority,
                    Conditions=[{"Field": "path-pattern", "Values": [f"/{route.name}/*"]}],
                    Actions=[_forward(groups[route.target_group(color)])],
                )["Rules"][0]["RuleArn"]
                load_balancer.adopt_rule(created, arn)


def _listener_of(arn: str) -> str:
    if ":listener-rule/" not in arn:
        return arn
    return arn.replace(":listener-rule/", ":listener/").rpartition("/")[0]


def _forward(group: str) -> dict[str, Any]:
    return {"Type": "forward", "TargetGroupArn": group}


def _role(session: boto3.Session, color: Color) -> None:
    iam = session.client("iam")
    trust = {"Version": "2012-10-17", "Statement": []}
    existing = [role["Arn"] for role in iam.list_roles()["Roles"]]
    if color.instance_role_arn not in existing:
        name = color.instance_role_arn.rpartition("/")[2]
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))


def _launch_template(session: boto3.Session, settings: Settings, color: Color, version: str) -> None:
    created = session.client("ec2").create_launch_template(
        LaunchTemplateName=color.auto_scaling_group,
        LaunchTemplateData={
            "ImageId": "ami-12c6146b",
            "InstanceType": "t3.micro",
            "TagSpecifications": [
                {
                    "ResourceType": "instance",
                    "Tags": [
                        {"Key": "Environment", "Value": settings.environment},
                        {"Key": VERSION_TAG, "Value": version},
                    ],
                }
            ],
        },
    )["LaunchTemplate"]["LaunchTemplateId"]
    _adopt_launch_template(settings, created, color.launch_template_id)


def _adopt_launch_template(settings: Settings, created_id: str, wanted_id: str) -> None:
    backend = ec2_backends[settings.account][settings.region]
    template = backend.launch_templates.pop(created_id)
    template.id = wanted_id
    backend.launch_templates[wanted_id] = template
    backend.launch_template_name_to_ids[template.name] = wanted_id
    order = backend.launch_template_insert_order
    order[order.index(created_id)] = wanted_id


def _auto_scaling_group(
    session: boto3.Session, settings: Settings, name: str, network: dict[str, Any], size: int
) -> None:
    color = settings.colors[name]
    session.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=color.auto_scaling_group,
        LaunchTemplate={"LaunchTemplateId": color.launch_template_id, "Version": "1"},
        MinSize=min(size, 1),
        MaxSize=MAXIMUM,
        DesiredCapacity=size,
        VPCZoneIdentifier=",".join(network["subnets"]),
        TargetGroupARNs=[route.target_group(name) for route in settings.routes],
        HealthCheckType="EC2",
    )
