"""CloudFront's distributions: whether what they are to be is what they are."""

from dataclasses import dataclass
from typing import Any

from lambdas.gates.infrastructure_gate_rules import Distribution


@dataclass(frozen=True)
class Distributions:
    """`cloudfront` is a boto3 client."""

    cloudfront: Any

    def describe(self, distribution: str) -> Distribution:
        """Read how far a distribution is deployed, and where it answers."""
        found = self.cloudfront.get_distribution(Id=distribution)["Distribution"]
        return Distribution(
            id=found["Id"],
            status=found["Status"],
            enabled=found["DistributionConfig"]["Enabled"],
            domain=found["DomainName"],
        )
