"""Requests to GitHub: which, to whom, how often; the token goes to GitHub and to nobody else."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lambdas.checks.rules import Answer
from lambdas.checks.web import Request
from lambdas.errors import GitHubRefused, GitHubUnavailable
from lambdas.github.github_api import GitHub, github_of
from lambdas.github.github_rules import Check, Commit, Comparison, GitHubSettings, PullRequest
from rehearsal.world.certificates import Certificate, issue
from tests.unit.checks.site import Site, answering

COMMIT, OTHER = "c" * 40, "d" * 40
SETTINGS = GitHubSettings("your-org/receipts", 412906233, "github-token")
API = "https://api.github.com/repos/your-org/receipts"


@dataclass
class FakeSecrets:
    """A secret whose text changes with every reading, as settings of a test say; the last one stays."""

    tokens: list[str] = field(default_factory=lambda: ["ghp_one"])
    read: int = 0

    def text(self, arn: str) -> str:
        assert arn == "github-token"
        token = self.tokens[min(self.read, len(self.tokens) - 1)]
        self.read += 1
        return json.dumps({"token": token})


@dataclass
class FakeWeb:
    """Answers one request after the other, and keeps what was asked."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    def ask(self, request: Request, maximum_seconds: float) -> Answer:
        assert maximum_seconds <= 3
        self.asked.append(request)
        return self.answers.pop(0)


def says(given: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, 0.1, given if isinstance(given, str) else json.dumps(given), headers=headers)


def github(*answers: Answer, secrets: FakeSecrets | None = None) -> tuple[GitHub, FakeWeb]:
    web = FakeWeb(list(answers))
    return GitHub(SETTINGS, secrets or FakeSecrets(), web), web  # type: ignore[arg-type]


def run(name: str) -> dict[str, Any]:
    return {"name": name, "status": "completed", "conclusion": "success", "html_url": "", "output": {}}


def test_checks_are_all_pages_of_runs_and_statuses() -> None:
    """What is on a page that nobody reads could have failed."""
    first = {"total_count": 101, "check_runs": [run(f"run {n}") for n in range(100)]}
    statuses = {"total_count": 1, "statuses": [{"context": "ci", "state": "pending"}]}
    host, web = github(says(first), says({"total_count": 101, "check_runs": [run("last")]}), says(statuses))

    checks = host.checks(COMMIT)

    assert len(checks) == 102
    assert checks[-2:] == (Check("last", "completed", "success", "", ""), Check("ci", "in_progress", "", "", ""))
    assert [each.url for each in web.asked] == [
        f"{API}/commits/{COMMIT}/check-runs?filter=latest&per_page=100&page=1",
        f"{API}/commits/{COMMIT}/check-runs?filter=latest&per_page=100&page=2",
        f"{API}/commits/{COMMIT}/status?per_page=100&page=1",
    ]


def test_more_checks_than_are_read_are_told_and_not_taken_for_all() -> None:
    pages = [says({"total_count": 900, "check_runs": [run(f"run {n}") for n in range(100)]}) for _ in range(5)]
    host, _ = github(*pages)
    with pytest.raises(GitHubRefused, match="more than the 500 that are read"):
        host.checks(COMMIT)


def test_a_comparison_is_asked_without_its_files() -> None:
    """They are megabytes, on the first page only."""
    compared = {"status": "ahead", "ahead_by": 2, "html_url": "https://github.com/compare", "commits": []}
    commits = [{"sha": COMMIT, "commit": {"message": "Fix it\n\nlong"}, "author": {"login": "octocat"}}]
    host, web = github(says(compared), says(commits))

    found = host.compare(OTHER, COMMIT, commits=1)

    assert found == Comparison("ahead", 2, "https://github.com/compare", (Commit(COMMIT, "Fix it", "octocat"),))
    assert [each.url for each in web.asked] == [
        f"{API}/compare/{OTHER}...{COMMIT}?per_page=1&page=2",
        f"{API}/commits?sha={COMMIT}&per_page=1",
    ]


@pytest.mark.parametrize(
    ("ref", "path"), [("refs/heads/main", "heads/main"), ("refs/tags/v1/x", "tags/v1/x"), (COMMIT[:7], COMMIT[:7])]
)
def test_head_of_a_ref_is_a_commit(ref: str, path: str) -> None:
    host, web = github(says(COMMIT))
    assert host.head(ref) == COMMIT
    assert web.asked[0].url == f"{API}/commits/{path}"
    assert web.asked[0].headers["Accept"] == "application/vnd.github.sha"


def test_no_part_of_a_path_leads_elsewhere() -> None:
    host, web = github(says({}, 201))
    host.set_status("../../../user", "runback/test", "pending", "It begins.")
    assert web.asked[0].url == f"{API}/statuses/..%2F..%2F..%2Fuser"


def test_statuses_deployments_and_comments_are_sent_as_github_wants_them() -> None:
    host, web = github(says({}, 201), says({"id": 7}, 201), says({}, 201), says({}, 201))

    host.set_status(COMMIT, "runback/test", "success", "It is live.", "https://console")
    assert host.create_deployment(COMMIT, "test", "r-1", production=False) == 7
    host.set_deployment_status(7, "success", "It is live.", "https://console")
    host.comment(COMMIT, "Rolled back.")

    assert [(each.method, each.url) for each in web.asked] == [
        ("POST", f"{API}/statuses/{COMMIT}"),
        ("POST", f"{API}/deployments"),
        ("POST", f"{API}/deployments/7/statuses"),
        ("POST", f"{API}/commits/{COMMIT}/comments"),
    ]
    bodies = [json.loads(each.body or b"") for each in web.asked]
    assert bodies[0] == {
        "state": "success",
        "context": "runback/test",
        "description": "It is live.",
        "target_url": "https://console",
    }
    assert bodies[2] == {"state": "success", "description": "It is live.", "log_url": "https://console"}


def test_a_deployment_is_found_by_its_release() -> None:
    host, _ = github(says([{"id": 1, "payload": {"release_id": "r-0"}}, {"id": 2, "payload": {"release_id": "r-1"}}]))
    assert host.deployment_of(COMMIT, "test", "r-1") == 2


def test_a_merged_pull_request_is_reverted_by_another_one() -> None:
    pull = {"node_id": "PR_1", "number": 5, "title": "Add it", "merged_at": "2026-03-01T10:00:00Z"}
    url = "https://github.com/pull/6"
    made = {"data": {"revertPullRequest": {"revertPullRequest": {"url": url}}}}
    host, web = github(says([{**pull, "merge_commit_sha": COMMIT, "base": {"ref": "main"}}]), says(made))

    (found,) = host.pull_requests(COMMIT)

    assert found == PullRequest("PR_1", 5, "Add it", "", "main", "2026-03-01T10:00:00Z", COMMIT)
    assert host.revert(found.node_id, "Revert it", "Because.") == url
    assert web.asked[1].url == "https://api.github.com/graphql"
    assert json.loads(web.asked[1].body or b"")["variables"]["input"]["pullRequestId"] == "PR_1"


def test_the_token_is_read_once_and_again_when_it_has_expired() -> None:
    """Those of apps last an hour, and this function longer."""
    secrets = FakeSecrets(["ghp_one", "ghp_two"])
    host, web = github(says(COMMIT), says({}, 401), says(COMMIT), secrets=secrets)

    host.head("refs/heads/main")
    assert secrets.read == 1
    assert host.head("refs/heads/main") == COMMIT
    sent = [each.headers["Authorization"] for each in web.asked]
    assert sent == ["Bearer ghp_one", "Bearer ghp_one", "Bearer ghp_two"]


def test_a_token_that_is_wrong_is_tried_once() -> None:
    host, web = github(says({}, 401))
    with pytest.raises(GitHubRefused, match="token is wrong"):
        host.head("refs/heads/main")
    assert len(web.asked) == 1


def test_nothing_is_tried_again_and_nothing_secret_is_told() -> None:
    host, web = github(Answer(0, 3.0, failure="did not answer within 3 s"))
    with pytest.raises(GitHubUnavailable) as caught:
        host.comment(COMMIT, "secret words")
    assert len(web.asked) == 1
    assert "ghp_one" not in f"{caught.value!r} {host!r} {web.asked}"
    assert "secret words" not in f"{caught.value!r} {web.asked}"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    certificate: Certificate = issue(["localhost"], tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority_file))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with Site(certificate) as opened:
        yield opened


def test_a_real_server_is_asked_over_tls_and_not_followed_elsewhere(site: Site) -> None:
    settings = GitHubSettings("your-org/receipts", 1, "github-token", site.url)
    host = github_of(settings, FakeSecrets())  # type: ignore[arg-type]
    site.behavior = answering(body=COMMIT)
    assert host.head("refs/heads/main") == COMMIT
    site.behavior = answering("301 Moved Permanently", Location=f"{site.url}/elsewhere")
    with pytest.raises(GitHubRefused, match="renamed or moved"):
        host.head("refs/heads/main")

    assert len(site.requests) == 2
    assert b"\r\nAuthorization: Bearer ghp_one\r\n" in site.requests[0]
    assert b"\r\nX-GitHub-Api-Version: 2022-11-28\r\n" in site.requests[0]


def test_limits_are_read_from_a_real_answer(site: Site) -> None:
    """Whatever case the names of headers have."""
    site.behavior = answering("403 Forbidden", **{"Retry-After": "42"})
    host = github_of(GitHubSettings("your-org/receipts", 1, "github-token", site.url), FakeSecrets())  # type: ignore[arg-type]
    with pytest.raises(GitHubUnavailable) as caught:
        host.head("refs/heads/main")
    assert caught.value.retry_after == 42
