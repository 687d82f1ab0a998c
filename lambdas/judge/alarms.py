"""The environment's own alarms, in CloudWatch."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.errors import AlarmsMissing
from lambdas.judge.alarm_rules import Alarm, AlarmName, AlarmSettings, Effect
from lambdas.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient


@dataclass(frozen=True)
class Alarms:
    """`cloudwatch` is a boto3 client."""

    cloudwatch: "CloudWatchClient"
    settings: AlarmSettings

    def critical(self) -> tuple[Alarm, ...]:
        """Read all critical alarms. Raises AlarmsMissing when there are fewer than there must be."""
        found = self._beginning_with(self.settings.name_prefixes())
        if len(found) < self.settings.critical:
            raise AlarmsMissing(
                f"There are {len(found)} critical alarms of {self.settings.prefix}, and there must be"
                f" {self.settings.critical}."
            )
        return found

    def readable_critical(self) -> tuple[Alarm, ...] | None:
        """Read as `critical` does, or say that it cannot be done: a release must not end because a reading does."""
        try:
            return self.critical()
        except (ClientError, BotoCoreError, AlarmsMissing):
            logger.warning("The critical alarms could not be read", exc_info=True)
            return None

    def that_roll_back(self) -> tuple[Alarm, ...]:
        """Read the alarms for which a release may be taken back, however many there are."""
        return self._beginning_with([f"{self.settings.prefix}-{Effect.ROLLS_BACK}-"])

    def _beginning_with(self, prefixes: Iterable[str]) -> tuple[Alarm, ...]:
        described = self.cloudwatch.get_paginator("describe_alarms")
        return tuple(
            Alarm(
                name=name,
                is_on=each["StateValue"] == "ALARM",
                since=each.get("StateTransitionedTimestamp", each["StateUpdatedTimestamp"]).isoformat(),
                reason=each.get("StateReason", ""),
            )
            for prefix in prefixes
            for page in described.paginate(AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"])
            for each in page["MetricAlarms"]
            if (name := AlarmName.read(each["AlarmName"], self.settings.prefix))
        )
