"""
What another account shares: moto knows one account's snapshots by their names, and copies them at once and unencrypted.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/share-encrypted-snapshot.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.rds.exceptions import DBSnapshotNotFoundFault, RDSClientError
from moto.rds.models import DBSnapshot


class NotRestorable(RDSClientError):
    """What a restore answers for an encrypted snapshot of another account. The code is AWS's, the words are ours."""

    def __init__(self, arn: str) -> None:
        super().__init__(
            "InvalidParameterValue",
            f"The encrypted snapshot {arn} is another account's: copy it, and restore the copy.",
        )


class NoKey(RDSClientError):
    """What a copy of such a snapshot answers that names no key. The code is AWS's, the words are ours."""

    def __init__(self, arn: str) -> None:
        super().__init__("InvalidParameterCombination", f"KmsKeyId must be specified to copy {arn} of another account.")


@dataclass(frozen=True)
class SharedSnapshot:
    """
    A snapshot of another account, encrypted with a key of that one.

    `described` is the one of ours that it is a copy of, and `server` the instance whose server has the data.
    """

    arn: str
    key: str
    described: DBSnapshot
    server: str

    def as_answer(self) -> dict[str, Any]:
        """Return what DescribeDBSnapshots says of it: its name is its ARN."""
        of = self.described
        return {
            "DBSnapshotIdentifier": self.arn,
            "DBSnapshotArn": self.arn,
            "DBInstanceIdentifier": of.db_instance_identifier,
            "SnapshotCreateTime": of.created,
            "SnapshotDatabaseTime": of.created,
            "Engine": of.engine,
            "EngineVersion": of.engine_version,
            "AllocatedStorage": of.allocated_storage,
            "Status": "available",
            "Port": of.port,
            "SnapshotType": "shared",
            "PercentProgress": 100,
            "Encrypted": True,
            "KmsKeyId": self.key,
        }


class SharedSnapshots:
    """All that other accounts share with this one, `account`."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._shared: dict[str, SharedSnapshot] = {}

    def add(self, shared: SharedSnapshot) -> None:
        """Let it be shared from now on."""
        self._shared[shared.arn] = shared

    def is_foreign(self, identifier: str | None) -> bool:
        """Say whether an identifier is an ARN of another account."""
        return (
            bool(identifier) and str(identifier).startswith("arn:") and str(identifier).split(":")[4] != self._account
        )

    def find(self, arn: str) -> SharedSnapshot:
        """Raises DBSnapshotNotFoundFault for what nobody shares."""
        if arn not in self._shared:
            raise DBSnapshotNotFoundFault(arn)
        return self._shared[arn]

    def describe(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Answer DescribeDBSnapshots about one; who does not say that shared ones are meant finds none."""
        arn = asked["DBSnapshotIdentifier"]
        if not asked.get("IncludeShared") and asked.get("SnapshotType") != "shared":
            raise DBSnapshotNotFoundFault(arn)
        return {"DBSnapshots": [self.find(arn).as_answer()]}
