"""
What a webhook of GitHub is worth: whether GitHub has signed it, what of it is believed, and what its sender is told.

All pure. Nothing is believed before the signature, and afterwards only that GitHub has written it: which repository it
is about, and which ref, is compared with settings. Of the payload a dozen fields are kept, each by its form; no answer
and no line of the log repeats anything else of it.
"""

import hmac
import json
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Self

PUSH = "push"
SOURCE = "github.com"

MOST_BYTES = 1024 * 1024
"""GitHub sends more for a push of thousands of commits; the branch's head is found a few minutes later anyway."""
LEAST_SECRET_BYTES = 16
"""Whoever knows the secret can sign: one that is empty everybody knows, and one that is short can be tried out."""

_OLDEST = timedelta(days=3)
"""GitHub delivers again for as long; see https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks"""
_REMEMBERED = timedelta(days=4)
"""Longer than `_OLDEST`, so that what was forgotten is too old."""
_CLOCKS_DIFFER = timedelta(minutes=10)

_NAME = re.compile(r"[a-z_]{1,64}")
_DELIVERY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_LOGIN = re.compile(r"[A-Za-z0-9_-]{1,64}(\[bot\])?")
# https://git-scm.com/docs/git-check-ref-format
_REF = re.compile(r"refs/(heads|tags)/[^\x00-\x20\x7f-\xa0~^:?*\[\\\ud800-\udfff]{1,244}")
_URL = re.compile(r"https://[!-~]{1,1000}")
_LATEST_SECOND = 2**32


class Verdict(StrEnum):
    """What becomes of a delivery."""

    FORWARDED = "forwarded"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What the sender is told: an HTTP status and a reason in words."""

    status: HTTPStatus
    verdict: Verdict
    reason: str

    def as_answer(self) -> dict[str, Any]:
        """Return what Lambda makes an HTTP answer of."""
        allow = {"Allow": "POST"} if self.status is HTTPStatus.METHOD_NOT_ALLOWED else {}
        body = json.dumps({"verdict": self.verdict.value, "reason": self.reason})
        return {
            "statusCode": self.status.value,
            "headers": {"Content-Type": "application/json", **allow},
            "body": body,
        }


def _refused(status: HTTPStatus, reason: str) -> Outcome:
    return Outcome(status, Verdict.REFUSED, reason)


def _ignored(reason: str) -> Outcome:
    return Outcome(HTTPStatus.ACCEPTED, Verdict.IGNORED, reason)


_NOT_GITHUB = _refused(
    HTTPStatus.UNAUTHORIZED,
    "GitHub has not signed this with the secret of this address. Compare the secret of the webhook with that in"
    " Secrets Manager.",
)
_MALFORMED = _refused(HTTPStatus.BAD_REQUEST, "This is no push as GitHub describes one.")
FORWARDED = Outcome(HTTPStatus.ACCEPTED, Verdict.FORWARDED, "The push is on its way to the environments.")
DUPLICATE = Outcome(HTTPStatus.OK, Verdict.DUPLICATE, "This push has come before; it is not forwarded again.")


@dataclass(frozen=True)
class Subscription:
    """Which pushes are wanted: those to one repository, by its number, and to these refs; a `*` may end a ref."""

    repository_id: int
    refs: tuple[str, ...]

    def wants(self, ref: str) -> bool:
        """Say whether a ref is one of them, letter by letter up to a star."""
        return any(ref.startswith(each[:-1]) if each.endswith("*") else ref == each for each in self.refs)


@dataclass(frozen=True)
class WebhookRequest:
    """
    A request to the function URL. `body` is the raw bytes that were signed; None if there are too many to look at.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
    """

    method: str
    headers: Mapping[str, str]
    body: bytes | None
    now: datetime

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read what Lambda makes of a request, in which names of headers are in lower case."""
        context = event["requestContext"]
        return cls(
            method=context["http"]["method"],
            headers=event.get("headers") or {},
            body=_raw(event.get("body") or "", is_base64=event.get("isBase64Encoded", False)),
            now=datetime.fromtimestamp(int(context["timeEpoch"]) / 1000, UTC),
        )

    @property
    def digest(self) -> str:
        """
        What the delivery is known by. GitHub signs the body alone, so whoever replays it can change all headers.

        A body names the ref, the commits before and after, and the second: no other push has the same.
        """
        return sha256(self.body or b"").hexdigest()


def _raw(body: str, *, is_base64: bool) -> bytes | None:
    """Return the bytes as they came; what is no text, or no base64, is the same bytes to nobody who has signed."""
    try:
        raw = b64decode(body) if is_base64 else body.encode("utf-8", "surrogatepass")
    except (NotBase64, ValueError):
        return b""
    return raw if len(raw) <= MOST_BYTES else None


@dataclass(frozen=True)
class Push:
    """
    What is forwarded of a push, and all that is.

    Of a tag, `commit` is the commit and not the tag. `fork` says that the commit is in another repository than the one
    that was pushed to.
    """

    delivery: str
    repository_id: int
    repository: str
    ref: str
    commit: str
    before: str
    created: bool
    deleted: bool
    forced: bool
    sender: str
    pushed_at: str
    compare: str
    fork: bool

    def detail(self) -> dict[str, Any]:
        """Return the event's detail."""
        return asdict(self)


def why_refused_unread(request: WebhookRequest) -> Outcome | None:
    """Refuse what no webhook of GitHub looks like, before any secret is asked for."""
    if request.method != "POST":
        return _refused(HTTPStatus.METHOD_NOT_ALLOWED, "GitHub sends webhooks as POST.")
    if request.body is None:
        reason = f"More than {MOST_BYTES} bytes are not looked at. The branch is looked at every few minutes anyway."
        return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
    if "x-hub-signature-256" not in request.headers:
        return _NOT_GITHUB
    return None


def is_signed(request: WebhookRequest, secrets: Sequence[bytes]) -> bool:
    """
    Say whether GitHub has signed the body with one of the secrets, all of which are tried, whichever fits.

    As bytes: a header can hold what no signature does, and `compare_digest` raises for text that is not ASCII.
    """
    given = request.headers.get("x-hub-signature-256", "").encode("utf-8", "surrogatepass")
    fits = False
    for secret in secrets:
        expected = "sha256=" + hmac.new(secret, request.body or b"", sha256).hexdigest()
        fits |= hmac.compare_digest(expected.encode(), given) and len(secret) >= LEAST_SECRET_BYTES
    return fits


def judge(request: WebhookRequest, secrets: Sequence[bytes], wanted: Subscription) -> Push | Outcome:
    """Return the push that is to be forwarded; or what the sender is told, when there is none."""
    if not is_signed(request, secrets):
        return _NOT_GITHUB
    refusal = _why_not_read(request)
    if refusal:
        return refusal
    push = read_push(request.body or b"", _delivery_of(request))
    if push is None:
        return _MALFORMED
    return why_not_wanted(push, wanted) or _why_not_now(push, request.now) or push


def _why_not_read(request: WebhookRequest) -> Outcome | None:
    """Say what is wrong with the headers, which GitHub has not signed; None if they belong to a push."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        reason = "Set the webhook's content type to application/json."
        return _refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, reason)
    event = request.headers.get("x-github-event", "")
    if not _NAME.fullmatch(event):
        return _refused(HTTPStatus.BAD_REQUEST, "The header X-GitHub-Event names no event.")
    if event != PUSH:
        return _ignored("Only pushes are forwarded. The secret is right.")
    if not _DELIVERY.fullmatch(_delivery_of(request)):
        return _refused(HTTPStatus.BAD_REQUEST, "The header X-GitHub-Delivery names no delivery.")
    return None


def _delivery_of(request: WebhookRequest) -> str:
    return request.headers.get("x-github-delivery", "").lower()


def read_push(body: bytes, delivery: str) -> Push | None:
    """Read a signed body; None for whatever is not what GitHub describes, one field of it included."""
    try:
        given = json.loads(body)
        repository, sender = given["repository"], given["sender"]
        deleted = _flag(given["deleted"])
        ref = _text(_REF, given["ref"])
        return Push(
            delivery=delivery,
            repository_id=_number(repository["id"]),
            repository=_text(_REPOSITORY, repository["full_name"]),
            ref=ref,
            commit=_commit_of(given, ref, deleted=deleted),
            before=_text(_COMMIT, given["before"]),
            created=_flag(given["created"]),
            deleted=deleted,
            forced=_flag(given["forced"]),
            sender=_text(_LOGIN, sender["login"]),
            pushed_at=_moment(repository["pushed_at"]),
            compare=_text(_URL, given["compare"]),
            fork=_is_of_fork(given, repository["id"]),
        )
    # json raises RecursionError for brackets in brackets, and ValueError for numbers of thousands of digits, too
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError):
        return None


def _commit_of(given: Mapping[str, Any], ref: str, *, deleted: bool) -> str:
    """Return the commit: of an annotated tag, `after` is the tag itself, and its commit is the head commit."""
    after, head = _text(_COMMIT, given["after"]), given["head_commit"]
    if deleted:
        return after
    if ref.startswith("refs/tags/"):
        return _text(_COMMIT, head["id"])
    if head is not None and head["id"] != after:
        raise ValueError
    return after


def _is_of_fork(given: Mapping[str, Any], repository_id: object) -> bool:
    head = given.get("head_repository")
    return head is not None and head["id"] != repository_id


def _text(form: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ValueError
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError
    return value


def _moment(value: object) -> str:
    """Return when it was pushed. In a push that is a number of seconds, and elsewhere text."""
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
    else:
        seconds = _number(value)
        if seconds > _LATEST_SECOND:
            raise ValueError
        moment = datetime.fromtimestamp(seconds, UTC)
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def why_not_wanted(push: Push, wanted: Subscription) -> Outcome | None:
    """Say why a push is nothing to release, although GitHub has told of it; None if it is one."""
    if push.repository_id != wanted.repository_id:
        return _ignored("The push is to another repository than that of settings, by its number.")
    if push.fork:
        return _ignored("The commit is in a fork.")
    if not wanted.wants(push.ref):
        return _ignored("The push is to another ref than those of settings.")
    if push.deleted:
        return _ignored("The ref was deleted.")
    return None


def _why_not_now(push: Push, now: datetime) -> Outcome | None:
    """Refuse what is older than anybody remembers: it may be a replay of what was forwarded long ago."""
    pushed = datetime.fromisoformat(push.pushed_at)
    if now - pushed > _OLDEST:
        reason = f"The push is older than {_OLDEST.days} days. Push again, or start the release by hand."
        return _refused(HTTPStatus.BAD_REQUEST, reason)
    if pushed - now > _CLOCKS_DIFFER:
        return _refused(HTTPStatus.BAD_REQUEST, "The push is of a time that is still to come.")
    return None


def forget_at(now: datetime) -> int:
    """Return the second since which a delivery need not be remembered, as DynamoDB's time to live wants it."""
    return int((now + _REMEMBERED).timestamp())
