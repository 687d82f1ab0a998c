"""
One structured log line and one metric for every step, keyed by the release that it belongs to.

The only module of `lambdas` that may read a clock: Powertools stamps log lines and metrics.
"""

import gc
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from lambdas import IS_STARTING
from lambdas.errors import AwsCallFailed, RunbackError

logger = Logger()
metrics = Metrics()

Event = dict[str, Any]
Handler = Callable[[Event, LambdaContext], Event]

FAILED_REQUEST = (ClientError, BotoCoreError)
"""What botocore raises when a request to AWS was refused, throttled or lost."""


def step(handler: Handler) -> Handler:
    """
    Make a function a step of a state machine: logged, counted, and failing only with error names that machines know.

    A failed AWS request leaves as AwsCallFailed, whatever botocore calls it, so that one retry policy fits every step.
    It is the last thing that a function's module does, after all its imports and clients.
    """
    if IS_STARTING:
        gc.enable()

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    @wraps(handler)
    def wrapper(event: Event, context: LambdaContext) -> Event:
        metrics.add_dimension(name="Step", value=handler.__module__.rpartition(".")[2])
        _key_by_release(event)
        try:
            result = handler(event, context)
        except FAILED_REQUEST as error:
            _count("Failed")
            raise AwsCallFailed(describe(error)) from error
        except RunbackError:
            _count("Refused")
            raise
        except Exception:
            _count("Failed")
            raise
        _count("Completed")
        return result

    return wrapper


def publish(namespace: str, dimensions: Mapping[str, str], values: Mapping[str, tuple[MetricUnit, float]]) -> None:
    """
    Publish metrics with exactly these dimensions, through the log: that takes no request, so it works in a VPC too.

    Without a service of its own: Powertools would add it as one more dimension, and no alarm would find the metric.
    """
    own = AmazonCloudWatchEMFProvider(namespace=namespace, service="", default_dimensions=dict(dimensions))
    for name, (unit, value) in values.items():
        own.add_metric(name, unit, value)
    own.flush_metrics()


def _key_by_release(event: Event) -> None:
    release_id = event.get("release_id") if isinstance(event, dict) else None
    if isinstance(release_id, str):
        logger.append_keys(release_id=release_id)
        metrics.add_metadata(key="release_id", value=release_id)


def _count(name: str) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)


def describe(error: Exception) -> str:
    """Say in a line what went wrong with a request: which one, AWS's code, and its message."""
    if isinstance(error, ClientError):
        details = error.response["Error"]
        return f"{error.operation_name}: {details.get('Code', 'Unknown')}: {details.get('Message', '')}"
    return f"{type(error).__name__}: {error}"
