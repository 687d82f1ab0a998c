"""What a pretend GitHub keeps of a repository: commits, where its branches and tags are, and what was said of them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MAIN = "refs/heads/main"
NO_COMMIT = "0" * 40
SOMEBODY = "octocat"

_SHORTEST_NAME = 4
"""Of a commit that GitHub looks for."""


@dataclass(frozen=True)
class Commit:
    """A commit. `author` is a login."""

    sha: str
    parents: tuple[str, ...]
    message: str
    author: str
    at: datetime


@dataclass(frozen=True)
class CheckRun:
    """What a tool says of a commit; without a conclusion it still works."""

    name: str
    conclusion: str = "success"
    title: str = ""
    summary: str = ""


@dataclass(frozen=True)
class Status:
    """What somebody says of a commit in a word; the newest of a context counts."""

    context: str
    state: str
    description: str = ""
    target_url: str = ""


@dataclass
class Deployment:
    """A deployment, and where it was, the newest last."""

    id: int
    sha: str
    environment: str
    payload: Any
    states: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PullRequest:
    """A pull request; `reverts` is the number of the one that it takes back. Without `merged_as` it is open."""

    number: int
    title: str
    merged_as: str = ""
    reverts: int | None = None
    body: str = ""

    @property
    def node_id(self) -> str:
        """Return what GraphQL names it by."""
        return f"PR_kwDO{self.number:08d}"


def full(version: str) -> str:
    """Return the whole name of a commit of which a scenario says the first letters only."""
    return version + hashlib.sha1(version.encode(), usedforsecurity=False).hexdigest()[len(version) :]


class Repository:
    """
    One repository, by its whole name and its number. Commits of the `known` versions are there from the beginning.

    Each is upon the one before; the first of them is where `main` is.
    """

    def __init__(self, name: str, number: int, known: Sequence[str], now: datetime) -> None:
        self.name = name
        self.number = number
        self.commits: dict[str, Commit] = {}
        self.refs: dict[str, str] = {}
        self.check_runs: dict[str, list[CheckRun]] = {}
        self.usual_check_runs: list[CheckRun] = []
        """Those of a commit of which nobody has said anything else."""
        self.statuses: dict[str, list[Status]] = {}
        self.comments: dict[str, list[str]] = {}
        self.deployments: list[Deployment] = []
        self.pull_requests: list[PullRequest] = []
        parent = self.add(full("0" * 7), (), "The beginning", SOMEBODY, now).sha
        for version in known:
            parent = self.add(full(version), (parent,), f"Version {version}", SOMEBODY, now).sha
        self.refs[MAIN] = full(known[0]) if known else parent

    def add(self, sha: str, parents: tuple[str, ...], message: str, author: str, now: datetime) -> Commit:
        """Keep one more commit."""
        self.commits[sha] = Commit(sha, parents, message, author, now)
        return self.commits[sha]

    def find(self, name: str) -> Commit | None:
        """Find a commit by its whole name, by its first letters, or by a ref."""
        for ref in (name, f"refs/{name}", f"refs/heads/{name}", f"refs/tags/{name}"):
            if ref in self.refs:
                return self.commits[self.refs[ref]]
        if len(name) < _SHORTEST_NAME:
            return None
        found = [commit for sha, commit in self.commits.items() if sha.startswith(name)]
        return found[0] if len(found) == 1 else None

    def history(self, sha: str) -> Iterator[Commit]:
        """Yield a commit and all that are before it, newest first."""
        seen: set[str] = set()
        waiting = [sha]
        while waiting:
            commit = self.commits[waiting.pop(0)]
            if commit.sha not in seen:
                seen.add(commit.sha)
                waiting += commit.parents
                yield commit

    def status_of(self, commit: str, context: str) -> Status | None:
        """Return the newest status of a context."""
        found = self.find(commit)
        statuses = self.statuses.get(found.sha, []) if found else []
        return next((each for each in reversed(statuses) if each.context == context), None)
