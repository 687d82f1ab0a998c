"""The change calendars of Systems Manager: whether changes are allowed at a moment."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_OPEN = "OPEN"


@dataclass(frozen=True)
class Calendars:
    """`ssm` is a boto3 client."""

    ssm: "SSMClient"

    def is_open(self, calendar: str, moment: str) -> tuple[bool, str]:
        """
        Say whether a calendar is open at a moment, such as "2026-03-01T10:00:00Z", and when that changes, or "".

        One by one, because of several Systems Manager only says whether all are open.
        """
        answer = self.ssm.get_calendar_state(CalendarNames=[calendar], AtTime=moment)
        return answer["State"] == _OPEN, answer.get("NextTransitionTime", "")
