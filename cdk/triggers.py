"""
What starts a machine when nobody is looking, and what becomes of an event that could not be delivered.

A release's own failure path starts its rollback; but a machine's time-out, an abort in the console or a crash of the
failure path itself goes past every Catch. Two independent ways find such a release: its execution's last status event,
and the watchdog, which needs no event at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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

UNFINISHED = ("FAILED", "TIMED_OUT", "ABORTED")
ENDED = ("SUCCEEDED", *UNFINISHED)
ENDED_EXECUTION = events.EventField.from_path("$.detail.executionArn")

_MOST_ATTEMPTS = 185
"""As many as EventBridge makes: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html"""


class LostEvents(Construct):
    """
    The dead-letter queue of every rule that a release depends on.

    It keeps what EventBridge could not deliver for as long as SQS can.
    """

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
        acknowledge(self.queue, "SQS3", "This is itself a dead-letter queue, and it has an alarm.")


@dataclass(frozen=True)
class StatusRule:
    """
    What starts a machine when an execution of another one gets one of these `statuses`.

    `given` is the machine's input. An event that cannot be delivered is tried again for as long as `for_at_most`.
    """

    name: str
    description: str
    statuses: tuple[str, ...]
    given: Mapping[str, str]
    for_at_most: Duration


def start_on_status(
    scope: Construct,
    settings: EnvironmentSettings,
    rule: StatusRule,
    watched: Sequence[sfn.IStateMachine],
    machine: sfn.IStateMachine,
    lost_events: sqs.IQueue | None = None,
) -> None:
    """Make the rule, with a role that may start this one machine. Without a queue, events can be lost for good."""
    rule_name = Names(settings).named(rule.name)
    role = iam.Role(
        scope,
        "Role",
        description=f"Lets EventBridge's rule {rule_name} start its machine.",
        assumed_by=iam.ServicePrincipal(
            "events.amazonaws.com",
            conditions={
                "ArnEquals": {"aws:SourceArn": settings.arn("events", f"rule/{rule_name}")},
                "StringEquals": {"aws:SourceAccount": settings.account},
            },
        ),
    )
    events.Rule(
        scope,
        "Rule",
        rule_name=rule_name,
        description=rule.description,
        event_pattern=events.EventPattern(
            account=[settings.account],
            source=["aws.states"],
            detail_type=["Step Functions Execution Status Change"],
            detail={
                "stateMachineArn": [each.state_machine_arn for each in watched],
                "status": list(rule.statuses),
            },
        ),
        targets=[
            targets.SfnStateMachine(
                machine,
                input=events.RuleTargetInput.from_object(dict(rule.given)),
                role=role,
                dead_letter_queue=lost_events,
                max_event_age=rule.for_at_most,
                retry_attempts=_MOST_ATTEMPTS,
            )
        ],
    )


_ROLLBACK = StatusRule(
    name="unfinished-execution",
    description="Rolls back what an execution that failed, timed out or was aborted left unfinished.",
    statuses=UNFINISHED,
    given={
        "source": "execution-status",
        "execution_arn": ENDED_EXECUTION,
        "status": events.EventField.from_path("$.detail.status"),
    },
    for_at_most=Duration.hours(1),
)


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
        start_on_status(self, settings, _ROLLBACK, watched, rollback, lost_events)


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
