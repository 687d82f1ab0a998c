"""
Instance refresh, which moto lacks: instances are really replaced, batch by batch, and waited for.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
"""

import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Thread
from typing import Any, Literal, Protocol

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult

from rehearsal.clock import Clock, ClockEvent
from rehearsal.world.launch_templates import LaunchedFrom, launched_from
from rehearsal.world.overlay import Overlay

PATIENCE_SECONDS = 3600.0
"""How long AWS waits for a replacement to become healthy before the refresh fails."""
PENDING_SECONDS = 5.0
_POLL_SECONDS = 1.0
_ACTIVE = ("Pending", "InProgress", "Cancelling")
_UNREHEARSED = {"CheckpointPercentages", "CheckpointDelay", "AlarmSpecification", "BakeTime"}

_ALL = 100  # per cent

Status = Literal["Pending", "InProgress", "Successful", "Failed", "Cancelling", "Cancelled"]


class Replaceable(Protocol):
    """What a refresh asks of the fleet."""

    @property
    def backend(self) -> AutoScalingBackend:
        """The groups as moto keeps them."""
        ...

    @property
    def account_lock(self) -> AbstractContextManager[Any]:
        """To be held over steps that must look like one call."""
        ...

    def launch(self, group: FakeAutoScalingGroup, count: int) -> list[str]:
        """Launch and register instances as the group's launch template now says; their ids."""
        ...

    def terminate(self, group: FakeAutoScalingGroup, instance_ids: Sequence[str]) -> None:
        """Terminate instances without any change of the group's capacity."""
        ...

    def is_ready(self, instance_id: str) -> bool:
        """Whether the instance counts as a healthy replacement."""
        ...


@dataclass(frozen=True)
class Preferences:
    """As AWS defaults them."""

    given: Mapping[str, Any]

    @property
    def _minimum(self) -> int:
        return int(self.given.get("MinHealthyPercentage", 90))

    @property
    def _maximum(self) -> int:
        return int(self.given.get("MaxHealthyPercentage", _ALL))

    def launches_first(self) -> bool:
        """Whether replacements come before what they replace goes; else capacity is missing meanwhile."""
        return self._minimum == _ALL or self._maximum > _ALL

    def batch_size(self, capacity: int) -> int:
        """How many instances are replaced at once; always one at least, or nothing would ever be."""
        surplus = capacity * self._maximum // _ALL - capacity
        missing = capacity - math.ceil(capacity * self._minimum / _ALL)
        return max(1, surplus if self.launches_first() else missing)


@dataclass
class InstanceRefresh:
    """One refresh; `cancelled` wakes it from whatever it waits for."""

    group: FakeAutoScalingGroup
    preferences: Preferences
    desired_configuration: Mapping[str, Any]
    start_time: datetime
    cancelled: ClockEvent
    status: Status = "Pending"
    status_reason: str | None = None
    end_time: datetime | None = None
    percentage_complete: int = 0
    instances_to_update: int = 0
    refresh_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def described(self) -> dict[str, Any]:
        """As DescribeInstanceRefreshes tells it; what is not known yet is left out."""
        description = {
            "InstanceRefreshId": self.refresh_id,
            "AutoScalingGroupName": self.group.name,
            "Status": self.status,
            "StatusReason": self.status_reason,
            "StartTime": self.start_time,
            "EndTime": self.end_time,
            "PercentageComplete": self.percentage_complete,
            "InstancesToUpdate": self.instances_to_update,
            "Preferences": dict(self.preferences.given),
            "DesiredConfiguration": dict(self.desired_configuration) or None,
        }
        return {name: value for name, value in description.items() if value is not None}


class _Ended(Exception):
    """Not an error: the way out of a refresh that does not succeed."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason


class InstanceRefreshes:
    """All refreshes of the account, the newest last; each works in a thread of its own."""

    def __init__(self, clock: Clock, fleet: Replaceable, patience_seconds: float) -> None:
        self._clock = clock
        self._fleet = fleet
        self._patience_seconds = patience_seconds
        self._refreshes: list[InstanceRefresh] = []
        self._workers: list[Thread] = []

    def start(self, group_name: str, preferences: Mapping[str, Any], desired: Mapping[str, Any]) -> str:
        """Raises moto's errors with AWS's codes, NotImplementedError for what is not rehearsed."""
        group = self._group(group_name)
        _validate(group, preferences, desired)
        if self._active(group_name):
            message = "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh."
            raise AutoscalingClientError("InstanceRefreshInProgress", message)
        refresh = InstanceRefresh(group, Preferences(preferences), desired, self._clock.now(), self._clock.event())
        self._refreshes.append(refresh)
        worker = self._clock.thread(self._run, (refresh,), name=f"refresh-{group_name}", daemon=True)
        self._workers.append(worker)
        worker.start()
        return refresh.refresh_id

    def describe(self, group_name: str, refresh_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The newest first."""
        self._group(group_name)
        return [
            refresh.described()
            for refresh in reversed(self._refreshes)
            if refresh.group.name == group_name and (not refresh_ids or refresh.refresh_id in refresh_ids)
        ]

    def cancel(self, group_name: str) -> str:
        """Replace no more; what is replaced stays. Raises ActiveInstanceRefreshNotFound as AWS does."""
        self._group(group_name)
        refresh = self._active(group_name)
        if refresh is None or refresh.status == "Cancelling":
            message = "No in progress or pending Instance Refresh found for Auto Scaling group " + group_name
            raise AutoscalingClientError("ActiveInstanceRefreshNotFound", message)
        refresh.status = "Cancelling"
        refresh.cancelled.set()
        return refresh.refresh_id

    def end(self) -> None:
        """Wake all that still work, and wait for them: one that is just launching would leave an application behind."""
        for refresh in self._refreshes:
            refresh.cancelled.set()
        for worker in self._workers:
            worker.join()

    def _group(self, name: str) -> FakeAutoScalingGroup:
        group = self._fleet.backend.autoscaling_groups.get(name)
        if group is None:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        return group

    def _active(self, group_name: str) -> InstanceRefresh | None:
        active = [each for each in self._refreshes if each.group.name == group_name and each.status in _ACTIVE]
        return active[0] if active else None

    # -- one refresh, in its thread

    def _run(self, refresh: InstanceRefresh) -> None:
        status: Status = "Failed"
        reason: str | None = "The rehearsal itself failed; its log tells why."
        try:
            self._wait(refresh, PENDING_SECONDS)
            self._replace_all(refresh)
            status, reason = "Successful", None
        except _Ended as ended:
            status, reason = ended.status, ended.reason
        finally:  # whatever happened, nobody shall wait for it for ever
            with self._fleet.account_lock:
                refresh.status, refresh.status_reason = status, reason
                refresh.end_time = self._clock.now()

    def _replace_all(self, refresh: InstanceRefresh) -> None:
        group, desired = refresh.group, _desired_version(refresh.group, refresh.desired_configuration)
        with self._fleet.account_lock:
            self._end_if_cancelled(refresh)
            refresh.status = "InProgress"
            skip_matching = refresh.preferences.given.get("SkipMatching", False)
            outdated = [
                state.instance.id
                for state in group.active_instances()
                if not (skip_matching and launched_from(state.instance) == desired)
            ]
            refresh.instances_to_update = total = len(outdated)
        while outdated:
            batch = outdated[: refresh.preferences.batch_size(group.desired_capacity or 0)]
            self._replace(refresh, batch, desired)
            outdated = outdated[len(batch) :]
            refresh.instances_to_update = len(outdated)
            refresh.percentage_complete = 100 * (total - len(outdated)) // total
        with self._fleet.account_lock:
            self._end_if_cancelled(refresh)
            refresh.percentage_complete = 100
            if template := refresh.desired_configuration.get("LaunchTemplate"):
                group._set_launch_configuration("", dict(template), None)

    def _replace(self, refresh: InstanceRefresh, batch: Sequence[str], desired: LaunchedFrom) -> None:
        """
        Replace a batch in the order that AWS does.

        With capacity to miss (the default) the old instances go while the new ones come: at 0 % healthy, all of them.
        """
        group, fleet = refresh.group, self._fleet
        with fleet.account_lock, _launching(group, desired):
            self._end_if_cancelled(refresh)
            if refresh.preferences.launches_first():
                present = {state.instance.id for state in group.instance_states}
                fresh = fleet.launch(group, len(present.intersection(batch)))
            else:
                fleet.terminate(group, batch)
                fresh = fleet.launch(group, (group.desired_capacity or 0) - len(group.active_instances()))
        try:
            self._wait_until_ready(refresh, fresh)
        except _Ended:
            if refresh.preferences.launches_first():
                fleet.terminate(group, fresh)
            raise
        if refresh.preferences.launches_first():
            fleet.terminate(group, batch)

    def _wait_until_ready(self, refresh: InstanceRefresh, fresh: Sequence[str]) -> None:
        """Wait for health and then the warm-up of the instances that are still in the group."""
        given_up = self._clock.seconds() + self._patience_seconds
        while True:
            self._end_if_cancelled(refresh)
            present = {state.instance.id for state in refresh.group.instance_states}
            if all(self._fleet.is_ready(instance) for instance in fresh if instance in present):
                break
            if self._clock.seconds() >= given_up:
                raise _Ended("Failed", "Replacement instances did not become healthy in time.")
            self._wait(refresh, _POLL_SECONDS)
        if fresh:
            default = refresh.group.health_check_grace_period or 0
            self._wait(refresh, refresh.preferences.given.get("InstanceWarmup", default))

    def _wait(self, refresh: InstanceRefresh, seconds: float) -> None:
        refresh.cancelled.wait(seconds)
        self._end_if_cancelled(refresh)

    def _end_if_cancelled(self, refresh: InstanceRefresh) -> None:
        if refresh.cancelled.is_set():
            raise _Ended("Cancelled", "Cancelled due to user request.")
        if self._fleet.backend.autoscaling_groups.get(refresh.group.name) is not refresh.group:
            raise _Ended("Failed", "The Auto Scaling group was deleted.")


@contextmanager
def _launching(group: FakeAutoScalingGroup, desired: LaunchedFrom) -> Iterator[None]:
    """Let moto's group launch from another version; AWS changes the group itself only when a refresh has succeeded."""
    kept = group.ec2_launch_template, group.launch_template_version
    template_id, number = desired
    group.ec2_launch_template = group.ec2_backend.get_launch_template(template_id)
    group.launch_template_version = number
    try:
        yield
    finally:
        group.ec2_launch_template, group.launch_template_version = kept


def _desired_version(group: FakeAutoScalingGroup, desired: Mapping[str, Any]) -> LaunchedFrom:
    """`$Latest` and `$Default` become the number that they mean now. Raises ValidationError for an unknown version."""
    given = desired.get("LaunchTemplate", {})
    version = given.get("Version", "$Default") if given else group.launch_template_version
    try:
        if "LaunchTemplateId" in given:
            template = group.ec2_backend.get_launch_template(given["LaunchTemplateId"])
        elif given:
            template = group.ec2_backend.get_launch_template_by_name(given["LaunchTemplateName"])
        else:
            assert group.ec2_launch_template is not None  # validated when the refresh was started
            template = group.ec2_launch_template
        return template.id, str(template.get_version(version).number)
    except ServiceException as unknown:
        raise ValidationError(f"You must use a valid fully-formed launch template. {unknown.message}") from unknown


def _validate(group: FakeAutoScalingGroup, preferences: Mapping[str, Any], desired: Mapping[str, Any]) -> None:
    if unrehearsed := (_UNREHEARSED & preferences.keys()) | (desired.keys() - {"LaunchTemplate"}):
        raise NotImplementedError(f"instance refresh with {sorted(unrehearsed)}")
    if group.ec2_launch_template is None:
        raise NotImplementedError("instance refresh of a group without a launch template")
    protected = any(state.protected_from_scale_in for state in group.instance_states)
    if protected and preferences.get("ScaleInProtectedInstances") != "Refresh":
        raise NotImplementedError("instance refresh around instances protected from scale-in")
    _desired_version(group, desired)
    minimum, maximum = preferences.get("MinHealthyPercentage"), preferences.get("MaxHealthyPercentage")
    if maximum is not None and (minimum is None or maximum - minimum > _ALL):
        raise ValidationError("MaxHealthyPercentage needs MinHealthyPercentage, and at most 100 between them.")
    if preferences.get("AutoRollback"):
        if not str(desired.get("LaunchTemplate", {}).get("Version", "")).isdigit():
            raise ValidationError("AutoRollback needs a desired configuration with a numbered launch template version.")
        raise NotImplementedError("instance refresh with AutoRollback")


def install(overlay: Overlay, refreshes: InstanceRefreshes) -> None:
    """Add the three actions to moto's autoscaling."""

    def start_instance_refresh(response: AutoScalingResponse) -> ActionResult:
        request = response._get_params()
        if request.get("Strategy", "Rolling") != "Rolling":
            raise NotImplementedError(f"instance refresh by {request['Strategy']}")
        group, preferences = request["AutoScalingGroupName"], request.get("Preferences", {})
        refresh_id = refreshes.start(group, preferences, request.get("DesiredConfiguration", {}))
        return ActionResult({"InstanceRefreshId": refresh_id})

    def describe_instance_refreshes(response: AutoScalingResponse) -> ActionResult:
        request = response._get_params()
        found = refreshes.describe(request["AutoScalingGroupName"], request.get("InstanceRefreshIds", []))
        start, size = int(request.get("NextToken", 0)), request.get("MaxRecords", 50)
        answer: dict[str, Any] = {"InstanceRefreshes": found[start : start + size]}
        if len(found) > start + size:
            answer["NextToken"] = str(start + size)
        return ActionResult(answer)

    def cancel_instance_refresh(response: AutoScalingResponse) -> ActionResult:
        return ActionResult({"InstanceRefreshId": refreshes.cancel(response._get_params()["AutoScalingGroupName"])})

    overlay.replace(AutoScalingResponse, "start_instance_refresh", start_instance_refresh)
    overlay.replace(AutoScalingResponse, "describe_instance_refreshes", describe_instance_refreshes)
    overlay.replace(AutoScalingResponse, "cancel_instance_refresh", cancel_instance_refresh)
