"""A customer's whole account as settings describe it, in moto alone: nothing in it runs, everything in it is right."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto import mock_aws
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends
from moto.rds.models import rds_backends
from moto.secretsmanager.models import secretsmanager_backends

from cdk.names import Names
from cdk.settings import COLORS, EnvironmentSettings, Infrastructure
from install.bootstrap import PARAMETER
from lambdas.release.record import ReleaseRecord
from tests.install.clients import aws_client


@contextmanager
def pretend_aws(settings: EnvironmentSettings) -> Iterator[None]:
    """Let moto be the account of the settings, and keep every real credential out of it."""
    pretended = {
        "AWS_ACCESS_KEY_ID": "TESTING0000000000000",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": settings.region,
        "MOTO_ACCOUNT_ID": settings.account,
    }
    with pytest.MonkeyPatch.context() as patch, mock_aws(config={"core": {"reset_boto3_session": False}}):
        patch.delenv("AWS_PROFILE", raising=False)
        for name, value in pretended.items():
            patch.setenv(name, value)
        yield


class Customer:
    """The account of one environment. `client` returns boto3 clients into it, to break things with."""

    def __init__(self, settings: EnvironmentSettings) -> None:
        self.settings = settings

    def client(self, service: str) -> Any:
        return aws_client(service, self.settings.region)

    def build(self) -> None:
        self.bootstrap()
        vpc = self.network()
        self._traffic(vpc)
        for color in COLORS:
            self._fleet(color)
        self._database()
        self.client("logs").create_log_group(logGroupName=self.settings.logs.group)
        for arn in self.secret_arns():
            self.secret(arn)
        if self.settings.pushes:
            self.bus()

    def bootstrap(self) -> None:
        self.client("ssm").put_parameter(Name=PARAMETER, Value="30", Type="String", Overwrite=True)

    def network(self) -> str:
        """Make subnets, security groups and the endpoint that settings name, and return their VPC."""
        ec2, network = self.client("ec2"), self.settings.network
        vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        backend = ec2_backends[self.settings.account][self.settings.region]
        for number, (wanted, letter) in enumerate(zip(network.subnet_ids, "ab", strict=True)):
            zone = f"{self.settings.region}{letter}"
            made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.1.{number}.0/24", AvailabilityZone=zone)["Subnet"]
            subnet = backend.subnets[zone].pop(made["SubnetId"])
            subnet.id = wanted
            backend.subnets[zone][wanted] = subnet
        for wanted in network.security_group_ids:
            made = ec2.create_security_group(GroupName=wanted, Description="checks", VpcId=vpc)["GroupId"]
            group = backend.groups[vpc].pop(made)
            group.id = group.group_id = wanted
            backend.groups[vpc][wanted] = group
        endpoint = ec2.create_vpc_endpoint(
            VpcId=vpc,
            ServiceName=f"com.amazonaws.{self.settings.region}.secretsmanager",
            VpcEndpointType="Interface",
            SubnetIds=list(network.subnet_ids),
            PrivateDnsEnabled=True,
        )["VpcEndpoint"]["VpcEndpointId"]
        made = backend.vpc_end_points.pop(endpoint)
        made.id = network.secrets_manager_endpoint_id
        backend.vpc_end_points[made.id] = made
        return str(vpc)

    def terraform(self, infrastructure: Infrastructure) -> None:
        """Make the policies and the bucket that the builds of Terraform need."""
        for arn in (*infrastructure.plan_policy_arns, *infrastructure.apply_policy_arns):
            allowed = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
            document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
            self.client("iam").create_policy(PolicyName=arn.rpartition("/")[2], PolicyDocument=document)
        bucket = infrastructure.state_bucket_arn.rpartition(":")[2]
        s3 = self.client("s3")
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self.settings.region})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def name_database(self) -> None:
        """Give the instance the address of the settings: moto makes up one of its own."""
        database = self.settings.database
        backend = rds_backends[self.settings.account][self.settings.region]
        instance = backend.databases[database.instance]
        instance.ca_certificate_identifier = "rds-ca-rsa2048-g1"
        address = property(lambda _: database.host)
        instance.__class__ = type("NamedInstance", (type(instance),), {"address": address})

    def bus(self) -> None:
        """Make the bus on which pushes come, as the stack of the ingress does."""
        self.client("events").create_event_bus(Name=Names(self.settings).github_bus_arn.rpartition("/")[2])

    def record(self) -> ReleaseRecord:
        """Make the table of the record, and return it."""
        table = Names(self.settings).record_table
        self.client("dynamodb").create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "environment", "KeyType": "HASH"},
                {"AttributeName": "item", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "environment", "AttributeType": "S"},
                {"AttributeName": "item", "AttributeType": "S"},
            ],
        )
        return ReleaseRecord(self.client("dynamodb"), table, self.settings.environment)

    def secret_arns(self) -> list[str]:
        settings = self.settings
        checks = (*settings.checks.health, *settings.checks.smoke)
        named = [settings.database.secret_arn, settings.cache.secret_arn]
        named += [arn for check in checks for arn in (check.body_secret_arn, check.token_secret_arn)]
        named += [settings.github.token_secret_arn] if settings.github else []
        return [arn for arn in dict.fromkeys(named) if arn]

    def secret(self, arn: str) -> None:
        """Make a secret of this ARN."""
        name = arn.split(":", 6)[6].rpartition("-")[0]
        self.client("secretsmanager").create_secret(Name=name, SecretString="a secret that nobody reads")
        secretsmanager_backends[self.settings.account][self.settings.region].secrets[name].arn = arn

    def _traffic(self, vpc: str) -> None:
        elbv2, settings = self.client("elbv2"), self.settings
        backend = elbv2_backends[settings.account][settings.region]
        (route,) = settings.routes
        for color in COLORS:
            arn = getattr(route, color)
            made = elbv2.create_target_group(Name=arn.split("/")[-2], Protocol="HTTP", Port=8080, VpcId=vpc)
            group = backend.target_groups.pop(made["TargetGroups"][0]["TargetGroupArn"])
            group.arn = arn
            backend.target_groups[arn] = group
        name = str(route.listener_arn).split("/")[2]
        made = elbv2.create_load_balancer(Name=name, Subnets=list(settings.network.subnet_ids))["LoadBalancers"][0]
        balancer = backend.load_balancers.pop(made["LoadBalancerArn"])
        balancer.arn = str(route.listener_arn).replace(":listener/", ":loadbalancer/").rpartition("/")[0]
        backend.load_balancers[balancer.arn] = balancer
        for wanted, port, group in ((route.listener_arn, 80, route.blue), (route.test_listener_arn, 8443, route.green)):
            made = elbv2.create_listener(
                LoadBalancerArn=balancer.arn,
                Protocol="HTTP",
                Port=port,
                DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
            )["Listeners"][0]["ListenerArn"]
            listener = balancer.listeners.pop(made)
            listener.arn = wanted
            balancer.listeners[wanted] = listener
            listener._default_rule[0].listener_arn = wanted

    def _fleet(self, color: str) -> None:
        settings = self.settings
        of_color, (route,) = settings.colors.of(color), settings.routes
        self._role(of_color.instance_role_arn)
        data = {
            "ImageId": "ami-12c6146b",
            "InstanceType": "t3.micro",
            "MetadataOptions": {"InstanceMetadataTags": "enabled"},
            "TagSpecifications": [
                {"ResourceType": "instance", "Tags": [{"Key": "runback:version", "Value": "4f2c1e9"}]}
            ],
        }
        made = self.client("ec2").create_launch_template(
            LaunchTemplateName=of_color.auto_scaling_group, LaunchTemplateData=data
        )["LaunchTemplate"]["LaunchTemplateId"]
        self._adopt_template(made, of_color.launch_template_id)
        size = 2 if color == "blue" else 0
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=of_color.auto_scaling_group,
            LaunchTemplate={"LaunchTemplateId": of_color.launch_template_id, "Version": "1"},
            MinSize=size,
            MaxSize=4,
            DesiredCapacity=size,
            VPCZoneIdentifier=",".join(settings.network.subnet_ids),
            TargetGroupARNs=[getattr(route, color)],
        )

    def _role(self, arn: str) -> None:
        iam, name = self.client("iam"), arn.rpartition("/")[2]
        if name not in {role["RoleName"] for role in iam.list_roles()["Roles"]}:
            trust = json.dumps({"Version": "2012-10-17", "Statement": []})
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)

    def _adopt_template(self, made: str, wanted: str) -> None:
        backend = ec2_backends[self.settings.account][self.settings.region]
        template = backend.launch_templates.pop(made)
        template.id = wanted
        backend.launch_templates[wanted] = template
        backend.launch_template_name_to_ids[template.name] = wanted
        order = backend.launch_template_insert_order
        order[order.index(made)] = wanted

    def _database(self) -> None:
        self.client("rds").create_db_instance(
            DBInstanceIdentifier=self.settings.database.instance,
            DBInstanceClass="db.t4g.small",
            Engine="postgres",
            EngineVersion="18.4",
            AllocatedStorage=20,
            BackupRetentionPeriod=7,
            MasterUsername="postgres",
            MasterUserPassword="a pretend password",
            Port=self.settings.database.port,
        )
        self.name_database()
