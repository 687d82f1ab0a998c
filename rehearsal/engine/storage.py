"""
S3 among the other services: moto routes its requests on its own, and judges bucket policies as AWS does not.

A bucket policy is kept, and refuses nobody: moto takes every statement with a condition for one that denies, so that
"nobody without TLS" would keep everybody out.
"""

from collections.abc import Callable
from typing import Any

from moto.core.responses import BaseResponse
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response

Perform = Callable[[BaseResponse], Any]
Answer = Callable[[BaseResponse, Perform], Any]
"""Is told a request and what moto would do with it; returns the reply."""

_ENTRANCES = ("bucket_response", "key_response")
"""Where moto lets requests in, about a bucket and about an object."""


class Storage:
    """Brings the requests to S3 to where those of all other services pass."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._moto: dict[str, Any] = {name: vars(S3Response)[name] for name in _ENTRANCES}
        self._moto_get_permission = FakeBucket.get_permission

    def install(self) -> None:
        """Stand at both entrances."""
        for name, moto in self._moto.items():
            setattr(S3Response, name, _entrance(moto, self._answer))
        FakeBucket.get_permission = _no_opinion  # type: ignore[method-assign,assignment]

    def uninstall(self) -> None:
        """Leave moto as it was."""
        for name, moto in self._moto.items():
            setattr(S3Response, name, moto)
        FakeBucket.get_permission = self._moto_get_permission  # type: ignore[method-assign]


def body_of(response: BaseResponse) -> Any:
    """Return what the caller sent, without what its SDK may have wrapped round it for a checksum."""
    return response.body if isinstance(response, S3Response) else response.normalized_request.data


def _entrance(moto: Callable[..., Any], answer: Answer) -> Callable[..., Any]:
    def respond(response: S3Response, request: Any, full_url: str, headers: Any) -> Any:
        response.setup_class(request)  # which moto does too late: before, a response does not know who asks
        return answer(response, lambda each: moto(each, request, full_url, headers))

    return respond


def _no_opinion(bucket: FakeBucket, action: str, resource: str) -> PermissionResult:
    del bucket, action, resource
    return PermissionResult.NEUTRAL
