from dataclasses import replace

import pytest

from lambdas.database.rules import Snapshot, check_snapshot, snapshot_name
from lambdas.errors import SnapshotFailed
from lambdas.release.rules import read_request
from tests.builders import at

SNAPSHOT = Snapshot("runback-receipts-test-new", "receipts-test", "creating", percent=40)


def checked(snapshot: Snapshot, now: str = at(5)) -> bool:
    return check_snapshot(snapshot, "receipts-test", ready_by=at(30), now=now)


def test_release_goes_on_only_with_a_complete_snapshot() -> None:
    assert not checked(SNAPSHOT)
    assert checked(replace(SNAPSHOT, status="available", percent=100))


@pytest.mark.parametrize("status", ["failed", "deleting", "incompatible-restore", "anything new"])
def test_snapshot_that_ended_otherwise_fails_the_release(status: str) -> None:
    with pytest.raises(SnapshotFailed, match=status):
        checked(replace(SNAPSHOT, status=status))


def test_snapshot_that_takes_too_long_fails_with_its_progress() -> None:
    assert not checked(SNAPSHOT, now=at(29, 59))
    with pytest.raises(SnapshotFailed, match="40 %"):
        checked(SNAPSHOT, now=at(30))


def test_complete_snapshot_of_another_database_is_no_way_back() -> None:
    """A name can be taken already."""
    with pytest.raises(SnapshotFailed, match="not of receipts-test"):
        checked(replace(SNAPSHOT, instance="another", status="available"))


def test_name_is_the_same_for_every_attempt_and_one_that_rds_takes() -> None:
    release_id = read_request({"version": "4f2c1e9"}, "execution").release_id
    name = snapshot_name("receipts", "test", release_id)
    assert name == snapshot_name("receipts", "test", release_id)
    assert len(name) <= 255
    assert "--" not in name
    assert name[0].isalpha()
