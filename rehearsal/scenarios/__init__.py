"""
What can be rehearsed.

They stand in the order in which a newcomer should see them; the first is what `make rehearse` plays.
"""

from rehearsal.scenarios import (
    alarms,
    certificates,
    databases,
    drift,
    gates,
    infrastructure,
    judged,
    migrations,
    operators,
    outages,
    pushes,
    races,
    recovery_points,
    releases,
    rollbacks,
)
from rehearsal.scenarios.scenario import NEW_VERSION, OLD_VERSION, OTHER_VERSION, Scenario

__all__ = ["NEW_VERSION", "OLD_VERSION", "OTHER_VERSION", "SCENARIOS", "Scenario"]

SCENARIOS: tuple[Scenario, ...] = (
    *releases.SCENARIOS,
    *rollbacks.SCENARIOS,
    *judged.SCENARIOS,
    *alarms.SCENARIOS,
    *operators.SCENARIOS,
    *races.SCENARIOS,
    *outages.SCENARIOS,
    *drift.SCENARIOS,
    *certificates.SCENARIOS,
    *databases.SCENARIOS,
    *recovery_points.SCENARIOS,
    *infrastructure.SCENARIOS,
    *migrations.SCENARIOS,
    *pushes.SCENARIOS,
    *gates.SCENARIOS,
)
