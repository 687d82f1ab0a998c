"""Requests to the product itself: over TLS, to allowed hosts only, once, and without following anybody elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import urlsplit

from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError, NameResolutionError, SSLError
from urllib3.exceptions import TimeoutError as NoAnswerInTime
from urllib3.filepost import encode_multipart_formdata
from urllib3.response import BaseHTTPResponse

from lambdas.checks.rules import Answer

_MOST_BYTES = 256 * 1024
_CHUNK_BYTES = 16 * 1024


@dataclass(frozen=True)
class Request:
    """One HTTP request. What it carries may be secret, and has no place in messages."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


def form_body(fields: Mapping[str, str], file_name: str, content: bytes) -> tuple[bytes, str]:
    """Return a form with a file in the field "file", and its content type."""
    return encode_multipart_formdata({**fields, "file": (file_name, content, "application/octet-stream")})


class Web:
    """Sends requests. TLS verifies the certificate against the system's authorities."""

    def __init__(self, allowed_hosts: frozenset[str]) -> None:
        self._allowed_hosts = allowed_hosts
        self._pool = PoolManager(cert_reqs="CERT_REQUIRED")

    def ask(self, request: Request, maximum_seconds: float) -> Answer:
        """Send once, and give up when the time is over. Never raises for what the other side does."""
        parts = urlsplit(request.url)
        if parts.scheme != "https" or parts.hostname not in self._allowed_hosts:
            return Answer(0, 0.0, failure=f"is on {parts.hostname}, which is not among the allowed hosts")
        started = monotonic()
        try:
            response = self._pool.request(
                request.method,
                request.url,
                headers={"User-Agent": "Runback", "Connection": "close", **request.headers},
                body=request.body,
                timeout=Timeout(total=maximum_seconds),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            text = _read(response, started + maximum_seconds)
        except HTTPError as error:
            return Answer(0, monotonic() - started, failure=_explain(error, maximum_seconds))
        return Answer(response.status, monotonic() - started, text=text)


def _read(response: BaseHTTPResponse, deadline: float) -> str:
    """Read what is of interest, and no longer than until the deadline: a server may send one byte a second."""
    content = b""
    with response:
        while len(content) < _MOST_BYTES and monotonic() < deadline:
            chunk = response.read1(_CHUNK_BYTES)
            if not chunk:
                break
            content += chunk
    return content.decode(errors="replace")


def _explain(error: HTTPError, maximum_seconds: float) -> str:
    """Put it into words of our own: the library's may quote what was sent."""
    if isinstance(error, NoAnswerInTime):
        return f"did not answer within {maximum_seconds:g} s"
    if isinstance(error, SSLError):
        return "has a certificate that is not trusted"
    if isinstance(error, NameResolutionError):
        return "has a host name that does not resolve"
    return f"could not be reached ({type(error).__name__})"
