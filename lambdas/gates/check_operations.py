"""Look at the gates that are about time and people: change window, maintenance, and who hears of the release."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.gates.calendars import Calendars
from lambdas.gates.gate_rules import Found, Gate, GateSettings
from lambdas.gates.looking import look_at_gates
from lambdas.gates.operation_rules import both, look_at_maintenance, look_at_on_call
from lambdas.gates.window_rules import look_at_calendars, look_at_windows
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import as_timestamp
from lambdas.rollback.subscribers import Subscribers


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    gates: GateSettings
    topic: str


settings = Settings(
    environ["ENVIRONMENT"], environ["RECORD_TABLE"], GateSettings.from_json(environ["GATES"]), environ["TOPIC_ARN"]
)
calendars = Calendars(client("ssm"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
subscribers = Subscribers(client("sns"))


@dataclass(frozen=True)
class Asked:
    """What an emergency skips, and what time it is."""

    skips: tuple[str, ...]
    now: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read {"emergency_skips", "now"}."""
        return cls(tuple(event["emergency_skips"]), event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"version", "release_id", "emergency_skips": names of gates, "now"}.

    Return {"results": [{"gate", "level", "status", "detail", "again_at"}]}. Changes nothing.
    """
    return check_operations(Asked.from_event(event))


def check_operations(asked: Asked) -> dict[str, Any]:
    """Look at every gate of time and people."""
    return look_at_gates(
        settings.gates,
        {
            Gate.CHANGE_WINDOW: lambda: _change_window(asked.now),
            Gate.MAINTENANCE: lambda: look_at_maintenance(record.read(), asked.now),
            Gate.ON_CALL: lambda: look_at_on_call(subscribers.confirmed(settings.topic), settings.gates),
        },
        asked.skips,
    )


def _change_window(now: str) -> Found:
    """Windows and calendars have to be open, as far as settings name any."""
    windows = look_at_windows(settings.gates, now)
    if not settings.gates.calendars:
        return windows
    states = [(each, *calendars.is_open(each, as_timestamp(now))) for each in settings.gates.calendars]
    frozen = look_at_calendars(states, now)
    return both(windows, frozen) if settings.gates.windows else frozen
