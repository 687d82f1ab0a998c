"""What an RDS instance is made of beside its data: parameter groups, option groups, subnet groups, and room for it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.database.restorable_rules import Quota, SubnetGroup

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

_NOT_FOUND = frozenset({"DBParameterGroupNotFound", "DBSubnetGroupNotFoundFault", "OptionGroupNotFoundFault"})


@dataclass(frozen=True)
class InstanceParts:
    """`rds` is a boto3 client."""

    rds: "RDSClient"

    def has_parameter_group(self, name: str) -> bool:
        """Say whether there is a parameter group of that name."""
        found = self._found("describe_db_parameter_groups", DBParameterGroupName=name)
        return bool(found and found["DBParameterGroups"])

    def has_option_group(self, name: str) -> bool:
        """Say whether there is an option group of that name."""
        found = self._found("describe_option_groups", OptionGroupName=name)
        return bool(found and found["OptionGroupsList"])

    def subnet_group(self, name: str) -> SubnetGroup | None:
        """Read a subnet group; None when there is none."""
        found = self._found("describe_db_subnet_groups", DBSubnetGroupName=name)
        if not found or not found["DBSubnetGroups"]:
            return None
        group = found["DBSubnetGroups"][0]
        active = [each for each in group["Subnets"] if each.get("SubnetStatus") == "Active"]
        zones = {each["SubnetAvailabilityZone"]["Name"] for each in active}
        return SubnetGroup(name, group["SubnetGroupStatus"], frozenset(zones))

    def quotas(self) -> dict[str, Quota]:
        """
        Return how much of what the account may have it has in this Region, by AWS's name of the quota.

        https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_AccountQuota.html
        """
        found = self.rds.describe_account_attributes()["AccountQuotas"]
        return {each["AccountQuotaName"]: Quota(each["Used"], each["Max"]) for each in found}

    def _found(self, operation: str, **request: str) -> Any:  # noqa: ANN401  many shapes
        try:
            return getattr(self.rds, operation)(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_FOUND:
                raise
            return None
