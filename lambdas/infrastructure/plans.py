"""Plans of Terraform, as a build leaves them in S3."""

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class KeptPlan:
    """A plan: its JSON, the digest of that, and the digest of the file that Terraform applies; both SHA-256 in hex."""

    text: str
    inspected: str
    digest: str


@dataclass(frozen=True)
class Plans:
    """The bucket of an environment's plans. `s3` is a boto3 client."""

    s3: "S3Client"
    bucket: str

    def read(self, key: str) -> KeptPlan:
        """Read the plan whose objects begin with `key`."""
        shown = self._get(f"{key}plan.json")
        return KeptPlan(shown.decode(), sha256(shown).hexdigest(), self._get(f"{key}digest").decode().strip())

    def _get(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
