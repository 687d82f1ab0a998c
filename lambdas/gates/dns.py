"""Where names lead: the records of hosted zones in Route 53, and the host of a load balancer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lambdas.gates.infrastructure_gate_rules import RecordSet

if TYPE_CHECKING:
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client

_MOST_SETS = "100"
"""Of one name and the names behind it: more than one name has."""


@dataclass(frozen=True)
class Dns:
    """`route53` and `elbv2` are boto3 clients."""

    route53: Any
    elbv2: "ElasticLoadBalancingv2Client"

    def records(self, zone_id: str, name: str) -> list[RecordSet]:
        """Read all sets of records of a name. A zone lists its records from a name on, in an order of its own."""
        answer = self.route53.list_resource_record_sets(HostedZoneId=zone_id, StartRecordName=name, MaxItems=_MOST_SETS)
        return [
            RecordSet(each["Type"], _targets(each))
            for each in answer["ResourceRecordSets"]
            if each["Name"].removesuffix(".").lower() == name
        ]

    def hosts(self, load_balancers: Sequence[str]) -> list[str]:
        """Return the host names of load balancers, by their ARNs."""
        described = self.elbv2.describe_load_balancers(LoadBalancerArns=list(load_balancers))["LoadBalancers"]
        return [each["DNSName"] for each in described]


def _targets(record_set: dict[str, Any]) -> tuple[str, ...]:
    """An alias leads to a name, like a CNAME; other records hold addresses."""
    if "AliasTarget" in record_set:
        return (record_set["AliasTarget"]["DNSName"],)
    return tuple(each["Value"] for each in record_set.get("ResourceRecords", ()))
