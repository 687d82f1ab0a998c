"""What the time, maintenance and the people on call mean for a release. All pure."""

from lambdas.gates.gate_rules import Found, GateSettings, failed, passed, pending
from lambdas.release.request_rules import GateStatus
from lambdas.release.rules import EnvironmentRecord, as_timestamp, parse_moment


def look_at_maintenance(record: EnvironmentRecord, now: str) -> Found:
    """Say whether nobody works on what the environment stands on."""
    if maintenance := record.maintained(now):
        said = f"Maintenance is under way until {maintenance.until}: {maintenance.reason}."
        return pending(said, as_timestamp(maintenance.until))
    return passed("No maintenance is under way.")


def look_at_on_call(targets: int, settings: GateSettings) -> Found:
    """Say whether somebody hears of the release, and of what becomes of it."""
    wanted = settings.notification_targets
    if targets < wanted:
        return failed(f"{targets} of {wanted} subscriptions to the environment's topic are confirmed.")
    return passed(f"{targets} subscriptions to the environment's topic are confirmed.")


def both(first: Found, second: Found) -> Found:
    """Return what two looks at one gate say together: the worse of them, with the words of both."""
    order = (GateStatus.PASSED, GateStatus.PENDING, GateStatus.ERROR, GateStatus.FAILED)
    worse, other = sorted((first, second), key=lambda each: order.index(each.status), reverse=True)
    later = [each.again_at for each in (worse, other) if each.again_at]
    return Found(worse.status, f"{worse.detail} {other.detail}", max(later, key=parse_moment, default=""))
