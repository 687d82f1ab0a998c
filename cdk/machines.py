"""A state machine as it runs in an account: its name, its rights, its log."""

from collections.abc import Callable, Mapping

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk.acknowledgements import acknowledge_log_delivery
from cdk.functions import Functions
from cdk.names import Names
from cdk.settings import EnvironmentSettings

Definition = Callable[[Construct, Mapping[str, lambda_.IFunction]], sfn.IChainable]
"""Builds a machine's states, given where they belong and the functions that they may call, by module."""


class Machine(Construct):
    """
    One machine of an environment. It may call its own functions, in every version, and nothing else.

    Its log tells which states were entered, but never their data: an input or a result can carry what must not be
    read by everybody who may read logs.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: EnvironmentSettings,
        functions: Functions,
        machine: str,
        define: Definition,
        timeout: Duration,
    ) -> None:
        super().__init__(scope, construct_id)
        name = Names(settings).named(machine)
        log_group = logs.LogGroup(
            self,
            "Logs",
            # Step Functions logs to groups below this prefix without adding to the account's log policy every time
            log_group_name=f"/aws/vendedlogs/states/{name}",
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        self.state_machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_name=name,
            definition_body=sfn.DefinitionBody.from_chainable(define(self, functions.of_machine(machine))),
            timeout=timeout,
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=False),
        )
        acknowledge_log_delivery(self.state_machine)
        functions.allow_calls(machine, self.state_machine)
