"""Rules of AWS Solutions that something does not follow, each with its reason; cdk-nag is asked for the rest."""

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

_WHY_ALL_TRACES = "X-Ray knows no resource for the traces that are written to it."
_WHY_OLD_VERSIONS = (
    "The star is the function's versions: an execution that began before an update of Runback goes on with those of its"
    " time."
)
_WHY_ALL_LOG_DELIVERIES = "CloudWatch Logs knows no resource for the delivery of Step Functions' logs."


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Say why a construct does not follow a rule, such as "SQS3"."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason))


def acknowledge_star(construct: Construct, resource: str, reason: str) -> None:
    """Say why a policy of the construct names a resource with a star."""
    acknowledge(construct, f"IAM5[Resource::{resource}]", reason)


def acknowledge_tracing(construct: Construct) -> None:
    """A function or machine writes its traces."""
    acknowledge_star(construct, "*", _WHY_ALL_TRACES)


def acknowledge_log_delivery(construct: Construct) -> None:
    """A machine writes its log, and its traces."""
    acknowledge_star(construct, "*", f"{_WHY_ALL_TRACES} {_WHY_ALL_LOG_DELIVERIES}")


def acknowledge_versions(construct: Construct, function: lambda_.IFunction) -> None:
    """A machine may call a function in all versions."""
    logical_id = Stack.of(function).resolve(function.function_arn)["Fn::GetAtt"][0]
    acknowledge_star(construct, f"<{logical_id}.Arn>:*", _WHY_OLD_VERSIONS)
