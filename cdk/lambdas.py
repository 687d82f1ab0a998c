"""A Lambda function as all of ours are: its runtime, its log, its libraries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk.acknowledgements import acknowledge
from cdk.packaging import layer_code

_WHY_THIS_RUNTIME = (
    "All tests and rehearsals ran with Python up to this version; a newer one comes with a change of them."
)


@dataclass(frozen=True)
class Shape:
    """What one function is called in the account, what it is for, and where its handler is, below `lambdas`."""

    name: str
    description: str
    module: str
    timeout_seconds: int
    reserved_concurrency: int | None = None

    @property
    def construct_id(self) -> str:
        """What the function's part of the template is called after: the module, and not where it runs."""
        return "".join(word.capitalize() for word in self.module.rpartition(".")[2].split("_"))


def libraries(scope: Construct, construct_id: str, description: str, requirements: str) -> lambda_.LayerVersion:
    """Make a layer with libraries, exactly as they are pinned."""
    return lambda_.LayerVersion(
        scope,
        construct_id,
        description=description,
        code=layer_code(requirements),
        compatible_runtimes=[lambda_.Runtime.PYTHON_3_13],
        compatible_architectures=[lambda_.Architecture.ARM_64],
    )


def make_log(scope: Construct, shape: Shape) -> logs.LogGroup:
    """Make the log of a function, which is kept for a year, whatever becomes of the function."""
    return logs.LogGroup(
        scope,
        f"{shape.construct_id}Logs",
        log_group_name=f"/aws/lambda/{shape.name}",
        retention=logs.RetentionDays.ONE_YEAR,
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )


def make_function(
    scope: Construct,
    shape: Shape,
    *,
    log: logs.LogGroup,
    role: iam.IRole,
    code: lambda_.Code,
    layers: Sequence[lambda_.ILayerVersion],
    variables: Mapping[str, str],
    called: str,
) -> lambda_.Function:
    """Make a function. `called` is after what its log lines and metrics are called."""
    function = lambda_.Function(
        scope,
        shape.construct_id,
        function_name=shape.name,
        description=shape.description,
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.ARM_64,
        handler=f"lambdas.{shape.module}.lambda_handler",
        code=code,
        layers=list(layers),
        role=role,
        environment={
            **variables,
            "LOG_LEVEL": "INFO",
            "POWERTOOLS_METRICS_NAMESPACE": "Runback",
            "POWERTOOLS_SERVICE_NAME": called,
        },
        timeout=Duration.seconds(shape.timeout_seconds),
        memory_size=512,
        reserved_concurrent_executions=shape.reserved_concurrency,
        tracing=lambda_.Tracing.ACTIVE,
        log_group=log,
        current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN),
    )
    acknowledge(function, "L1", _WHY_THIS_RUNTIME)
    return function
