"""
Snapshots that another account shares, as one that keeps backups out of reach of whoever breaks into this one. All pure.

RDS restores no encrypted snapshot of another account: it has to be copied, with a key of this account. So whatever is
shared is copied first, under a name of ours, and nothing else can be restored than what Runback has named itself.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ShareSnapshot.html
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from lambdas.database.instance_rules import SourceSnapshot
from lambdas.database.instance_settings_rules import Description
from lambdas.errors import RestoreFailed

_SNAPSHOT_ARN = re.compile(r"arn:aws[a-z-]*:rds:[a-z0-9-]+:(?P<account>[0-9]{12}):snapshot:[A-Za-z0-9:-]{1,255}")


def owner_of(snapshot_arn: str) -> str:
    """Return the account that a snapshot belongs to; "" for what is no ARN of a snapshot."""
    found = _SNAPSHOT_ARN.fullmatch(snapshot_arn)
    return found["account"] if found else ""


def why_not_shared(snapshot_arn: str, accounts: Collection[str]) -> str:
    """Say why a snapshot is not to be restored; empty when settings name its account as one that shares some."""
    account = owner_of(snapshot_arn)
    if account in accounts:
        return ""
    return (
        f"Field 'snapshot': account {account} is none that settings name. Add it to snapshot_accounts in [restore] if"
        f" its snapshots are to be trusted, and deploy Runback."
    )


def copied(snapshot_arn: str, name: str) -> dict[str, str]:
    """Return the source of a restore whose snapshot is copied under a name before it is restored."""
    return {"kind": "snapshot", "snapshot_id": name, "copied_from": snapshot_arn}


def is_same_source(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two restores bring the same data; a copy is called after the execution that makes it."""
    if "copied_from" in one or "copied_from" in other:
        return one.get("copied_from") == other.get("copied_from")
    return dict(one) == dict(other)


def key_for_copy(snapshot: SourceSnapshot, forward: Description) -> str:
    """
    Return the key that the copy has to be encrypted with: that of the instance that serves; "" for none.

    Raises RestoreFailed for what could be copied, but would not become an instance like that one.
    """
    name = forward["DBInstanceIdentifier"]
    if snapshot.engine != forward["Engine"]:
        raise RestoreFailed(f"Snapshot {snapshot.arn} is of {snapshot.engine}, and {name} is {forward['Engine']}.")
    if forward.get("StorageEncrypted"):
        return str(forward["KmsKeyId"])
    if snapshot.encrypted:
        raise RestoreFailed(
            f"Snapshot {snapshot.arn} is encrypted, and {name} is not: nobody has said which key to use. Restore it by"
            f" hand, with the settings of {name}."
        )
    return ""
