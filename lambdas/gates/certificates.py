"""The certificates with which listeners serve users: which ones, by the load balancer, and how good, by ACM."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from lambdas.gates.infrastructure_gate_rules import Certificate

if TYPE_CHECKING:
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client

_SECURE = frozenset({"HTTPS", "TLS"})


@dataclass(frozen=True)
class Certificates:
    """`elbv2` and `acm` are boto3 clients."""

    elbv2: "ElasticLoadBalancingv2Client"
    acm: Any

    def of_listeners(self, listeners: Sequence[str]) -> dict[str, list[str]]:
        """Return the ARNs of all certificates of each listener, by its ARN; none for one that does not speak TLS."""
        described = self.elbv2.describe_listeners(ListenerArns=list(listeners))["Listeners"]
        return {
            each["ListenerArn"]: self._all_of(each["ListenerArn"]) if each.get("Protocol") in _SECURE else []
            for each in described
        }

    def _all_of(self, listener: str) -> list[str]:
        """Read the default certificate and those for other names; DescribeListeners has the default one alone."""
        pages = self.elbv2.get_paginator("describe_listener_certificates").paginate(ListenerArn=listener)
        return [each["CertificateArn"] for page in pages for each in page["Certificates"]]

    def describe(self, arn: str) -> Certificate:
        """Read what ACM says of a certificate. One that IAM keeps is none of ACM's, which says so."""
        found = self.acm.describe_certificate(CertificateArn=arn)["Certificate"]
        ends = found.get("NotAfter")
        return Certificate(
            arn=arn,
            status=found["Status"],
            domain=found.get("DomainName", arn),
            ends_at=ends.astimezone(UTC).isoformat(timespec="seconds") if ends else "",
        )
