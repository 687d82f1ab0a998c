"""
The customer's own part of the account, which Runback only works on: load balancer, groups, database, secrets.

Everything has exactly the names and ARNs of the settings, so that the shipped template is used unchanged.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import boto3
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.rds.models import rds_backends
from moto.secretsmanager.models import secretsmanager_backends

from rehearsal.circumstances import Circumstances
from rehearsal.settings import Color, Ingress, Settings
from rehearsal.world import traffic
from rehearsal.world.application import Services
from rehearsal.world.builds import Builds
from rehearsal.world.certificates import Certificate
from rehearsal.world.counter_readings import Counting
from rehearsal.world.database import Database
from rehearsal.world.fleet import Fleet
from rehearsal.world.github import FORMER_WEBHOOK_SECRET, HTTPS, TOKEN, WEBHOOK_SECRET, GitHub
from rehearsal.world.launch_templates import VERSION_TAG
from rehearsal.world.load_balancer import LoadBalancer
from rehearsal.world.names import Names
from rehearsal.world.secrets import create_secret
from rehearsal.world.servers import url
from rehearsal.world.terraform import Terraform

CAPACITY = 2
MAXIMUM = 4
_HEALTH_CHECK: dict[str, Any] = {
    "HealthCheckPath": "/health",
    "HealthCheckIntervalSeconds": 10,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 3,
    "UnhealthyThresholdCount": 2,
}

_DATABASE_SETTINGS: dict[str, Any] = {
    "BackupRetentionPeriod": 7,
    "CopyTagsToSnapshot": True,
    "DBParameterGroupName": "receipts-postgres18",
    "DBSubnetGroupName": "receipts-database",
    "DeletionProtection": True,
    "EnableCloudwatchLogsExports": ["postgresql"],
    "EnablePerformanceInsights": True,
    "MaxAllocatedStorage": 100,
    "MultiAZ": True,
    "PerformanceInsightsRetentionPeriod": 7,
    "PreferredBackupWindow": "02:00-02:30",
    "PreferredMaintenanceWindow": "sun:03:00-sun:03:30",
}
"""None of them is what RDS would make of a restore that says nothing about it."""

_KEY_OF_RDS = "alias/aws/rds"

CHECK_USER, CHECK_PASSWORD = "runback_check", "pretend-database-password-x3Vq8TzLm0"
SMOKE_EMAIL, SMOKE_PASSWORD = "smoke-user-k2Rd@receipts.invalid", "pretend-login-password-7hYw4NcPq5"
SERVICE_TOKEN, CACHE_TOKEN = "pretend-service-token-Gf9sJb1XuE6a", "pretend-cache-token-Wm5tQz8KrD2v"
"""What the secrets of the settings hold: values that would be recognised wherever they leaked to."""

APPLICATION_USER, APPLICATION_PASSWORD = "receipts", "pretend-application-password-Hb4RkV7yQn"
"""The application's; where settings name its role, the user has that name."""
ADMINISTRATOR_USER, ADMINISTRATOR_PASSWORD = "postgres", "pretend-administrator-password-Ls9TdXw2Mf"
"""The master user of the database."""
ROTATED_PASSWORD = "pretend-rotated-password-Qz7VbNk4Hy"  # noqa: S105
"""What the master user's becomes where it is rotated."""


@dataclass(frozen=True)
class StorePorts:
    """The ports of this machine at which functions reach the database and the cache as on AWS."""

    database: int
    cache: int


class Cache(Protocol):
    """A cache that can be lost, and come back empty."""

    def start(self) -> None:
        """Let it answer."""
        ...

    def stop(self) -> None:
        """Lose it: connections break, new ones are refused. Safe to repeat."""
        ...


@dataclass(frozen=True)
class World:
    """
    What stands behind the resources: routing, its counters, applications, database and cache, builds and Terraform.

    `open_doors` lets functions in: it is called once, after everything was built, and in the process that goes on.
    `open_database` does so for an instance that was restored since, and returns the port of this machine.
    `internet` and `vpc` are the two networks that a function can be in, each with the names that it finds there.
    `beside` are the worlds of other environments in the account, by name: they have a cache and a Terraform of their
    own, and share everything else, as it is all the account's.
    """

    load_balancer: LoadBalancer
    counters: Counting
    fleet: Fleet
    database: Database
    cache: Cache
    certificate: Certificate
    builds: Builds
    terraform: Terraform
    open_doors: Callable[[], StorePorts]
    open_database: Callable[[str], int]
    internet: Names
    vpc: Names
    beside: Mapping[str, "World"] = field(default_factory=dict)
    github: GitHub | None = None
    """Where the source is, which is no part of the account; None where settings do not name it."""


def host_names_of(environments: Iterable[Settings]) -> list[str]:
    """Return the names of several environments, for one certificate that is good for all of them."""
    return list(dict.fromkeys(name for each in environments for name in host_names(each)))


def colors_of(environments: Iterable[Settings]) -> dict[str, str]:
    """Return the color of each Auto Scaling group of several environments."""
    return {color.auto_scaling_group: name for each in environments for name, color in each.colors.items()}


def environments_of(beside: Iterable[Settings]) -> dict[str, str]:
    """Return the environment of each Auto Scaling group of those that are beside the one that is rehearsed."""
    return {color.auto_scaling_group: each.environment for each in beside for color in each.colors.values()}


def host_names(settings: Settings) -> list[str]:
    """Return every name that something in the settings is reached by over TLS."""
    checks = settings.checks
    hosts = [*checks.hosts, checks.live[0], checks.test[0], settings.database.host, settings.cache.host]
    hosts += [settings.github.host] if settings.github else []
    hosts += [f"*.{domain}" for domain in [database_domain(settings)] if domain]
    return list(dict.fromkeys(hosts))


def database_domain(settings: Settings) -> str | None:
    """Return what stands behind an instance's name in its endpoint; None where settings have a name of their own."""
    database = settings.database
    prefix = f"{database.instance}."
    return database.host.removeprefix(prefix) if database.host.startswith(prefix) else None


def application_url(settings: Settings) -> str:
    """
    Return how the application finds its database when it starts: by its secret, where settings name one.

    Reads what the secret says then, so that whoever starts after a change finds the other place.
    """
    database = settings.database
    if settings.restore is None:
        return url(APPLICATION_USER, APPLICATION_PASSWORD, database.host, database.port, database.name)
    backend = secretsmanager_backends[settings.account][settings.region]
    read = backend.get_secret_value(settings.restore.application_secret_arn, "", "AWSCURRENT")
    secret = json.loads(read["SecretString"])
    return url(secret["username"], secret["password"], secret["host"], secret["port"], secret["dbname"])


def services(database: str, cache: str) -> Services:
    """Tell an application where its database and its cache are, see Services, and whom it has to let in."""
    return Services(
        database=database,
        cache=cache,
        service_token=SERVICE_TOKEN,
        users={SMOKE_EMAIL: SMOKE_PASSWORD, traffic.EMAIL: traffic.PASSWORD},
    )


def build(settings: Settings, world: World, version: str, circumstances: Circumstances) -> None:
    """Build it with all traffic on blue, which runs `version`; so does green, as far as it has instances."""
    session = boto3.Session(region_name=settings.region)
    load_balancer = world.load_balancer
    network = _network(session)
    _database_groups(session, settings, network)
    _database(session, settings, world.database)
    _secrets(session, settings)
    _policies(session, settings)
    groups = {arn: _target_group(session, arn, network, load_balancer) for arn in _target_group_arns(settings)}
    _listeners(session, settings, groups, network, world)
    if circumstances.sticky_share:
        _hold_clients(session, settings)
    for name, color in settings.colors.items():
        _role(session, color)
        _launch_template(session, settings, color, version)
        size = CAPACITY if name == "blue" else circumstances.idle_instances
        _auto_scaling_group(session, settings, name, network, size)


def build_webhook(session: boto3.Session, ingress: Ingress) -> None:
    """Make the secrets that GitHub signs with: the one that it uses, and one that it used before."""
    for arn, text in zip(ingress.secret_arns, (WEBHOOK_SECRET, FORMER_WEBHOOK_SECRET), strict=False):
        create_secret(session.client("secretsmanager"), arn, text)


def open_to_functions(settings: Settings, world: World) -> None:
    """Let functions find everything under the names of the settings. Raises KeyError before it was built."""
    ports = world.open_doors()
    _name_hosts(settings, world)
    world.vpc.point(settings.database.host, settings.database.port, ports.database)
    world.vpc.point(settings.cache.host, settings.cache.port, ports.cache)
    if world.github and settings.github:
        world.github.listen(world.certificate, partial(world.internet.point, settings.github.host, HTTPS))
    world.database.on_reachable(
        lambda instance: world.vpc.point(*world.database.endpoint(instance), world.open_database(instance))
    )


def _application_user(settings: Settings) -> str:
    return settings.restore.application_role if settings.restore else APPLICATION_USER


def _database_groups(session: boto3.Session, settings: Settings, network: dict[str, Any]) -> None:
    """Make them once: all environments' instances are in the same."""
    if _DATABASE_SETTINGS["DBSubnetGroupName"] in rds_backends[settings.account][settings.region].subnet_groups:
        return
    rds = session.client("rds")
    rds.create_db_subnet_group(
        DBSubnetGroupName=_DATABASE_SETTINGS["DBSubnetGroupName"],
        DBSubnetGroupDescription="of the application",
        SubnetIds=network["subnets"],
    )
    rds.create_db_parameter_group(
        DBParameterGroupName=_DATABASE_SETTINGS["DBParameterGroupName"],
        DBParameterGroupFamily="postgres18",
        Description="of the application",
    )


def _database(session: boto3.Session, settings: Settings, database: Database) -> None:
    """Make it, and encrypt it with the key that AWS keeps for RDS in every account."""
    rds = session.client("rds")
    rds.create_db_instance(
        DBInstanceIdentifier=settings.database_instance,
        DBInstanceClass="db.t4g.small",
        Engine="postgres",
        EngineVersion="18.4",
        AllocatedStorage=20,
        DBName=settings.database.name,
        MasterUsername=ADMINISTRATOR_USER,
        MasterUserPassword=ADMINISTRATOR_PASSWORD,
        Port=settings.database.port,
        StorageEncrypted=True,
        KmsKeyId=session.client("kms").describe_key(KeyId=_KEY_OF_RDS)["KeyMetadata"]["Arn"],
        **_DATABASE_SETTINGS,
    )
    database.also_call(settings.database_instance, settings.database.host)
    database.create_receipts(settings.database_instance, _application_user(settings), APPLICATION_PASSWORD)
    database.create_visitor(settings.database_instance, CHECK_USER, CHECK_PASSWORD)


def _secrets(session: boto3.Session, settings: Settings) -> None:
    login = json.dumps({"email": SMOKE_EMAIL, "password": SMOKE_PASSWORD})
    texts = dict.fromkeys(settings.checks.login_secret_arns, login)
    texts |= dict.fromkeys(settings.checks.token_secret_arns, SERVICE_TOKEN)
    texts[settings.database.secret_arn] = json.dumps({"username": CHECK_USER, "password": CHECK_PASSWORD})
    if settings.restore:
        application = (_application_user(settings), APPLICATION_PASSWORD)
        texts[settings.restore.application_secret_arn] = _login_text(settings, *application)
        administrator = (ADMINISTRATOR_USER, ADMINISTRATOR_PASSWORD)
        texts[settings.restore.administrator_secret_arn] = _login_text(settings, *administrator)
    if settings.cache.secret_arn:
        texts[settings.cache.secret_arn] = CACHE_TOKEN
    if settings.github:
        texts[settings.github.token_secret_arn] = json.dumps({"token": TOKEN})
    client = session.client("secretsmanager")
    for arn, text in texts.items():
        create_secret(client, arn, text)


def _login_text(settings: Settings, username: str, password: str) -> str:
    database = settings.database
    place = {"host": database.host, "port": database.port, "dbname": database.name}
    return json.dumps({"engine": "postgres", **place, "username": username, "password": password})


def _name_hosts(settings: Settings, world: World) -> None:
    """Let the live listener answer for every host, and the test listener on a port of its own; of the first route."""
    checks, route = settings.checks, settings.routes[0]
    live = world.load_balancer.tls_port(_listener_of(route.arn))
    for host in checks.hosts:
        world.internet.point(host, checks.live[1], live)
    world.internet.point(*checks.test, world.load_balancer.tls_port(_listener_of(route.test_arn)))


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
    world: World,
) -> None:
    """Make the listeners, then the rules that stand on them; a rule's listener is named by the rule's own ARN."""
    load_balancer = world.load_balancer
    certificate = _certificate(session, world.certificate)
    elbv2 = session.client("elbv2")
    name = settings.routes[0].arn.split("/")[2]
    balancer = elbv2.create_load_balancer(Name=name, Subnets=network["subnets"])["LoadBalancers"][0]["LoadBalancerArn"]
    wanted: dict[str, str] = {}
    for route in settings.routes:
        for arn, color in ((route.arn, "blue"), (route.test_arn, "green")):
            wanted.setdefault(_listener_of(arn), groups[route.target_group(color)])
    ports = _listener_ports(settings, list(wanted))
    for arn, group in wanted.items():
        created = elbv2.create_listener(
            LoadBalancerArn=balancer,
            Protocol="HTTPS",
            Port=ports[arn],
            Certificates=[{"CertificateArn": certificate}],
            DefaultActions=[_forward(group)],
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


def _certificate(session: boto3.Session, certificate: Certificate) -> str:
    """Return the ARN of the certificate in ACM, where HTTPS listeners want theirs to be."""
    imported = session.client("acm").import_certificate(
        Certificate=certificate.chain_file.read_bytes(), PrivateKey=certificate.key_file.read_bytes()
    )
    return str(imported["CertificateArn"])


def _listener_ports(settings: Settings, listeners: list[str]) -> dict[str, int]:
    """Give the first route's listeners the ports of the URLs; of the others nobody knows theirs."""
    route = settings.routes[0]
    of_urls = {_listener_of(route.test_arn): settings.checks.test[1], _listener_of(route.arn): settings.checks.live[1]}
    return {arn: port for port, arn in enumerate(listeners, start=9000)} | of_urls


def _listener_of(arn: str) -> str:
    if ":listener-rule/" not in arn:
        return arn
    return arn.replace(":listener-rule/", ":listener/").rpartition("/")[0]


def _forward(group: str) -> Any:
    return {"Type": "forward", "TargetGroupArn": group}


def _role(session: boto3.Session, color: Color) -> None:
    iam = session.client("iam")
    trust = {"Version": "2012-10-17", "Statement": []}
    existing = [role["Arn"] for role in iam.list_roles()["Roles"]]
    if color.instance_role_arn not in existing:
        name = color.instance_role_arn.rpartition("/")[2]
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def _policies(session: boto3.Session, settings: Settings) -> None:
    """Make the customer's policies for Terraform; none allows what a build of ours needs for itself."""
    backend = iam_backends[settings.account]["aws"]
    reads = {"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [reads]})
    for arn in settings.infrastructure.policy_arns if settings.infrastructure else ():
        path, _, name = arn.partition(":policy/")[2].rpartition("/")
        whole = f"/{path}/" if path else "/"
        made = session.client("iam").create_policy(PolicyName=name, Path=whole, PolicyDocument=document)["Policy"]
        policy = backend.managed_policies.pop(made["Arn"])
        policy.account_id = arn.split(":")[4]  # "aws" for those of AWS itself
        backend.managed_policies[arn] = policy


def _launch_template(session: boto3.Session, settings: Settings, color: Color, version: str) -> None:
    created = session.client("ec2").create_launch_template(
        LaunchTemplateName=color.auto_scaling_group,
        LaunchTemplateData={
            "ImageId": "ami-12c6146b",
            "InstanceType": "t3.micro",
            "IamInstanceProfile": {"Name": color.instance_role_arn.rpartition("/")[2]},
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
