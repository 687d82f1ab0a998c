"""How a release ended is written by who held the environment, and by nobody who comes late."""

import pytest

from lambdas.errors import LeaseLost
from lambdas.release import release_environment as function
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Phase, Work
from tests.builders import DEPLOYMENT, ROLLBACK, at


@pytest.fixture(autouse=True)
def _record(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "record", record)


def test_history_says_how_and_why_the_release_ended(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    for moment in (at(3), at(4)):
        function.release_environment(lease, "new", Phase.ABORTED, "smoke checks failed", moment)
    history = record.release("new")
    assert (history["outcome"], history["issue"], history["ended_at"]) == ("aborted", "smoke checks failed", at(3))
    assert record.read().work.holder is None


def test_deployment_that_ends_after_a_rollback_leaves_the_history_alone(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    held = record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))
    record.finish(held, Phase.ROLLED_BACK, at(4), {"new": {"outcome": "rolled_back"}})
    with pytest.raises(LeaseLost):
        function.release_environment(lease, "new", Phase.ABORTED, "late", at(5))
    history = record.release("new")
    assert (history["outcome"], history["ended_at"]) == ("rolled_back", at(4))
    assert "issue" not in history


def test_end_of_a_clean_up_says_nothing_of_how_the_release_ended(record: ReleaseRecord) -> None:
    """A rollback that was needed and did not work may have come in between."""
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.CLEANING_UP, release_id="new"))
    record.note_release("new", {"outcome": "escalated"})
    function.release_environment(lease, "new", Phase.COMMITTED, "", at(5))
    assert record.release("new")["outcome"] == "escalated"
    assert record.read().work.holder is None
