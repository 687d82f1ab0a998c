"""Rows that a restore loses, kept in S3 as lines of JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from json import dumps
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PART_BYTES = 8 * 1024 * 1024
_NO_SUCH_BUCKET = "404"
"""All that S3 says to a HEAD: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html"""


def has_bucket(s3: "S3Client", bucket: str) -> bool:
    """Say whether there is a bucket for exports."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != _NO_SUCH_BUCKET:
            raise
        return False
    return True


@dataclass
class Export:
    """
    Numbered parts under a prefix. `s3` is a boto3 client, `part` the number of the next one.

    The same rows written again after a failure make the same parts again, in place of the first ones.
    """

    s3: "S3Client"
    bucket: str
    prefix: str
    part: int = 1
    _lines: list[bytes] = field(default_factory=list)
    _size_bytes: int = 0

    @property
    def address(self) -> str:
        """Return where all of it is."""
        return f"s3://{self.bucket}/{self.prefix}/"

    def add(self, table: str, change: str, key: str, row: str) -> None:
        """Add a line; `key` and `row` are JSON. Outside of its texts JSON may have line ends, which mean nothing."""
        begin = f'{{"table": {dumps(table)}, "change": {dumps(change)}, "key": '
        line = f'{begin}{key}, "row": {row}}}'.replace("\n", " ").replace("\r", " ").encode() + b"\n"
        if self._lines and self._size_bytes + len(line) > _PART_BYTES:
            self.flush()
        self._lines.append(line)
        self._size_bytes += len(line)

    def flush(self) -> None:
        """Keep what was added so far."""
        if not self._lines:
            return
        self._put(f"part-{self.part:06}.ndjson", b"".join(self._lines), "application/x-ndjson")
        self._lines, self._size_bytes = [], 0
        self.part += 1

    def put_summary(self, summary: Mapping[str, Any]) -> None:
        """Keep what is known of the whole, without any row."""
        self._put("summary.json", dumps(summary, indent=2).encode(), "application/json")

    def _put(self, name: str, body: bytes, kind: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{name}", Body=body, ContentType=kind)
