"""What a scenario wants the world to be like, where it is not simply good."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rehearsal.world.application import Behaviour
from rehearsal.world.database import SnapshotPlan
from rehearsal.world.instance_refresh import PATIENCE_SECONDS


@dataclass(frozen=True)
class Circumstances:
    """
    How versions behave (unnamed ones: well), how the next snapshot goes, how long an instance refresh waits for an
    instance (simulated seconds), and which share of the users keeps the load balancer's stickiness cookie.
    """

    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    snapshot: SnapshotPlan = field(default_factory=SnapshotPlan)
    refresh_patience_seconds: float = PATIENCE_SECONDS
    sticky_share: float = 0.0
