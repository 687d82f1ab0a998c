"""Who writes to people when an alarm warns."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.names import Names
from cdk.settings import EnvironmentSettings
from lambdas.judge.alarm_rules import Effect


class TellWarnings(Construct):
    """
    Tell humans in words when an alarm that warns comes on.

    An event that cannot be delivered for an hour is dropped, without a dead-letter queue: the queue of lost events
    wakes somebody and asks for a rollback by hand, and for a warning none is missing. The alarm itself stays on, on the
    dashboard and in the console, and if things get worse its critical sibling comes on, by a rule of its own.
    """

    def __init__(
        self, scope: Construct, construct_id: str, settings: EnvironmentSettings, tell_alarm: lambda_.IFunction
    ) -> None:
        super().__init__(scope, construct_id)
        events.Rule(
            self,
            "Rule",
            rule_name=Names(settings).named("warning"),
            description="Tells people of an alarm that warns. It rolls nothing back.",
            event_pattern=events.EventPattern(
                account=[settings.account],
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                detail={
                    "alarmName": [{"prefix": f"{settings.prefix}-{Effect.WARNS}-"}],
                    "state": {"value": ["ALARM"]},
                },
            ),
            targets=[targets.LambdaFunction(tell_alarm, max_event_age=Duration.hours(1), retry_attempts=185)],
        )
