"""What is measured every minute because AWS has no metric for it: what a user would find, and the database's answer."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.names import Names
from cdk.settings import EnvironmentSettings

PROBES: Mapping[str, str] = {
    "checks.probe": "Asks what is live what a user would ask, for the alarms that AWS has no metric for.",
    "checks.probe_database": "Asks the database whether it answers and how fast, for the same alarms.",
}
"""What each rule is for, by the function that it wakes."""


class Probes(Construct):
    """
    Let every probe look once a minute.

    A round that cannot start is not repeated, and not kept in the queue of lost events either: there it would wake
    somebody for a rollback that is not missing. Probes that stay silent have alarms of their own.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: EnvironmentSettings,
        functions: Mapping[str, lambda_.IFunction],
    ) -> None:
        super().__init__(scope, construct_id)
        for module, description in PROBES.items():
            name = module.rpartition(".")[2].replace("_", "-")
            events.Rule(
                self,
                "".join(word.capitalize() for word in name.split("-")),
                rule_name=Names(settings).named(name),
                description=description,
                schedule=events.Schedule.rate(Duration.minutes(1)),
                targets=[
                    targets.LambdaFunction(
                        functions[module],
                        max_event_age=Duration.minutes(1),
                        retry_attempts=0,
                    )
                ],
            )
