"""The template that ships is the template that is rehearsed: all of it, or none."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.alarms import Alarms
from rehearsal.engine.calls import Calls
from rehearsal.engine.events import EventBus
from rehearsal.engine.functions import FunctionService
from rehearsal.engine.intrinsics import Intrinsics, UnknownIntrinsic
from rehearsal.engine.metrics import Metrics
from rehearsal.engine.sandbox import Processes
from rehearsal.engine.template import Stack, UnsupportedTemplate, load

REGION, ACCOUNT = "eu-west-1", "123456789012"
SESSION = boto3.Session(region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
"""Of the module: reading the services' models is most of what a client costs."""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def attribute(logical_id: str, name: str = "Arn") -> dict[str, Any]:
    return {"Fn::GetAtt": [logical_id, name]}


def resource(resource_type: str, **properties: Any) -> dict[str, Any]:
    return {"Type": resource_type, "Properties": properties}


@pytest.fixture
def assembly(tmp_path: Path) -> Path:
    """A cdk.out with one code and one layer asset."""
    (tmp_path / "asset.code").mkdir()
    (tmp_path / "asset.code/app.py").write_text(
        "import os, shared\ndef handler(event, context): return [shared.WORD, os.environ['TABLE']]"
    )
    (tmp_path / "asset.layer/python").mkdir(parents=True)
    (tmp_path / "asset.layer/python/shared.py").write_text("WORD = 'shared'")
    files = {
        name: {
            "source": {"path": f"asset.{name}", "packaging": "zip"},
            "destinations": {"x": {"objectKey": f"{name}.zip"}},
        }
        for name in ("code", "layer")
    }
    (tmp_path / "stack.assets.json").write_text(json.dumps({"files": files}))
    return tmp_path


@pytest.fixture
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionService]:
    clock = TwoSpeedClock()
    folder = tmp_path_factory.mktemp("functions")
    with (
        mock_aws(),
        Calls(clock) as calls,
        FunctionService(
            clock,
            calls,
            Processes(folder / "build", str(SESSION.region_name), "http://127.0.0.1:1"),
            account=ACCOUNT,
            session=SESSION,
            log_dir=folder / "logs",
        ) as service,
    ):
        yield service
        assert not calls.unsupported


def create(assembly: Path, functions: FunctionService, resources: dict[str, Any], **sections: Any) -> Stack:
    template = {"Resources": resources, **sections}
    (assembly / "stack.template.json").write_text(json.dumps(template))
    return load(assembly, "stack", functions, session=SESSION)


ROLE = {"Role": resource("AWS::IAM::Role", AssumeRolePolicyDocument=TRUST)}
FUNCTION = {
    **ROLE,
    "Table": resource(
        "AWS::DynamoDB::Table",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        TimeToLiveSpecification={"AttributeName": "ttl", "Enabled": True},
        SSESpecification={"SSEEnabled": True},
    ),
    "Layer": resource("AWS::Lambda::LayerVersion", Content={"S3Bucket": "assets", "S3Key": "layer.zip"}),
    "Function": resource(
        "AWS::Lambda::Function",
        FunctionName="receipts-claim",
        Code={"S3Bucket": "assets", "S3Key": "code.zip"},
        Handler="app.handler",
        Runtime="python3.13",
        Role=attribute("Role"),
        Layers=[{"Ref": "Layer"}],
        Timeout=7,
        MemorySize=256,
        ReservedConcurrentExecutions=2,
        Environment={"Variables": {"TABLE": {"Ref": "Table"}}},
        Tags=[{"Key": "service", "Value": "receipts"}],
    ),
    "Version": resource("AWS::Lambda::Version", FunctionName={"Ref": "Function"}),
}


def test_a_function_runs_from_its_asset_with_its_layer_and_variables(
    assembly: Path, functions: FunctionService
) -> None:
    """What is packaged is what runs: through the version's ARN, as the machines invoke it."""
    stack = create(assembly, functions, FUNCTION)

    client = SESSION.client("lambda")
    answer = client.invoke(FunctionName=stack.resources["Version"].physical_id)

    assert json.loads(answer["Payload"].read()) == ["shared", "stack-Table"]
    configuration = client.get_function(FunctionName=stack.function("claim"))["Configuration"]
    assert (configuration["Timeout"], configuration["MemorySize"]) == (7, 256)
    concurrency = client.get_function_concurrency(FunctionName="receipts-claim")
    assert concurrency["ReservedConcurrentExecutions"] == 2
    assert stack.resources["Function"].properties["Role"] == f"arn:aws:iam::{ACCOUNT}:role/stack-Role"


def test_a_machines_definition_names_the_versions_that_were_published(
    assembly: Path, functions: FunctionService
) -> None:
    """CDK writes the definition as a Join over references."""
    machine = resource(
        "AWS::StepFunctions::StateMachine",
        StateMachineName="receipts-deploy",
        RoleArn=attribute("Role"),
        DefinitionString={"Fn::Join": ["", [
            '{"TimeoutSeconds":60,"StartAt":"Claim","States":{"Claim":{"Type":"Task","End":true,"Resource":"arn:',
            {"Ref": "AWS::Partition"},
            ':states:::lambda:invoke","Parameters":{"FunctionName":"',
            {"Ref": "Version"},
            '","Payload.$":"$"}}}}',
        ]]},
        LoggingConfiguration={
            "Level": "ERROR",
            "IncludeExecutionData": False,
            "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": attribute("Log")}}],
        },
    )  # fmt: skip
    log = resource("AWS::Logs::LogGroup", LogGroupName="/receipts", RetentionInDays=30)

    stack = create(assembly, functions, FUNCTION | {"Machine": machine, "Log": log})

    states = SESSION.client("stepfunctions")
    described = states.describe_state_machine(stateMachineArn=stack.state_machine("deploy"))
    definition = json.loads(described["definition"])
    assert definition["States"]["Claim"]["Parameters"]["FunctionName"] == stack.resources["Version"].physical_id
    assert definition["TimeoutSeconds"] == 60
    assert described["loggingConfiguration"]["level"] == "ERROR"


def test_a_rule_keeps_its_target_with_transformer_retries_and_dead_letter_queue(
    assembly: Path, functions: FunctionService
) -> None:
    """The CloudFormation of moto loses schedules and targets without a word."""
    target = {
        "Id": "Target0",
        "Arn": {"Ref": "Version"},
        "DeadLetterConfig": {"Arn": attribute("Lost")},
        "RetryPolicy": {"MaximumRetryAttempts": 3},
        "InputTransformer": {"InputPathsMap": {"s": "$.detail.status"}, "InputTemplate": '{"status":<s>}'},
    }
    pattern = {"source": ["aws.states"], "detail": {"status": ["FAILED"]}}
    stack = create(
        assembly,
        functions,
        FUNCTION
        | {
            "Lost": resource("AWS::SQS::Queue", QueueName="lost-events", MessageRetentionPeriod=1209600),
            "LostPolicy": resource(
                "AWS::SQS::QueuePolicy", Queues=[{"Ref": "Lost"}], PolicyDocument=TRUST | {"Id": "p"}
            ),
            "OnFailure": resource("AWS::Events::Rule", Name="on-failure", EventPattern=pattern, Targets=[target]),
            "EveryMinute": resource("AWS::Events::Rule", ScheduleExpression="rate(1 minute)", State="ENABLED"),
            "Allowed": resource(
                "AWS::Lambda::Permission",
                Action="lambda:InvokeFunction",
                FunctionName={"Ref": "Function"},
                Principal="events.amazonaws.com",
                SourceArn=attribute("OnFailure"),
            ),
            "Asynchronous": resource(
                "AWS::Lambda::EventInvokeConfig",
                FunctionName={"Ref": "Function"},
                Qualifier=attribute("Version", "Version"),
                MaximumRetryAttempts=0,
            ),
        },
    )

    events = SESSION.client("events")
    assert json.loads(events.describe_rule(Name="on-failure")["EventPattern"]) == pattern
    [kept] = events.list_targets_by_rule(Rule="on-failure")["Targets"]
    queue_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:lost-events"
    assert kept == target | {"Arn": stack.resources["Version"].physical_id, "DeadLetterConfig": {"Arn": queue_arn}}
    assert events.describe_rule(Name="stack-EveryMinute")["ScheduleExpression"] == "rate(1 minute)"
    assert stack.resources["Version"].attributes["Version"] == "1"


def test_a_function_has_a_url_that_others_are_told(assembly: Path, functions: FunctionService) -> None:
    """It ends in a slash, as AWS's do, and lets in only whom the function's policy names."""
    allowed = {"FunctionName": attribute("Function"), "Principal": "arn:aws:iam::111122223333:role/approver"}
    stack = create(
        assembly,
        functions,
        FUNCTION
        | {
            "Url": resource("AWS::Lambda::Url", AuthType="AWS_IAM", TargetFunctionArn=attribute("Function")),
            "MayCallUrl": resource(
                "AWS::Lambda::Permission",
                Action="lambda:InvokeFunctionUrl",
                FunctionUrlAuthType="AWS_IAM",
                **allowed,
            ),
            "MayCall": resource(
                "AWS::Lambda::Permission", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True, **allowed
            ),
            "Told": resource("AWS::SSM::Parameter", Name="/url", Type="String", Value=attribute("Url", "FunctionUrl")),
        },
    )

    url = SESSION.client("ssm").get_parameter(Name="/url")["Parameter"]["Value"]
    assert url == stack.resources["Url"].attributes["FunctionUrl"]
    assert re.fullmatch(rf"https://[a-z0-9]+\.lambda-url\.{REGION}\.on\.aws/", url)


def test_a_bus_has_its_statements_its_archive_and_those_who_may_put_from_outside(
    assembly: Path, functions: FunctionService
) -> None:
    """The environments name the bus by its ARN only, in whose rules moto finds it."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "events:PutEvents", "Resource": attribute("Bus")}
    issuer = "token.actions.githubusercontent.com"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": {"Ref": "Oidc"}}}
    stack = create(
        assembly,
        functions,
        {
            "Bus": resource("AWS::Events::EventBus", Name="receipts-github"),
            **{
                name: resource(
                    "AWS::Events::EventBusPolicy", EventBusName={"Ref": "Bus"}, StatementId=name, Statement=statement
                )
                for name in ("Sources", "Accounts")
            },
            "Archive": resource(
                "AWS::Events::Archive",
                ArchiveName="receipts-github",
                SourceArn=attribute("Bus"),
                EventPattern={"source": ["github.com"]},
                RetentionDays=30,
            ),
            "Oidc": resource("AWS::IAM::OIDCProvider", Url=f"https://{issuer}", ClientIdList=["sts.amazonaws.com"]),
            "Role": resource(
                "AWS::IAM::Role", RoleName="push", AssumeRolePolicyDocument={"Version": "x", "Statement": [trust]}
            ),
            "Rule": resource(
                "AWS::Events::Rule", Name="push", EventBusName=attribute("Bus"), EventPattern={"source": ["github.com"]}
            ),
        },
    )

    events = SESSION.client("events")
    bus = events.describe_event_bus(Name="receipts-github")
    assert bus["Arn"] == f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/receipts-github"
    statements = json.loads(bus["Policy"])["Statement"]
    assert [each["Sid"] for each in statements] == ["Sources", "Accounts"]
    assert statements[0]["Resource"] == bus["Arn"]
    assert events.describe_archive(ArchiveName="receipts-github")["RetentionDays"] == 30
    assert {each["Name"] for each in events.list_rules(EventBusName=bus["Arn"])["Rules"]} >= {"push"}
    trusted = SESSION.client("iam").get_role(RoleName="push")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trusted["Principal"]["Federated"] == stack.resources["Oidc"].physical_id
    assert stack.resources["Oidc"].physical_id.endswith(f"oidc-provider/{issuer}")


def test_alarms_on_alarms_and_a_dashboard_are_created(assembly: Path, functions: FunctionService) -> None:
    """As CDK writes them: rules and widgets are put together from the names of others."""
    queries = [
        {"Id": "expr_1", "Expression": "FILL(errors, 0)", "Label": "Errors", "ReturnData": True},
        {
            "Id": "errors",
            "MetricStat": {
                "Metric": {
                    "Namespace": "Receipts",
                    "MetricName": "Errors",
                    "Dimensions": [{"Name": "Group", "Value": "green"}],
                },
                "Period": 10,
                "Stat": "p95",
            },
            "ReturnData": False,
        },
    ]
    properties: dict[str, Any] = {
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 5,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "TreatMissingData": "notBreaching",
        "ActionsEnabled": False,
    }
    plain = {"Namespace": "Receipts", "MetricName": "Time", "ExtendedStatistic": "p95", "Period": 10}
    rule = {"Fn::Join": ["", ['(ALARM("', attribute("Leaf"), '") OR ALARM("', attribute("Math"), '"))']]}
    widget = {"type": "alarm", "width": 6, "height": 6, "properties": {"title": "Alarms", "alarms": ["ARN"]}}
    before, after = json.dumps({"widgets": [widget]}).split("ARN")
    clock = TwoSpeedClock()
    bus = EventBus(clock, account=ACCOUNT, session=SESSION)
    with Alarms(clock, Metrics(), bus, account=ACCOUNT, session=SESSION):
        stack = create(
            assembly,
            functions,
            {
                "Leaf": resource("AWS::CloudWatch::Alarm", AlarmName="leaf", **plain, **properties),
                "Math": resource("AWS::CloudWatch::Alarm", Metrics=queries, **properties),
                "Any": resource(
                    "AWS::CloudWatch::CompositeAlarm",
                    AlarmName="any",
                    AlarmRule=rule,
                    AlarmDescription="Either",
                    ActionsSuppressor={"Ref": "Leaf"},
                    ActionsSuppressorWaitPeriod=60,
                    ActionsSuppressorExtensionPeriod=60,
                ),
                "Dashboard": resource(
                    "AWS::CloudWatch::Dashboard",
                    DashboardName="receipts",
                    DashboardBody={"Fn::Join": ["", [before, attribute("Any"), after]]},
                ),
            },
        )
        cloudwatch = SESSION.client("cloudwatch")
        described = cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])

    leaf, math = described["MetricAlarms"]
    assert (leaf["ExtendedStatistic"], leaf["Period"], leaf["ActionsEnabled"]) == ("p95", 10, False)
    assert math["Metrics"] == queries
    [composite] = described["CompositeAlarms"]
    arns = [stack.resources[name].attributes["Arn"] for name in ("Leaf", "Math")]
    assert composite["AlarmRule"] == f'(ALARM("{arns[0]}") OR ALARM("{arns[1]}"))'
    assert (composite["AlarmDescription"], composite["ActionsSuppressor"]) == ("Either", "leaf")
    dashboard = json.loads(cloudwatch.get_dashboard(DashboardName="receipts")["DashboardBody"])
    assert dashboard["widgets"][0]["properties"]["alarms"] == [stack.resources["Any"].attributes["Arn"]]


def test_notices_alarms_parameters_keys_and_buckets_are_created(assembly: Path, functions: FunctionService) -> None:
    stack = create(
        assembly,
        functions,
        {
            "Metadata": resource("AWS::CDK::Metadata", Analytics="v2:deflate64:x"),
            "Topic": resource("AWS::SNS::Topic", TopicName="receipts-notices", KmsMasterKeyId={"Ref": "Key"}),
            "TopicPolicy": resource("AWS::SNS::TopicPolicy", Topics=[{"Ref": "Topic"}], PolicyDocument=TRUST),
            "Mail": resource("AWS::SNS::Subscription", TopicArn={"Ref": "Topic"}, Protocol="email", Endpoint="a@b.c"),
            "Alarm": resource(
                "AWS::CloudWatch::Alarm",
                AlarmName="lost",
                Namespace="AWS/SQS",
                MetricName="ApproximateNumberOfMessagesVisible",
                Dimensions=[{"Name": "QueueName", "Value": "lost"}],
                ComparisonOperator="GreaterThanThreshold",
                Threshold=0,
                EvaluationPeriods=1,
                Period=60,
                Statistic="Maximum",
                AlarmActions=[{"Ref": "Topic"}],
            ),
            "Parameter": resource("AWS::SSM::Parameter", Name="/way-back", Type="String", Value={"Ref": "Topic"}),
            "Key": resource("AWS::KMS::Key", KeyPolicy=TRUST, EnableKeyRotation=True),
            "Alias": resource("AWS::KMS::Alias", AliasName="alias/exports", TargetKeyId=attribute("Key", "Arn")),
            "Bucket": resource(
                "AWS::S3::Bucket",
                BucketEncryption={
                    "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
                VersioningConfiguration={"Status": "Enabled"},
            ),
            "Managed": resource("AWS::IAM::ManagedPolicy", PolicyDocument=READ_ALL, Roles=[{"Ref": "Role"}]),
            "Inline": resource(
                "AWS::IAM::Policy", PolicyName="inline", PolicyDocument=READ_ALL, Roles=[{"Ref": "Role"}]
            ),
            **ROLE,
        },
        Outputs={"Topic": {"Value": attribute("Topic", "TopicName")}},
    )

    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:receipts-notices"
    assert stack.topic("notices") == topic
    assert stack.outputs == {"Topic": "receipts-notices"}
    subscriptions = SESSION.client("sns").list_subscriptions_by_topic(TopicArn=topic)
    assert [subscription["Endpoint"] for subscription in subscriptions["Subscriptions"]] == ["a@b.c"]
    [alarm] = SESSION.client("cloudwatch").describe_alarms(AlarmNames=["lost"])["MetricAlarms"]
    assert alarm["AlarmActions"] == [topic]
    parameter = SESSION.client("ssm").get_parameter(Name="/way-back")
    assert parameter["Parameter"]["Value"] == topic
    s3 = SESSION.client("s3")
    assert s3.get_bucket_versioning(Bucket=stack.resources["Bucket"].physical_id)["Status"] == "Enabled"
    iam = SESSION.client("iam")
    assert iam.list_role_policies(RoleName="stack-Role")["PolicyNames"] == ["inline"]
    assert len(iam.list_attached_role_policies(RoleName="stack-Role")["AttachedPolicies"]) == 1


def test_a_bucket_is_closed_encrypted_and_open_to_who_may_write(assembly: Path, functions: FunctionService) -> None:
    """As the shipped one, with a policy that refuses whoever comes without TLS, which nobody does on AWS."""
    closed = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
    deny: dict[str, Any] = {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "s3:*",
        "Resource": [attribute("Bucket"), {"Fn::Join": ["", [attribute("Bucket"), "/*"]]}],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    rule = {"Id": "forget", "Status": "Enabled", "ExpirationInDays": 400}
    created = create(
        assembly,
        functions,
        {
            "Bucket": resource(
                "AWS::S3::Bucket",
                BucketName="receipts-reports",
                BucketEncryption={
                    "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
                LifecycleConfiguration={"Rules": [rule]},
                OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
                PublicAccessBlockConfiguration=closed,
                Tags=[{"Key": "service", "Value": "receipts"}],
                VersioningConfiguration={"Status": "Enabled"},
            ),
            "BucketPolicy": resource(
                "AWS::S3::BucketPolicy",
                Bucket={"Ref": "Bucket"},
                PolicyDocument={"Version": "2012-10-17", "Statement": [deny]},
            ),
        },
    )
    s3 = SESSION.client("s3")
    for body in (b"one", b"two"):
        s3.put_object(Bucket="receipts-reports", Key="releases/a.html", Body=body)

    kept = json.loads(s3.get_bucket_policy(Bucket="receipts-reports")["Policy"])["Statement"]
    arn = created.resources["Bucket"].attributes["Arn"]
    assert [{**deny, "Resource": ["arn:aws:s3:::receipts-reports", "arn:aws:s3:::receipts-reports/*"]}] == kept
    assert "arn:aws:s3:::receipts-reports" == arn
    assert closed == s3.get_public_access_block(Bucket="receipts-reports")["PublicAccessBlockConfiguration"]
    encryption = s3.get_bucket_encryption(Bucket="receipts-reports")["ServerSideEncryptionConfiguration"]["Rules"]
    assert ["AES256"] == [each["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for each in encryption]
    assert 2 == len(s3.list_object_versions(Bucket="receipts-reports")["Versions"])


READ_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}]}


def test_a_project_keeps_its_source_commands_and_variables(assembly: Path, functions: FunctionService) -> None:
    """What its builds do is for the world to say, but for whom and with what stands in the template."""
    connection = f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/0f1e2d3c-4b5a-6978-8f9e-0d1c2b3a4958"
    create(
        assembly,
        functions,
        {
            **ROLE,
            "Plan": resource(
                "AWS::CodeBuild::Project",
                Name="receipts-plan",
                ServiceRole=attribute("Role"),
                Artifacts={"Type": "NO_ARTIFACTS"},
                Source={
                    "Type": "GITHUB",
                    "Location": "https://github.com/receipts/infrastructure.git",
                    "Auth": {"Type": "CODECONNECTIONS", "Resource": connection},
                    "BuildSpec": "version: 0.2",
                },
                Environment={
                    "Type": "LINUX_CONTAINER",
                    "ComputeType": "BUILD_GENERAL1_SMALL",
                    "Image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                    "EnvironmentVariables": [{"Name": "DIRECTORY", "Value": "infrastructure"}],
                },
                TimeoutInMinutes=30,
                Tags=[{"Key": "service", "Value": "receipts"}],
            ),
        },
    )

    (project,) = SESSION.client("codebuild").batch_get_projects(names=["receipts-plan"])["projects"]
    assert ("version: 0.2", connection) == (project["source"]["buildspec"], project["source"]["auth"]["resource"])
    assert [{"name": "DIRECTORY", "value": "infrastructure"}] == project["environment"]["environmentVariables"]
    assert 30 == project["timeoutInMinutes"]


def test_both_kinds_of_table_keep_recovery_and_expiry(assembly: Path, functions: FunctionService) -> None:
    """CDK's TableV2 is a GlobalTable with one replica."""
    table = {
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
    }
    recovery = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    replica = {"Region": {"Ref": "AWS::Region"}, "DeletionProtectionEnabled": True, **recovery}
    create(
        assembly,
        functions,
        {
            "One": resource(
                "AWS::DynamoDB::Table", TableName="one", DeletionProtectionEnabled=True, **table, **recovery
            ),
            "Two": resource("AWS::DynamoDB::GlobalTable", TableName="two", Replicas=[replica], **table),
        },
    )

    dynamodb = SESSION.client("dynamodb")
    for name in ("one", "two"):
        assert dynamodb.describe_table(TableName=name)["Table"]["DeletionProtectionEnabled"]
        expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert expiry == {"AttributeName": "ttl", "TimeToLiveStatus": "ENABLED"}
        backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def in_a_vpc(**config: Any) -> dict[str, Any]:
    function = FUNCTION["Function"]
    return FUNCTION | {"Function": function | {"Properties": function["Properties"] | {"VpcConfig": config}}}


def test_a_function_is_in_the_vpc_that_it_says_or_in_none(assembly: Path, functions: FunctionService) -> None:
    """Of what ships, not of a list of ours: it decides what the function reaches. Versions are where it is."""
    config = {"SubnetIds": ["subnet-0a", "subnet-0b"], "SecurityGroupIds": ["sg-0c"]}
    elsewhere = {"Elsewhere": resource("AWS::Lambda::Function", **FUNCTION["Function"]["Properties"])}
    elsewhere["Elsewhere"]["Properties"]["FunctionName"] = "receipts-elsewhere"
    create(assembly, functions, in_a_vpc(**config) | elsewhere)

    where = {(name, version): function.in_vpc for (name, version), function in functions._versions.items()}
    assert {
        ("receipts-claim", "$LATEST"): True,
        ("receipts-claim", "1"): True,
        ("receipts-elsewhere", "$LATEST"): False,
    } == where
    told = SESSION.client("lambda").get_function_configuration(FunctionName="receipts-claim")["VpcConfig"]
    assert config == {name: told[name] for name in config}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"SubnetIds": ["subnet-0a"]},
        {"SubnetIds": ["subnet-0a"], "SecurityGroupIds": []},
        {"SubnetIds": [], "SecurityGroupIds": []},
        {"SubnetIds": ["subnet-0a"], "SecurityGroupIds": ["sg-0c"], "Ipv6AllowedForDualStack": True},
    ],
)
def test_half_a_vpc_is_none(assembly: Path, functions: FunctionService, config: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError, match="Function: the rehearsal knows a VpcConfig of"):
        create(assembly, functions, in_a_vpc(**config))


@pytest.mark.parametrize(
    ("resources", "named"),
    [
        ({"Q": resource("AWS::Kinesis::Stream")}, "Q: type AWS::Kinesis::Stream"),
        ({"Q": resource("AWS::SQS::Queue", Colour="blue")}, "Q: property Colour of AWS::SQS::Queue"),
        (
            {"Q": resource("AWS::SQS::Queue", QueueName={"Fn::ImportValue": "x"})},
            "Q: intrinsic function Fn::ImportValue",
        ),
        ({"Q": {"Type": "AWS::SQS::Queue", "CreationPolicy": {}}}, "Q: CreationPolicy"),
    ],
)
def test_what_is_not_known_is_named_before_anything_is_created(
    assembly: Path, functions: FunctionService, resources: dict[str, Any], named: str
) -> None:
    """A part left out in silence would make the rehearsal evidence of something that does not ship."""
    with pytest.raises(UnsupportedTemplate, match=named):
        create(assembly, functions, {"First": resource("AWS::SQS::Queue", QueueName="first"), **resources})

    assert "QueueUrls" not in SESSION.client("sqs").list_queues()


def test_an_unknown_section_is_named(assembly: Path, functions: FunctionService) -> None:
    with pytest.raises(UnsupportedTemplate, match="section Transform"):
        create(assembly, functions, {}, Transform="AWS::Serverless-2016-10-31")


def test_an_unknown_attribute_is_named(assembly: Path, functions: FunctionService) -> None:
    queue = resource("AWS::SQS::Queue", QueueName="q")
    parameter = resource("AWS::SSM::Parameter", Name="/p", Type="String", Value=attribute("Q", "Depth"))
    with pytest.raises(UnsupportedTemplate, match="Q has no attribute Depth"):
        create(assembly, functions, {"Q": queue, "P": parameter})


def test_conditions_and_defaults_decide_as_in_cloudformation(assembly: Path, functions: FunctionService) -> None:
    SESSION.client("ssm").put_parameter(Name="/image", Value="ami-1", Type="String")
    stack = create(
        assembly,
        functions,
        {
            "Left": resource("AWS::SQS::Queue", QueueName="left") | {"Condition": "InEurope"},
            "Right": resource("AWS::SQS::Queue", QueueName="right") | {"Condition": "Elsewhere"},
            "Image": resource("AWS::SSM::Parameter", Name="/copy", Type="String", Value={"Ref": "Image0"}),
        },
        Conditions={
            "InEurope": {"Fn::Equals": [{"Ref": "AWS::Region"}, REGION]},
            "Elsewhere": {"Fn::Not": [{"Condition": "InEurope"}]},
        },
        Parameters={"Image0": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/image"}},
    )

    assert set(stack.resources) == {"Left", "Image"}
    parameter = SESSION.client("ssm").get_parameter(Name="/copy")
    assert parameter["Parameter"]["Value"] == "ami-1"


def test_the_stack_proves_which_template_it_came_from(assembly: Path, functions: FunctionService) -> None:
    stack = create(assembly, functions, {})
    assert stack.sha256 == hashlib.sha256((assembly / "stack.template.json").read_bytes()).hexdigest()


def test_looking_up_a_name_that_fits_two_resources_is_an_error(assembly: Path, functions: FunctionService) -> None:
    """A scenario that took either of them would sometimes rehearse the wrong one."""
    stack = create(
        assembly,
        functions,
        {name: resource("AWS::SNS::Topic", TopicName=f"{name}-notices") for name in ("one", "two")},
    )
    with pytest.raises(LookupError, match="2 resources"):
        stack.topic("notices")
    assert stack.topic("one-notices").endswith("one-notices")


NO_VALUE = object()
KNOWN = {"Queue": "url", "AWS::NoValue": NO_VALUE, "AWS::Region": REGION}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Fn::Sub": "${AWS::Region}/${Queue.Arn}/${!Literal}/${own}"}, None),
        ({"Fn::Sub": ["${AWS::Region}/${Queue.Arn}/${!Literal}/${own}", {"own": {"Ref": "Queue"}}]},
         "eu-west-1/Queue.Arn/${Literal}/url"),
        ({"Fn::Select": [1, {"Fn::Split": [":", "a:b:c"]}]}, "b"),
        ({"Fn::If": ["Yes", [1, {"Ref": "AWS::NoValue"}], 2]}, [1]),
        ({"a": {"Ref": "AWS::NoValue"}, "b": {"Fn::GetAtt": "Queue.Nested.Arn"}}, {"b": "Queue.Nested.Arn"}),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": "1"}}},
         {"Condition": {"StringEquals": {"aws:SourceAccount": "1"}}}),
    ],
)  # fmt: skip
def test_intrinsic_functions_are_computed_at_any_depth(value: Any, expected: Any) -> None:
    conditions = {
        "Yes": {
            "Fn::And": [{"Fn::Equals": ["a", "a"]}, {"Fn::Or": [{"Fn::Equals": ["a", "b"]}, {"Fn::Equals": [1, 1]}]}]
        }
    }
    intrinsics = Intrinsics(KNOWN.__getitem__, lambda name, attribute: f"{name}.{attribute}", conditions, NO_VALUE)
    if expected is None:
        with pytest.raises(KeyError, match="own"):
            intrinsics.resolve(value)
    else:
        assert intrinsics.resolve(value) == expected


def test_an_intrinsic_that_is_not_known_is_named() -> None:
    intrinsics = Intrinsics(KNOWN.__getitem__, lambda *_: "", {}, NO_VALUE)
    with pytest.raises(UnknownIntrinsic, match="Fn::Base64"):
        intrinsics.resolve({"UserData": {"Fn::Base64": "x"}})
