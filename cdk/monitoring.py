"""Where humans hear about releases, and about Runback's own trouble."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.names import NOTICES_FAIL, WATCHDOG, WATCHDOG_SILENT, Names
from cdk.setting_types import Place
from cdk.settings import EnvironmentSettings

_NOTIFY = "notify"
"""The function by which machines tell humans."""


class Notices(Construct):
    """The topic that functions and alarms publish to, over TLS only, and that the on-call subscribes to by e-mail."""

    def __init__(self, scope: Construct, construct_id: str, settings: Place) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", topic_name=f"{settings.prefix}-notices", enforce_ssl=True)
        for email in settings.notifications.emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        # a topic with a policy of its own no longer lets the account's alarms publish, as the default policy does
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "ArnLike": {"aws:SourceArn": settings.arn("cloudwatch", "alarm:*")},
                    "StringEquals": {"aws:SourceAccount": settings.account},
                },
            )
        )


class LostEventsAlarm(Construct):
    """
    Tells humans that an event which should have started something has not.

    EventBridge keeps what it could not deliver in the queue; each entry is a rollback or a watchdog's round that did
    not happen, so one is enough.
    """

    def __init__(self, scope: Construct, construct_id: str, queue: sqs.IQueue, notices: sns.ITopic, name: str) -> None:
        super().__init__(scope, construct_id)
        alarm = cloudwatch.Alarm(
            self,
            "Alarm",
            alarm_name=name,
            alarm_description=(
                "EventBridge could not deliver an event to Runback. Read the message in the dead-letter queue: it says"
                " which rule and why. An execution that ended badly may need its rollback started by hand, with {};"
                " a push is found again by itself."
            ),
            metric=queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(1), statistic="Maximum"),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(cloudwatch_actions.SnsAction(notices))


class WatchdogAlarm(Construct):
    """
    Tells humans that nobody watches any more.

    The watchdog is what is left when events are lost, so its own silence must not be silent. A round counts when it was
    begun and did not fail. Of five minutes three must lack one, because the newest minute is always filled up with
    nothing: CloudWatch learns of an invocation a minute late.
    """

    def __init__(self, scope: Construct, construct_id: str, settings: EnvironmentSettings, notices: sns.ITopic) -> None:
        super().__init__(scope, construct_id)
        names = Names(settings)
        counts = {
            name.lower(): cloudwatch.Metric(
                namespace="AWS/Lambda",
                metric_name=name,
                dimensions_map={"FunctionName": names.named(WATCHDOG)},
                period=Duration.minutes(1),
                statistic="Sum",
            )
            for name in ("Invocations", "Errors")
        }
        alarm = cloudwatch.Alarm(
            self,
            "Alarm",
            alarm_name=names.named(WATCHDOG_SILENT),
            alarm_description=(
                "The watchdog does not complete its rounds. A deployment or rollback that dies now may stay unnoticed:"
                " look at the function's log, and at running executions."
            ),
            metric=cloudwatch.MathExpression(
                expression="FILL(invocations, 0) - FILL(errors, 0)",
                using_metrics=counts,
                label="Completed rounds",
                period=Duration.minutes(1),
            ),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=5,
            datapoints_to_alarm=3,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        alarm.add_alarm_action(cloudwatch_actions.SnsAction(notices))


class NoticesAlarm(Construct):
    """
    Tells humans that a machine could not: CloudWatch publishes with rights of its own.

    It asks some times, and then goes on without. One failure is enough, because not every kind of it is tried again.
    """

    def __init__(self, scope: Construct, construct_id: str, settings: EnvironmentSettings, notices: sns.ITopic) -> None:
        super().__init__(scope, construct_id)
        names = Names(settings)
        alarm = cloudwatch.Alarm(
            self,
            "Alarm",
            alarm_name=names.named(NOTICES_FAIL),
            alarm_description=(
                "A message about a release could not be sent, at least not at once: nobody may have read it. Look at"
                " the executions that ended in the last minutes, and at the log of the function that failed."
            ),
            metric=cloudwatch.Metric(
                namespace="AWS/Lambda",
                metric_name="Errors",
                dimensions_map={"FunctionName": names.named(_NOTIFY)},
                period=Duration.minutes(1),
                statistic="Sum",
            ),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(cloudwatch_actions.SnsAction(notices))
