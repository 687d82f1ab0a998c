"""The bucket of the reports, in S3."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Archive:
    """`s3` is a boto3 client."""

    s3: "S3Client"
    bucket: str

    def put(self, key: str, page: str) -> None:
        """
        Keep a page in place of the one before; whoever has that one open asks anew when he reloads it.

        The bucket encrypts what comes without a key of its own:
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html
        """
        self.s3.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=page.encode(),
            ContentType="text/html; charset=utf-8",
            CacheControl="no-cache",
        )
