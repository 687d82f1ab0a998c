"""
What starts a machine when nobody is looking, and what becomes of an event that could not be delivered.

A release's own failure path starts its rollback; but a machine's time-out, an abort in the console or a crash of the
failure path itself goes past every Catch. Two independent ways find such a release: its execution's last status event,
and the watchdog, which needs no event at all. A release that ended well and serves badly is found by alarms.
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
from cdk.alarms import critical_alarms
from cdk.names import CRITICAL_ALARM, LOST_EVENTS, UNFINISHED_EXECUTION, WATCHDOG, Names
from cdk.settings import EnvironmentSettings
from lambdas.judge.alarm_rules import AlarmSettings

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
            queue_name=Names(settings).named(LOST_EVENTS),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        acknowledge(self.queue, "SQS3", "This is itself a dead-letter queue, and it has an alarm.")


@dataclass(frozen=True)
class StartRule:
    """
    What starts a machine.

    `given` is the machine's input. An event that cannot be delivered is tried again for as long as `for_at_most`.
    """

    name: str
    description: str
    given: Mapping[str, str]
    for_at_most: Duration


@dataclass(frozen=True)
class StatusRule(StartRule):
    """What starts a machine when an execution of another one gets one of these `statuses`."""

    statuses: tuple[str, ...]


def start_on_status(
    scope: Construct,
    settings: EnvironmentSettings,
    rule: StatusRule,
    watched: Sequence[sfn.IStateMachine],
    machine: sfn.IStateMachine,
    lost_events: sqs.IQueue | None = None,
) -> iam.IRole:
    """Make the rule for executions of the machines that are watched, and return its role."""
    pattern = events.EventPattern(
        account=[settings.account],
        source=["aws.states"],
        detail_type=["Step Functions Execution Status Change"],
        detail={
            "stateMachineArn": [each.state_machine_arn for each in watched],
            "status": list(rule.statuses),
        },
    )
    return start_on_event(scope, settings, rule, pattern, machine, lost_events)


def start_on_event(
    scope: Construct,
    settings: EnvironmentSettings,
    rule: StartRule,
    pattern: events.EventPattern,
    machine: sfn.IStateMachine,
    lost_events: sqs.IQueue | None = None,
    bus: events.IEventBus | None = None,
) -> iam.IRole:
    """
    Make the rule, and return its role, which may start this one machine. Without a queue, events can be lost.

    Without a `bus` of its own the rule is on the account's, on which AWS itself tells what happens.
    """
    rule_name = Names(settings).named(rule.name)
    path = f"{bus.event_bus_name}/{rule_name}" if bus else rule_name
    role = iam.Role(
        scope,
        "Role",
        description=f"Lets EventBridge's rule {rule_name} start its machine.",
        assumed_by=iam.ServicePrincipal(
            "events.amazonaws.com",
            conditions={
                "ArnEquals": {"aws:SourceArn": settings.arn("events", f"rule/{path}")},
                "StringEquals": {"aws:SourceAccount": settings.account},
            },
        ),
    )
    events.Rule(
        scope,
        "Rule",
        rule_name=rule_name,
        description=rule.description,
        event_bus=bus,
        event_pattern=pattern,
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
    return role


_ROLLBACK = StatusRule(
    name=UNFINISHED_EXECUTION,
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
        self.role = start_on_status(self, settings, _ROLLBACK, watched, rollback, lost_events)


_CRITICAL_ALARM = StartRule(
    name=CRITICAL_ALARM,
    description="Rolls back the release that a critical alarm is about, or pages.",
    given={
        "source": "alarm",
        "alarm": events.EventField.from_path("$.detail.alarmName"),
        "state": events.EventField.from_path("$.detail.state.value"),
        "previous_state": events.EventField.from_path("$.detail.previousState.value"),
        "changed_at": events.EventField.from_path("$.detail.state.timestamp"),
        "reason": events.EventField.from_path("$.detail.state.reason"),
    },
    for_at_most=Duration.hours(1),
)


class RollbackOnAlarm(Construct):
    """
    Start the rollback machine when a critical alarm comes on: one on one metric, not one that sums others up.

    What sums up is on already when a processor is busy, and says nothing new when errors come. By the beginning of
    their names, because a list of all of them would not fit into a pattern of 2048 characters.

    The machine decides from the record whether the alarm is about a release, and reads whether it is still on. So an
    event may come as late as any other: an alarm that has gone off since does nothing, and one that is still on is as
    urgent as before.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: EnvironmentSettings,
        rollback: sfn.IStateMachine,
        lost_events: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        beginnings = AlarmSettings(settings.prefix, critical_alarms(settings)).name_prefixes()
        pattern = events.EventPattern(
            account=[settings.account],
            source=["aws.cloudwatch"],
            detail_type=["CloudWatch Alarm State Change"],
            detail={
                "alarmName": [{"prefix": each} for each in beginnings],
                "state": {"value": ["ALARM"]},
            },
        )
        self.role = start_on_event(self, settings, _CRITICAL_ALARM, pattern, rollback, lost_events)


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
            rule_name=Names(settings).named(WATCHDOG),
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
