"""Auto Scaling groups and launch templates: the instances of each color."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cdk.settings import COLORS, Color, EnvironmentSettings
from install.account import Account, NotThere
from install.checks.forwards import target_groups_of
from install.findings import Finding, attempt, missing, note, ok, wrong

VERSION_TAG = "runback:version"
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html
_METADATA_KEY = re.compile(r"[0-9A-Za-z_+=,.@:-]{1,255}")
_MOVING = frozenset({"$Latest", "$Default"})
_NEEDED_PROCESSES = frozenset({"Launch", "Terminate", "AddToLoadBalancer", "HealthCheck", "ReplaceUnhealthy"})
_ENDED = frozenset({"Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"})
_MAKE_GROUP = "make it, or correct its name in settings"
_MAKE_TEMPLATE = "make it, or correct the id in settings"

Described = Mapping[str, Any]


def check_colors(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look at the groups, their launch templates, and the role of their instances."""
    for color in COLORS:
        of_color = settings.colors.of(color)
        group = f"colors.{color}.auto_scaling_group"
        yield from attempt(group, _group(group, color, settings, account), otherwise=_MAKE_GROUP)
        yield from attempt(group, _refreshes(group, of_color, account), otherwise=_MAKE_GROUP)
        template = f"colors.{color}.launch_template_id"
        yield from attempt(template, _template(template, of_color, account), otherwise=_MAKE_TEMPLATE)
        role = f"colors.{color}.instance_role_arn"
        yield from attempt(role, _role(role, of_color, account), otherwise="make it, or correct the ARN in settings")


def _read_group(name: str, account: Account) -> Described:
    found = account.read("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[name])
    if not found["AutoScalingGroups"]:
        raise NotThere(f"there is no Auto Scaling group {name} in this account and Region")
    group: Described = found["AutoScalingGroups"][0]
    return group


def _group(field: str, color: str, settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    group = _read_group(settings.colors.of(color).auto_scaling_group, account)
    problems = [
        *_launches(field, group, settings.colors.of(color)),
        *_attached(field, group, target_groups_of(settings, color)),
        *_surprises(field, group),
        *_tag_keys(field, [tag["Key"] for tag in group.get("Tags", []) if tag.get("PropagateAtLaunch")]),
    ]
    size = f"{group['MinSize']} to {group['MaxSize']} instances, {group['DesiredCapacity']} wanted"
    yield from problems or [ok(field, f"can be used; {size}")]
    other = settings.colors.green if color == "blue" else settings.colors.blue
    needed = _read_group(other.auto_scaling_group, account)["DesiredCapacity"]
    if group["MaxSize"] < needed:
        yield wrong(
            field,
            f"may have {group['MaxSize']} instances at most, and the other color runs {needed}",
            f"raise its maximum to {needed} or more: it could not take all traffic over",
        )


def _launches(field: str, group: Described, color: Color) -> Iterator[Finding]:
    template = group.get("LaunchTemplate")
    if template is None:
        made_from = "a mixed instances policy" if "MixedInstancesPolicy" in group else "a launch configuration"
        yield wrong(field, f"launches from {made_from}", f"let it launch from {color.launch_template_id} alone")
    elif template["LaunchTemplateId"] != color.launch_template_id:
        yield wrong(
            field,
            f"launches from {template['LaunchTemplateId']}, but settings say {color.launch_template_id}",
            "correct the one or the other",
        )
    elif template.get("Version", "$Default") in _MOVING:
        yield note(
            field,
            f"launches from version {template.get('Version', '$Default')} until the first release pins a number",
            "let Terraform ignore the version from then on",
        )


def _attached(field: str, group: Described, wanted: set[str]) -> Iterator[Finding]:
    attached = set(group.get("TargetGroupARNs", []))
    for arn in sorted(wanted - attached):
        yield missing(field, f"is not attached to {arn}, which a route names for this color", "attach it")
    for arn in sorted(attached - wanted):
        yield wrong(field, f"is attached to {arn}, which no route names for this color", "detach it, or add the route")


def _surprises(field: str, group: Described) -> Iterator[Finding]:
    if "WarmPoolConfiguration" in group:
        yield wrong(
            field,
            "has a warm pool, whose instances were made from an older version",
            "remove the warm pool: aws autoscaling delete-warm-pool",
        )
    suspended = {each["ProcessName"] for each in group.get("SuspendedProcesses", [])} & _NEEDED_PROCESSES
    if suspended:
        yield wrong(field, f"has suspended {', '.join(sorted(suspended))}", "resume these processes")


def _refreshes(field: str, color: Color, account: Account) -> Iterator[Finding]:
    _read_group(color.auto_scaling_group, account)  # of a group that is not there it has been said already
    answer = account.read("autoscaling", "describe_instance_refreshes", AutoScalingGroupName=color.auto_scaling_group)
    running = [each["Status"] for each in answer["InstanceRefreshes"] if each["Status"] not in _ENDED]
    if running:
        yield wrong(field, f"is in an instance refresh ({running[0]})", "wait until it has ended, or cancel it")


def _template(field: str, color: Color, account: Account) -> Iterator[Finding]:
    version = _version_in_use(color, account)
    answer = account.read(
        "ec2", "describe_launch_template_versions", LaunchTemplateId=color.launch_template_id, Versions=[version]
    )["LaunchTemplateVersions"]
    if not answer:
        raise NotThere(f"there is no version {version} of this launch template")
    data = answer[0]["LaunchTemplateData"]
    yield from list(_unfit(field, version, data)) or [ok(field, f"version {version} tags instances with {VERSION_TAG}")]
    yield from _profile(field, color, data.get("IamInstanceProfile"), account)


def _version_in_use(color: Color, account: Account) -> str:
    try:
        group = _read_group(color.auto_scaling_group, account)
    except NotThere:
        return "$Default"
    template = group.get("LaunchTemplate") or {}
    uses_it = template.get("LaunchTemplateId") == color.launch_template_id
    return str(template.get("Version", "$Default")) if uses_it else "$Default"


def _unfit(field: str, version: str, data: Described) -> Iterator[Finding]:
    specifications = data.get("TagSpecifications", [])
    tags = {tag["Key"] for each in specifications if each["ResourceType"] == "instance" for tag in each["Tags"]}
    if VERSION_TAG not in tags:
        yield missing(
            field,
            f"version {version} gives instances no tag {VERSION_TAG}, so that nobody knows what they run",
            f"add a tag specification for instances, {VERSION_TAG} = the commit that they run",
        )
    yield from _tag_keys(field, tags)
    if str(data.get("ImageId", "")).startswith("resolve:ssm:"):
        yield wrong(
            field,
            f"version {version} takes its image from a parameter, and an instance refresh with that cannot go back",
            "name the image by its id (ami-…)",
        )
    if data.get("MetadataOptions", {}).get("InstanceMetadataTags") != "enabled":
        yield note(
            field,
            f"version {version} does not show instances their own tags; the versions that releases make do",
            "turn instance metadata tags on, if instances are to know their version before the first release",
        )


def _tag_keys(field: str, keys: Iterable[str]) -> Iterator[Finding]:
    """Find tags with which no instance can be launched that is shown its own tags, as releases want it."""
    unusable = sorted(key for key in keys if key in {".", "..", "_index"} or not _METADATA_KEY.fullmatch(key))
    if unusable:
        yield wrong(
            field,
            f"gives instances the tag {', '.join(unusable)}, which an instance cannot be shown: it would not launch",
            "rename it: letters, digits and -_+=,.@: are allowed, spaces and slashes are not",
        )


def _profile(field: str, color: Color, profile: Described | None, account: Account) -> Iterator[Finding]:
    if not profile:
        return
    name = profile.get("Name") or profile["Arn"].rpartition("/")[2]
    answer = account.read("iam", "get_instance_profile", InstanceProfileName=name)["InstanceProfile"]
    roles = [role["Arn"] for role in answer["Roles"]]
    if color.instance_role_arn not in roles:
        yield wrong(
            field,
            f"gives instances the role {', '.join(roles) or 'of nobody'}, but settings say {color.instance_role_arn}",
            "correct instance_role_arn: Runback may hand on no other role",
        )


def _role(field: str, color: Color, account: Account) -> Iterator[Finding]:
    found = account.read("iam", "get_role", RoleName=color.instance_role_arn.rpartition("/")[2])["Role"]["Arn"]
    if found != color.instance_role_arn:
        yield wrong(field, f"is really {found}", "write that ARN, with its path")
    else:
        yield ok(field, "exists")
