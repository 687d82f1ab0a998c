"""What several scenarios play."""

from rehearsal.fate import HeldCall
from rehearsal.scenarios.scenario import NEW_VERSION
from rehearsal.stage import Stage
from rehearsal.world.application import Behaviour

_PATHS = ("/auth/login", "/api/v2/receipts")
_SLOW_SECONDS = 3.5


def release(stage: Stage) -> None:
    """Deploy the new version, and wait for the end."""
    stage.until_ended(stage.start_deployment({"version": NEW_VERSION}))


def release_that_is_rolled_back(stage: Stage) -> None:
    """Deploy the new version, and wait for the rollback that nobody starts by hand."""
    release(stage)
    stage.until_rollback_ended()


def roll_back_around(stage: Stage, late: HeldCall) -> None:
    """Start a rollback while the deployment's call is under way, and let that arrive while the rollback settles."""
    stage.until(lambda: late.is_held, "the deployment did nothing that could be late")
    rollback = stage.start_rollback({})
    stage.until_entered(rollback, "Settle listener")
    late.let_go()
    stage.until_ended(rollback)


def bakes(stage: Stage) -> list[str]:
    """Name the states in which the release is observed, in their order."""
    return [name for name in stage.states_of("deploy") if name.startswith("Bake")]


def bad(failing_share: float = 0.0, slow_share: float = 0.0) -> Behaviour:
    """Return a behaviour that users suffer from, and no smoke check: a share of requests fails, or takes seconds."""
    return Behaviour(
        live_error_rates=dict.fromkeys(_PATHS, failing_share),
        delay_seconds=dict.fromkeys(_PATHS, _SLOW_SECONDS) if slow_share else {},
        slow_share=slow_share or 1.0,
    )


def turn_bad(stage: Stage, behaviour: Behaviour, *versions: str) -> None:
    """Let the new version, or these versions, behave so from now on, and remember when that was."""
    stage.note_fault()
    for version in versions or (NEW_VERSION,):
        stage.account.fleet.behave(version, behaviour)
