"""Whether the database of a release could be restored: what is proof of it beside rights. All pure."""

from collections.abc import Iterator, Mapping

from lambdas.database.instance_rules import SourceSnapshot
from lambdas.database.instance_settings_rules import Description
from lambdas.database.restorable_rules import (
    Quota,
    SubnetGroup,
    exhausted,
    why_no_key,
    why_no_restore,
    why_no_subnets,
)
from lambdas.rollback.certificate_rules import Finding, Outcome, told

_AGAIN = "Start the release again: it takes a snapshot of its own."
_MAKE_GROUP = (
    "Make it anew, or give the instance another one: RDS restores with the groups of the instance that serves."
)
_ASK_FOR_MORE = "Delete what nobody needs, or ask AWS for more under Service Quotas."


def check_snapshot(
    name: str, found: SourceSnapshot | None, forward: Description, environment: str
) -> Iterator[Finding]:
    """The snapshot of this very release is what a restore would begin with."""
    subject = f"snapshot {name}"
    if found is None:
        yield told(subject, ["does not exist"], "", _AGAIN)
        return
    why = why_no_restore(found, forward, environment)
    yield Finding(subject, Outcome.FAILED, why) if why else told(subject, [], "can be restored", "")


def check_group(kind: str, name: str, *, exists: bool) -> Finding:
    """A restore names the groups of the instance that serves; `kind` is "parameter group" or "option group"."""
    return told(f"{kind} {name}", [] if exists else ["does not exist"], "is there", _MAKE_GROUP)


def check_subnets(name: str, found: SubnetGroup | None, forward: Description) -> Finding:
    """A restored instance stands where the one stands that serves."""
    why = why_no_subnets(found, forward)
    remedy = "Put it right in RDS: it needs subnets that exist, in the zones of the instance that serves."
    return told(f"subnet group {name}", [why] if why else [], "has room for an instance", remedy)


def check_key(key: str, state: str) -> Finding:
    """Without it the snapshot is noise. KMS lets a deletion be cancelled while it is pending."""
    why = why_no_key(state)
    remedy = f"Cancel its deletion, or enable it: aws kms enable-key --key-id {key}."
    return told(f"key {key}", [why] if why else [], "can be used", remedy)


def check_quotas(quotas: Mapping[str, Quota], forward: Description) -> Finding:
    """A restore makes one more snapshot and one more instance; nothing is deleted for it."""
    return told("the account", list(exhausted(quotas, forward)), "has room for a restore", _ASK_FOR_MORE)


def check_secret(arn: str, *, exists: bool) -> Finding:
    """In one of them the application finds its database, with the other the writers are shut out."""
    name = arn.rpartition(":")[2]
    remedy = f"Bring it back: aws secretsmanager restore-secret --secret-id {name.rpartition('-')[0]}."
    return told(f"secret {name}", [] if exists else ["is gone, or will be"], "is there", remedy)


def check_exports(bucket: str, *, exists: bool) -> Finding:
    """Lost writes are written there before traffic returns."""
    return told(f"bucket {bucket}", [] if exists else ["does not exist"], "is there", "Deploy Runback again.")


def check_place_of_freeze(listener: str, why: str) -> Finding:
    """Say whether nothing stands in the place that a freeze needs; `why` is what would refuse it, in a sentence."""
    subject = f"freeze of listener {listener.rpartition('/')[2]}"
    return Finding(subject, Outcome.FAILED, why) if why else told(subject, [], "is possible", "")


def check_workers(group: str, *, exists: bool) -> Finding:
    """Workers are restarted with the application, or they would write to a database that nobody reads."""
    remedy = "Put the name right in [restore] worker_groups."
    return told(f"worker group {group}", [] if exists else ["does not exist"], "is there", remedy)
