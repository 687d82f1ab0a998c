"""
What starts a rollback when nobody is looking, and what becomes of an event that could not be delivered.

A release's own failure path starts its rollback; but a machine's time-out, an abort in the console or a crash of the
failure path itself goes past every Catch. Two independent ways find such a release: its execution's last status event,
and the watchdog, which needs no event at all.
"""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk.acknowledgements import acknowledge
from cdk.names import Names
from cdk.settings import EnvironmentSettings

_UNFINISHED = ["FAILED", "TIMED_OUT", "ABORTED"]


class LostEvents(Construct):
    """The dead-letter queue of every rule: what EventBridge could not deliver, for as long as SQS can keep it."""

    def __init__(self, scope: Construct, construct_id: str, settings: EnvironmentSettings) -> None:
        super().__init__(scope, construct_id)
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=Names(settings).named("lost-events"),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        acknowledge(self.queue, "SQS3", "This is itself the dead-letter queue of every rule, and it has an alarm.")


class RollbackOnUnfinishedExecution(Construct):
    """
    Start the rollback machine when an execution of a machine that can hold the environment ends without success.

    The rollback machine decides from the record whether that execution left anything to roll back.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: EnvironmentSettings,
        watched: list[sfn.IStateMachine],
        rollback: sfn.IStateMachine,
        lost_events: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        rule_name = Names(settings).named("unfinished-execution")
        role = iam.Role(
            self,
            "Role",
            description=f"Lets EventBridge's rule {rule_name} start the rollback machine.",
            assumed_by=iam.ServicePrincipal(
                "events.amazonaws.com",
                conditions={
                    "ArnEquals": {"aws:SourceArn": settings.arn("events", f"rule/{rule_name}")},
                    "StringEquals": {"aws:SourceAccount": settings.account},
                },
            ),
        )
        events.Rule(
            self,
            "Rule",
            rule_name=rule_name,
            description="Rolls back what an execution that failed, timed out or was aborted left unfinished.",
            event_pattern=events.EventPattern(
                account=[settings.account],
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [machine.state_machine_arn for machine in watched],
                    "status": _UNFINISHED,
                },
            ),
            targets=[
                targets.SfnStateMachine(
                    rollback,
                    input=events.RuleTargetInput.from_object(
                        {
                            "source": "execution-status",
                            "execution_arn": events.EventField.from_path("$.detail.executionArn"),
                            "status": events.EventField.from_path("$.detail.status"),
                        }
                    ),
                    role=role,
                    dead_letter_queue=lost_events,
                    max_event_age=Duration.hours(1),
                    retry_attempts=185,
                )
            ],
        )


class Watchdog(Construct):
    """Let the watchdog look every minute. A round that cannot start is not repeated: the next one sees the same."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: EnvironmentSettings,
        watchdog: lambda_.IFunction,
        lost_events: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        events.Rule(
            self,
            "Rule",
            rule_name=Names(settings).named("watchdog"),
            description="Finds releases whose execution has ended without finishing, without waiting for an event.",
            schedule=events.Schedule.rate(Duration.minutes(1)),
            targets=[
                targets.LambdaFunction(
                    watchdog,
                    dead_letter_queue=lost_events,
                    max_event_age=Duration.minutes(1),
                    retry_attempts=0,
                )
            ],
        )
