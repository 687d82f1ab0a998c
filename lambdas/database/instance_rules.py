"""
How an instance is made again so that it behaves like the one that serves: what is asked for, and when it is there.

All pure. Which settings there are, and how each gets to the restored instance, is in `instance_settings_rules`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lambdas.database.instance_settings_rules import (
    ADDED,
    DIFFERS,
    MODIFIED,
    RESTORED,
    SETTLED,
    Description,
    Parameters,
    comparable,
    is_given,
)
from lambdas.errors import LoginRefused, RestoreFailed
from lambdas.release.rules import seconds_since

RESTORE_TAG, ENVIRONMENT_TAG = "runback:restore", "runback:environment"
RESTORE_WITHIN_SECONDS = 2 * 3600
"""However large an instance is, its volumes are filled only when they are read; so RDS takes minutes, not hours."""

_FAILED = frozenset(
    {"deleting", "failed", "insufficient-capacity", "restore-error", "stopped", "stopping", "storage-full"}
)
_FAILED_PREFIXES = ("inaccessible-encryption-credentials", "incompatible-")


@dataclass(frozen=True)
class SourceSnapshot:
    """
    What decides whether a snapshot can be restored; `arn` names the account that it belongs to.

    `key` is the ARN of the key that it is encrypted with, and "" where it is not.
    """

    snapshot_id: str
    arn: str
    status: str
    encrypted: bool
    engine: str
    key: str = ""


@dataclass(frozen=True)
class Look:
    """
    How far a restored instance is.

    `settings` is "restoring", "modifying" or "equal"; `change` is what ModifyDBInstance has to be told next, `roles`
    are the (ARN, feature) of the IAM roles that the instance has yet to be given.
    """

    available: bool
    settings: str
    change: Parameters = field(default_factory=dict)
    roles: tuple[tuple[str, str], ...] = ()


def restore_request(forward: Description, restore_id: str, environment: str) -> Parameters:
    """
    Return what a restore request says beside source and name, whichever of the two requests it is.

    Raises RestoreFailed for an instance of a kind that is not made again this way.
    """
    _require_plain_instance(forward)
    request: Parameters = {"Tags": _tags(forward, restore_id, environment)}
    for name, way in RESTORED.items():
        if is_given(name, forward):
            request |= way(forward)
    return request


def require_restorable(snapshot: SourceSnapshot, forward: Description) -> None:
    """
    Refuse a snapshot that RDS would refuse, in words that say what to do.

    Raises RestoreFailed.
    """
    name = snapshot.snapshot_id
    if snapshot.status != "available":
        raise RestoreFailed(
            f"Snapshot {name} is {snapshot.status}, and only an available one can be restored. Wait, or name another."
        )
    if snapshot.engine != forward["Engine"]:
        raise RestoreFailed(
            f"Snapshot {name} is of {snapshot.engine}, and {forward['DBInstanceIdentifier']} is {forward['Engine']}."
        )
    owner, account = snapshot.arn.split(":")[4], forward["DBInstanceArn"].split(":")[4]
    if snapshot.encrypted and owner != account:
        raise RestoreFailed(
            f"Snapshot {name} is encrypted and shared by account {owner}; RDS restores only a copy of such a snapshot. "
            f"Copy it with a key of this account (aws rds copy-db-snapshot --kms-key-id …), and restore the copy."
        )


def require_ours(found: Description, restore_id: str, environment: str) -> None:
    """
    Adopt an instance that is there already only when an earlier attempt at this very restore made it.

    Raises RestoreFailed.
    """
    tags = {each["Key"]: each["Value"] for each in found.get("TagList", [])}
    if (tags.get(RESTORE_TAG), tags.get(ENVIRONMENT_TAG)) != (restore_id, environment):
        raise RestoreFailed(
            f"There is an instance {found['DBInstanceIdentifier']} already, and its tags do not say that restore "
            f"{restore_id} of {environment} made it. Runback changes no instance that it did not make: find out whose "
            f"it is."
        )


def require_master(found: Description, username: str) -> None:
    """
    Let RDS set only a password that it keeps: that of the master user, where no secret of RDS's own has it.

    Raises LoginRefused that says what a human has to do.
    """
    instance, master = found["DBInstanceIdentifier"], found["MasterUsername"]
    refused = f"The restored instance {instance} does not let in {username}, whose password was changed since then."
    if username != master:
        raise LoginRefused(f"{refused} Log in as its master user {master}, and give {username} the password of today.")
    if secret := found.get("MasterUserSecret", {}).get("SecretArn"):
        raise LoginRefused(f"{refused} RDS keeps its password in {secret}: let settings name a user of another secret.")


def look(forward: Description, found: Description, ready_by: str, now: str) -> Look:
    """
    Say how far the restored instance is: still being restored, still being changed, or there and equal.

    Raises RestoreFailed when it failed, when it is not there in time, and when it differs in what nobody can explain.
    """
    name, status = found["DBInstanceIdentifier"], found["DBInstanceStatus"]
    if status in _FAILED or status.startswith(_FAILED_PREFIXES):
        raise RestoreFailed(f"The restored instance {name} is {status}. Look at its events in RDS; it was not used.")
    is_late = seconds_since(ready_by, now) >= 0
    if status != "available":
        if is_late:
            raise RestoreFailed(f"The restored instance {name} was still {status} when the time was up at {ready_by}.")
        return Look(available=False, settings="restoring" if status == "creating" else "modifying")
    differing = differences(forward, found)
    change, roles = modifications(forward, found), missing_roles(forward, found)
    unsettled = list(_unsettled(found))
    if not (differing or unsettled):
        return Look(available=True, settings="equal")
    explained = {member for member in differing if member in MODIFIED and MODIFIED[member](forward, found)} | {ADDED}
    if is_late or (set(differing) - explained and not unsettled):
        raise RestoreFailed(_explain(name, forward, found, differing, unsettled))
    return Look(available=False, settings="modifying", change=change, roles=roles)


def undone(found: Description, ready_by: str, now: str) -> Look:
    """
    Say whether the instance that served before can serve again: nothing about it was changed, so nothing is compared.

    Raises RestoreFailed.
    """
    return look(found, {**found, "PendingModifiedValues": {}}, ready_by, now)


def differences(forward: Description, found: Description) -> list[str]:
    """Return the members, also ones that no table knows, that should be equal and are not, in order."""
    names = sorted((forward.keys() | found.keys()) - DIFFERS.keys())
    return [name for name in names if comparable(name, forward) != comparable(name, found)]


def modifications(forward: Description, found: Description) -> Parameters:
    """Return what ModifyDBInstance has to be told of the differences, as far as it can be."""
    change: Parameters = {}
    for name in differences(forward, found):
        if name in MODIFIED:
            change |= MODIFIED[name](forward, found)
    return change


def missing_roles(forward: Description, found: Description) -> tuple[tuple[str, str], ...]:
    """Return the roles that the restored instance has yet to be given, as (ARN, feature)."""
    has = comparable(ADDED, found) or []
    return tuple(role for role in comparable(ADDED, forward) or [] if role not in has)


def _require_plain_instance(forward: Description) -> None:
    name = forward["DBInstanceIdentifier"]
    if forward.get("DBClusterIdentifier"):
        raise RestoreFailed(
            f"{name} belongs to cluster {forward['DBClusterIdentifier']}; clusters are restored by hand."
        )
    if forward.get("ReadReplicaSourceDBInstanceIdentifier"):
        source = forward["ReadReplicaSourceDBInstanceIdentifier"]
        raise RestoreFailed(
            f"{name} is a replica of {source}. Restore {source}, and make replicas of what comes of it."
        )


def _tags(forward: Description, restore_id: str, environment: str) -> list[dict[str, str]]:
    ours = [(RESTORE_TAG, restore_id), (ENVIRONMENT_TAG, environment)]
    return [{"Key": key, "Value": value} for key, value in [*(comparable("TagList", forward) or []), *ours]]


def _unsettled(found: Description) -> Iterator[str]:
    for name, (state, settled) in SETTLED.items():
        for each in found.get(name, []):
            if each.get(state, settled) != settled:
                yield f"{name} is {each[state]}"
    if found.get("PendingModifiedValues"):
        yield f"{', '.join(sorted(found['PendingModifiedValues']))} pending"
    secret = found.get("MasterUserSecret", {})
    if secret.get("SecretStatus", "active") != "active":
        yield f"MasterUserSecret is {secret['SecretStatus']}"


def _explain(name: str, forward: Description, found: Description, differing: list[str], unsettled: list[str]) -> str:
    details = [f"{each} is {_said(each, found)} and should be {_said(each, forward)}" for each in differing]
    return (
        f"The restored instance {name} is not like {forward['DBInstanceIdentifier']}: "
        f"{'; '.join([*details, *unsettled])}. It was not used: change it in RDS and start again, or find out why."
    )


def _said(name: str, description: Description) -> str:
    value = comparable(name, description)
    return "off or not set" if value is None else repr(value)
