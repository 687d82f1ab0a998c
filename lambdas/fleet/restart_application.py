"""Restart the application after its database was exchanged: every instance that serves, or works, is replaced."""

from collections.abc import Mapping
from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import RestartFailed
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.rules import Color, restarts_everything
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, later, seconds_since


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    colors: dict[str, Color]
    worker_groups: tuple[str, ...]
    timeout_seconds: int


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Color.all_from_json(environ["COLORS"]),
    tuple(loads(environ["RESTORE"])["worker_groups"]),
    int(loads(environ["RELEASE"])["prepare_timeout_seconds"]),
)
auto_scaling = AutoScaling(client("autoscaling"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Restarting:
    """Which color to restart, and when it was given another database."""

    lease: Lease
    release_id: str
    color: str
    swapped_at: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "color", "swapped_at", "now"}."""
        return cls(Lease.from_event(event), event["release_id"], event["color"], event["swapped_at"], event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Return {"started": bool, "refresh_id", "ready_by"}.

    Without having started, it is to be called again after a while: an earlier refresh has to end first.
    """
    restarting = Restarting.from_event(event)
    ready_by = later(restarting.swapped_at, settings.timeout_seconds)
    color_group = settings.colors[restarting.color].auto_scaling_group
    begun, waiting = restart_application(restarting, (color_group, *settings.worker_groups))
    if waiting and seconds_since(ready_by, restarting.now) >= 0:
        raise RestartFailed(
            f"Still refreshed by somebody else when the time was up at {ready_by}: {', '.join(waiting)}."
            f" Cancel that instance refresh."
        )
    return {"started": not waiting, "refresh_id": begun.get(color_group, ""), "ready_by": ready_by}


def restart_application(restarting: Restarting, groups: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """
    Begin to replace all instances of the color and of the workers; return what has begun, by group, and what has not.

    An earlier restart is cancelled, because its instances know the wrong database; a stranger's refresh is waited for.
    Safe to repeat: a restart belongs to the exchange that it follows, and a refresh that replaces everything since then
    is adopted, whoever has started it. Raises LeaseLost.
    """
    noted = record.release(restarting.release_id).get("restart", {})
    begun = {
        group: str(noted[group]["refresh_id"])
        for group in groups
        if group in noted and noted[group]["swapped_at"] == restarting.swapped_at
    }
    for group in (each for each in groups if each not in begun):
        record.require_lease(restarting.lease, restarting.now)
        refresh_id = auto_scaling.restart(group) or _adopt_or_clear(group, restarting, noted.get(group, {}))
        if refresh_id:
            begun[group] = refresh_id
            noted[group] = {"refresh_id": refresh_id, "swapped_at": restarting.swapped_at}
            record.note_release(restarting.release_id, {"restart": noted})
    return begun, [group for group in groups if group not in begun]


def _adopt_or_clear(group: str, restarting: Restarting, earlier: Mapping[str, Any]) -> str:
    """Take over the refresh that is under way if it does what is wanted, and cancel it if it was for another swap."""
    latest = auto_scaling.latest_refresh(group)
    if latest is None:
        return ""
    if latest.refresh_id == earlier.get("refresh_id"):
        auto_scaling.cancel_refresh(group)
        return ""
    return latest.refresh_id if restarts_everything(latest, restarting.swapped_at) else ""
