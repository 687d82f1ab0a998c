"""Where the reports of releases are, and what has them written."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk.acknowledgements import acknowledge
from cdk.buckets import private_bucket
from cdk.settings import EnvironmentSettings
from cdk.triggers import ENDED, ENDED_EXECUTION, StatusRule, start_on_status

_KEPT = Duration.days(400)
"""A year and a month: whoever prepares for a busy season still finds the releases of the last one."""
_FORMER_KEPT = Duration.days(30)
_REPORT = StatusRule(
    name="report",
    description="Has a report written when an execution that can be part of a release has ended.",
    statuses=ENDED,
    given={"execution_arn": ENDED_EXECUTION},
    for_at_most=Duration.days(1),
)


class Reports(Construct):
    """
    The bucket with a page for each release, over TLS only, and never to be made public.

    A report is written anew whenever an execution of its release ends. The former one is kept for a month, because the
    newer one can know less: metrics that could not be read, a history that Step Functions has forgotten. Reports hold
    no secret, so S3's own key encrypts them: whoever reads one needs rights on the bucket alone. They survive the
    stack.
    """

    def __init__(self, scope: Construct, construct_id: str, settings: EnvironmentSettings) -> None:
        super().__init__(scope, construct_id)
        self.bucket = private_bucket(self, settings.reports_bucket, _KEPT, former_kept=_FORMER_KEPT)
        acknowledge(
            self.bucket,
            "S1",
            "A report holds neither secrets nor data of customers, so nobody has to know who has read it.",
        )


class ReportOnEndedExecution(Construct):
    """
    Start the report machine when an execution that can be part of a release has ended, however it did.

    An event that cannot be delivered for a day is dropped, without a dead-letter queue: nothing depends on a report,
    and anybody can have it written later. In the queue of lost events it would wake somebody for a rollback that is
    not missing.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: EnvironmentSettings,
        watched: Sequence[sfn.IStateMachine],
        report: sfn.IStateMachine,
    ) -> None:
        super().__init__(scope, construct_id)
        start_on_status(self, settings, _REPORT, watched, report)
