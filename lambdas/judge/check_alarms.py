"""Look whether a critical alarm is on already, before a release changes anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import AlarmsAreOn
from lambdas.judge.alarm_rules import Alarm, AlarmSettings
from lambdas.judge.alarms import Alarms
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, as_timestamp


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    alarms: AlarmSettings


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], AlarmSettings.from_json(environ["ALARMS"]))
alarms = Alarms(client("cloudwatch"), settings.alarms)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "release_id", "despite_alarms": reason or "", "now"}; return {"on": names of alarms}."""
    found = check_alarms(Lease.from_event(event), event["release_id"], event["despite_alarms"], event["now"])
    return {"on": [_name(each) for each in found]}


def check_alarms(lease: Lease, release_id: str, despite: str, now: str) -> Sequence[Alarm]:
    """
    Return the critical alarms in spite of which the release goes on, and write them and the reason into its history.

    An alarm that is on already would never turn on for this release. Safe to repeat. Raises LeaseLost, AlarmsMissing,
    and AlarmsAreOn unless there is a reason to go on.
    """
    record.require_lease(lease, now)
    found = [each for each in alarms.critical() if each.is_on]
    if found and not despite:
        raise AlarmsAreOn(
            f"{', '.join(f'{_name(each)} is on since {as_timestamp(each.since)}' for each in found)}. To release all"
            f' the same, for instance what mends it, start with {{"version": "…", "despite_alarms": "<reason>"}}.'
        )
    if found:
        noted = {"at": now, "reason": despite, "on": [_name(each) for each in found]}
        record.note_release(release_id, {"despite_alarms": noted})
    return found


def _name(alarm: Alarm) -> str:
    return alarm.name.full(settings.alarms.prefix)
