"""What a snapshot is called, and whether a release may go on with it. All pure."""

from dataclasses import dataclass

from lambdas.errors import SnapshotFailed
from lambdas.release.rules import seconds_since

AVAILABLE = "available"
_UNDER_WAY = frozenset({"copying", "creating", "pending"})


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as RDS describes it. `percent` is 0 to 100."""

    snapshot_id: str
    instance: str
    status: str
    percent: int


def snapshot_name(service: str, environment: str, release_id: str) -> str:
    """
    Name the snapshot of a release: the same name for every attempt, so that a repeated step takes no second one.

    At most 255 letters, digits and single hyphens:
    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSnapshot.html
    """
    return f"runback-{service}-{environment}-{release_id}"


def check_snapshot(snapshot: Snapshot, instance: str, ready_by: str, now: str) -> bool:
    """
    Say whether the snapshot is complete. Only then there is something to go back to, and only then a release goes on.

    Raises SnapshotFailed when it is of another instance, ended without success, or is not ready in time.
    """
    if snapshot.instance != instance:
        raise SnapshotFailed(f"Snapshot {snapshot.snapshot_id} is of {snapshot.instance}, not of {instance}.")
    return check_copy(snapshot, ready_by, now)


def check_copy(snapshot: Snapshot, ready_by: str, now: str) -> bool:
    """
    Say whether a snapshot is complete, whatever it is of: an instance of another account has any name.

    Raises SnapshotFailed when it ended without success, or is not ready in time.
    """
    if snapshot.status == AVAILABLE:
        return True
    if snapshot.status not in _UNDER_WAY:
        raise SnapshotFailed(f"Snapshot {snapshot.snapshot_id} of {snapshot.instance} is {snapshot.status}.")
    if seconds_since(ready_by, now) >= 0:
        raise SnapshotFailed(
            f"Snapshot {snapshot.snapshot_id} was at {snapshot.percent} % when the time was up at {ready_by}."
        )
    return False
