"""What a scenario wants the world to be like, where it is not simply good."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rehearsal.world.application import Behaviour
from rehearsal.world.database import SnapshotPlan
from rehearsal.world.instance_refresh import PATIENCE_SECONDS
from rehearsal.world.migrations import MigrationPlan
from rehearsal.world.restores import RestorePlan
from rehearsal.world.terraform import Values

LATER_VERSIONS = ("5d6e7f8", "9c8b7a6")
"""What scenarios release, one after the other."""


@dataclass(frozen=True)
class Circumstances:
    """
    How everything behaves that a release meets.

    Versions without a behaviour behave well. `refresh_patience_seconds` is how long an instance refresh waits for an
    instance, in simulated seconds; `idle_instances` is the idle color's size before the release; `sticky_share` is the
    share of users that keep the load balancer's stickiness cookie; `requests_per_second` is how much all of them
    send in a simulated second while a release is judged; None: what the staging is made for. With `real_database` even
    a rehearsal of models has PostgreSQL for its instances, where a model would have no rows that could come back.
    `migration` is what the customer's function does, for a release that has it called.
    `later_versions` are those that GitHub knows beside the one that is live, each upon the one before, on no branch.
    `commits` says what Terraform's configuration of a version has else than the one before; see `Terraform`.
    """

    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    snapshot: SnapshotPlan = field(default_factory=SnapshotPlan)
    refresh_patience_seconds: float = PATIENCE_SECONDS
    idle_instances: int = 0
    sticky_share: float = 0.0
    requests_per_second: float | None = None
    restore: RestorePlan = field(default_factory=RestorePlan)
    real_database: bool = False
    migration: MigrationPlan = field(default_factory=MigrationPlan)
    later_versions: tuple[str, ...] = LATER_VERSIONS
    commits: Mapping[str, Mapping[str, Values | None]] = field(default_factory=dict)
