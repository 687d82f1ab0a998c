"""What a release would go back to, as it is now: the old color, the listener, and the snapshot of the database."""

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.database.snapshots import Snapshots
from lambdas.judge.way_back_rules import Found, Wanted
from lambdas.observability import FAILED_REQUEST, logger
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route


@dataclass(frozen=True)
class WayBack:
    """The way back of releases on these routes."""

    load_balancer: LoadBalancer
    snapshots: Snapshots
    routes: Sequence[Route]

    def readable(self, wanted: Wanted) -> Found | None:
        """Look at it; None when AWS did not answer, which says nothing about it."""
        try:
            snapshot = self.snapshots.find(wanted.snapshot_id)
            return Found(
                healthy={
                    route.name: self.load_balancer.health(route.target_group(wanted.color)).healthy
                    for route in self.routes
                },
                forwards=self.load_balancer.forwards(route.arn for route in self.routes),
                snapshot=snapshot.status if snapshot else "",
            )
        except FAILED_REQUEST:
            logger.warning("The way back could not be looked at", exc_info=True)
            return None
