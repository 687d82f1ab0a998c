"""
Which permissions a request needs on AWS: a table by hand, of the requests that Runback makes.

From the Service Authorization Reference, https://docs.aws.amazon.com/service-authorization/latest/reference/, and where
a request needs more than its own action, from the user guide that says so. A request that is not in the table needs
nobody knows what, so it is never allowed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Parameters = Mapping[str, Any]
NO_RESOURCE = "*"
"""For an action that AWS knows no resource for: only a policy on everything allows it."""


@dataclass(frozen=True)
class Need:
    """
    One permission: an action on an ARN, with what the request's context says about it beyond who asks.

    A star in an ARN stands for an id that nobody knows before: a policy must allow whichever it will be.
    """

    action: str
    resource: str = NO_RESOURCE
    context: Mapping[str, str] = field(default_factory=dict)


class Account(Protocol):
    """What has to be known of the account, because no parameter says it."""

    region: str
    account: str

    def launch_template_data(self, template_id: str, version: str) -> Mapping[str, Any]:
        """Return what DescribeLaunchTemplateVersions says of a version: a number, "$Latest" or "$Default"."""
        ...

    def role_of_profile(self, profile: Mapping[str, str]) -> str:
        """Return the ARN of the role in an instance profile, which is given by its Arn or its Name."""
        ...

    def tags_of_rule(self, arn: str) -> Mapping[str, str]:
        """Return how a listener's rule is tagged, or was when it was deleted."""
        ...


class UnknownNeeds(Exception):
    """Nobody has said what a request needs; the message names it."""


Needs = Callable[[Parameters, Account], Iterable[Need]]


def needs_of(service: str, operation: str, parameters: Parameters, account: Account) -> list[Need]:
    """
    Return all permissions that a request needs; services and operations are named as boto3 does.

    Raises UnknownNeeds for one that is not in the table, or that the table does not understand.
    """
    if (service, operation) not in TABLE:
        raise UnknownNeeds(f"nobody has said in rehearsal/engine/needs.py what {service}:{operation} needs")
    try:
        return list(TABLE[service, operation](parameters, account))
    except KeyError as missing:
        raise UnknownNeeds(f"what {service}:{operation} needs cannot be told without {missing}") from missing


def _everything(action: str) -> Needs:
    return lambda _parameters, _account: [Need(action)]


def _arn_in(parameter: str, action: str) -> Needs:
    """Return the need of a request that names its resource by ARN."""
    return lambda parameters, _: [Need(action, parameters[parameter])]


def _group(operation: str) -> Needs:
    return lambda parameters, account: [Need(f"autoscaling:{operation}", _group_arn(parameters, account))]


def _group_arn(parameters: Parameters, account: Account) -> str:
    name = parameters["AutoScalingGroupName"]
    return _arn(account, "autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name}")


def _alarms(_parameters: Parameters, account: Account) -> Iterator[Need]:
    yield Need("cloudwatch:DescribeAlarms", _arn(account, "cloudwatch", "alarm:*"))


def _update_group(parameters: Parameters, account: Account) -> Iterator[Need]:
    yield Need("autoscaling:UpdateAutoScalingGroup", _group_arn(parameters, account))
    if "LaunchTemplate" in parameters:
        yield from _launch(parameters["LaunchTemplate"], account)


def _start_refresh(parameters: Parameters, account: Account) -> Iterator[Need]:
    yield Need("autoscaling:StartInstanceRefresh", _group_arn(parameters, account))
    wanted = parameters.get("DesiredConfiguration", {})
    if "LaunchTemplate" in wanted:
        yield from _launch(wanted["LaunchTemplate"], account)


def _launch(template: Mapping[str, str], account: Account) -> Iterator[Need]:
    """
    Yield what launching from a template needs: whoever gives one to a group must be allowed to do so himself.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
    """
    identifier = template["LaunchTemplateId"]
    arn = _arn(account, "ec2", f"launch-template/{identifier}")
    data = account.launch_template_data(identifier, template.get("Version", "$Default"))
    for resource in (arn, *_parts_of_instance(data, account)):
        yield Need("ec2:RunInstances", resource, {"ec2:LaunchTemplate": arn})
    for tagged in data.get("TagSpecifications", []):
        resource = _arn(account, "ec2", f"{tagged['ResourceType']}/*")
        yield Need("ec2:CreateTags", resource, {"ec2:CreateAction": "RunInstances"})
    if "IamInstanceProfile" in data:
        role = account.role_of_profile(data["IamInstanceProfile"])
        yield Need("iam:PassRole", role, {"iam:PassedToService": "ec2.amazonaws.com"})


def _parts_of_instance(data: Mapping[str, Any], account: Account) -> Iterator[str]:
    for kind in ("instance", "network-interface", "subnet", "volume"):
        yield _arn(account, "ec2", f"{kind}/*")
    for group in _security_groups(data) or ["*"]:
        yield _arn(account, "ec2", f"security-group/{group}")
    if "ImageId" in data:
        yield f"arn:aws:ec2:{account.region}::image/{data['ImageId']}"
    for mapping in data.get("BlockDeviceMappings", []):
        if "SnapshotId" in mapping.get("Ebs", {}):
            yield f"arn:aws:ec2:{account.region}::snapshot/{mapping['Ebs']['SnapshotId']}"
    if "KeyName" in data:
        yield _arn(account, "ec2", f"key-pair/{data['KeyName']}")


def _security_groups(data: Mapping[str, Any]) -> list[str]:
    """Return those that a template names itself or for one of its network interfaces."""
    of_interfaces = [group for each in data.get("NetworkInterfaces", []) for group in each.get("Groups", [])]
    return [*data.get("SecurityGroupIds", []), *of_interfaces]


def _create_rule(parameters: Parameters, _: Account) -> Iterator[Need]:
    """Yield a permission for the listener, and one of its own for tags of the rule, whose id is not known before."""
    listener = parameters["ListenerArn"]
    yield Need("elasticloadbalancing:CreateRule", listener)
    if parameters.get("Tags"):
        rule = listener.replace(":listener/", ":listener-rule/") + "/*"
        yield Need("elasticloadbalancing:AddTags", rule, {"elasticloadbalancing:CreateAction": "CreateRule"})


def _delete_rule(parameters: Parameters, account: Account) -> Iterator[Need]:
    rule = parameters["RuleArn"]
    tags = {f"aws:ResourceTag/{key}": value for key, value in account.tags_of_rule(rule).items()}
    yield Need("elasticloadbalancing:DeleteRule", rule, tags)


def _launch_template_version(parameters: Parameters, account: Account) -> Iterator[Need]:
    template = parameters["LaunchTemplateId"]
    yield Need("ec2:CreateLaunchTemplateVersion", _arn(account, "ec2", f"launch-template/{template}"))


def _create_snapshot(parameters: Parameters, account: Account) -> Iterator[Need]:
    """Tags that come with the snapshot need a permission of their own."""
    snapshot = _arn(account, "rds", f"snapshot:{parameters['DBSnapshotIdentifier']}")
    yield Need("rds:CreateDBSnapshot", _arn(account, "rds", f"db:{parameters['DBInstanceIdentifier']}"))
    yield Need("rds:CreateDBSnapshot", snapshot)
    if parameters.get("Tags"):
        yield Need("rds:AddTagsToResource", snapshot)


def _describe_instance(parameters: Parameters, account: Account) -> Iterator[Need]:
    yield Need("rds:DescribeDBInstances", _arn(account, "rds", f"db:{parameters['DBInstanceIdentifier']}"))


def _group_of_instances(operation: str, parameter: str, kind: str) -> Needs:
    """Return the need of a request about a parameter, option or subnet group."""
    return lambda parameters, account: [
        Need(f"rds:{operation}", _arn(account, "rds", f"{kind}:{parameters[parameter]}"))
    ]


def _restore_snapshot(parameters: Parameters, account: Account) -> Iterator[Need]:
    action, name = "rds:RestoreDBInstanceFromDBSnapshot", parameters["DBInstanceIdentifier"]
    yield Need(action, _arn(account, "rds", f"snapshot:{parameters['DBSnapshotIdentifier']}"))
    yield from _new_instance(action, name, parameters, account)


def _restore_moment(parameters: Parameters, account: Account) -> Iterator[Need]:
    action, name = "rds:RestoreDBInstanceToPointInTime", parameters["TargetDBInstanceIdentifier"]
    yield Need(action, _arn(account, "rds", f"db:{parameters['SourceDBInstanceIdentifier']}"))
    yield from _new_instance(action, name, parameters, account)


def _new_instance(action: str, name: str, parameters: Parameters, account: Account) -> Iterator[Need]:
    """Whatever the request does not name of these is a default one, and needed, too."""
    new = _arn(account, "rds", f"db:{name}")
    yield Need(action, new)
    yield Need(action, _arn(account, "rds", f"og:{parameters.get('OptionGroupName', 'default:*')}"))
    yield Need(action, _arn(account, "rds", f"pg:{parameters.get('DBParameterGroupName', 'default.*')}"))
    yield Need(action, _arn(account, "rds", f"subgrp:{parameters.get('DBSubnetGroupName', 'default')}"))
    if parameters.get("Tags"):
        yield Need("rds:AddTagsToResource", new)
    if "DomainIAMRoleName" in parameters:
        role = f"arn:aws:iam::{account.account}:role/{parameters['DomainIAMRoleName']}"
        yield Need("iam:PassRole", role, {"iam:PassedToService": "rds.amazonaws.com"})


_IN_MODIFICATION = {"DBParameterGroupName": "pg", "DBSubnetGroupName": "subgrp", "OptionGroupName": "og"}
"""Parameters of ModifyDBInstance that name a resource, and its kind."""
_KEYS_IN_MODIFICATION = {"MasterUserSecretKmsKeyId": "secretsmanager", "PerformanceInsightsKMSKeyId": "rds"}
"""Parameters of it that name a key, and the service that uses the key for whoever asks."""


def _modify_instance(parameters: Parameters, account: Account) -> Iterator[Need]:
    """
    Yield the needs of what is handed on, too: a role for monitoring, keys, and a secret that RDS makes.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html
    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Monitoring.OS.Enabling.html
    """
    action = "rds:ModifyDBInstance"
    yield Need(action, _arn(account, "rds", f"db:{parameters['DBInstanceIdentifier']}"))
    for parameter, kind in _IN_MODIFICATION.items():
        if parameter in parameters:
            yield Need(action, _arn(account, "rds", f"{kind}:{parameters[parameter]}"))
    if parameters.get("MonitoringRoleArn"):
        context = {"iam:PassedToService": "monitoring.rds.amazonaws.com"}
        yield Need("iam:PassRole", parameters["MonitoringRoleArn"], context)
    if parameters.get("ManageMasterUserPassword"):
        secret = _arn(account, "secretsmanager", "secret:rds!*")
        yield Need("secretsmanager:CreateSecret", secret)
        yield Need("secretsmanager:TagResource", secret)
    for parameter, service in _KEYS_IN_MODIFICATION.items():
        if parameter in parameters:
            context = {"kms:ViaService": f"{service}.{account.region}.amazonaws.com"}
            for use in ("CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKey"):
                yield Need(f"kms:{use}", _key(parameters[parameter], account), context)


def _add_role(parameters: Parameters, account: Account) -> Iterator[Need]:
    yield Need("rds:AddRoleToDBInstance", _arn(account, "rds", f"db:{parameters['DBInstanceIdentifier']}"))
    yield Need("iam:PassRole", parameters["RoleArn"], {"iam:PassedToService": "rds.amazonaws.com"})


def _key(given: str, account: Account) -> str:
    return given if given.startswith("arn:") else _arn(account, "kms", f"key/{given}")


def _describe_snapshots(parameters: Parameters, account: Account) -> Iterator[Need]:
    """Who asks for those of an instance has to be allowed to see the instance, and any snapshot."""
    if "DBSnapshotIdentifier" not in parameters:
        yield Need("rds:DescribeDBSnapshots", _arn(account, "rds", f"db:{parameters['DBInstanceIdentifier']}"))
        yield Need("rds:DescribeDBSnapshots", _snapshot("*", account))
        return
    yield Need("rds:DescribeDBSnapshots", _snapshot(parameters["DBSnapshotIdentifier"], account))


def _snapshot(given: str, account: Account) -> str:
    """Return the ARN of one that is named, or given by its ARN, as that of another account is."""
    return given if given.startswith("arn:") else _arn(account, "rds", f"snapshot:{given}")


def _copy_snapshot(parameters: Parameters, account: Account) -> Iterator[Need]:
    """
    Yield the needs of both keys, too: of the copy's, and of the source's, if another account shares it encrypted.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/share-encrypted-snapshot.html
    """
    source, copy = (_snapshot(parameters[f"{each}DBSnapshotIdentifier"], account) for each in ("Source", "Target"))
    yield Need("rds:CopyDBSnapshot", source)
    yield Need("rds:CopyDBSnapshot", copy)
    if parameters.get("Tags"):
        yield Need("rds:AddTagsToResource", copy)
    if "KmsKeyId" in parameters:
        of_source = source.replace(":rds:", ":kms:").rpartition(":snapshot:")[0] + ":key/*"
        context = {"kms:ViaService": f"rds.{account.region}.amazonaws.com"}
        for key in (_key(parameters["KmsKeyId"], account), of_source):
            for use in ("CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKey"):
                yield Need(f"kms:{use}", key, context)


def _table(operation: str) -> Needs:
    return lambda parameters, account: [_on_table(operation, parameters["TableName"], account)]


def _on_table(operation: str, name: str, account: Account) -> Need:
    arn = name if name.startswith("arn:") else _arn(account, "dynamodb", f"table/{name}")
    return Need(f"dynamodb:{operation}", arn)


def _batch_get(parameters: Parameters, account: Account) -> Iterator[Need]:
    for name in parameters["RequestItems"]:
        yield _on_table("BatchGetItem", name, account)


def _transaction(parameters: Parameters, account: Account) -> Iterator[Need]:
    """
    Yield the needs of its items: a transaction has no action of its own.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    """
    actions = {"ConditionCheck": "ConditionCheckItem", "Put": "PutItem", "Delete": "DeleteItem", "Update": "UpdateItem"}
    for item in parameters["TransactItems"]:
        for kind, request in item.items():
            yield _on_table(actions[kind], request["TableName"], account)


def _parameter(operation: str) -> Needs:
    def needs(parameters: Parameters, account: Account) -> Iterator[Need]:
        name = parameters["Name"]
        arn = name if name.startswith("arn:") else _arn(account, "ssm", f"parameter/{name.removeprefix('/')}")
        yield Need(f"ssm:{operation}", arn)
        if parameters.get("Tags"):
            yield Need("ssm:AddTagsToResource", arn)

    return needs


def _secret(operation: str) -> Needs:
    """Return the need of a request for a secret; one given by its name can have any six characters behind it."""

    def needs(parameters: Parameters, account: Account) -> Iterator[Need]:
        given = parameters["SecretId"]
        arn = given if given.startswith("arn:") else _arn(account, "secretsmanager", f"secret:{given}-*")
        yield Need(f"secretsmanager:{operation}", arn)

    return needs


def _head_bucket(parameters: Parameters, _: Account) -> Iterator[Need]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html."""
    yield Need("s3:ListBucket", f"arn:aws:s3:::{parameters['Bucket']}")


_BESIDE_CONTENT = {
    "s3:PutObjectAcl": {"ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"},
    "s3:PutObjectLegalHold": {"ObjectLockLegalHoldStatus"},
    "s3:PutObjectRetention": {"ObjectLockMode", "ObjectLockRetainUntilDate"},
    "s3:PutObjectTagging": {"Tagging"},
}
"""Action and the parameters of PutObject that need it."""


def _put_object(parameters: Parameters, _: Account) -> Iterator[Need]:
    """
    What an object is given beside its content needs more, and a key of KMS needs nobody has said what.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    """
    if parameters.get("ServerSideEncryption", "AES256") != "AES256":
        raise UnknownNeeds("nobody has said in rehearsal/engine/needs.py what an object with a key of KMS needs")
    arn = f"arn:aws:s3:::{parameters['Bucket']}/{parameters['Key']}"
    yield Need("s3:PutObject", arn)
    for action, given in _BESIDE_CONTENT.items():
        if given & parameters.keys():
            yield Need(action, arn)


def _log_events(parameters: Parameters, account: Account) -> Iterator[Need]:
    """Reading events is allowed on a group's streams, which is what the colon and star stand for."""
    yield Need("logs:FilterLogEvents", _arn(account, "logs", f"log-group:{parameters['logGroupName']}:*"))


def _invoke(parameters: Parameters, account: Account) -> Iterator[Need]:
    """A policy must name the version that is called, if one is."""
    given = parameters["FunctionName"]
    arn = given if given.startswith("arn:") else _arn(account, "lambda", f"function:{given}")
    yield Need("lambda:InvokeFunction", f"{arn}:{parameters['Qualifier']}" if "Qualifier" in parameters else arn)


def _function(operation: str) -> Needs:
    """Return the need of a request about a function, or about a version of it."""

    def needs(parameters: Parameters, account: Account) -> Iterator[Need]:
        (invoked,) = _invoke(parameters, account)
        yield Need(f"lambda:{operation}", invoked.resource)

    return needs


def _project(parameter: str, operation: str) -> Needs:
    """Return the need of a request about a project of CodeBuild, or about its builds, whose ids begin with its name."""

    def needs(parameters: Parameters, account: Account) -> Iterator[Need]:
        given = parameters[parameter]
        for project in dict.fromkeys(each.partition(":")[0] for each in ([given] if isinstance(given, str) else given)):
            yield Need(f"codebuild:{operation}", _arn(account, "codebuild", f"project/{project}"))

    return needs


def _get_object(parameters: Parameters, _: Account) -> Iterator[Need]:
    version = "Version" if "VersionId" in parameters else ""
    yield Need(f"s3:GetObject{version}", f"arn:aws:s3:::{parameters['Bucket']}/{parameters['Key']}")


def _head_object(parameters: Parameters, account: Account) -> Iterator[Need]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html."""
    yield from _get_object(parameters, account)


def _hosted_zone(operation: str) -> Needs:
    return lambda parameters, _: [
        Need(f"route53:{operation}", f"arn:aws:route53:::hostedzone/{parameters['HostedZoneId'].rpartition('/')[2]}")
    ]


def _distribution(operation: str) -> Needs:
    return lambda parameters, account: [
        Need(f"cloudfront:{operation}", f"arn:aws:cloudfront::{account.account}:distribution/{parameters['Id']}")
    ]


def _calendars(parameters: Parameters, account: Account) -> Iterator[Need]:
    for name in parameters["CalendarNames"]:
        arn = name if name.startswith("arn:") else _arn(account, "ssm", f"document/{name}")
        yield Need("ssm:GetCalendarState", arn)


def _images(parameters: Parameters, account: Account) -> Iterator[Need]:
    yield Need("ecr:DescribeImages", _arn(account, "ecr", f"repository/{parameters['repositoryName']}"))


def _rule(parameter: str, operation: str) -> Needs:
    return lambda parameters, account: [
        Need(f"events:{operation}", _arn(account, "events", f"rule/{parameters[parameter]}"))
    ]


def _put_events(parameters: Parameters, account: Account) -> Iterator[Need]:
    """
    Yield the need of each bus; one that is not named is the default one.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
    """
    for entry in parameters["Entries"]:
        given = entry.get("EventBusName", "default")
        bus = given if given.startswith("arn:") else _arn(account, "events", f"event-bus/{given}")
        yield Need(
            "events:PutEvents", bus, {"events:source": entry["Source"], "events:detail-type": entry["DetailType"]}
        )


def _arn(account: Account, service: str, resource: str) -> str:
    return f"arn:aws:{service}:{account.region}:{account.account}:{resource}"


TABLE: Mapping[tuple[str, str], Needs] = {
    ("acm", "DescribeCertificate"): _arn_in("CertificateArn", "acm:DescribeCertificate"),
    ("autoscaling", "CancelInstanceRefresh"): _group("CancelInstanceRefresh"),
    ("autoscaling", "DescribeAutoScalingGroups"): _everything("autoscaling:DescribeAutoScalingGroups"),
    ("autoscaling", "DescribeInstanceRefreshes"): _everything("autoscaling:DescribeInstanceRefreshes"),
    ("autoscaling", "ResumeProcesses"): _group("ResumeProcesses"),
    ("autoscaling", "StartInstanceRefresh"): _start_refresh,
    ("autoscaling", "SuspendProcesses"): _group("SuspendProcesses"),
    ("autoscaling", "UpdateAutoScalingGroup"): _update_group,
    ("cloudfront", "GetDistribution"): _distribution("GetDistribution"),
    ("cloudwatch", "DescribeAlarms"): _alarms,
    ("cloudwatch", "GetMetricData"): _everything("cloudwatch:GetMetricData"),
    ("codebuild", "BatchGetBuilds"): _project("ids", "BatchGetBuilds"),
    ("codebuild", "ListBuildsForProject"): _project("projectName", "ListBuildsForProject"),
    ("codebuild", "StartBuild"): _project("projectName", "StartBuild"),
    ("codebuild", "StopBuild"): _project("id", "StopBuild"),
    ("dynamodb", "BatchGetItem"): _batch_get,
    ("dynamodb", "GetItem"): _table("GetItem"),
    ("dynamodb", "PutItem"): _table("PutItem"),
    ("dynamodb", "Query"): _table("Query"),
    ("dynamodb", "TransactWriteItems"): _transaction,
    ("dynamodb", "UpdateItem"): _table("UpdateItem"),
    ("ec2", "CreateLaunchTemplateVersion"): _launch_template_version,
    ("ec2", "DescribeInstances"): _everything("ec2:DescribeInstances"),
    ("ec2", "DescribeLaunchTemplateVersions"): _everything("ec2:DescribeLaunchTemplateVersions"),
    ("ecr", "DescribeImages"): _images,
    ("elbv2", "CreateRule"): _create_rule,
    ("elbv2", "DeleteRule"): _delete_rule,
    ("elbv2", "DescribeListenerCertificates"): _everything("elasticloadbalancing:DescribeListenerCertificates"),
    ("elbv2", "DescribeListeners"): _everything("elasticloadbalancing:DescribeListeners"),
    ("elbv2", "DescribeLoadBalancers"): _everything("elasticloadbalancing:DescribeLoadBalancers"),
    ("elbv2", "DescribeRules"): _everything("elasticloadbalancing:DescribeRules"),
    ("elbv2", "DescribeTags"): _everything("elasticloadbalancing:DescribeTags"),
    ("elbv2", "DescribeTargetHealth"): _everything("elasticloadbalancing:DescribeTargetHealth"),
    ("elbv2", "ModifyListener"): _arn_in("ListenerArn", "elasticloadbalancing:ModifyListener"),
    ("elbv2", "ModifyRule"): _arn_in("RuleArn", "elasticloadbalancing:ModifyRule"),
    ("events", "DescribeRule"): _rule("Name", "DescribeRule"),
    ("events", "ListTargetsByRule"): _rule("Rule", "ListTargetsByRule"),
    ("events", "PutEvents"): _put_events,
    ("iam", "SimulatePrincipalPolicy"): _arn_in("PolicySourceArn", "iam:SimulatePrincipalPolicy"),
    ("kms", "DescribeKey"): _arn_in("KeyId", "kms:DescribeKey"),
    ("lambda", "GetFunctionConcurrency"): _function("GetFunctionConcurrency"),
    ("lambda", "GetFunctionConfiguration"): _function("GetFunctionConfiguration"),
    ("lambda", "Invoke"): _invoke,
    ("logs", "FilterLogEvents"): _log_events,
    ("rds", "AddRoleToDBInstance"): _add_role,
    ("rds", "CopyDBSnapshot"): _copy_snapshot,
    ("rds", "CreateDBSnapshot"): _create_snapshot,
    ("rds", "DescribeAccountAttributes"): _everything("rds:DescribeAccountAttributes"),
    ("rds", "DescribeDBInstances"): _describe_instance,
    ("rds", "DescribeDBParameterGroups"): _group_of_instances(
        "DescribeDBParameterGroups", "DBParameterGroupName", "pg"
    ),
    ("rds", "DescribeDBSnapshots"): _describe_snapshots,
    ("rds", "DescribeDBSubnetGroups"): _group_of_instances("DescribeDBSubnetGroups", "DBSubnetGroupName", "subgrp"),
    ("rds", "DescribeOptionGroups"): _group_of_instances("DescribeOptionGroups", "OptionGroupName", "og"),
    ("rds", "ModifyDBInstance"): _modify_instance,
    ("rds", "RestoreDBInstanceFromDBSnapshot"): _restore_snapshot,
    ("rds", "RestoreDBInstanceToPointInTime"): _restore_moment,
    ("route53", "ListResourceRecordSets"): _hosted_zone("ListResourceRecordSets"),
    ("s3", "GetObject"): _get_object,
    ("s3", "HeadBucket"): _head_bucket,
    ("s3", "HeadObject"): _head_object,
    ("s3", "PutObject"): _put_object,
    ("secretsmanager", "DescribeSecret"): _secret("DescribeSecret"),
    ("secretsmanager", "GetSecretValue"): _secret("GetSecretValue"),
    ("secretsmanager", "PutSecretValue"): _secret("PutSecretValue"),
    ("secretsmanager", "UpdateSecretVersionStage"): _secret("UpdateSecretVersionStage"),
    ("sns", "ListSubscriptionsByTopic"): _arn_in("TopicArn", "sns:ListSubscriptionsByTopic"),
    ("sns", "Publish"): _arn_in("TopicArn", "sns:Publish"),
    ("ssm", "GetCalendarState"): _calendars,
    ("ssm", "GetParameter"): _parameter("GetParameter"),
    ("ssm", "GetParameterHistory"): _parameter("GetParameterHistory"),
    ("ssm", "PutParameter"): _parameter("PutParameter"),
    ("stepfunctions", "DescribeExecution"): _arn_in("executionArn", "states:DescribeExecution"),
    ("stepfunctions", "DescribeStateMachine"): _arn_in("stateMachineArn", "states:DescribeStateMachine"),
    ("stepfunctions", "GetExecutionHistory"): _arn_in("executionArn", "states:GetExecutionHistory"),
    ("stepfunctions", "SendTaskSuccess"): _everything("states:SendTaskSuccess"),
    ("stepfunctions", "StartExecution"): _arn_in("stateMachineArn", "states:StartExecution"),
    ("stepfunctions", "StopExecution"): _arn_in("executionArn", "states:StopExecution"),
}
"""Service and operation, as boto3 names them."""
