"""
Change calendars of Systems Manager, which moto does not know: each is open, unless somebody has closed it.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCalendarState.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ssm.exceptions import InvalidDocument
from moto.ssm.responses import SimpleSystemManagerResponse

from rehearsal.clock import Clock
from rehearsal.world.overlay import Overlay


class _Unanswered(ServiceException):
    """What Systems Manager says when it cannot say anything."""

    code = "InternalServerError"
    message = "An error occurred on the server side."


@dataclass(frozen=True)
class _Closed:
    begins: datetime
    ends: datetime

    def holds(self, moment: datetime) -> bool:
        return self.begins <= moment < self.ends


class ChangeCalendars:
    """Those of an account, by their ARNs. One that nobody has made is an error, as on AWS."""

    def __init__(self, clock: Clock, names: Sequence[str]) -> None:
        self._clock = clock
        self._closed: dict[str, list[_Closed]] = {name: [] for name in names}
        self._is_silent = False
        self._overlay = Overlay()

    def __enter__(self) -> Self:
        self._overlay.replace(SimpleSystemManagerResponse, "get_calendar_state", self._as_function())
        return self

    def __exit__(self, *_: object) -> None:
        self._overlay.uninstall()

    # -- what people and fate do

    def close(self, seconds: float) -> None:
        """Close all calendars for so many seconds from now on, as an event in them does."""
        now = self._clock.now()
        for closed in self._closed.values():
            closed.append(_Closed(now, now + timedelta(seconds=seconds)))

    def fall_silent(self) -> None:
        """Answer with an error from now on, whoever asks."""
        self._is_silent = True

    def answer_again(self) -> None:
        """Answer as before."""
        self._is_silent = False

    # -- as Systems Manager

    def _as_function(self) -> Any:
        calendars = self

        def get_calendar_state(response: SimpleSystemManagerResponse) -> ActionResult:
            names, at = response._get_param("CalendarNames"), response._get_param("AtTime")
            return ActionResult(calendars._state(names, at))

        return get_calendar_state

    def _state(self, names: Sequence[str], at: str | None) -> dict[str, str]:
        """Say OPEN where all are; of one alone also when that changes."""
        if self._is_silent:
            raise _Unanswered
        for name in names:
            if name not in self._closed:
                raise InvalidDocument(f"Document with name {name} does not exist.")
        moment = datetime.fromisoformat(at) if at else self._clock.now()
        holding = [each for name in names for each in self._closed[name] if each.holds(moment)]
        told = {"State": "CLOSED" if holding else "OPEN", "AtTime": _timestamp(moment)}
        if len(names) == 1:
            edges = [edge for each in self._closed[names[0]] for edge in (each.begins, each.ends) if edge > moment]
            told |= {"NextTransitionTime": _timestamp(min(edges))} if edges else {}
        return told


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
