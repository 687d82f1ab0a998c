"""How things are called, so that one part can name another that is not built yet."""

from collections.abc import Mapping
from dataclasses import dataclass

from cdk.settings import EnvironmentSettings

UNFINISHED_EXECUTION, CRITICAL_ALARM, WATCHDOG = "unfinished-execution", "critical-alarm", "watchdog"
PUSHED, VALIDATED, RECONCILE = "pushed", "validated", "reconcile"
"""The rules and the schedule that start the push machine."""
TELL_GITHUB, TELL_GITHUB_SOON = "report-status", "report-status-soon"
"""The schedule and the rule that have GitHub told of releases."""
CALLER = "caller"
"""The rule on who has started a machine."""
STARTERS: Mapping[str, tuple[str, ...]] = {"rollback": (UNFINISHED_EXECUTION, CRITICAL_ALARM, WATCHDOG)}
"""The rules and the schedule that start a machine when nobody does so by hand. A restore, humans alone begin."""
LOST_EVENTS, WATCHDOG_SILENT, NOTICES_FAIL = "lost-events", "watchdog-silent", "notices-fail"
TELLING = (LOST_EVENTS, WATCHDOG_SILENT, NOTICES_FAIL)
"""The alarms that tell humans by themselves, because nobody else would."""

PLAN, APPLY = "plan", "apply"
"""The projects of CodeBuild in which Terraform works."""


@dataclass(frozen=True)
class Names:
    """
    The names and ARNs of what a stack contains, computed from settings alone.

    A function's role can thereby name the machine that calls the function, without a circle in the template.
    """

    settings: EnvironmentSettings

    def named(self, what: str) -> str:
        """Return the name of something in this environment."""
        return f"{self.settings.prefix}-{what}"

    def function_arn(self, function: str) -> str:
        """Return the ARN of a function, such as "switch-listener", without version."""
        return self.settings.arn("lambda", f"function:{self.named(function)}")

    def machine_arn(self, machine: str) -> str:
        """Return the ARN of a machine, such as "rollback" or "clean-up"."""
        return self.settings.arn("states", f"stateMachine:{self.named(machine)}")

    def execution_arns(self, machine: str) -> str:
        """Return the pattern of all executions of a machine."""
        return self.settings.arn("states", f"execution:{self.named(machine)}:*")

    @property
    def record_table(self) -> str:
        """The name of the DynamoDB table with the record."""
        return self.named("record")

    def record_table_of(self, environment: str) -> str:
        """Return the name of the table with the record of another environment of the same service."""
        return f"{self.settings.service}-{environment}-record"

    def machine_arn_of(self, environment: str, machine: str) -> str:
        """Return the ARN of a machine of another environment of the same service."""
        return self.settings.arn("states", f"stateMachine:{self.settings.service}-{environment}-{machine}")

    @property
    def github_bus_arn(self) -> str:
        """The ARN of the bus on which the service's pushes arrive; it is in the stack of the webhook."""
        return self.settings.arn("events", f"event-bus/{self.settings.service}-github")

    @property
    def record_table_arn(self) -> str:
        """The ARN of the DynamoDB table with the record."""
        return self.settings.arn("dynamodb", f"table/{self.record_table}")

    @property
    def reports_arn(self) -> str:
        """The pattern of the ARNs of all reports: each is an object that is called after its release."""
        return f"arn:{self.settings.partition}:s3:::{self.settings.reports_bucket}/releases/*"

    @property
    def reports_url(self) -> str:
        """Where the console shows a report, to whoever may log in and read it; the report's key goes behind it."""
        host = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}.get(
            self.settings.partition, "console.aws.amazon.com"
        )
        bucket, region = self.settings.reports_bucket, self.settings.region
        return f"https://{region}.{host}/s3/object/{bucket}?region={region}&prefix="

    @property
    def exports_arn(self) -> str:
        """The pattern of the ARNs of all exports: each begins with the id of its restore."""
        return f"arn:{self.settings.partition}:s3:::{self.settings.exports_bucket}/r-*"

    def project_arn(self, project: str) -> str:
        """Return the ARN of a project of CodeBuild; its builds have the same."""
        return self.settings.arn("codebuild", f"project/{self.named(project)}")

    @property
    def plans_arn(self) -> str:
        """The pattern of the ARNs of all plans."""
        return f"arn:{self.settings.partition}:s3:::{self.settings.plans_bucket}/plans/*"

    @property
    def topic_arn(self) -> str:
        """The ARN of the topic that humans subscribe to."""
        return self.settings.arn("sns", self.named("notices"))
