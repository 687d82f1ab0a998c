"""EC2 instances: when each was launched."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


@dataclass(frozen=True)
class Instances:
    """`ec2` is a boto3 client."""

    ec2: "EC2Client"

    def launched_at(self, instance_ids: Iterable[str]) -> dict[str, str]:
        """Return the moment in which each of these instances was launched, to the second."""
        asked = sorted(instance_ids)
        if not asked:  # AWS would take it for all of the account
            return {}
        pages = self.ec2.get_paginator("describe_instances").paginate(InstanceIds=asked)
        return {
            instance["InstanceId"]: instance["LaunchTime"].isoformat()
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        }
