"""
What versions are made of, where settings say it is: an object in S3, or an image in ECR.

Whoever builds them is no part of the rehearsal: there is one of every version that anybody knows, unless its build has
failed. It is put there when somebody looks for it.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import boto3
from moto.ecr.models import ECRBackend
from moto.s3.models import S3Backend

from rehearsal.settings import Settings
from rehearsal.world.overlay import Overlay

_S3, _ECR = "s3://", "ecr://"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Artifacts:
    """Those of all environments. `versions` says which there are by now."""

    def __init__(self, environments: Sequence[Settings], versions: Callable[[], Iterable[str]]) -> None:
        self._locations = sorted({each.gates.artifact for each in environments if each.gates and each.gates.artifact})
        self._versions = versions
        self._failed: set[str] = set()
        self._overlay = Overlay()

    def __enter__(self) -> Self:
        self._overlay.wrap(S3Backend, "head_object", self._looking_in_s3)
        self._overlay.wrap(ECRBackend, "describe_images", self._looking_in_ecr)
        return self

    def __exit__(self, *_: object) -> None:
        self._overlay.uninstall()

    def make_places(self, session: boto3.Session) -> None:
        """Make the buckets and repositories."""
        for location in self._locations:
            place, _, _ = _parted(location)
            if location.startswith(_S3):
                where: Any = {"LocationConstraint": session.region_name}
                session.client("s3").create_bucket(Bucket=place, CreateBucketConfiguration=where)
            else:
                session.client("ecr").create_repository(repositoryName=place)

    def fail_to_build(self, version: str) -> None:
        """Let there be none of a version."""
        self._failed.add(version)

    def _built(self) -> list[str]:
        return [each for each in dict.fromkeys(self._versions()) if each not in self._failed]

    def _looking_in_s3(
        self, original: Callable[..., Any], backend: S3Backend, bucket: str, *args: Any, **more: Any
    ) -> Any:
        for location in self._locations:
            place, key, _ = _parted(location)
            if location.startswith(_S3) and place == bucket:
                there = backend.buckets[bucket].keys
                for version in self._built():
                    name = key.replace("{version}", version)
                    if name not in there:
                        backend.put_object(bucket, name, version.encode())
        return original(backend, bucket, *args, **more)

    def _looking_in_ecr(
        self, original: Callable[..., Any], backend: ECRBackend, name: str, *args: Any, **more: Any
    ) -> Any:
        for location in self._locations:
            place, _, tag = _parted(location)
            if location.startswith(_ECR) and place == name:
                there = {each for image in backend.repositories[name].images for each in image.image_tags}
                for version in self._built():
                    wanted = tag.replace("{version}", version)
                    if wanted not in there:
                        config = {"digest": f"sha256:{wanted}"}
                        manifest = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "config": config})
                        backend.put_image(name, manifest, wanted)
        return original(backend, name, *args, **more)


def _parted(location: str) -> tuple[str, str, str]:
    """Return bucket and key, or repository and tag."""
    if location.startswith(_S3):
        bucket, _, key = location.removeprefix(_S3).partition("/")
        return bucket, key, ""
    repository, _, tag = location.removeprefix(_ECR).rpartition(":")
    return repository, "", tag
