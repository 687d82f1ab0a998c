"""Time and people at the gates."""

import pytest

from lambdas.gates.gate_rules import GateSettings, error, failed, passed, pending
from lambdas.gates.operation_rules import both, look_at_maintenance, look_at_on_call
from lambdas.release.request_rules import GateStatus
from lambdas.release.rules import EnvironmentRecord, Maintenance
from tests.builders import OPERATE, at

MAINTENANCE = EnvironmentRecord(maintenance=Maintenance(at(30), "a new switch", OPERATE))


def test_maintenance_is_waited_for_until_its_end() -> None:
    found = look_at_maintenance(MAINTENANCE, at(5))
    assert (found.status, found.again_at) == (GateStatus.PENDING, "2026-03-01T10:30:00Z")
    assert look_at_maintenance(MAINTENANCE, at(30)).status is GateStatus.PASSED
    assert look_at_maintenance(EnvironmentRecord(), at(5)).status is GateStatus.PASSED


@pytest.mark.parametrize(
    ("targets", "status"), [(0, GateStatus.FAILED), (1, GateStatus.FAILED), (2, GateStatus.PASSED)]
)
def test_enough_people_have_to_hear_of_it(targets: int, status: GateStatus) -> None:
    assert look_at_on_call(targets, GateSettings({}, 0, notification_targets=2)).status is status


def test_the_worse_of_two_counts_with_the_words_of_both() -> None:
    assert both(passed("Open."), pending("Frozen.", at(9))).status is GateStatus.PENDING
    assert both(pending("Frozen."), error("Unknown.")).status is GateStatus.ERROR
    assert both(failed("No."), error("Unknown.")).status is GateStatus.FAILED
    found = both(pending("Closed.", at(4)), pending("Frozen.", at(9)))
    assert found.again_at == at(9)
    assert "Closed." in found.detail
    assert "Frozen." in found.detail
