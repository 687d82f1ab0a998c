"""What a scenario wants the world to be like is what it is like."""

from pathlib import Path

import pytest

from rehearsal.circumstances import Circumstances
from rehearsal.scenarios import Scenario
from rehearsal.stage import Stage
from tests.rehearsal.conftest import Rehearse

pytestmark = pytest.mark.rehearsed


@pytest.mark.parametrize(("wanted", "found"), [(None, 1.0), (4.0, 4.0)])
def test_users_send_as_much_as_a_scenario_wants(
    rehearse: Rehearse, assembly: Path, wanted: float | None, found: float
) -> None:
    """Enough for a judge who wants to have seen so many requests before he judges."""

    def wait(stage: Stage) -> None:
        stage.wait(100)

    played = rehearse(Scenario("wait", "", "", wait, circumstances=Circumstances(requests_per_second=wanted)), assembly)
    sent = [each.sent_seconds for each in played.report.samples]
    assert found == played.report.requests_per_second
    assert found == pytest.approx(len(sent) / (max(sent) - min(sent)), rel=0.1)
