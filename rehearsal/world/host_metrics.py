"""
How many targets of a target group are healthy, in the load balancer's namespace.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
"Reported if there are registered targets"; a target group that no listener names has no load balancer to be told with.
"""

from collections.abc import Iterator, Mapping

from rehearsal.engine.metrics import Metric
from rehearsal.settings import Settings
from rehearsal.world.gauge_metrics import Reading
from rehearsal.world.load_balancer import LoadBalancer
from rehearsal.world.load_balancer_metrics import NAMESPACE, balancer_of, target_group_of


class HostMetrics:
    """Of the target groups of all routes."""

    def __init__(self, settings: Settings, load_balancer: LoadBalancer) -> None:
        self._load_balancer = load_balancer
        self._dimensions = {
            arn: frozenset({("LoadBalancer", balancer_of(route.arn)), ("TargetGroup", target_group_of(arn))})
            for route in settings.routes
            for arn in (route.blue, route.green)
        }

    def look(self) -> Iterator[Reading]:
        """Count the targets of each target group in use."""
        for arn, dimensions in self._dimensions.items():
            states = self._load_balancer.states(arn)
            if states:
                for name, state in _STATES.items():
                    yield Reading(Metric(NAMESPACE, name, dimensions), (float(states[state]),), "Count")


_STATES: Mapping[str, str] = {"HealthyHostCount": "healthy", "UnHealthyHostCount": "unhealthy"}
