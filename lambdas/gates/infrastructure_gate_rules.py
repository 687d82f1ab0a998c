"""What backups, alarms, certificates, names and distributions mean for a release. All pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lambdas.gates.gate_rules import DnsRecord, Found, error, failed, passed, pending
from lambdas.judge.alarm_rules import Alarm, AlarmState
from lambdas.release.rules import seconds_since

_HOUR, _DAY = 3600, 86400
_ISSUED = "ISSUED"
_DEPLOYED = "Deployed"
_ADDRESSES = frozenset({"A", "AAAA", "CNAME"})


@dataclass(frozen=True)
class Backup:
    """One snapshot of the database that could be restored: its name, and when it was taken."""

    name: str
    taken_at: str


def look_at_backups(
    instance: str, backups: Sequence[Backup], restorable_until: str, most_hours: int, now: str
) -> Found:
    """
    Say whether the latest complete snapshot is young enough.

    `restorable_until` is to which moment RDS could bring the instance back by its own backups, and "" without them.
    """
    if not backups:
        return failed(f"RDS has no complete snapshot of {instance}.")
    latest = min(backups, key=lambda each: seconds_since(each.taken_at, now))
    hours = seconds_since(latest.taken_at, now) / _HOUR
    said = f"The latest complete snapshot of {instance}, {latest.name}, is {hours:.1f} hours old"
    if hours > most_hours:
        return failed(f"{said}, and may be {most_hours} at most.")
    own = f"RDS could bring it back to {restorable_until}" if restorable_until else "RDS makes no backups of its own"
    return passed(f"{said}; {own}.")


def look_at_alarms(critical: Sequence[Alarm], prefix: str, states: Mapping[str, AlarmState], despite: str) -> Found:
    """
    Say whether every critical alarm can turn on, and none is on. `despite` is why one may be on all the same.

    That they are all there is for the adapter to say, which knows how many there must be.
    """
    names = [alarm.name.full(prefix) for alarm in critical]
    blind = [name for name in names if name in states and _is_blind(states[name])]
    if blind:
        return failed(f"{', '.join(blind)} cannot turn on: there are no data for what it watches.")
    on = [alarm.name.full(prefix) for alarm in critical if alarm.is_on]
    if on and not despite:
        return failed(f"{', '.join(on)} {'is' if len(on) == 1 else 'are'} on.")
    if on:
        return passed(f"{', '.join(on)}: on, and the release begins in spite of it: {despite}")
    return passed(f"{len(names)} critical alarms can turn on, and none is on.")


def _is_blind(alarm: AlarmState) -> bool:
    """Say whether an alarm waits for data without which it is to be on: whatever watches has fallen silent."""
    return alarm.state == "INSUFFICIENT_DATA" and alarm.missing == "breaching"


@dataclass(frozen=True)
class Certificate:
    """What ACM says of a certificate. `ends_at` is "" for one that was never issued."""

    arn: str
    status: str
    domain: str
    ends_at: str


def look_at_certificates(
    without: Sequence[str], certificates: Sequence[Certificate], least_days: int, now: str
) -> Found:
    """Say whether all certificates are good for some days; `without` are listeners that have none."""
    if without:
        return failed(f"{', '.join(without)} has no certificate: users are not served over TLS there.")
    bad = [f"{each.domain} is {each.status}" for each in certificates if each.status != _ISSUED or not each.ends_at]
    if bad:
        return failed(f"ACM says of certificates of the listener: {', '.join(bad)}.")
    first = min(certificates, key=lambda each: -seconds_since(each.ends_at, now))
    days = -seconds_since(first.ends_at, now) / _DAY
    said = f"The certificate of {first.domain} ends in {days:.0f} days"
    if days < least_days:
        return failed(f"{said}, and has to be good for {least_days} at least.")
    return passed(f"{said}, as the first of {len(certificates)}.")


@dataclass(frozen=True)
class RecordSet:
    """What one set of records in a hosted zone says of a name: its type, and where it leads."""

    type: str
    targets: tuple[str, ...]


def look_at_records(record: DnsRecord, found: Sequence[RecordSet], wanted: Sequence[str]) -> str:
    """Say what is wrong with the records of a name, which have to lead to one of the wanted hosts; "" for nothing."""
    addresses = [each for each in found if each.type in _ADDRESSES]
    if not addresses:
        return f"{record.name} has no record in zone {record.zone_id}"
    hosts = {_host(each) for each in wanted}
    astray = sorted({target for each in addresses for target in each.targets if _host(target) not in hosts})
    return f"{record.name} leads to {', '.join(astray)}, and has to lead to {' or '.join(wanted)}" if astray else ""


def _host(name: str) -> str:
    """Return a host as Route 53 compares it: "dualstack." is the same load balancer with more addresses."""
    return name.lower().removesuffix(".").removeprefix("dualstack.")


def look_at_dns(problems: Sequence[str], count: int) -> Found:
    """Say whether all names lead where they have to."""
    named = [each for each in problems if each]
    return failed(f"{'; '.join(named)}.") if named else passed(f"{count} names lead where users are served.")


@dataclass(frozen=True)
class Distribution:
    """What CloudFront says of a distribution."""

    id: str
    status: str
    enabled: bool
    domain: str


def look_at_distributions(found: Sequence[Distribution]) -> Found:
    """Say whether all distributions are deployed."""
    off = [each.id for each in found if not each.enabled]
    if off:
        return failed(f"CloudFront's distribution {', '.join(off)} is disabled.")
    busy = [each.id for each in found if each.status != _DEPLOYED]
    if busy:
        return pending(f"CloudFront deploys a change of {', '.join(busy)}.")
    return passed(f"{len(found)} of CloudFront's distributions are deployed.") if found else error("None is named.")
