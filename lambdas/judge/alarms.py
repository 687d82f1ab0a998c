"""The environment's own alarms, in CloudWatch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.errors import AlarmsMissing
from lambdas.judge.alarm_rules import Alarm, AlarmName, AlarmSettings, AlarmState, Effect
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
        found = tuple(alarm for prefix in self.settings.name_prefixes() for alarm in self._beginning_with(prefix))
        if len(found) < self.settings.critical:
            raise AlarmsMissing(
                f"There are {len(found)} critical alarms of {self.settings.prefix}, and there must be"
                f" {self.settings.critical}."
            )
        return found

    def that_roll_back(self) -> tuple[Alarm, ...]:
        """Read those alarms for which a release may be taken back that are on now."""
        return self._beginning_with(f"{self.settings.prefix}-{Effect.ROLLS_BACK}-", StateValue="ALARM")

    def readable_that_roll_back(self) -> tuple[Alarm, ...] | None:
        """Read as `that_roll_back` does; None when it cannot be done, which must not end a release, nor a rollback."""
        try:
            return self.that_roll_back()
        except (ClientError, BotoCoreError):
            logger.warning("The alarms could not be read", exc_info=True)
            return None

    def states(self) -> dict[str, AlarmState]:
        """Read how well every alarm of the environment can do its work, by its whole name."""
        described = self.cloudwatch.get_paginator("describe_alarms")
        return {
            each["AlarmName"]: AlarmState(
                state=each["StateValue"],
                missing=each.get("TreatMissingData", "missing"),
                acts=each["ActionsEnabled"] and bool(each["AlarmActions"]),
            )
            for page in described.paginate(AlarmNamePrefix=f"{self.settings.prefix}-", AlarmTypes=["MetricAlarm"])
            for each in page["MetricAlarms"]
        }

    def _beginning_with(self, prefix: str, **more: Any) -> tuple[Alarm, ...]:  # noqa: ANN401  as boto3 takes it
        described = self.cloudwatch.get_paginator("describe_alarms")
        return tuple(
            Alarm(
                name=name,
                is_on=each["StateValue"] == "ALARM",
                since=each.get("StateTransitionedTimestamp", each["StateUpdatedTimestamp"]).isoformat(),
                reason=each.get("StateReason", ""),
            )
            for page in described.paginate(AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"], **more)
            for each in page["MetricAlarms"]
            if (name := AlarmName.read(each["AlarmName"], self.settings.prefix))
        )
