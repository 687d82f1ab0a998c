"""The launch templates of the colors: a release is one numbered version, never `$Latest`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lambdas.fleet.rules import VERSION_TAG

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import ResponseLaunchTemplateDataTypeDef


@dataclass(frozen=True)
class LaunchTemplates:
    """`ec2` is a boto3 client."""

    ec2: "EC2Client"

    def version_of(self, template_id: str, template_version: str) -> str:
        """Return the release version that a launch template version carries; "unknown" before the first release."""
        data = self._data(template_id, template_version)
        return _tags(data).get(VERSION_TAG, "unknown")

    def add_version(self, template_id: str, source_version: str, version: str, release_id: str) -> str:
        """
        Make a launch template version that differs from its source only in the release version, and return its number.

        The release id is the client token, so a repeated step gets the version that it made before.
        """
        source = self._data(template_id, source_version)
        metadata: Any = {**_metadata_options(source), "InstanceMetadataTags": "enabled"}
        answer = self.ec2.create_launch_template_version(
            LaunchTemplateId=template_id,
            SourceVersion=source_version,
            VersionDescription=f"Runback release {release_id}",
            ClientToken=release_id,
            LaunchTemplateData={
                "TagSpecifications": _tagged(source, version),
                "MetadataOptions": metadata,
            },
        )
        return str(answer["LaunchTemplateVersion"]["VersionNumber"])

    def _data(self, template_id: str, template_version: str) -> "ResponseLaunchTemplateDataTypeDef":
        answer = self.ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=[template_version])
        return answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]


def _tags(data: "ResponseLaunchTemplateDataTypeDef") -> dict[str, str]:
    return {
        tag["Key"]: tag["Value"]
        for specification in data.get("TagSpecifications", [])
        if specification["ResourceType"] == "instance"
        for tag in specification["Tags"]
    }


def _tagged(data: "ResponseLaunchTemplateDataTypeDef", version: str) -> list[Any]:
    """Return all tag specifications of the source: a launch template version replaces the whole list."""
    others = [item for item in data.get("TagSpecifications", []) if item["ResourceType"] != "instance"]
    tags = {**_tags(data), VERSION_TAG: version}
    return [
        *others,
        {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]},
    ]


def _metadata_options(data: "ResponseLaunchTemplateDataTypeDef") -> dict[str, Any]:
    """Return what a request may carry: a description also has `State`."""
    return {name: value for name, value in data.get("MetadataOptions", {}).items() if name != "State"}
