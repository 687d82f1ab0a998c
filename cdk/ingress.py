"""The stack beside the environments of a service at which pushes of its repository arrive."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aws_cdk import CfnOutput, Duration, Environment, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.acknowledgements import acknowledge, acknowledge_tracing
from cdk.ingress_settings import GITHUB_ACTIONS, GitHubActions, IngressSettings
from cdk.lambdas import Shape, libraries, make_function, make_log
from cdk.monitoring import Notices
from cdk.packaging import function_code
from lambdas.github.webhook_rules import PUSH, SOURCE

RECEIVE = "receive-webhook"
MOST_AT_ONCE = 5
"""Anybody can call the address: whatever comes, no more than these run, and no other function lacks any."""

_KEPT = Duration.days(30)
_ONLY_PUSHES = {"StringEquals": {"events:source": SOURCE, "events:detail-type": PUSH}}


class IngressStack(Stack):
    """
    An address for GitHub's webhooks, a role for its Actions, and the bus on which both put pushes.

    It releases nothing and knows no environment: those have rules on the bus, and judge each push themselves. Deleting
    it stops no release; then pushes are found by the environments' own look at the branch.
    """

    def __init__(self, scope: Construct, settings: IngressSettings) -> None:
        super().__init__(
            scope,
            f"Runback-{settings.prefix}",
            description=f"Runback: where pushes to {settings.repository} arrive for {settings.service}",
            env=Environment(account=settings.account, region=settings.region),
            termination_protection=True,
            tags={"runback:service": settings.service},
        )
        notices = Notices(self, "Notices", settings)
        webhook = Webhook(self, "Webhook", settings)
        callers = [webhook.role]
        if settings.github_actions:
            callers.append(ActionsRole(self, "GitHubActions", settings, settings.github_actions).role)
        bus = PushBus(self, "PushBus", settings, callers)
        webhook.function.node.add_dependency(bus)
        for alarm in _alarms(settings, bus.lost):
            alarm.make(self, settings, notices.topic)


class Webhook(Construct):
    """
    The function that takes webhooks, at an address that anybody can call, and what it remembers.

    A function URL needs two permissions since October 2025; the second holds for the URL alone. Who calls is told by
    the signature, which the function looks at before anything else.
    https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
    """

    def __init__(self, scope: Construct, construct_id: str, settings: IngressSettings) -> None:
        super().__init__(scope, construct_id)
        table = _deliveries(self, settings)
        shape = Shape(
            settings.named(RECEIVE),
            "Takes webhooks of GitHub, and forwards pushes that are signed. It starts nothing.",
            "github.receive_webhook",
            timeout_seconds=10,
            reserved_concurrency=MOST_AT_ONCE,
        )
        log = make_log(self, shape)
        self.role = iam.Role(
            self,
            "Role",
            description=f"{shape.name}: {shape.description}",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        log.grant_write(self.role)
        acknowledge_tracing(self.role)
        for statement in _rights(settings, table):
            self.role.add_to_policy(statement)
        told = {
            "repository_id": settings.repository_id,
            "refs": settings.refs,
            "secret_arns": settings.webhook_secret_arns,
            "bus": settings.bus,
            "table": settings.deliveries_table,
        }
        self.function = make_function(
            self,
            shape,
            log=log,
            role=self.role,
            code=function_code(),
            layers=[libraries(self, "Libraries", "Powertools for AWS Lambda, for Runback's functions", "layer")],
            variables={"INGRESS": json.dumps(told, separators=(",", ":"))},
            called=settings.prefix,
        )
        self._open_to_anybody()

    def _open_to_anybody(self) -> None:
        """GitHub cannot sign requests as AWS wants it, and its addresses change."""
        url = lambda_.CfnUrl(
            self,
            "Url",
            auth_type=lambda_.FunctionUrlAuthType.NONE.value,
            target_function_arn=self.function.function_arn,
        )
        lambda_.CfnPermission(
            self,
            "CallUrl",
            function_name=self.function.function_arn,
            principal="*",
            action="lambda:InvokeFunctionUrl",
            function_url_auth_type=url.auth_type,
        )
        lambda_.CfnPermission(
            self,
            "CallThroughUrl",
            function_name=self.function.function_arn,
            principal="*",
            action="lambda:InvokeFunction",
            invoked_via_function_url=True,
        )
        CfnOutput(
            self,
            "Address",
            key="WebhookUrl",
            value=url.attr_function_url,
            description="The payload URL of the webhook in GitHub",
        )


def _deliveries(scope: Construct, settings: IngressSettings) -> dynamodb.Table:
    """Make the table of what was forwarded. What is older than four days is refused by its age, and forgotten."""
    table = dynamodb.Table(
        scope,
        "Deliveries",
        table_name=settings.deliveries_table,
        partition_key=dynamodb.Attribute(name="delivery", type=dynamodb.AttributeType.STRING),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        encryption=dynamodb.TableEncryption.AWS_MANAGED,
        time_to_live_attribute="expires",
        removal_policy=RemovalPolicy.DESTROY,
    )
    acknowledge(table, "DDB3", "What is in it is forgotten after four days, and means nothing afterwards.")
    return table


def _rights(settings: IngressSettings, table: dynamodb.Table) -> list[iam.PolicyStatement]:
    """Return what the function may do: read its secrets, remember, and put pushes on the bus."""
    return [
        iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=list(settings.webhook_secret_arns)),
        iam.PolicyStatement(actions=["dynamodb:PutItem", "dynamodb:UpdateItem"], resources=[table.table_arn]),
        iam.PolicyStatement(actions=["events:PutEvents"], resources=[settings.bus_arn], conditions=_ONLY_PUSHES),
    ]


class ActionsRole(Construct):
    """
    What a workflow of GitHub Actions takes, without any secret, to put pushes on the bus; it may do nothing else.

    AWS looks at the token's audience and subject, and at the repository's number, which survives a new name; the last
    only where AWS knows that claim: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
    """

    def __init__(self, scope: Construct, construct_id: str, settings: IngressSettings, actions: GitHubActions) -> None:
        super().__init__(scope, construct_id)
        exact = {f"{GITHUB_ACTIONS}:aud": "sts.amazonaws.com"}
        if settings.partition == "aws":
            exact[f"{GITHUB_ACTIONS}:repository_id"] = str(settings.repository_id)
        self.role = iam.Role(
            self,
            "Role",
            description=f"Lets GitHub Actions of {settings.repository} put pushes on {settings.bus}.",
            assumed_by=iam.WebIdentityPrincipal(
                settings.provider_arn,
                {"StringEquals": exact, "StringLike": {f"{GITHUB_ACTIONS}:sub": list(settings.subjects)}},
            ),
            max_session_duration=Duration.hours(1),
        )
        if actions.provider_arn is None:
            self.role.node.add_dependency(self._provider())
        self.role.add_to_policy(
            iam.PolicyStatement(actions=["events:PutEvents"], resources=[settings.bus_arn], conditions=_ONLY_PUSHES)
        )
        CfnOutput(
            self,
            "RoleArn",
            key="GitHubActionsRole",
            value=self.role.role_arn,
            description="The role to assume in the workflow",
        )

    def _provider(self) -> iam.CfnOIDCProvider:
        """AWS knows the authorities of GitHub's certificate by itself: no thumbprint."""
        return iam.CfnOIDCProvider(
            self, "Provider", url=f"https://{GITHUB_ACTIONS}", client_id_list=["sts.amazonaws.com"]
        )


class PushBus(Construct):
    """
    The bus, an archive of what was on it, and a queue of what EventBridge could not handle.

    Whatever else in the account may put events on buses: on this one nobody puts any but these callers, and they none
    but GitHub's. So nobody starts a release by an event of his own making.
    """

    def __init__(self, scope: Construct, construct_id: str, settings: IngressSettings, callers: list[iam.Role]) -> None:
        super().__init__(scope, construct_id)
        self.lost = sqs.Queue(
            self,
            "Lost",
            queue_name=settings.named("lost-events"),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        acknowledge(self.lost, "SQS3", "This is itself a dead-letter queue, and it has an alarm.")
        self.lost.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EventsOfTheBus",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self.lost.queue_arn],
                conditions={
                    "ArnEquals": {"aws:SourceArn": settings.bus_arn},
                    "StringEquals": {"aws:SourceAccount": settings.account},
                },
            )
        )
        bus = events.EventBus(
            self,
            "Bus",
            event_bus_name=settings.bus,
            description=f"Pushes to {settings.repository}, from webhooks and from GitHub Actions",
            dead_letter_queue=self.lost,
        )
        events.Archive(
            self,
            "Archive",
            archive_name=settings.bus,
            description=f"Pushes to {settings.repository}, to look at and to replay",
            source_event_bus=bus,
            event_pattern=events.EventPattern(account=[settings.account], source=[SOURCE]),
            retention=_KEPT,
        )
        callers_arns = [caller.role_arn for caller in callers]
        nobody_else = _refuse(self, bus, "NobodyElse", {"ArnNotEquals": {"aws:PrincipalArn": callers_arns}})
        nothing_else = _refuse(self, bus, "NothingButPushes", {"StringNotEquals": {"events:source": SOURCE}})
        nothing_else.node.add_dependency(nobody_else)  # EventBridge changes a policy for one at a time


def _refuse(
    scope: Construct, bus: events.EventBus, sid: str, conditions: Mapping[str, object]
) -> events.CfnEventBusPolicy:
    statement = iam.PolicyStatement(
        sid=sid,
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=["events:PutEvents"],
        resources=[bus.event_bus_arn],
        conditions=conditions,
    )
    return events.CfnEventBusPolicy(
        scope, sid, event_bus_name=bus.event_bus_name, statement_id=sid, statement=statement.to_statement_json()
    )


@dataclass(frozen=True)
class AlarmSpec:
    """An alarm that is on as soon as there is one: its name, and what to do about it."""

    name: str
    metric: cloudwatch.Metric
    description: str

    def make(self, scope: Construct, settings: IngressSettings, topic: sns.ITopic) -> None:
        """Make the alarm, which tells humans by itself."""
        alarm = cloudwatch.Alarm(
            scope,
            "".join(word.capitalize() for word in self.name.split("-")),
            alarm_name=settings.named(self.name),
            alarm_description=self.description,
            metric=self.metric,
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(cloudwatch_actions.SnsAction(topic))


def _alarms(settings: IngressSettings, lost: sqs.IQueue) -> Iterator[AlarmSpec]:
    """Return what humans hear of. A forged webhook is not among it: whoever sends some could wake people with them."""
    yield AlarmSpec(
        "lost-events",
        lost.metric_approximate_number_of_messages_visible(period=Duration.minutes(1), statistic="Maximum"),
        "EventBridge could not handle a push. Read the message in the dead-letter queue. The environments find the push"
        " by themselves when they look at the branch; to release it at once, start a push machine with {}.",
    )
    yield AlarmSpec(
        "webhooks-failing",
        _metric(settings, "Url5xxCount"),
        "A webhook of GitHub was not forwarded, because AWS did not answer or no secret could be read. Read the log of"
        " receive-webhook. Deliver it again in GitHub, or wait until the environments look at the branch.",
    )
    yield AlarmSpec(
        "webhooks-throttled",
        _metric(settings, "Throttles"),
        f"More than {MOST_AT_ONCE} webhooks came at once, and GitHub does not repeat what was turned away. If they are"
        " not your pushes, somebody else sends them, and nothing starts by that. The environments look at the branch.",
    )


def _metric(settings: IngressSettings, name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/Lambda",
        metric_name=name,
        dimensions_map={"FunctionName": settings.named(RECEIVE)},
        period=Duration.minutes(5),
        statistic="Sum",
    )
