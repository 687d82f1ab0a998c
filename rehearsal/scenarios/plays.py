"""What several scenarios play."""

from rehearsal.scenarios.scenario import NEW_VERSION
from rehearsal.stage import Stage


def release(stage: Stage) -> None:
    """Deploy the new version, and wait for the end."""
    stage.until_ended(stage.start_deployment({"version": NEW_VERSION}))


def release_that_is_rolled_back(stage: Stage) -> None:
    """Deploy the new version, and wait for the rollback that nobody starts by hand."""
    release(stage)
    stage.until_rollback_ended()


def bakes(stage: Stage) -> list[str]:
    """Name the states in which the release is observed, in their order."""
    return [name for name in stage.states_of("deploy") if name.startswith("Bake")]
