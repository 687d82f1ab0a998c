"""Requests to the product itself: over TLS, to allowed hosts only, once, and without following anybody elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError, LocationParseError, NameResolutionError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as NoAnswerInTime
from urllib3.filepost import encode_multipart_formdata
from urllib3.response import BaseHTTPResponse
from urllib3.util import parse_url

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

    def __init__(self, allowed_hosts: frozenset[str], most_bytes: int = 0) -> None:
        """Take the hosts, and how much of an answer is read where that is not as much as the product says of itself."""
        self._allowed_hosts = allowed_hosts
        self._most_bytes = most_bytes
        self._pool = PoolManager(cert_reqs="CERT_REQUIRED")

    def ask(self, request: Request, maximum_seconds: float) -> Answer:
        """
        Send once, and give up when the time is over. Never raises for what the other side does.

        In a thread of its own, which may be left behind: time-outs of sockets are for every single read, of which a
        slow server can cause any number, and there is none for the resolution of a name.
        """
        if problem := self._refusal(request.url):
            return Answer(0, 0.0, failure=problem)
        answers: SimpleQueue[Answer] = SimpleQueue()
        Thread(target=lambda: answers.put(self._exchange(request, maximum_seconds)), daemon=True).start()
        try:
            return answers.get(timeout=maximum_seconds)
        except Empty:
            return Answer(0, maximum_seconds, failure=_too_late(maximum_seconds))

    def _refusal(self, url: str) -> str:
        """Read the URL as the library will, or another host would be asked than was looked at."""
        try:
            parts = parse_url(url)
        except LocationParseError:
            return "has a URL that cannot be read"
        if parts.scheme != "https":
            return "has a URL that does not begin with https://"
        if parts.host not in self._allowed_hosts:
            return f"is on {parts.host}, which is not among the allowed hosts"
        return ""

    def _exchange(self, request: Request, maximum_seconds: float) -> Answer:
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
            text = _read(response, started + maximum_seconds, self._most_bytes or _MOST_BYTES)
        except (HTTPError, ValueError) as error:
            return Answer(0, monotonic() - started, failure=_explain(error, maximum_seconds))
        if text is None:
            return Answer(0, maximum_seconds, failure=_too_late(maximum_seconds))
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, monotonic() - started, text=text, headers=headers)


def _read(response: BaseHTTPResponse, deadline: float, most_bytes: int) -> str | None:
    """Read what is of interest, in whole lines; None when the deadline comes first."""
    content = b""
    with response:
        while len(content) < most_bytes:
            if monotonic() >= deadline:
                return None
            chunk = response.read1(_CHUNK_BYTES)
            if not chunk:
                return content.decode(errors="replace")
            content += chunk
    return content.rpartition(b"\n")[0].decode(errors="replace")


def _explain(error: HTTPError | ValueError, maximum_seconds: float) -> str:
    """Put it into words of our own: the library's may quote what was sent."""
    if isinstance(error, NameResolutionError):
        return "has a host name that does not resolve"
    if isinstance(error, NewConnectionError):  # before its base class, which stands for lateness
        return "could not be reached: the connection was refused"
    if isinstance(error, NoAnswerInTime):
        return _too_late(maximum_seconds)
    if isinstance(error, SSLError):
        return "has a certificate that is not trusted"
    if isinstance(error, ValueError):
        return "has a header or URL that cannot be sent"
    return f"could not be reached ({type(error).__name__})"


def _too_late(maximum_seconds: float) -> str:
    return f"did not answer within {maximum_seconds:g} s"
