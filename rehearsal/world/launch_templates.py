"""Launch templates as AWS keeps them: a version made from another one, and the version that an instance came from."""

from typing import Any

from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import parse_user_data

from rehearsal.world.overlay import Overlay

VERSION_TAG = "runback:version"
_TEMPLATE_TAG = "aws:ec2launchtemplate:id"
_NUMBER_TAG = "aws:ec2launchtemplate:version"

LaunchedFrom = tuple[str, str]
"""Launch template id, version number."""


def tags_of(instance: Instance) -> dict[str, str]:
    """Tags as a mapping; moto has a list of pairs."""
    return {tag["key"]: tag["value"] for tag in instance.get_tags()}


def launched_from(instance: Instance) -> LaunchedFrom:
    """Read it from the tags. Raises KeyError for an instance that no group launched."""
    tags = tags_of(instance)
    return tags[_TEMPLATE_TAG], tags[_NUMBER_TAG]


def install(overlay: Overlay) -> None:
    """
    Make launch templates mean what they mean on AWS.

    CreateLaunchTemplateVersion honours SourceVersion and ClientToken, which moto ignores. Instances of an Auto Scaling
    group are tagged, and described, with the version that launched them, where moto takes the template's default.
    """
    made: dict[tuple[str, str], tuple[dict[str, Any], LaunchTemplateVersion]] = {}

    def create_launch_template_version(response: LaunchTemplates) -> ActionResult:
        return _create_version(response, made)

    overlay.replace(LaunchTemplates, "create_launch_template_version", create_launch_template_version)
    overlay.wrap(FakeAutoScalingGroup, "replace_autoscaling_group_instances", _tag_with_version)
    overlay.replace(InstanceState, "launch_template", property(_described_template))


def _create_version(
    response: LaunchTemplates, made: dict[tuple[str, str], tuple[dict[str, Any], LaunchTemplateVersion]]
) -> ActionResult:
    response.error_on_dryrun()
    request = dict(response._get_params())
    template = _template(response, request)
    token = request.pop("ClientToken", None)
    known = made.get((template.id, token)) if token else None
    if known is None:
        version = template.create_version(_merged(template, request), request.get("VersionDescription", ""))
    elif known[0] == request:
        version = known[1]
    else:
        message = "The client token was used with other parameters before"
        raise EC2ClientError("IdempotentParameterMismatch", message)
    if token:
        made[(template.id, token)] = (request, version)
    return ActionResult({"LaunchTemplateVersion": _described_version(response, template, version)})


def _template(response: LaunchTemplates, request: dict[str, Any]) -> LaunchTemplate:
    backend: EC2Backend = response.ec2_backend
    if "LaunchTemplateId" in request:
        return backend.get_launch_template(request["LaunchTemplateId"])
    return backend.get_launch_template_by_name(request["LaunchTemplateName"])


def _merged(template: LaunchTemplate, request: dict[str, Any]) -> dict[str, Any]:
    """
    The source version's parameters, but those that the request has too.

    A parameter is replaced whole: new TagSpecifications inherit no tag of the source's.
    """
    given = dict(request.get("LaunchTemplateData", {}))
    if "UserData" in given:
        given["UserData"] = parse_user_data(given["UserData"])
    if "SourceVersion" not in request:
        return given
    return {**template.get_version(request["SourceVersion"]).data, **given}


def _described_version(
    response: LaunchTemplates, template: LaunchTemplate, version: LaunchTemplateVersion
) -> dict[str, Any]:
    return {
        "CreateTime": version.create_time,
        "CreatedBy": f"arn:{response.partition}:iam::{response.current_account}:root",
        "DefaultVersion": template.is_default(version),
        "LaunchTemplateData": version.data,
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "VersionDescription": version.description,
        "VersionNumber": version.number,
    }


def _tag_with_version(original: Any, group: FakeAutoScalingGroup, *args: Any, **kwargs: Any) -> None:
    before = {state.instance.id for state in group.instance_states}
    original(group, *args, **kwargs)
    template = group.ec2_launch_template
    if template is None:
        return
    number = str(template.get_version(group.launch_template_version).number)
    for state in group.instance_states:
        if state.instance.id not in before:
            state.instance.add_tags({_TEMPLATE_TAG: template.id, _NUMBER_TAG: number})


def _described_template(state: InstanceState) -> dict[str, str] | None:
    template = state.auto_scaling_group.ec2_launch_template
    if template is None:
        return None
    template_id, number = launched_from(state.instance)
    return {"LaunchTemplateId": template_id, "LaunchTemplateName": template.name, "Version": number}
