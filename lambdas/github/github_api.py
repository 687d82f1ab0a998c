"""
GitHub's API: one host, over TLS, each request once and for three seconds at most. The token is shown to nobody.

Nothing here is tried again: who asks, asks again later, or does without.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from lambdas.checks.rules import Answer
from lambdas.checks.secrets import Secrets
from lambdas.checks.web import Request, Web
from lambdas.errors import GitHubRefused
from lambdas.github.github_rules import (
    API_VERSION,
    Check,
    Commit,
    Comparison,
    Deployment,
    GitHubSettings,
    PullRequest,
    Reply,
    as_body,
    deployment_request,
    read_check_runs,
    read_comments,
    read_commits,
    read_comparison,
    read_deployment_id,
    read_deployments,
    read_json,
    read_pull_requests,
    read_revert,
    read_sha,
    read_statuses,
    read_token,
    require_answer,
    revert_request,
    short_description,
)

REQUEST_SECONDS = 3.0
_MOST_BYTES = 4 * 1024 * 1024
_PAGE = 100
_MOST_PAGES = 5
_JSON = "application/vnd.github+json"
_SHA = "application/vnd.github.sha"
_UNAUTHORIZED = 401


def github_of(settings: GitHubSettings, secrets: Secrets) -> "GitHub":
    """Return the GitHub of these settings, which asks no other host."""
    return GitHub(settings, secrets, Web(frozenset({settings.host}), most_bytes=_MOST_BYTES))


class GitHub:
    """
    Every method raises GitHubUnavailable when there is no answer, and GitHubRefused when the answer is no.

    Those that change something may be repeated, as far as their docstrings say.
    """

    def __init__(self, settings: GitHubSettings, secrets: Secrets, web: Web) -> None:
        self._settings = settings
        self._secrets = secrets
        self._web = web
        self._token = ""

    def checks(self, commit: str) -> tuple[Check, ...]:
        """Return all check runs and commit statuses of a commit, the latest one of each."""
        where = f"/commits/{_part(commit)}"
        runs = self._pages("list the check runs of the commit", f"{where}/check-runs?filter=latest", read_check_runs)
        statuses = self._pages("list the statuses of the commit", f"{where}/status", read_statuses)
        return (*runs, *statuses)

    def compare(self, base: str, head: str, commits: int = 0) -> Comparison:
        """Say how `head` stands to `base`, with up to so many of the commits that it is ahead by, newest first."""
        what = "compare two commits"
        # The second page has no files, which are megabytes on the first; all else is the same
        where = f"/compare/{_part(base)}...{_part(head)}?per_page=1&page=2"
        found = read_comparison(what, self._ask(what, "GET", where))
        wanted = min(found.ahead_by, commits, _PAGE)
        if wanted == 0:
            return found
        return Comparison(found.status, found.ahead_by, found.url, self._commits(head, wanted))

    def _commits(self, head: str, number: int) -> tuple[Commit, ...]:
        what = "list commits"
        query = urlencode({"sha": head, "per_page": number})
        return read_commits(what, self._ask(what, "GET", f"/commits?{query}"))

    def head(self, ref: str) -> str:
        """
        Return the commit that a ref points at, such as "refs/heads/main"; of a tag, the commit behind it.

        Raises GitHubRefused with the status 404 or 422 where there is no such ref.
        """
        what = f"say where {ref} is"
        where = f"/commits/{quote(ref.removeprefix('refs/'), safe='/')}"
        return read_sha(what, self._send(what, "GET", self._url(where), accept=_SHA).text)

    def set_status(self, commit: str, context: str, state: str, description: str, url: str = "") -> None:
        """Set a commit's status; the newest one of a context counts. States: error, failure, pending, success."""
        body = {"state": state, "context": context, "description": short_description(description)}
        where = f"/statuses/{_part(commit)}"
        self._ask("take a status of the commit", "POST", where, {**body, **({"target_url": url} if url else {})})

    def deployment_of(self, commit: str, environment: str, release_id: str) -> int | None:
        """Return the number of the deployment that was made for a release already."""
        what = "list deployments"
        query = urlencode({"sha": commit, "environment": environment, "per_page": _PAGE})
        found: tuple[Deployment, ...] = read_deployments(what, self._ask(what, "GET", f"/deployments?{query}"))
        return next((deployment.id for deployment in found if deployment.release_id == release_id), None)

    def create_deployment(self, commit: str, environment: str, release_id: str, *, production: bool) -> int:
        """Make a deployment of a commit, and return its number. Repeated, it makes another one."""
        what = "make a deployment"
        body = deployment_request(commit, environment, release_id, production=production)
        return read_deployment_id(what, self._ask(what, "POST", "/deployments", body))

    def set_deployment_status(self, deployment: int, state: str, description: str, url: str = "") -> None:
        """Set where a deployment is: queued, pending, in_progress, success, failure, error or inactive."""
        body = {"state": state, "description": short_description(description)}
        where = f"/deployments/{deployment}/statuses"
        self._ask("take a deployment's status", "POST", where, {**body, **({"log_url": url} if url else {})})

    def comments(self, commit: str) -> tuple[str, ...]:
        """Return the first hundred comments of a commit."""
        what = "list the commit's comments"
        return read_comments(what, self._ask(what, "GET", f"/commits/{_part(commit)}/comments?per_page={_PAGE}"))

    def comment(self, commit: str, text: str) -> None:
        """Write a comment on a commit. Repeated, there are two."""
        self._ask("take a comment on the commit", "POST", f"/commits/{_part(commit)}/comments", {"body": text})

    def pull_requests(self, commit: str) -> tuple[PullRequest, ...]:
        """Return the pull requests that a commit belongs to."""
        what = "list the commit's pull requests"
        return read_pull_requests(what, self._ask(what, "GET", f"/commits/{_part(commit)}/pulls"))

    def revert(self, pull_request_node_id: str, title: str, body: str) -> str:
        """Make a pull request that takes a merged one back, and return its URL. Nothing is merged by it."""
        what = "make a pull request that reverts another one"
        request = revert_request(pull_request_node_id, title, body)
        return read_revert(what, read_json(what, self._send(what, "POST", self._settings.graphql_url, request).text))

    def _pages(self, what: str, where: str, read: Callable[[str, Any], tuple[list[Check], int]]) -> list[Check]:
        """Read all pages: what is on one that was not read could have failed."""
        found: list[Check] = []
        joint = "&" if "?" in where else "?"
        for page in range(1, _MOST_PAGES + 1):
            more, total = read(what, self._ask(what, "GET", f"{where}{joint}per_page={_PAGE}&page={page}"))
            found += more
            if len(found) >= total or not more:
                return found
        raise GitHubRefused(f"GitHub can {what}, and there are more than the {_PAGE * _MOST_PAGES} that are read.")

    def _ask(self, what: str, method: str, where: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        return read_json(what, self._send(what, method, self._url(where), body).text)

    def _url(self, where: str) -> str:
        return f"{self._settings.api_url.rstrip('/')}/repos/{quote(self._settings.repository, safe='/')}{where}"

    def _send(
        self, what: str, method: str, url: str, body: Mapping[str, Any] | None = None, accept: str = _JSON
    ) -> Reply:
        """Ask once more when the token is another one by now: those of apps last for an hour."""
        reply = self._exchange(method, url, body, accept)
        if reply.status == _UNAUTHORIZED:
            refused, self._token = self._token, ""
            if self._current_token() != refused:
                reply = self._exchange(method, url, body, accept)
        return require_answer(what, reply)

    def _exchange(self, method: str, url: str, body: Mapping[str, Any] | None, accept: str) -> Reply:
        headers = {
            "Accept": accept,
            "Authorization": f"Bearer {self._current_token()}",
            "X-GitHub-Api-Version": API_VERSION,
            **({"Content-Type": "application/json"} if body is not None else {}),
        }
        content = None if body is None else as_body(body)
        answer: Answer = self._web.ask(Request(method, url, headers, content), REQUEST_SECONDS)
        return Reply(answer.status, answer.text, answer.headers, answer.failure)

    def _current_token(self) -> str:
        if not self._token:
            self._token = read_token(self._secrets.text(self._settings.token_secret_arn))
        return self._token


def _part(text: str) -> str:
    """Return one part of a path: a commit that holds a slash would be another request."""
    return quote(text, safe="")
