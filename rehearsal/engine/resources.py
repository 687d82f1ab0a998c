"""How each resource type is created: the CloudFormation properties that it handles, and the boto3 calls they become."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

import boto3

from rehearsal.engine.functions import FunctionService

Properties = dict[str, Any]

NOT_BILLED = "nothing is billed in a rehearsal"
NOT_TRACED = "nothing records traces in a rehearsal"


@dataclass(frozen=True)
class Created:
    """`physical_id` is what Ref gives, `attributes` what GetAtt gives."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """A resource to create; only properties that its type handles are in `properties`."""

    logical_id: str
    properties: Properties

    def __getitem__(self, name: str) -> Any:
        return self.properties[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Read a property; `default` when the template does not set it."""
        return self.properties.get(name, default)

    def some(self, *names: str) -> Properties:
        """Those of the properties that are set, to be passed on under the same name."""
        return {name: self.properties[name] for name in names if name in self.properties}


@dataclass(frozen=True)
class Assets:
    """The folders behind the object keys of a stack's asset manifest."""

    folders: Mapping[str, Path]

    @classmethod
    def read(cls, assembly: Path, stack_name: str) -> Self:
        """Read the manifest that CDK wrote beside the stack's template."""
        manifest = json.loads((assembly / f"{stack_name}.assets.json").read_text())
        return cls(
            {
                destination["objectKey"]: assembly / asset["source"]["path"]
                for asset in manifest.get("files", {}).values()
                for destination in asset["destinations"].values()
            }
        )

    def folder(self, code: Mapping[str, Any]) -> Path:
        """Where a function's or layer's `Code` lies, unpacked, in the assembly."""
        return self.folders[code["S3Key"]]


@dataclass
class Maker:
    """What resources are made with."""

    stack_name: str
    session: boto3.Session
    functions: FunctionService
    assets: Assets
    account: str
    region: str
    layer_folders: dict[str, Path] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Make one boto3 client per service, and give the same one again."""
        if service not in self._clients:
            self._clients[service] = self.session.client(service)
        return self._clients[service]

    def name(self, wanted: Wanted, name_property: str, longest: int = 64) -> str:
        """The name that the template gives, or one like CloudFormation's, but the same in every run."""
        name = str(wanted.get(name_property) or f"{self.stack_name}-{wanted.logical_id}")
        if len(name) <= longest:
            return name
        return f"{name[: longest - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    def arn(self, service: str, resource: str) -> str:
        """Build an ARN that the API does not answer; `resource` has its type in front where AWS's ARN has."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


Create = Callable[[Wanted, Maker], Created]


@dataclass(frozen=True)
class ResourceType:
    """A property that is in neither list makes the template unsupported: nothing may be lost in silence."""

    create: Create
    handles: frozenset[str]
    ignores: Mapping[str, str]
    """Property and the reason why a rehearsal can do without it."""

    @property
    def known(self) -> frozenset[str]:
        """Every property that a template may set without being refused."""
        return self.handles | self.ignores.keys()


RESOURCE_TYPES: dict[str, ResourceType] = {}


def creates(
    *types: str, handles: Iterable[str], ignores: Mapping[str, str] | None = None
) -> Callable[[Create], Create]:
    """Register the decorated function for these types; it will find nothing in `Wanted` but what it `handles`."""

    def register(create: Create) -> Create:
        for name in types:
            RESOURCE_TYPES[name] = ResourceType(create, frozenset(handles), ignores or {})
        return create

    return register


def pairs(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Turn CloudFormation's list of tags into a mapping."""
    return {tag["Key"]: tag["Value"] for tag in tags or []}


def document(value: Any) -> str:
    """Write as text what CloudFormation lets one write as an object."""
    return value if isinstance(value, str) else json.dumps(value)


@cache
def empty_zip() -> bytes:
    """Satisfy moto, which wants a package; ours runs from its folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("app.py", "")
    return buffer.getvalue()


@creates("AWS::CDK::Metadata", handles=[], ignores={"Analytics": "CDK's own usage report"})
def cdk_metadata(wanted: Wanted, _: Maker) -> Created:
    """Nothing to create: it only tells AWS which constructs a stack was made with."""
    return Created(wanted.logical_id)


TABLE_PROPERTIES = {
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "SSESpecification",
    "StreamSpecification",
    "TableName",
    "TimeToLiveSpecification",
}
REPLICA_PROPERTIES = {"DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "TableClass", "Tags"}


@creates(
    "AWS::DynamoDB::Table",
    handles=TABLE_PROPERTIES | REPLICA_PROPERTIES | {"ProvisionedThroughput"},
    ignores={"ContributorInsightsSpecification": "nobody looks at usage in a rehearsal"},
)
def dynamodb_table(wanted: Wanted, make: Maker) -> Created:
    """Expiry and backups are set by calls of their own, and encryption is spelt otherwise, than in the template."""
    dynamodb = make.client("dynamodb")
    request = wanted.some(*(TABLE_PROPERTIES | REPLICA_PROPERTIES | {"ProvisionedThroughput"}))
    time_to_live = request.pop("TimeToLiveSpecification", None)
    recovery = request.pop("PointInTimeRecoverySpecification", None)
    name = request["TableName"] = make.name(wanted, "TableName", 255)
    if encryption := request.pop("SSESpecification", None):
        enabled = encryption.pop("SSEEnabled")
        request["SSESpecification"] = encryption | {"Enabled": enabled}
    if "StreamSpecification" in request:
        request["StreamSpecification"]["StreamEnabled"] = True
    described = dynamodb.create_table(**request)["TableDescription"]
    if time_to_live:
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=time_to_live)
    if recovery:
        dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
    attributes = {"Arn": described["TableArn"], "TableId": described.get("TableId")}
    return Created(name, attributes | {"StreamArn": described.get("LatestStreamArn")})


@creates("AWS::DynamoDB::GlobalTable", handles=TABLE_PROPERTIES | {"Replicas"})
def dynamodb_global_table(wanted: Wanted, make: Maker) -> Created:
    """CDK's TableV2: settings of the one replica are those of the table."""
    [replica] = wanted["Replicas"]
    if extra := replica.keys() - REPLICA_PROPERTIES - {"Region"}:
        raise NotImplementedError(f"{wanted.logical_id}: the rehearsal does not know {sorted(extra)} of a replica")
    properties = wanted.some(*TABLE_PROPERTIES) | {k: v for k, v in replica.items() if k != "Region"}
    return dynamodb_table(Wanted(wanted.logical_id, properties), make)


@creates(
    "AWS::IAM::Role",
    handles=[
        "AssumeRolePolicyDocument",
        "Description",
        "ManagedPolicyArns",
        "MaxSessionDuration",
        "Path",
        "PermissionsBoundary",
        "Policies",
        "RoleName",
        "Tags",
    ],
)
def iam_role(wanted: Wanted, make: Maker) -> Created:
    """Ref gives the name, not the ARN."""
    iam = make.client("iam")
    name = make.name(wanted, "RoleName")
    passed_on = wanted.some("Description", "MaxSessionDuration", "Path", "PermissionsBoundary", "Tags")
    trust = document(wanted["AssumeRolePolicyDocument"])
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **passed_on)["Role"]
    for policy in wanted.get("Policies", []):
        iam.put_role_policy(
            RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document(policy["PolicyDocument"])
        )
    for policy_arn in wanted.get("ManagedPolicyArns", []):
        attach(iam, name, policy_arn)
    return Created(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})


def attach(iam: Any, role_name: str, policy_arn: str) -> None:
    """Raise LookupError, with what to do, for a policy of AWS's own when moto was started without them."""
    try:
        iam.attach_role_policy(RoleName=role_name, PolicyArn=policy_arn)
    except iam.exceptions.NoSuchEntityException as error:
        hint = "AWS's own policies are in moto only with mock_aws(config={'iam': {'load_aws_managed_policies': True}})"
        raise LookupError(f"{role_name} has the policy {policy_arn}, which does not exist. {hint}") from error


@creates("AWS::IAM::Policy", handles=["PolicyName", "PolicyDocument", "Roles"])
def iam_policy(wanted: Wanted, make: Maker) -> Created:
    """Has no identity of its own: it becomes an inline policy of each role that it names."""
    for role in wanted["Roles"]:
        make.client("iam").put_role_policy(
            RoleName=role, PolicyName=wanted["PolicyName"], PolicyDocument=document(wanted["PolicyDocument"])
        )
    return Created(wanted["PolicyName"])


@creates("AWS::IAM::ManagedPolicy", handles=["ManagedPolicyName", "PolicyDocument", "Roles", "Description", "Path"])
def iam_managed_policy(wanted: Wanted, make: Maker) -> Created:
    """Ref gives the ARN, unlike that of an inline policy."""
    iam = make.client("iam")
    policy = iam.create_policy(
        PolicyName=make.name(wanted, "ManagedPolicyName", 128),
        PolicyDocument=document(wanted["PolicyDocument"]),
        **wanted.some("Description", "Path"),
    )["Policy"]
    for role in wanted.get("Roles", []):
        attach(iam, role, policy["Arn"])
    return Created(policy["Arn"], {"PolicyArn": policy["Arn"], "PolicyId": policy["PolicyId"]})


@creates(
    "AWS::Lambda::LayerVersion",
    handles=["Content", "LayerName", "Description", "CompatibleRuntimes", "CompatibleArchitectures"],
    ignores={"LicenseInfo": "for people"},
)
def lambda_layer_version(wanted: Wanted, make: Maker) -> Created:
    """Publish it in moto for its ARN; functions load the folder, which is remembered under that ARN."""
    arn = make.client("lambda").publish_layer_version(
        LayerName=make.name(wanted, "LayerName", 140),
        Content={"ZipFile": empty_zip()},
        **wanted.some("Description", "CompatibleRuntimes", "CompatibleArchitectures"),
    )["LayerVersionArn"]
    make.layer_folders[arn] = make.assets.folder(wanted["Content"])
    return Created(arn, {"LayerVersionArn": arn})


@creates(
    "AWS::Lambda::Function",
    handles=[
        "Architectures",
        "Code",
        "Description",
        "Environment",
        "FunctionName",
        "Handler",
        "Layers",
        "MemorySize",
        "ReservedConcurrentExecutions",
        "Role",
        "Runtime",
        "Tags",
        "Timeout",
        "TracingConfig",
        "VpcConfig",
    ],
    ignores={"LoggingConfig": "a function's lines go to a file of its own"},
)
def lambda_function(wanted: Wanted, make: Maker) -> Created:
    """Describe it in moto, which answers for its configuration, and deploy its folder, which is what runs."""
    client, in_vpc = make.client("lambda"), is_in_vpc(wanted)
    name = make.name(wanted, "FunctionName")
    timeout_seconds, memory_megabytes = int(wanted.get("Timeout", 3)), int(wanted.get("MemorySize", 128))
    passed_on = wanted.some(
        "Architectures",
        "Description",
        "Environment",
        "Handler",
        "Layers",
        "Role",
        "Runtime",
        "TracingConfig",
        "VpcConfig",
    )
    arn = client.create_function(
        FunctionName=name,
        Code={"ZipFile": empty_zip()},
        Timeout=timeout_seconds,
        MemorySize=memory_megabytes,
        Tags=pairs(wanted.get("Tags")),
        **passed_on,
    )["FunctionArn"]
    if "ReservedConcurrentExecutions" in wanted.properties:
        reserved = int(wanted["ReservedConcurrentExecutions"])
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
    make.functions.create(
        name,
        make.assets.folder(wanted["Code"]),
        [make.layer_folders[layer] for layer in wanted.get("Layers", [])],
        wanted["Handler"],
        wanted.get("Environment", {}).get("Variables", {}),
        timeout_seconds,
        memory_megabytes,
        in_vpc=in_vpc,
    )
    return Created(name, {"Arn": arn})


def is_in_vpc(wanted: Wanted) -> bool:
    """An empty list would take the function out of the VPC again, and nobody writes that on purpose."""
    if "VpcConfig" not in wanted.properties:
        return False
    config = wanted["VpcConfig"]
    if config.keys() != {"SubnetIds", "SecurityGroupIds"} or not all(config.values()):
        raise NotImplementedError(
            f"{wanted.logical_id}: the rehearsal knows a VpcConfig of SubnetIds and SecurityGroupIds only: {config}"
        )
    return True


@creates(
    "AWS::Lambda::Version",
    handles=["FunctionName", "Description"],
    ignores={"CodeSha256": "one deployment of the template cannot publish other code than its own"},
)
def lambda_version(wanted: Wanted, make: Maker) -> Created:
    """Publish in moto and in our service, which runs that version; Ref gives the ARN with the number."""
    published = make.client("lambda").publish_version(FunctionName=wanted["FunctionName"], **wanted.some("Description"))
    make.functions.publish(published["FunctionName"], published["Version"])
    attributes = {"FunctionArn": published["FunctionArn"], "Version": published["Version"]}
    return Created(published["FunctionArn"], attributes)


@creates(
    "AWS::Lambda::Permission",
    handles=[
        "Action",
        "EventSourceToken",
        "FunctionName",
        "FunctionUrlAuthType",
        "InvokedViaFunctionUrl",
        "Principal",
        "PrincipalOrgID",
        "SourceAccount",
        "SourceArn",
    ],
)
def lambda_permission(wanted: Wanted, make: Maker) -> Created:
    """Properties have the API's names already; only the statement's id is missing."""
    make.client("lambda").add_permission(StatementId=wanted.logical_id[-100:], **wanted.properties)
    return Created(wanted.logical_id, {"Id": wanted.logical_id})


@creates("AWS::Lambda::Url", handles=["AuthType", "TargetFunctionArn"])
def lambda_url(wanted: Wanted, make: Maker) -> Created:
    """Of the function itself, not of a version; `function_urls` answers who sends a request there."""
    function = wanted["TargetFunctionArn"]
    made = make.client("lambda").create_function_url_config(FunctionName=function, AuthType=wanted["AuthType"])
    return Created(made["FunctionArn"], {"FunctionArn": made["FunctionArn"], "FunctionUrl": f"{made['FunctionUrl']}/"})


@creates(
    "AWS::Lambda::EventInvokeConfig",
    handles=["FunctionName", "Qualifier", "MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"],
)
def lambda_event_invoke_config(wanted: Wanted, make: Maker) -> Created:
    """Retries and the on-failure destination, which our service follows for asynchronous events."""
    make.client("lambda").put_function_event_invoke_config(**wanted.properties)
    return Created(wanted.logical_id)


@creates(
    "AWS::Logs::LogGroup",
    handles=["LogGroupName", "RetentionInDays", "KmsKeyId", "Tags"],
    ignores={"LogGroupClass": NOT_BILLED},
)
def logs_log_group(wanted: Wanted, make: Maker) -> Created:
    """GetAtt gives an ARN that ends in `:*`, as CloudFormation does."""
    logs = make.client("logs")
    name = make.name(wanted, "LogGroupName", 512)
    encryption = {"kmsKeyId": wanted["KmsKeyId"]} if wanted.get("KmsKeyId") else {}
    tags = {"tags": pairs(wanted["Tags"])} if wanted.get("Tags") else {}
    logs.create_log_group(logGroupName=name, **tags, **encryption)
    if "RetentionInDays" in wanted.properties:
        logs.put_retention_policy(logGroupName=name, retentionInDays=int(wanted["RetentionInDays"]))
    return Created(name, {"Arn": make.arn("logs", f"log-group:{name}:*")})


@creates(
    "AWS::StepFunctions::StateMachine",
    handles=["DefinitionString", "LoggingConfiguration", "RoleArn", "StateMachineName", "StateMachineType", "Tags"],
    ignores={"TracingConfiguration": NOT_TRACED},
)
def states_state_machine(wanted: Wanted, make: Maker) -> Created:
    """Pass the definition on as text, unread: what is rehearsed is what ships."""
    name = make.name(wanted, "StateMachineName", 80)
    arn = make.client("stepfunctions").create_state_machine(
        name=name,
        definition=document(wanted["DefinitionString"]),
        roleArn=wanted["RoleArn"],
        type=wanted.get("StateMachineType", "STANDARD"),
        tags=[{"key": key, "value": value} for key, value in pairs(wanted.get("Tags")).items()],
        **logging_configuration(wanted),
    )["stateMachineArn"]
    return Created(arn, {"Arn": arn, "Name": name})


def logging_configuration(wanted: Wanted) -> Properties:
    """Write LoggingConfiguration in the API's spelling, as an argument; none when the template has none."""
    configuration = wanted.get("LoggingConfiguration")
    if not configuration:
        return {}
    names = {"Level": "level", "IncludeExecutionData": "includeExecutionData"}
    logging = {names[key]: value for key, value in configuration.items() if key != "Destinations"}
    logging["destinations"] = [
        {"cloudWatchLogsLogGroup": {"logGroupArn": destination["CloudWatchLogsLogGroup"]["LogGroupArn"]}}
        for destination in configuration.get("Destinations", [])
    ]
    return {"loggingConfiguration": logging}


@creates("AWS::SNS::Topic", handles=["TopicName", "DisplayName", "KmsMasterKeyId", "Tags"])
def sns_topic(wanted: Wanted, make: Maker) -> Created:
    """Ref gives the ARN, not the name."""
    name = make.name(wanted, "TopicName", 256)
    attributes = wanted.some("DisplayName", "KmsMasterKeyId")
    arn = make.client("sns").create_topic(Name=name, Attributes=attributes, Tags=wanted.get("Tags", []))["TopicArn"]
    return Created(arn, {"TopicArn": arn, "TopicName": name})


@creates("AWS::SNS::TopicPolicy", handles=["PolicyDocument", "Topics"])
def sns_topic_policy(wanted: Wanted, make: Maker) -> Created:
    """Set as an attribute of every topic that it names."""
    for topic in wanted["Topics"]:
        make.client("sns").set_topic_attributes(
            TopicArn=topic, AttributeName="Policy", AttributeValue=document(wanted["PolicyDocument"])
        )
    return Created(wanted.logical_id)


@creates(
    "AWS::SNS::Subscription",
    handles=["TopicArn", "Protocol", "Endpoint", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery"],
)
def sns_subscription(wanted: Wanted, make: Maker) -> Created:
    """Insist on the ARN: until an address confirms, AWS answers with a text instead of it."""
    attributes = {
        name: document(value)
        for name, value in wanted.some("FilterPolicy", "FilterPolicyScope", "RawMessageDelivery").items()
    }
    arn = make.client("sns").subscribe(
        **wanted.some("TopicArn", "Protocol", "Endpoint"), Attributes=attributes, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    return Created(arn, {"Arn": arn})


QUEUE_ATTRIBUTES = [
    "ContentBasedDeduplication",
    "DelaySeconds",
    "FifoQueue",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
]


@creates("AWS::SQS::Queue", handles=[*QUEUE_ATTRIBUTES, "QueueName", "Tags"])
def sqs_queue(wanted: Wanted, make: Maker) -> Created:
    """Ref gives the URL, not the name."""
    name = make.name(wanted, "QueueName", 80)
    attributes = {name: document(value) for name, value in wanted.some(*QUEUE_ATTRIBUTES).items()}
    url = make.client("sqs").create_queue(QueueName=name, Attributes=attributes, tags=pairs(wanted.get("Tags")))[
        "QueueUrl"
    ]
    return Created(url, {"Arn": make.arn("sqs", name), "QueueName": name, "QueueUrl": url})


@creates("AWS::SQS::QueuePolicy", handles=["PolicyDocument", "Queues"])
def sqs_queue_policy(wanted: Wanted, make: Maker) -> Created:
    """Set as an attribute of every queue that it names, by URL."""
    for url in wanted["Queues"]:
        make.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(wanted["PolicyDocument"])})
    return Created(wanted.logical_id)


@creates(
    "AWS::Events::Rule",
    handles=[
        "Description",
        "EventBusName",
        "EventPattern",
        "Name",
        "RoleArn",
        "ScheduleExpression",
        "State",
        "Tags",
        "Targets",
    ],
)
def events_rule(wanted: Wanted, make: Maker) -> Created:
    """Targets are put by a call of their own, which refuses what the event bus cannot serve."""
    events = make.client("events")
    name = make.name(wanted, "Name")
    bus = wanted.some("EventBusName")
    request = wanted.some("Description", "RoleArn", "ScheduleExpression", "State", "Tags") | bus
    if "EventPattern" in wanted.properties:
        request["EventPattern"] = document(wanted["EventPattern"])
    arn = events.put_rule(Name=name, **request)["RuleArn"]
    if wanted.get("Targets"):
        events.put_targets(Rule=name, Targets=wanted["Targets"], **bus)
    return Created(name, {"Arn": arn})


@creates(
    "AWS::Events::EventBus", handles=["DeadLetterConfig", "Description", "KmsKeyIdentifier", "Name", "Policy", "Tags"]
)
def events_event_bus(wanted: Wanted, make: Maker) -> Created:
    """A policy may be a part of it, or a resource of its own."""
    events = make.client("events")
    name = make.name(wanted, "Name", 256)
    arn = events.create_event_bus(
        Name=name, **wanted.some("DeadLetterConfig", "Description", "KmsKeyIdentifier", "Tags")
    )["EventBusArn"]
    if "Policy" in wanted.properties:
        events.put_permission(EventBusName=name, Policy=document(wanted["Policy"]))
    return Created(name, {"Arn": arn, "Name": name})


@creates("AWS::Events::EventBusPolicy", handles=["EventBusName", "Statement", "StatementId"])
def events_event_bus_policy(wanted: Wanted, make: Maker) -> Created:
    """One statement, which CloudFormation adds to those that the bus has. moto keeps it for who asks."""
    events = make.client("events")
    known = json.loads(events.describe_event_bus(Name=wanted["EventBusName"]).get("Policy", "{}"))
    statements = [each for each in known.get("Statement", []) if each.get("Sid") != wanted["StatementId"]]
    statement = {"Sid": wanted["StatementId"], **wanted["Statement"]}
    policy = {"Version": "2012-10-17", "Statement": [*statements, statement]}
    events.put_permission(EventBusName=wanted["EventBusName"], Policy=json.dumps(policy))
    return Created(wanted.logical_id)


@creates(
    "AWS::Events::Archive",
    handles=["ArchiveName", "Description", "EventPattern", "RetentionDays", "SourceArn"],
    ignores={"KmsKeyIdentifier": "moto keeps nothing encrypted"},
)
def events_archive(wanted: Wanted, make: Maker) -> Created:
    """Keep what comes to a bus; nothing lives long enough to expire, and no scenario replays."""
    name = make.name(wanted, "ArchiveName", 48)
    request = {
        "ArchiveName": name,
        "EventSourceArn": wanted["SourceArn"],
        **wanted.some("Description", "RetentionDays"),
    }
    if "EventPattern" in wanted.properties:
        request["EventPattern"] = document(wanted["EventPattern"])
    return Created(name, {"Arn": make.client("events").create_archive(**request)["ArchiveArn"]})


@creates("AWS::IAM::OIDCProvider", handles=["ClientIdList", "Tags", "ThumbprintList", "Url"])
def iam_oidc_provider(wanted: Wanted, make: Maker) -> Created:
    """Whom a role may trust that comes from outside AWS; in a rehearsal nobody does. Ref gives the ARN."""
    passed_on = wanted.some("Tags") | {"ClientIDList": wanted.get("ClientIdList", [])}
    arn = make.client("iam").create_open_id_connect_provider(
        Url=wanted["Url"], ThumbprintList=wanted.get("ThumbprintList", []), **passed_on
    )["OpenIDConnectProviderArn"]
    return Created(arn, {"Arn": arn})


ALARM_PROPERTIES = [
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Metrics",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Tags",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
]


@creates("AWS::CloudWatch::Alarm", handles=[*ALARM_PROPERTIES, "AlarmName"])
def cloudwatch_alarm(wanted: Wanted, make: Maker) -> Created:
    """Properties have the API's names; what could not be evaluated is refused by the request."""
    name = make.name(wanted, "AlarmName", 255)
    make.client("cloudwatch").put_metric_alarm(AlarmName=name, **wanted.some(*ALARM_PROPERTIES))
    return Created(name, {"Arn": make.arn("cloudwatch", f"alarm:{name}")})


COMPOSITE_ALARM_PROPERTIES = [
    "ActionsEnabled",
    "ActionsSuppressor",
    "ActionsSuppressorExtensionPeriod",
    "ActionsSuppressorWaitPeriod",
    "AlarmActions",
    "AlarmDescription",
    "AlarmRule",
    "InsufficientDataActions",
    "OKActions",
    "Tags",
]


@creates("AWS::CloudWatch::CompositeAlarm", handles=[*COMPOSITE_ALARM_PROPERTIES, "AlarmName"])
def cloudwatch_composite_alarm(wanted: Wanted, make: Maker) -> Created:
    """Properties have the API's names."""
    name = make.name(wanted, "AlarmName", 255)
    make.client("cloudwatch").put_composite_alarm(AlarmName=name, **wanted.some(*COMPOSITE_ALARM_PROPERTIES))
    return Created(name, {"Arn": make.arn("cloudwatch", f"alarm:{name}")})


@creates("AWS::CloudWatch::Dashboard", handles=["DashboardBody", "DashboardName"])
def cloudwatch_dashboard(wanted: Wanted, make: Maker) -> Created:
    """Nobody looks at it in a rehearsal; that its body is JSON is all that can be told."""
    name = make.name(wanted, "DashboardName", 255)
    make.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=document(wanted["DashboardBody"]))
    return Created(name)


@creates("AWS::SSM::Parameter", handles=["Name", "Type", "Value", "Description", "Tier", "AllowedPattern", "Tags"])
def ssm_parameter(wanted: Wanted, make: Maker) -> Created:
    """Tags are a mapping here, as nowhere else in CloudFormation."""
    name = make.name(wanted, "Name", 1011)
    tags = [{"Key": key, "Value": value} for key, value in (wanted.get("Tags") or {}).items()]
    passed_on = wanted.some("Type", "Value", "Description", "Tier", "AllowedPattern")
    make.client("ssm").put_parameter(Name=name, Tags=tags, **passed_on)
    return Created(name, wanted.some("Type", "Value"))


@creates(
    "AWS::KMS::Key",
    handles=["Description", "EnableKeyRotation", "KeyPolicy", "KeySpec", "KeyUsage", "MultiRegion", "Tags"],
    ignores={
        "PendingWindowInDays": "a rehearsal deletes nothing",
        "RotationPeriodInDays": "nothing lives long enough to rotate",
    },
)
def kms_key(wanted: Wanted, make: Maker) -> Created:
    """Ref gives the id, not the ARN."""
    kms = make.client("kms")
    tags = [{"TagKey": key, "TagValue": value} for key, value in pairs(wanted.get("Tags")).items()]
    passed_on = wanted.some("Description", "KeySpec", "KeyUsage", "MultiRegion")
    key = kms.create_key(Policy=document(wanted["KeyPolicy"]), Tags=tags, **passed_on)["KeyMetadata"]
    if wanted.get("EnableKeyRotation"):
        kms.enable_key_rotation(KeyId=key["KeyId"])
    return Created(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]})


@creates("AWS::KMS::Alias", handles=["AliasName", "TargetKeyId"])
def kms_alias(wanted: Wanted, make: Maker) -> Created:
    """Its name begins with "alias/", as in the API."""
    make.client("kms").create_alias(AliasName=wanted["AliasName"], TargetKeyId=wanted["TargetKeyId"])
    return Created(wanted["AliasName"])


@creates(
    "AWS::S3::Bucket",
    handles=["BucketEncryption", "BucketName", "PublicAccessBlockConfiguration", "Tags", "VersioningConfiguration"],
    ignores={
        "LifecycleConfiguration": "nothing lives long enough to expire",
        "LoggingConfiguration": "nobody reads access logs of a rehearsal",
        "OwnershipControls": "there is one account",
    },
)
def s3_bucket(wanted: Wanted, make: Maker) -> Created:
    """Each part of the configuration is a call of its own."""
    s3 = make.client("s3")
    name = make.name(wanted, "BucketName", 63).lower()
    location = {} if make.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": make.region}}
    s3.create_bucket(Bucket=name, **location)
    if block := wanted.get("PublicAccessBlockConfiguration"):
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    if versioning := wanted.get("VersioningConfiguration"):
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=versioning)
    if encryption := wanted.get("BucketEncryption"):
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": encryption_rules(encryption)})
    if tags := wanted.get("Tags"):
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    domain = f"{name}.s3.{make.region}.amazonaws.com"
    return Created(name, {"Arn": f"arn:aws:s3:::{name}", "RegionalDomainName": domain})


@creates("AWS::S3::BucketPolicy", handles=["Bucket", "PolicyDocument"])
def s3_bucket_policy(wanted: Wanted, make: Maker) -> Created:
    """Keep it for who asks: a rehearsal judges the policies of those who send requests, not of what they reach."""
    make.client("s3").put_bucket_policy(Bucket=wanted["Bucket"], Policy=document(wanted["PolicyDocument"]))
    return Created(wanted.logical_id)


def encryption_rules(encryption: Properties) -> list[Properties]:
    """CloudFormation and the API name the same thing differently."""
    renamed = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    return [
        {renamed.get(name, name): value for name, value in rule.items()}
        for rule in encryption["ServerSideEncryptionConfiguration"]
    ]


PROJECT_PROPERTIES = [
    "Artifacts",
    "Cache",
    "ConcurrentBuildLimit",
    "Description",
    "EncryptionKey",
    "Environment",
    "LogsConfig",
    "QueuedTimeoutInMinutes",
    "ServiceRole",
    "Source",
    "SourceVersion",
    "TimeoutInMinutes",
]


@creates(
    "AWS::CodeBuild::Project",
    handles=["Name", "Tags", *PROJECT_PROPERTIES],
    ignores={"Visibility": "nobody looks at it from outside"},
)
def codebuild_project(wanted: Wanted, make: Maker) -> Created:
    """Names are the API's but for their first letter; what its builds do is said by the world."""
    name = make.name(wanted, "Name", 150)
    tags = {"tags": [{"key": key, "value": value} for key, value in pairs(wanted.get("Tags")).items()]}
    passed_on = _in_camel_case(wanted.some(*PROJECT_PROPERTIES))
    arn = make.client("codebuild").create_project(name=name, **passed_on, **tags)["project"]["arn"]
    return Created(name, {"Arn": arn})


def _in_camel_case(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_camel_case(each) for each in value]
    if not isinstance(value, dict):
        return value
    own = {"BuildSpec": "buildspec"}
    return {own.get(name, name[0].lower() + name[1:]): _in_camel_case(each) for name, each in value.items()}
