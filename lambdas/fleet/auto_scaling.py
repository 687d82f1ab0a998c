"""The Auto Scaling group of a color: its size, what may change it, and the refresh that replaces its instances."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.errors import RefreshFailed
from lambdas.fleet.rules import HELD_PROCESSES, Capacity, Refresh

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import InstanceRefreshTypeDef


@dataclass(frozen=True)
class GroupState:
    """
    An Auto Scaling group as it is now. `template_version` is a number, "$Latest" or "$Default".

    `suspended` names the processes that somebody has suspended.
    """

    capacity: Capacity
    template_version: str
    suspended: tuple[str, ...] = ()


@dataclass(frozen=True)
class AutoScaling:
    """`autoscaling` is a boto3 client."""

    autoscaling: "AutoScalingClient"

    def describe(self, group: str) -> GroupState:
        """Read the size and the launch template of a group."""
        found = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]
        template = found.get("LaunchTemplate", {})
        return GroupState(
            capacity=Capacity(found["MinSize"], found["MaxSize"], found["DesiredCapacity"]),
            template_version=template.get("Version", "$Default"),
            suspended=tuple(each["ProcessName"] for each in found.get("SuspendedProcesses", [])),
        )

    def exists(self, group: str) -> bool:
        """Say whether there is a group of that name."""
        return bool(self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"])

    def instances(self, group: str) -> set[str]:
        """Name the instances of a group that are in service."""
        found = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]
        return {each["InstanceId"] for each in found["Instances"] if each["LifecycleState"] == "InService"}

    def resize(self, group: str, capacity: Capacity, template_id: str, template_version: str) -> None:
        """Give a group another size, and its next instances a launch template version. Running ones stay."""
        self.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=group,
            LaunchTemplate={"LaunchTemplateId": template_id, "Version": template_version},
            MinSize=capacity.minimum,
            MaxSize=capacity.maximum,
            DesiredCapacity=capacity.desired,
        )

    def scale(self, group: str, capacity: Capacity) -> None:
        """Give a group another size, and leave its launch template alone."""
        self.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=group,
            MinSize=capacity.minimum,
            MaxSize=capacity.maximum,
            DesiredCapacity=capacity.desired,
        )

    def bound(self, group: str, minimum: int, maximum: int) -> None:
        """Change how far a group may scale, and leave its present size alone."""
        self.autoscaling.update_auto_scaling_group(AutoScalingGroupName=group, MinSize=minimum, MaxSize=maximum)

    def hold(self, group: str) -> None:
        """Keep scheduled actions from shrinking a group."""
        self.autoscaling.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=list(HELD_PROCESSES))

    def resume(self, group: str) -> None:
        """Let scheduled actions work on a group again."""
        self.autoscaling.resume_processes(AutoScalingGroupName=group, ScalingProcesses=list(HELD_PROCESSES))

    def start_refresh(self, group: str, template_id: str, template_version: str) -> str:
        """
        Replace the group's instances by ones of a numbered launch template version, all at once.

        The color is idle, so nothing has to stay in service meanwhile. Instances that have the version already stay.
        Raises RefreshFailed when another refresh is in the way.
        """
        try:
            answer = self.autoscaling.start_instance_refresh(
                AutoScalingGroupName=group,
                DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateId": template_id, "Version": template_version}},
                Preferences={"MinHealthyPercentage": 0, "InstanceWarmup": 0, "SkipMatching": True},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "InstanceRefreshInProgress":
                raise
            message = f"Group {group} is being refreshed by somebody else. Wait for it, or cancel it."
            raise RefreshFailed(message) from error
        return str(answer["InstanceRefreshId"])

    def restart(self, group: str) -> str:
        """
        Replace all of the group's instances by ones of its present launch template version, which changes nothing else.

        New ones come before old ones go, half of the group at a time: so the group never serves with less than before,
        and one that is unhealthy because its database is gone does not wait for itself to recover. Instances that are
        protected from scale-in go as well, because they would keep their old connections; those on standby serve
        nobody, and are left to who has put them there. Returns the refresh's id, or "" when another refresh is in the
        way.
        """
        try:
            answer = self.autoscaling.start_instance_refresh(
                AutoScalingGroupName=group,
                Preferences={
                    "MinHealthyPercentage": 100,
                    "MaxHealthyPercentage": 150,
                    "InstanceWarmup": 0,
                    "SkipMatching": False,
                    "ScaleInProtectedInstances": "Refresh",
                    "StandbyInstances": "Ignore",
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "InstanceRefreshInProgress":
                raise
            return ""
        return str(answer["InstanceRefreshId"])

    def refresh(self, group: str, refresh_id: str) -> Refresh:
        """Read one instance refresh."""
        answer = self.autoscaling.describe_instance_refreshes(
            AutoScalingGroupName=group, InstanceRefreshIds=[refresh_id]
        )
        return _refresh(answer["InstanceRefreshes"][0])

    def latest_refresh(self, group: str) -> Refresh | None:
        """Read the newest instance refresh; AWS lists them newest first."""
        answer = self.autoscaling.describe_instance_refreshes(AutoScalingGroupName=group, MaxRecords=1)
        found = answer["InstanceRefreshes"]
        return _refresh(found[0]) if found else None

    def cancel_refresh(self, group: str) -> None:
        """Stop replacing instances, if that is still going on."""
        try:
            self.autoscaling.cancel_instance_refresh(AutoScalingGroupName=group)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ActiveInstanceRefreshNotFound":
                raise


def _refresh(item: "InstanceRefreshTypeDef") -> Refresh:
    template = item.get("DesiredConfiguration", {}).get("LaunchTemplate", {})
    return Refresh(
        refresh_id=item["InstanceRefreshId"],
        status=item["Status"],
        percent=int(item.get("PercentageComplete", 0)),
        reason=item.get("StatusReason", ""),
        template_version=str(template.get("Version", "")),
        started_at=item["StartTime"].isoformat() if "StartTime" in item else "",
        spares_matching=item.get("Preferences", {}).get("SkipMatching", False),
    )
