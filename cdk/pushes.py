"""What tells the push machine of a commit: GitHub's pushes, the environment before, and a look every few minutes."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk.names import PUSHED, RECONCILE, VALIDATED, Names
from cdk.push_settings import LISTENING, GitHub, Pushes
from cdk.settings import EnvironmentSettings
from cdk.triggers import StartRule, StatusRule, start_on_event, start_on_status
from lambdas.github.push_rules import Source

_FIELDS = ("commit", "ref", "sender", "delivery", "pushed_at", "before", "repository_id", "deleted", "fork")

_PUSHED = StartRule(
    name=PUSHED,
    description="Has a push to the repository judged, and released here if it is the newest.",
    given={
        "source": Source.GITHUB.value,
        **{field: events.EventField.from_path(f"$.detail.{field}") for field in _FIELDS},
    },
    for_at_most=Duration.hours(1),
)


class ReleasePushes(Construct):
    """
    Start the push machine for what may become a release here, as settings say.

    A rule lets through what can be one at all; which of them is released, the machine decides. An event that cannot be
    delivered goes into the queue of lost events, and its commit is found by the next look.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: EnvironmentSettings,
        pushes: Pushes,
        github: GitHub,
        machine: sfn.IStateMachine,
        lost_events: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        if pushes.starts in LISTENING:
            bus = events.EventBus.from_event_bus_arn(self, "Bus", Names(settings).github_bus_arn)
            start_on_event(
                self, settings, _PUSHED, _pattern(settings, pushes, github), machine, lost_events=lost_events, bus=bus
            )
        if pushes.starts == "validated" and pushes.after:
            before = sfn.StateMachine.from_state_machine_arn(
                self, "Before", Names(settings).machine_arn_of(pushes.after, "deploy")
            )
            start_on_status(self, settings, _validated(pushes.after), [before], machine, lost_events)


def _pattern(settings: EnvironmentSettings, pushes: Pushes, github: GitHub) -> events.EventPattern:
    """Let only those events through that this account has put on the bus, about what settings name."""
    wanted: object = {"prefix": pushes.ref[:-1]} if pushes.ref.endswith("*") else pushes.ref
    return events.EventPattern(
        account=[settings.account],
        source=[Source.GITHUB.value],
        detail_type=["push"],
        detail={
            "repository_id": [github.repository_id],
            "ref": [wanted],
            "deleted": [False],
            "fork": [False],
        },
    )


def _validated(after: str) -> StatusRule:
    """A release that ended in success is promoted, and then its commit is validated."""
    return StatusRule(
        name=VALIDATED,
        description=f"Has the commit that {after} has released well judged, and released here.",
        given={"source": Source.VALIDATED.value, "environment": after},
        for_at_most=Duration.hours(1),
        statuses=("SUCCEEDED",),
    )


class Reconcile(Construct):
    """
    Look every few minutes what was missed: GitHub does not tell again what could not be delivered.

    A look that cannot start is not repeated: the next one sees the same.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: EnvironmentSettings,
        pushes: Pushes,
        reconcile: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        events.Rule(
            self,
            "Rule",
            rule_name=Names(settings).named(RECONCILE),
            description="Finds pushes that nobody has told of, and such as nobody takes care of, without any event.",
            schedule=events.Schedule.rate(Duration.minutes(pushes.reconcile_minutes)),
            targets=[targets.LambdaFunction(reconcile, max_event_age=Duration.minutes(1), retry_attempts=0)],
        )
