"""How things are called, so that one part can name another that is not built yet."""

from dataclasses import dataclass

from cdk.settings import EnvironmentSettings


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

    @property
    def record_table_arn(self) -> str:
        """The ARN of the DynamoDB table with the record."""
        return self.settings.arn("dynamodb", f"table/{self.record_table}")

    @property
    def topic_arn(self) -> str:
        """The ARN of the topic that humans subscribe to."""
        return self.settings.arn("sns", self.named("notices"))
