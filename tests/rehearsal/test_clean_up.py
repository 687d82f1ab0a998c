"""A clean-up that dies in the middle, on the pretend account: it costs the lease for a minute, and nothing else."""

import pytest

from rehearsal.scenarios import NEW_VERSION
from rehearsal.world.customer import CAPACITY
from tests.rehearsal.conftest import Quiet

pytestmark = pytest.mark.rehearsed


def test_a_stopped_clean_up_is_cleared_and_can_be_repeated(quiet: Quiet) -> None:
    """Staging has no window, so the clean-up begins at once, and its way back is gone from then on."""
    stage = quiet.stage
    stage.until_ended(stage.start_deployment({"version": NEW_VERSION}))
    stage.until(lambda: bool(stage.of_machine("clean-up")), "no clean-up was started")
    (clean_up,) = stage.of_machine("clean-up")
    stage.until_entered(clean_up, "Scale in old color")
    stage.stop(clean_up)
    quiet.until_dealt_with(clean_up)
    stage.until_all_ended()

    assert "Clean-up given up" in [rollback.states[-1] for rollback in stage.of_machine("rollback")]
    assert "holder" not in stage.record.lease
    assert "committed" == stage.record.lease["phase"]

    too_late = stage.until_ended(stage.start_rollback({}))
    again = stage.until_ended(stage.start_clean_up({}))

    instances = {
        color: len(stage.account.fleet.instances(each.auto_scaling_group))
        for color, each in stage.account.settings.colors.items()
    }
    assert ("FAILED", "RollbackNotPossible") == (too_late.status, too_late.error)
    assert "Cleaned up" == again.states[-1]
    assert {"blue": 0, "green": CAPACITY} == instances
    assert "promoted" == stage.record.release(stage.record.lease["release_id"])["outcome"]
    assert [] == quiet.invariants.violations
