"""Keep what serves as large as it is, while a freeze lets it look as if nobody needed it."""

from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.held_rules import HELD_FACT, Held, frozen_size
from lambdas.fleet.rules import Color
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    colors: dict[str, Color]
    worker_groups: tuple[str, ...]


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    Color.all_from_json(environ["COLORS"]),
    tuple(loads(environ["RESTORE"])["worker_groups"]),
)
auto_scaling = AutoScaling(client("autoscaling"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "restore_id", "release_id", "color", "now"}; return {"held": instances, by group}."""
    groups = (settings.colors[event["color"]].auto_scaling_group, *settings.worker_groups)
    return {"held": hold_capacity(Lease.from_event(event), event["release_id"], groups, event["now"])}


def hold_capacity(lease: Lease, release_id: str, groups: tuple[str, ...], now: str) -> dict[str, int]:
    """
    Make the present size of each group its minimum, and suspend what could lower that.

    Without any request, scaling policies would make it small just before all users come back at once. How each was
    found is written down first, and what an earlier execution has written stays: it has seen them unheld. Safe to
    repeat. Raises LeaseLost.
    """
    noted = record.release(release_id).get(HELD_FACT, {})
    found = {group: auto_scaling.describe(group) for group in groups}
    held = {
        group: Held.from_record(noted[group]) if group in noted else Held.found(state.capacity, state.suspended)
        for group, state in found.items()
    }
    record.require_lease(lease, now)
    record.note_release(release_id, {HELD_FACT: {group: each.as_record() for group, each in held.items()}})
    for group, each in held.items():
        size = frozen_size(each.capacity, found[group].capacity)
        auto_scaling.hold(group)
        auto_scaling.bound(group, size.minimum, size.maximum)
    return {group: each.capacity.desired for group, each in held.items()}
