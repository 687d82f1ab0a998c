"""
What must be there beside a snapshot, so that it can become an instance like the one that serves. All pure.

RDS says so only when it is asked to restore, which is when users already get 503.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lambdas.database.instance_rules import SourceSnapshot, require_restorable, restore_request
from lambdas.database.instance_settings_rules import Description, comparable
from lambdas.errors import RestoreFailed

_MADE_BY_AWS = "default"
"""With this begin the names of groups that AWS makes whenever they are needed."""
_COMPLETE = "Complete"
_ENABLED = "Enabled"
_INSTANCES, _SNAPSHOTS, _STORAGE = "DBInstances", "ManualSnapshots", "AllocatedStorage"


@dataclass(frozen=True)
class SubnetGroup:
    """A subnet group, and the zones in which it has subnets that can be used."""

    name: str
    status: str
    zones: frozenset[str]


@dataclass(frozen=True)
class Quota:
    """How many of something the account has, and may have; storage is in GiB."""

    used: int
    maximum: int


@dataclass(frozen=True)
class Parts:
    """What a restored instance is made of, by name: the names that the instance that serves has. "" is none."""

    parameter_group: str
    option_group: str
    subnet_group: str
    key: str


def parts_of(forward: Description, key: str) -> Parts:
    """Return what has to be looked for; `key` is the one that the snapshot is encrypted with."""
    parameter_groups = comparable("DBParameterGroups", forward) or [""]
    option_groups = comparable("OptionGroupMemberships", forward) or [""]
    return Parts(
        parameter_group=_own(parameter_groups[0]),
        option_group=_own(option_groups[0]),
        subnet_group=comparable("DBSubnetGroup", forward) or "",
        key=key,
    )


def _own(group: str) -> str:
    return "" if group.startswith(_MADE_BY_AWS) else group


def why_no_restore(snapshot: SourceSnapshot, forward: Description, environment: str) -> str:
    """Say why RDS would refuse the snapshot, or an instance like the one that serves; empty when it would not."""
    try:
        require_restorable(snapshot, forward)
        restore_request(forward, "", environment)
    except RestoreFailed as refused:
        return str(refused)
    return ""


def why_no_subnets(found: SubnetGroup | None, forward: Description) -> str:
    """Say why no instance could be put into a subnet group; empty when one could."""
    if found is None:
        return "does not exist"
    if found.status != _COMPLETE:
        return f"is {found.status}"
    zone = forward.get("AvailabilityZone")
    if not forward.get("MultiAZ") and zone and zone not in found.zones:
        return f"has no subnet in {zone}"
    return "" if found.zones else "has no subnet that can be used"


def why_no_key(state: str) -> str:
    """Say why nobody could read what a key has encrypted; empty when it can be read."""
    return "" if state == _ENABLED else f"is {state}" if state else "does not exist"


def exhausted(quotas: Mapping[str, Quota], forward: Description) -> Iterator[str]:
    """Say of what the account may not have as much more as a restore takes. A quota that AWS does not tell is none."""
    wanted = {
        _INSTANCES: (1, "one more instance"),
        _SNAPSHOTS: (1, "one more snapshot"),
        _STORAGE: (int(forward.get("AllocatedStorage", 0)), "GiB more of storage"),
    }
    for name, (count, what) in wanted.items():
        quota = quotas.get(name)
        if quota and quota.used + count > quota.maximum:
            more = f"{count} {what}" if name == _STORAGE else what
            yield f"has {quota.used} of {quota.maximum} {name}, and a restore takes {more}"
