"""What an instance refresh's status means, and how large a color has to be. All pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from json import loads
from typing import Any, Self

from lambdas.errors import IdleColorNotReady, RefreshFailed, RestartFailed
from lambdas.release.rules import parse_moment, seconds_since

VERSION_TAG = "runback:version"
"""Instances learn their version from this tag, through the launch template and the instance metadata service."""

HELD_PROCESSES = ("ScheduledActions",)
"""
What could still shrink a color whose minimum size is its capacity: a scheduled action, because it sets the minimum.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
"""

_UNDER_WAY = frozenset({"Pending", "InProgress", "Baking"})


@dataclass(frozen=True)
class Capacity:
    """The size of an Auto Scaling group, in instances."""

    minimum: int
    maximum: int
    desired: int

    @classmethod
    def from_record(cls, item: Mapping[str, Any]) -> Self:
        """Read a capacity from a release's history."""
        return cls(int(item["minimum"]), int(item["maximum"]), int(item["desired"]))

    def as_record(self) -> dict[str, int]:
        """Return the form in which a release's history keeps it."""
        return asdict(self)


@dataclass(frozen=True)
class Color:
    """The Auto Scaling group of a color, and the launch template of its instances."""

    auto_scaling_group: str
    launch_template_id: str

    @classmethod
    def all_from_json(cls, text: str) -> dict[str, Self]:
        """Read the COLORS variable of a function."""
        return {
            name: cls(color["auto_scaling_group"], color["launch_template_id"]) for name, color in loads(text).items()
        }


@dataclass(frozen=True)
class Refresh:
    """
    An instance refresh as AWS describes it. `percent` is 0 to 100.

    `started_at` is empty until it has begun. With `spares_matching`, instances stay that have the version already.
    """

    refresh_id: str
    status: str
    percent: int
    reason: str
    template_version: str
    started_at: str = ""
    spares_matching: bool = False

    @property
    def under_way(self) -> bool:
        """Say whether the refresh still replaces instances."""
        return self.status in _UNDER_WAY


def idle_capacity(active: Capacity, idle: Capacity) -> Capacity:
    """Return the size that the idle color needs to carry all the traffic, held there until it is promoted."""
    return Capacity(
        minimum=active.desired, maximum=max(active.maximum, idle.maximum, active.desired), desired=active.desired
    )


def held_capacity(active: Capacity) -> Capacity:
    """Return the size of the way back: it may grow, and never shrink below what it is now."""
    return Capacity(minimum=active.desired, maximum=max(active.maximum, active.desired), desired=active.desired)


def resting_size(found: Capacity, earlier: Mapping[str, Any]) -> Capacity:
    """
    Return the size at which the idle color rests, from what was found and the history of the release that used it last.

    Without a clean-up since then it is as large as when it served, and the next clean-up would leave it so.
    """
    if "idle" not in earlier or "cleaned_up_at" in earlier:
        return found
    return Capacity.from_record(earlier["idle"]["resting"])


def resting_capacity(old: Capacity, idle: Capacity) -> Capacity:
    """Return the size of the old color when it is no way back any more: an idle color's, with its own room."""
    return Capacity(minimum=idle.minimum, maximum=max(old.maximum, idle.desired), desired=idle.desired)


@dataclass(frozen=True)
class Preparation:
    """How far the idle color is."""

    refresh: Refresh
    healthy: int
    wanted: int

    @property
    def ready(self) -> bool:
        """Say whether the color runs the new version and could take all traffic."""
        return self.refresh.status == "Successful" and self.healthy >= self.wanted


def restarts_everything(refresh: Refresh, since: str) -> bool:
    """Say whether a refresh, whoever has started it, replaces every instance that ran at a moment."""
    begins_later = not refresh.started_at or parse_moment(refresh.started_at) >= parse_moment(since)
    return refresh.under_way and not refresh.spares_matching and begins_later


@dataclass(frozen=True)
class Restart:
    """
    How far the application has been restarted: the color that serves, and the workers beside it.

    `refreshes` are those of all groups, the color's first. `healthy` counts the targets of the route with the fewest,
    `wanted` is how many each needs. `launched_at` is when all that serves or works was launched, by instance id.
    """

    refreshes: tuple[Refresh, ...]
    healthy: int
    wanted: int
    launched_at: Mapping[str, str]
    swapped_at: str

    @property
    def old(self) -> list[str]:
        """Return the instances that still run as they did before, and know no other database."""
        swapped = parse_moment(self.swapped_at)
        return sorted(each for each, launched in self.launched_at.items() if parse_moment(launched) < swapped)

    @property
    def done(self) -> bool:
        """Say whether all that serves or works was launched since, and that is as much as has to be."""
        refreshed = all(refresh.status == "Successful" for refresh in self.refreshes)
        return refreshed and self.healthy >= self.wanted and not self.old


def check_restarted(restart: Restart, ready_by: str, now: str) -> bool:
    """
    Say whether the application has been restarted as a whole.

    A refresh says only that it has replaced what belongs to its group: what somebody has registered by hand would still
    serve from the other database. Raises RestartFailed as soon as a refresh has ended without success, or when time is
    up.
    """
    if restart.done:
        return True
    for refresh in restart.refreshes:
        if refresh.status != "Successful" and not refresh.under_way:
            reason = refresh.reason or "no reason"
            raise RestartFailed(f"Instance refresh {refresh.refresh_id} is {refresh.status}: {reason}")
    if seconds_since(ready_by, now) >= 0:
        progress = ", ".join(f"{each.status} at {each.percent} %" for each in restart.refreshes)
        old = f" Instances launched before {restart.swapped_at} still run: {', '.join(restart.old)}."
        raise RestartFailed(
            f"Instance refresh {progress}, {restart.healthy} of {restart.wanted} targets healthy when the time was up"
            f" at {ready_by}.{old if restart.old else ''}"
        )
    return False


def check_preparation(preparation: Preparation, ready_by: str, now: str) -> bool:
    """
    Say whether the idle color is ready.

    Raises RefreshFailed as soon as the refresh has ended without success, IdleColorNotReady when time is up.
    Statuses: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html
    """
    if preparation.ready:
        return True
    refresh = preparation.refresh
    if refresh.status != "Successful" and not refresh.under_way:
        reason = refresh.reason or "no reason"
        raise RefreshFailed(f"Instance refresh {refresh.refresh_id} is {refresh.status}: {reason}")
    if seconds_since(ready_by, now) >= 0:
        raise IdleColorNotReady(
            f"Instance refresh {refresh.status} at {refresh.percent} %, {preparation.healthy} of {preparation.wanted}"
            f" targets healthy when the time was up at {ready_by}."
        )
    return False
