"""
What GitHub's answers say, and what of them stands for what. All pure.

Answers are read as https://docs.github.com/en/rest describes them for the version `API_VERSION`. A field that is
missing, or of another kind, makes the answer unreadable as a whole: half of an answer is no answer.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from json import dumps, loads
from re import fullmatch
from typing import Any, Self
from urllib.parse import urlsplit

from lambdas.errors import GitHubRefused, GitHubUnavailable

API_VERSION = "2022-11-28"

_LONGEST_SUMMARY = 64 * 1024
_LONGEST_DESCRIPTION = 140
_LONGEST_QUOTE = 200
_ON_ENTERPRISE_SERVER = "/api/v3"

_GOOD = range(200, 300)
_NOT_NOW = frozenset({408, *range(500, 600)})
_FORBIDDEN = 403
_TOO_MANY = 429


class AfterRollback(StrEnum):
    """What is done in the repository after a rollback."""

    COMMENT = "comment"
    """The commit that was rolled back gets a comment which says why."""
    REVERT = "revert"
    """The pull request that brought it gets one that takes it back, for a human to merge; else the comment."""
    NOTHING = "nothing"


@dataclass(frozen=True)
class GitHubSettings:
    """
    The repository, and how GitHub is spoken to. The secret holds {"token": "…"}.

    `api_url` is "https://api.github.com", or "https://github.example.com/api/v3" of a GitHub Enterprise Server.
    """

    repository: str
    repository_id: int
    token_secret_arn: str
    api_url: str = "https://api.github.com"
    after_rollback: AfterRollback = AfterRollback.COMMENT

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what the variable GITHUB holds."""
        given = loads(text)
        return cls(**{**given, "after_rollback": AfterRollback(given.get("after_rollback", AfterRollback.COMMENT))})

    @property
    def host(self) -> str:
        """The only host that is asked."""
        return urlsplit(self.api_url).hostname or ""

    @property
    def graphql_url(self) -> str:
        """Where GraphQL is asked."""
        base = self.api_url.rstrip("/")
        if base.endswith(_ON_ENTERPRISE_SERVER):
            return f"{base.removesuffix(_ON_ENTERPRISE_SERVER)}/api/graphql"
        return f"{base}/graphql"


@dataclass(frozen=True)
class Check:
    """
    A check run or a commit status, which are the same to who waits for it.

    `status` is "completed", or any other word while it runs. Only then is there a `conclusion`: "success", "failure",
    "neutral", "cancelled", "skipped", "timed_out", "action_required" or "stale". A commit status is in the same words.
    """

    name: str
    status: str
    conclusion: str
    summary: str
    url: str


@dataclass(frozen=True)
class Commit:
    """A commit of the history, with the first line of its message."""

    sha: str
    subject: str
    author: str


@dataclass(frozen=True)
class Comparison:
    """
    How a commit stands to another one: `status` is "ahead", "behind", "identical" or "diverged".

    `commits` are the newest ones of those that are ahead, as many as were asked for.
    """

    status: str
    ahead_by: int
    url: str
    commits: tuple[Commit, ...] = ()


@dataclass(frozen=True)
class PullRequest:
    """A pull request that a commit came with. `merge_commit` and `merged_at` are empty before it is merged."""

    node_id: str
    number: int
    title: str
    url: str
    base: str
    merged_at: str
    merge_commit: str


@dataclass(frozen=True)
class Deployment:
    """A deployment as GitHub keeps it, with the release that it was made for."""

    id: int
    release_id: str


@dataclass(frozen=True)
class Reply:
    """What came back from GitHub, before anybody has judged it."""

    status: int
    text: str
    headers: Mapping[str, str]
    failure: str = ""


_NO_JSON = (ValueError, RecursionError)
"""What `loads` raises: for any other text, a number of more digits than Python reads, and what is nested too deeply."""


def read_token(text: str) -> str:
    """
    Return the token of a secret's text.

    Raises GitHubRefused, which never quotes the secret.
    """
    try:
        given = loads(text)
    except _NO_JSON:
        given = None
    token = given.get("token") if isinstance(given, dict) else None
    if not isinstance(token, str) or fullmatch(r"[!-~]+", token) is None:
        raise GitHubRefused('The secret of GitHub\'s token has to hold {"token": "…"}, and does not.')
    return token


def require_answer(what: str, reply: Reply) -> Reply:
    """
    Return the reply when it is a good one.

    Raises GitHubUnavailable when asking again later may help, and GitHubRefused when it will not.
    """
    if reply.failure:
        raise GitHubUnavailable(f"GitHub was to {what}, and {reply.failure}.")
    if reply.status in _GOOD:
        return reply
    if _is_limited(reply):
        raise GitHubUnavailable(f"GitHub will not {what} now: too much was asked of it.", _seconds_to_wait(reply))
    if reply.status in _NOT_NOW:
        raise GitHubUnavailable(f"GitHub was to {what}, and answered {reply.status}.", _seconds_to_wait(reply))
    raise GitHubRefused(f"GitHub will not {what}: {reply.status}{_because(reply)}", reply.status)


def _is_limited(reply: Reply) -> bool:
    """Tell a limit from a right that the token lacks: both may be a 403."""
    if reply.status == _TOO_MANY:
        return True
    limited = reply.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in reply.headers
    return reply.status == _FORBIDDEN and (limited or "rate limit" in _message(reply).lower())


def _seconds_to_wait(reply: Reply) -> int:
    """Return 0 where GitHub does not say how long. It says so in seconds, or by its own clock."""
    if _is_number(after := reply.headers.get("retry-after", "")):
        return int(after)
    reset = reply.headers.get("x-ratelimit-reset", "")
    if reply.headers.get("x-ratelimit-remaining") != "0" or not _is_number(reset):
        return 0
    try:
        answered = parsedate_to_datetime(reply.headers.get("date", ""))
    except ValueError:
        return 0
    return max(0, int(reset) - int(answered.timestamp()))


def _is_number(text: str) -> bool:
    """Seconds have no more than twelve digits, not even since 1970."""
    return fullmatch(r"[0-9]{1,12}", text) is not None


_REMEDIES = {
    301: "the repository was renamed or moved; write its new name into the settings",
    302: "it points elsewhere; look at api_url in the settings",
    307: "the repository was renamed or moved; write its new name into the settings",
    401: "the token is wrong or has expired; put a new one into its secret",
    403: "the token lacks a right; docs/deploying.md says which it needs",
    404: "there is no such thing, or the token may not see the repository",
    409: "something stands against it in the repository",
}


def _because(reply: Reply) -> str:
    said = _message(reply)
    quoted = f' "{said}"' if said else ""
    remedy = _REMEDIES.get(reply.status)
    return f"{quoted}; {remedy}." if remedy else f"{quoted}."


def _message(reply: Reply) -> str:
    """Return GitHub's own words in one line, as far as they are printable."""
    try:
        given = loads(reply.text)
    except _NO_JSON:
        return ""
    said = given.get("message") if isinstance(given, dict) else None
    return one_line(said)[:_LONGEST_QUOTE] if isinstance(said, str) else ""


def one_line(text: str) -> str:
    """Return what humans wrote somewhere as one line which cannot pretend to be several, or move a cursor."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def short_description(text: str) -> str:
    """Cut a sentence to what GitHub takes as the description of a status."""
    line = one_line(text)
    return line if len(line) <= _LONGEST_DESCRIPTION else f"{line[: _LONGEST_DESCRIPTION - 1].rstrip()}…"


def read_json(what: str, text: str) -> Any:  # noqa: ANN401  GitHub's answers are of any kind
    """Raise GitHubUnavailable for what is not JSON: a proxy's page, or an answer longer than is read."""
    try:
        return loads(text)
    except _NO_JSON as error:
        raise GitHubUnavailable(f"GitHub was to {what}, and its answer cannot be read.") from error


class _Unreadable(Exception):
    """The answer has no proper field of this name. It does not leave this module."""


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except _Unreadable as error:
        raise GitHubUnavailable(
            f'GitHub was to {what}, and its answer cannot be read: it has no proper "{error}".'
        ) from error


def _field(given: Any, name: str, kind: type[Any]) -> Any:  # noqa: ANN401
    value = given.get(name) if isinstance(given, dict) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _Unreadable(name)
    return value


def _list(given: Any, name: str) -> list[Any]:  # noqa: ANN401
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise _Unreadable(name)
    return given


def _text(given: Any, name: str) -> str:  # noqa: ANN401
    """Return a text that may be null, or not there."""
    value = given.get(name) if isinstance(given, dict) else None
    return value if isinstance(value, str) else ""


def read_check_runs(what: str, given: Any) -> tuple[list[Check], int]:  # noqa: ANN401
    """Return the check runs of a page, and how many there are on all pages."""
    with _reading(what):
        runs = [
            Check(
                name=_field(run, "name", str),
                status=_field(run, "status", str),
                conclusion=_text(run, "conclusion"),
                summary=_summary(run.get("output")),
                url=_text(run, "html_url"),
            )
            for run in _field(given, "check_runs", list)
        ]
        return runs, _field(given, "total_count", int)


def _summary(output: Any) -> str:  # noqa: ANN401
    """A tool writes its number into the title or the summary, as it likes."""
    parts = [_text(output, "title"), _text(output, "summary")]
    return "\n".join(part for part in parts if part)[:_LONGEST_SUMMARY]


_OF_STATES = {
    "success": ("completed", "success"),
    "failure": ("completed", "failure"),
    "error": ("completed", "failure"),
    "pending": ("in_progress", ""),
}


def read_statuses(what: str, given: Any) -> tuple[list[Check], int]:  # noqa: ANN401
    """Return the commit statuses of a page, the newest one of each name, and how many there are on all pages."""
    with _reading(what):
        found: list[Check] = []
        for status in _field(given, "statuses", list):
            state = _field(status, "state", str)
            if state not in _OF_STATES:
                raise _Unreadable("state")
            progress, conclusion = _OF_STATES[state]
            name, summary = _field(status, "context", str), _text(status, "description")
            found.append(Check(name, progress, conclusion, summary, _text(status, "target_url")))
        return found, _field(given, "total_count", int)


_COMPARISONS = frozenset({"ahead", "behind", "identical", "diverged"})


def read_comparison(what: str, given: Any) -> Comparison:  # noqa: ANN401
    """Return the comparison without its commits."""
    with _reading(what):
        status = _field(given, "status", str)
        if status not in _COMPARISONS:
            raise _Unreadable("status")
        return Comparison(status, _field(given, "ahead_by", int), _text(given, "html_url"))


def read_commits(what: str, given: Any) -> tuple[Commit, ...]:  # noqa: ANN401
    """Return commits with the first lines of their messages, as one line each."""
    with _reading(what):
        return tuple(
            Commit(
                sha=_field(entry, "sha", str),
                subject=one_line(_field(_field(entry, "commit", dict), "message", str).partition("\n")[0]),
                author=one_line(_text(entry.get("author"), "login")),
            )
            for entry in _list(given, "list of commits")
        )


def read_sha(what: str, text: str) -> str:
    """Return the commit that a ref points at."""
    if fullmatch(r"[0-9a-f]{40}", text.strip()) is None:
        raise GitHubUnavailable(f"GitHub was to {what}, and its answer is no commit.")
    return text.strip()


def read_pull_requests(what: str, given: Any) -> tuple[PullRequest, ...]:  # noqa: ANN401
    """Return the pull requests of a list."""
    with _reading(what):
        return tuple(
            PullRequest(
                node_id=_field(entry, "node_id", str),
                number=_field(entry, "number", int),
                title=one_line(_text(entry, "title")),
                url=_text(entry, "html_url"),
                base=_text(entry.get("base"), "ref"),
                merged_at=_text(entry, "merged_at"),
                merge_commit=_text(entry, "merge_commit_sha"),
            )
            for entry in _list(given, "list of pull requests")
        )


def deployment_request(commit: str, environment: str, release_id: str, *, production: bool) -> dict[str, Any]:
    """
    Return what makes a deployment of exactly this commit.

    GitHub would otherwise merge the default branch into it first, and refuse while any status is not green: our own
    one is pending. Which commits may be released is for the gates.
    """
    return {
        "ref": commit,
        "task": "deploy",
        "auto_merge": False,
        "required_contexts": [],
        "payload": {"release_id": release_id},
        "environment": environment,
        "description": "A release by Runback",
        "production_environment": production,
    }


def read_deployments(what: str, given: Any) -> tuple[Deployment, ...]:  # noqa: ANN401
    """Return the deployments of a list; those of others have no release."""
    with _reading(what):
        return tuple(
            Deployment(_field(entry, "id", int), _release_of(entry.get("payload")))
            for entry in _list(given, "list of deployments")
        )


def _release_of(payload: Any) -> str:  # noqa: ANN401
    """GitHub gives a payload back as the object that it was, or as its text."""
    if isinstance(payload, str):
        try:
            payload = loads(payload)
        except _NO_JSON:
            return ""
    return _text(payload, "release_id")


def read_deployment_id(what: str, given: Any) -> int:  # noqa: ANN401
    """Return the number of a deployment that was made; where GitHub merged something instead, there is none."""
    with _reading(what):
        number: int = _field(given, "id", int)
    return number


def read_comments(what: str, given: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the texts of comments."""
    with _reading(what):
        return tuple(_text(entry, "body") for entry in _list(given, "list of comments"))


_REVERT = """mutation($input: RevertPullRequestInput!) {
  revertPullRequest(input: $input) { revertPullRequest { url } }
}"""


def revert_request(pull_request: str, title: str, body: str) -> dict[str, Any]:
    """Return the GraphQL request for a pull request that takes another one back."""
    return {
        "query": _REVERT,
        "variables": {"input": {"pullRequestId": pull_request, "title": one_line(title), "body": body}},
    }


def read_revert(what: str, given: Any) -> str:  # noqa: ANN401
    """
    Return the URL of the pull request that was made.

    GraphQL answers 200 for a refusal, too.
    """
    found = given.get("errors") if isinstance(given, dict) else None
    errors: Sequence[Any] = found if isinstance(found, list) else ()
    if any(_text(error, "type") == "RATE_LIMITED" for error in errors):
        raise GitHubUnavailable(f"GitHub will not {what} now: too much was asked of it.")
    if errors:
        said = "; ".join(one_line(_text(error, "message")) for error in errors)[:_LONGEST_QUOTE]
        raise GitHubRefused(f'GitHub will not {what}: "{said}".')
    with _reading(what):
        made = _field(_field(_field(given, "data", dict), "revertPullRequest", dict), "revertPullRequest", dict)
        url: str = _field(made, "url", str)
    return url


def as_body(given: Mapping[str, Any]) -> bytes:
    """Return a request's body."""
    return dumps(given, ensure_ascii=False).encode()
