"""
What the pretend GitHub answers: of https://docs.github.com/en/rest as much as a release asks, in the same words.

Whatever else is asked for is answered as GitHub answers what it does not know, so that a request for it fails.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qs, unquote

from rehearsal.world.github_repository import Commit, Deployment, PullRequest, Repository, Status
from rehearsal.world.routing import Request

_STATES = frozenset({"error", "failure", "pending", "success"})
_DEPLOYMENT_STATES = frozenset({"error", "failure", "inactive", "in_progress", "pending", "queued", "success"})
_LONGEST_DESCRIPTION = 140
_WHOLE_NAME = re.compile(r"[0-9a-f]{40}")
_MOST_ON_A_PAGE = 100


@dataclass(frozen=True)
class Reply:
    """An answer, as it is sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, status: int, content: Any, headers: Mapping[str, str] | None = None) -> Self:
        """Answer with JSON."""
        said = {"Content-Type": "application/json; charset=utf-8", "x-ratelimit-remaining": "4999", **(headers or {})}
        return cls(status, said, json.dumps(content).encode())


@dataclass(frozen=True)
class Call:
    """A request with what its path, its query and its body say."""

    repository: Repository
    request: Request
    parts: tuple[str, ...]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    now: datetime

    def page_of(self, every: list[Any]) -> list[Any]:
        """Return the part of a list that is asked for."""
        size = min(int(self.query.get("per_page", 30)), _MOST_ON_A_PAGE)
        first = (int(self.query.get("page", 1)) - 1) * size
        return every[first : first + size]

    def commit(self) -> Commit:
        """Return the commit that the path names first. Raises LookupError."""
        return self.named(self.parts[0])

    def named(self, name: str) -> Commit:
        """Return a commit by what names it. Raises LookupError."""
        if found := self.repository.find(name):
            return found
        raise LookupError(name)


def answer(repository: Repository, request: Request, token: str, now: datetime) -> Reply:
    """Answer one request; to be called while nobody else changes anything."""
    if "User-Agent" not in request.headers:
        return Reply.of(403, {"message": "Request forbidden by administrative rules. Please name your User-Agent."})
    if request.headers.get("Authorization") not in (f"Bearer {token}", f"token {token}"):
        return Reply.of(401, {"message": "Bad credentials"})
    try:
        body = json.loads(request.body) if request.body else {}
    except ValueError:
        return Reply.of(400, {"message": "Problems parsing JSON"})
    query = {name: values[-1] for name, values in parse_qs(request.query).items()}
    call = Call(repository, request, (), query, body, now)
    return _graphql(call) if (request.method, request.path) == ("POST", "/graphql") else _rest(call)


def _rest(call: Call) -> Reply:
    base, path = f"/repos/{call.repository.name}", call.request.path
    for method, pattern, handle in _ROUTES if path.startswith(base) else ():
        found = pattern.fullmatch(path.removeprefix(base))
        if method == call.request.method and found:
            try:
                return handle(replace(call, parts=tuple(unquote(part) for part in found.groups())))
            except KeyError as missing:
                return _invalid(f"{missing} is missing")
            except LookupError as unknown:
                return Reply.of(422, {"message": f"No commit found for SHA: {unknown.args[0]}"})
    return _not_found()


def _not_found() -> Reply:
    return Reply.of(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"})


def _repository(call: Call) -> Reply:
    return Reply.of(200, {"id": call.repository.number, "full_name": call.repository.name, "fork": False})


def _one_commit(call: Call) -> Reply:
    commit = call.commit()
    if "sha" in call.request.headers.get("Accept", "").partition("vnd.github.")[2]:
        return Reply(200, {"Content-Type": "application/vnd.github.sha; charset=utf-8"}, commit.sha.encode())
    return Reply.of(200, _shown(call, commit))


def _commits(call: Call) -> Reply:
    history = list(call.repository.history(call.named(call.query.get("sha", "main")).sha))
    return Reply.of(200, [_shown(call, each) for each in call.page_of(history)])


def _shown(call: Call, commit: Commit) -> dict[str, Any]:
    person = {"name": commit.author, "date": _time(commit.at)}
    return {
        "sha": commit.sha,
        "commit": {"message": commit.message, "author": person, "committer": person},
        "author": {"login": commit.author},
        "html_url": f"https://github.com/{call.repository.name}/commit/{commit.sha}",
        "parents": [{"sha": parent} for parent in commit.parents],
    }


def _ref(call: Call) -> Reply:
    ref = f"refs/{call.parts[0]}"
    if ref not in call.repository.refs:
        return _not_found()
    return Reply.of(200, {"ref": ref, "object": {"type": "commit", "sha": call.repository.refs[ref]}})


def _branch(call: Call) -> Reply:
    sha = call.repository.refs.get(f"refs/heads/{call.parts[0]}")
    return _not_found() if sha is None else Reply.of(200, {"name": call.parts[0], "commit": {"sha": sha}})


def _check_runs(call: Call) -> Reply:
    """As of what a tool says whose work is over, or, without a conclusion, is not."""
    repository, commit = call.repository, call.commit()
    runs = [
        {
            "id": number,
            "name": run.name,
            "head_sha": commit.sha,
            "status": "completed" if run.conclusion else "in_progress",
            "conclusion": run.conclusion or None,
            "html_url": f"https://github.com/{repository.name}/runs/{number}",
            "output": {"title": run.title or None, "summary": run.summary or None},
        }
        for number, run in enumerate(repository.check_runs.get(commit.sha, repository.usual_check_runs), start=1)
    ]
    return Reply.of(200, {"total_count": len(runs), "check_runs": call.page_of(runs)})


def _combined_status(call: Call) -> Reply:
    """Return the newest status of each context."""
    commit = call.commit()
    newest = {each.context: each for each in call.repository.statuses.get(commit.sha, [])}
    shown = [
        {
            "context": each.context,
            "state": each.state,
            "description": each.description or None,
            "target_url": each.target_url or None,
        }
        for each in newest.values()
    ]
    states = {each.state for each in newest.values()}
    bad, waiting = states & {"error", "failure"}, "pending" in states or not states
    state = "failure" if bad else "pending" if waiting else "success"
    found = {"sha": commit.sha, "state": state, "total_count": len(shown), "statuses": call.page_of(shown)}
    return Reply.of(200, found)


def _set_status(call: Call) -> Reply:
    """The whole name is asked for: the first letters are no commit here."""
    name = call.parts[0]
    if not _WHOLE_NAME.fullmatch(name) or name not in call.repository.commits:
        raise LookupError(name)
    description = call.body.get("description") or ""
    if call.body["state"] not in _STATES or len(description) > _LONGEST_DESCRIPTION:
        return _invalid("state or description")
    status = Status(
        call.body.get("context", "default"), call.body["state"], description, call.body.get("target_url") or ""
    )
    call.repository.statuses.setdefault(name, []).append(status)
    return Reply.of(201, {"id": 1, "context": status.context, "state": status.state})


def _compare(call: Call) -> Reply:
    """Count by what is in one history and not in the other, as Git does."""
    base_name, _, head_name = call.parts[0].partition("...")
    repository = call.repository
    if repository.find(base_name) is None or repository.find(head_name) is None:
        return _not_found()
    base, head = call.named(base_name), call.named(head_name)
    of_base = {each.sha for each in repository.history(base.sha)}
    of_head = {each.sha for each in repository.history(head.sha)}
    ahead = [each for each in repository.history(head.sha) if each.sha not in of_base]
    behind = of_base - of_head
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    return Reply.of(
        200,
        {
            "status": status,
            "ahead_by": len(ahead),
            "behind_by": len(behind),
            "total_commits": len(ahead),
            "html_url": f"https://github.com/{repository.name}/compare/{base_name}...{head_name}",
            "base_commit": _shown(call, base),
            "commits": [_shown(call, each) for each in call.page_of(ahead[::-1])],
        },
    )


def _deployments(call: Call) -> Reply:
    wanted = {name: call.query[name] for name in ("sha", "environment") if name in call.query}
    found = [_deployment(each) for each in reversed(call.repository.deployments)]
    fitting = [each for each in found if all(each[name] == value for name, value in wanted.items())]
    return Reply.of(200, call.page_of(fitting))


def _create_deployment(call: Call) -> Reply:
    """It would merge the default branch first, and wait for all checks, unless the request says otherwise."""
    if call.body.get("auto_merge", True) or call.body.get("required_contexts") != []:
        return Reply.of(409, {"message": "Conflict: Commit status checks failed for the ref"})
    deployments, environment = call.repository.deployments, call.body.get("environment", "production")
    commit = call.named(call.body["ref"])
    made = Deployment(1000 + len(deployments), commit.sha, environment, call.body.get("payload", ""))
    deployments.append(made)
    return Reply.of(201, _deployment(made))


def _deployment(made: Deployment) -> dict[str, Any]:
    return {"id": made.id, "sha": made.sha, "environment": made.environment, "task": "deploy", "payload": made.payload}


def _deployment_status(call: Call) -> Reply:
    """A success makes the others of the environment inactive on GitHub, too; nobody here asks for that."""
    made = next((each for each in call.repository.deployments if each.id == int(call.parts[0])), None)
    if made is None:
        return _not_found()
    if call.body["state"] not in _DEPLOYMENT_STATES or len(call.body.get("description", "")) > _LONGEST_DESCRIPTION:
        return _invalid("state or description")
    made.states.append(call.body["state"])
    return Reply.of(201, {"id": len(made.states), "state": call.body["state"]})


def _deployment_statuses(call: Call) -> Reply:
    made = next((each for each in call.repository.deployments if each.id == int(call.parts[0])), None)
    if made is None:
        return _not_found()
    return Reply.of(200, call.page_of([{"state": state} for state in reversed(made.states)]))


def _comments(call: Call) -> Reply:
    texts = call.repository.comments.get(call.commit().sha, [])
    return Reply.of(200, call.page_of([{"id": number, "body": text} for number, text in enumerate(texts, start=1)]))


def _comment(call: Call) -> Reply:
    texts = call.repository.comments.setdefault(call.commit().sha, [])
    texts.append(call.body["body"])
    return Reply.of(201, {"id": len(texts), "body": texts[-1]})


def _pull_requests(call: Call) -> Reply:
    sha = call.commit().sha
    return Reply.of(200, [_pull_request(call, each) for each in call.repository.pull_requests if each.merged_as == sha])


def _pull_request(call: Call, made: PullRequest) -> dict[str, Any]:
    merged = call.repository.commits.get(made.merged_as)
    return {
        "number": made.number,
        "node_id": made.node_id,
        "title": made.title,
        "state": "closed" if merged else "open",
        "html_url": f"https://github.com/{call.repository.name}/pull/{made.number}",
        "base": {"ref": "main"},
        "merged_at": _time(merged.at) if merged else None,
        "merge_commit_sha": made.merged_as or None,
    }


def _graphql(call: Call) -> Reply:
    """https://docs.github.com/en/graphql/reference/mutations#revertpullrequest, which answers 200 whatever it says."""
    repository = call.repository
    given = call.body.get("variables", {}).get("input", {})
    if "revertPullRequest" not in call.body.get("query", ""):
        return Reply.of(
            200, {"errors": [{"type": "UNPROCESSABLE", "message": "the pretend GitHub knows one mutation"}]}
        )
    reverted = next((each for each in repository.pull_requests if each.node_id == given.get("pullRequestId")), None)
    if reverted is None or not reverted.merged_as:
        said = "Could not resolve to a node" if reverted is None else "Pull request is not merged"
        error = {"type": "NOT_FOUND" if reverted is None else "UNPROCESSABLE", "message": said}
        return Reply.of(200, {"data": {"revertPullRequest": None}, "errors": [error]})
    made = PullRequest(
        len(repository.pull_requests) + 1,
        given.get("title") or f'Revert "{reverted.title}"',
        reverts=reverted.number,
        body=given.get("body") or "",
    )
    repository.pull_requests.append(made)
    url = f"https://github.com/{repository.name}/pull/{made.number}"
    new = {"number": made.number, "url": url, "id": made.node_id}
    return Reply.of(200, {"data": {"revertPullRequest": {"revertPullRequest": new}}})


def _invalid(what: str) -> Reply:
    return Reply.of(HTTPStatus.UNPROCESSABLE_ENTITY, {"message": "Validation Failed", "errors": [what]})


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


_ROUTES: tuple[tuple[str, re.Pattern[str], Callable[[Call], Reply]], ...] = tuple(
    (method, re.compile(pattern), handle)
    for method, pattern, handle in (
        ("GET", r"", _repository),
        ("GET", r"/commits", _commits),
        ("GET", r"/commits/([^/]+)/check-runs", _check_runs),
        ("GET", r"/commits/([^/]+)/status", _combined_status),
        ("GET", r"/commits/([^/]+)/comments", _comments),
        ("POST", r"/commits/([^/]+)/comments", _comment),
        ("GET", r"/commits/([^/]+)/pulls", _pull_requests),
        ("GET", r"/commits/(.+)", _one_commit),
        ("GET", r"/git/ref/(.+)", _ref),
        ("GET", r"/branches/(.+)", _branch),
        ("POST", r"/statuses/([^/]+)", _set_status),
        ("GET", r"/compare/([^/]+)", _compare),
        ("GET", r"/deployments", _deployments),
        ("POST", r"/deployments", _create_deployment),
        ("GET", r"/deployments/(\d+)/statuses", _deployment_statuses),
        ("POST", r"/deployments/(\d+)/statuses", _deployment_status),
    )
)
