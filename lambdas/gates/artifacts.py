"""Whether what a version is made of was built: an object in S3, or an image in ECR."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_IN_S3, _IN_ECR = "s3://", "ecr://"
_NO_OBJECT = frozenset({"404", "NoSuchKey", "NotFound"})
_NO_IMAGE = "ImageNotFoundException"


@dataclass(frozen=True)
class Artifacts:
    """`s3` and `ecr` are boto3 clients."""

    s3: "S3Client"
    ecr: Any

    def exists(self, location: str) -> bool:
        """Say whether there is something at "s3://<bucket>/<key>" or "ecr://<repository>:<tag>"."""
        if location.startswith(_IN_S3):
            bucket, _, key = location.removeprefix(_IN_S3).partition("/")
            return self._has_object(bucket, key)
        repository, _, tag = location.removeprefix(_IN_ECR).rpartition(":")
        return self._has_image(repository, tag)

    def _has_object(self, bucket: str, key: str) -> bool:
        """Without the right to list the bucket, S3 would say 403 of what is not there."""
        try:
            self.s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NO_OBJECT:
                raise
            return False
        return True

    def _has_image(self, repository: str, tag: str) -> bool:
        try:
            self.ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
        except ClientError as error:
            if error.response["Error"]["Code"] != _NO_IMAGE:
                raise
            return False
        return True
