"""When GitHub is told where releases stand: when a machine begins or ends, and every minute for what was missed."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk.names import TELL_GITHUB, TELL_GITHUB_SOON, Names
from cdk.settings import EnvironmentSettings


class TellGitHub(Construct):
    """
    Have the repository's host told of releases. No machine waits for it.

    A look that cannot start is not repeated, and not kept in the queue of lost events: the next one sees the same, and
    in that queue it would wake somebody for a rollback that is not missing.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: EnvironmentSettings,
        watched: Sequence[sfn.IStateMachine],
        report_status: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        names = Names(settings)
        events.Rule(
            self,
            "Minute",
            rule_name=names.named(TELL_GITHUB),
            description="Has GitHub told where releases stand, without waiting for an event.",
            schedule=events.Schedule.rate(Duration.minutes(1)),
            targets=[targets.LambdaFunction(report_status, max_event_age=Duration.minutes(1), retry_attempts=0)],
        )
        events.Rule(
            self,
            "Status",
            rule_name=names.named(TELL_GITHUB_SOON),
            description="Has GitHub told of a release that begins, ends, or is rolled back.",
            event_pattern=events.EventPattern(
                account=[settings.account],
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={"stateMachineArn": [each.state_machine_arn for each in watched]},
            ),
            targets=[targets.LambdaFunction(report_status, max_event_age=Duration.minutes(5), retry_attempts=2)],
        )
