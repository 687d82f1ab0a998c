"""The pretend GitHub signs as GitHub does, knows a history, and answers in the words of its API."""

import hashlib
import hmac
import json
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from lambdas.errors import GitHubRefused
from lambdas.github import github_rules
from rehearsal.clock import TwoSpeedClock
from rehearsal.world import certificates
from rehearsal.world.certificates import Certificate
from rehearsal.world.github import FORMER_WEBHOOK_SECRET, TOKEN, WEBHOOK_SECRET, GitHub
from rehearsal.world.github_repository import NO_COMMIT, CheckRun, full

OLD, NEW, NEWEST = "1a2b3c4", "5d6e7f8", "9c8b7a6"
REPOSITORY = "your-org/receipt-vault"
BASE = f"/repos/{REPOSITORY}"
HOST = "api.github.com"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificates.issue([HOST], tmp_path_factory.mktemp("tls"))


class Client:
    """Speaks to it over TLS, by whatever port it has now."""

    def __init__(self, certificate: Certificate) -> None:
        self.port = 0
        self._trust = ssl.create_default_context(cafile=str(certificate.authority_file))

    def point(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        given = {"Authorization": f"Bearer {TOKEN}", "User-Agent": "test", **headers}
        with urllib3.HTTPSConnectionPool(
            "127.0.0.1",
            self.port,
            ssl_context=self._trust,
            server_hostname=HOST,
            assert_hostname=HOST,
            timeout=0.3,
            retries=False,
        ) as pool:
            content = None if body is None else json.dumps(body).encode()
            answer = pool.request(method, path, headers=given, body=content)
            if "json" not in answer.headers["Content-Type"]:
                return answer.status, answer.data.decode()
            return answer.status, answer.json()


@pytest.fixture
def github() -> Iterator[GitHub]:
    made = GitHub(TwoSpeedClock(), REPOSITORY, 412906233, (OLD, NEW, NEWEST))
    yield made
    made.stop()


@pytest.fixture
def client(github: GitHub, certificate: Certificate) -> Client:
    made = Client(certificate)
    github.listen(certificate, made.point)
    return made


def test_a_push_is_signed_over_its_bytes_and_says_what_github_says(github: GitHub) -> None:
    webhook = github.push(NEW, sender="kim")

    expected = hmac.new(WEBHOOK_SECRET.encode(), webhook.body, hashlib.sha256).hexdigest()
    assert webhook.headers["X-Hub-Signature-256"] == f"sha256={expected}"
    said = json.loads(webhook.body)
    assert (said["ref"], said["before"], said["after"]) == ("refs/heads/main", full(OLD), full(NEW))
    assert (said["head_commit"]["id"], said["sender"]["login"]) == (full(NEW), "kim")
    assert (said["repository"]["id"], said["repository"]["fork"]) == (412906233, False)
    assert isinstance(said["repository"]["pushed_at"], int)
    assert github.repository.refs["refs/heads/main"] == full(NEW)


def test_of_a_tag_the_commit_is_not_what_the_ref_is_at(github: GitHub) -> None:
    said = json.loads(github.push(OLD, "refs/tags/v1.0").body)
    assert (said["head_commit"]["id"], said["before"], said["created"]) == (full(OLD), NO_COMMIT, True)
    assert said["after"] not in (full(OLD), NO_COMMIT)
    assert json.loads(github.push(OLD, "refs/tags/v1.1", annotated=False).body)["after"] == full(OLD)


def test_a_ref_that_is_gone_is_told_as_deleted(github: GitHub) -> None:
    github.push(NEW, "refs/heads/topic")
    said = json.loads(github.push(NEW, "refs/heads/topic", deleted=True).body)
    assert (said["deleted"], said["after"], said["head_commit"]) == (True, NO_COMMIT, None)
    assert "refs/heads/topic" not in github.repository.refs


def test_every_delivery_has_an_id_of_its_own_and_another_secret_another_signature(github: GitHub) -> None:
    first, second = github.push(NEW), github.push(NEW, secret=FORMER_WEBHOOK_SECRET)
    assert first.delivery != second.delivery
    assert github.sent == [first, second]
    expected = hmac.new(FORMER_WEBHOOK_SECRET.encode(), second.body, hashlib.sha256).hexdigest()
    assert second.headers["X-Hub-Signature-256"] == f"sha256={expected}"


def test_a_commit_of_a_fork_is_in_another_repository(github: GitHub) -> None:
    webhook = github.pull_request_of_fork("bad")
    said = json.loads(webhook.body)["pull_request"]
    assert webhook.headers["X-GitHub-Event"] == "pull_request"
    assert said["head"]["repo"]["id"] != said["base"]["repo"]["id"]
    assert github.repository.refs["refs/heads/main"] == full(OLD)


def test_nobody_is_answered_without_the_token_or_a_name(client: Client) -> None:
    assert client.ask("GET", BASE, Authorization="Bearer another")[0] == 401
    assert client.ask("GET", BASE, **{"User-Agent": urllib3.util.SKIP_HEADER})[0] == 403
    assert client.ask("GET", BASE) == (200, {"id": 412906233, "full_name": REPOSITORY, "fork": False})
    assert client.ask("GET", "/repos/your-org/another")[0] == 404
    assert client.ask("DELETE", BASE)[0] == 404


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [(OLD, NEW, ("ahead", 1)), (NEW, OLD, ("behind", 0)), (NEW, NEW, ("identical", 0)), ("main", NEWEST, ("ahead", 2))],
)
def test_commits_are_compared_by_their_history(client: Client, base: str, head: str, expected: tuple[str, int]) -> None:
    status, said = client.ask("GET", f"{BASE}/compare/{base}...{head}?per_page=1&page=2")

    found = github_rules.read_comparison("compare", said)
    assert (status, found.status, found.ahead_by) == (200, *expected)


def test_histories_that_part_have_diverged_and_what_is_not_there_is_not_found(github: GitHub, client: Client) -> None:
    aside = github.commit("aside", upon=full(OLD))
    assert client.ask("GET", f"{BASE}/compare/{NEW}...{aside}")[1]["status"] == "diverged"
    assert client.ask("GET", f"{BASE}/compare/{NEW}...{'f' * 40}")[0] == 404
    _, history = client.ask("GET", f"{BASE}/commits?sha={NEW}&per_page=2")
    assert [each.sha for each in github_rules.read_commits("list", history)] == [full(NEW), full(OLD)]


def test_a_ref_leads_to_its_commit(github: GitHub, client: Client) -> None:
    accept = {"Accept": "application/vnd.github.sha"}
    assert client.ask("GET", f"{BASE}/commits/heads/main", **accept) == (200, full(OLD))
    github.push(NEW, "refs/tags/v1.0")
    assert client.ask("GET", f"{BASE}/commits/tags/v1.0", **accept) == (200, full(NEW))
    assert client.ask("GET", f"{BASE}/commits/heads/nothing", **accept)[0] == 422


def test_checks_and_statuses_are_told_page_by_page(github: GitHub, client: Client) -> None:
    github.repository.usual_check_runs = [CheckRun("tests")]
    github.checks(full(NEW), CheckRun("tests", "failure"), CheckRun("coverage", "", summary="81 %"))

    _, first = client.ask("GET", f"{BASE}/commits/{full(NEW)}/check-runs?per_page=1&page=1")
    _, second = client.ask("GET", f"{BASE}/commits/{full(NEW)}/check-runs?per_page=1&page=2")
    _, usual = client.ask("GET", f"{BASE}/commits/{full(OLD)}/check-runs")

    runs = [github_rules.read_check_runs("list", each) for each in (first, second, usual)]
    assert [total for _, total in runs] == [2, 2, 1]
    assert [(run.name, run.status, run.conclusion) for found, _ in runs for run in found] == [
        ("tests", "completed", "failure"),
        ("coverage", "in_progress", ""),
        ("tests", "completed", "success"),
    ]


def test_the_newest_status_of_a_context_counts(github: GitHub, client: Client) -> None:
    for state in ("pending", "success"):
        assert client.ask("POST", f"{BASE}/statuses/{full(NEW)}", {"state": state, "context": "runback"})[0] == 201
    assert client.ask("POST", f"{BASE}/statuses/{NEW}", {"state": "success"})[0] == 422
    assert client.ask("POST", f"{BASE}/statuses/{full(NEW)}", {"state": "good"})[0] == 422
    assert client.ask("POST", f"{BASE}/statuses/{full(NEW)}", {})[0] == 422

    _, said = client.ask("GET", f"{BASE}/commits/{full(NEW)}/status")

    assert github_rules.read_statuses("list", said)[0][0].conclusion == "success"
    found = github.repository.status_of(NEW, "runback")
    assert found is not None
    assert found.state == "success"


def test_a_deployment_is_made_as_it_is_asked_for_and_found_again(github: GitHub, client: Client) -> None:
    request = github_rules.deployment_request(full(NEW), "staging", "r-1", production=False)
    _, made = client.ask("POST", f"{BASE}/deployments", request)
    number = github_rules.read_deployment_id("make", made)

    assert client.ask("POST", f"{BASE}/deployments/{number}/statuses", {"state": "in_progress"})[0] == 201
    assert client.ask("POST", f"{BASE}/deployments/{number + 1}/statuses", {"state": "in_progress"})[0] == 404
    assert client.ask("POST", f"{BASE}/deployments", {"ref": full(NEW)})[0] == 409  # it would merge the branch into it

    _, found = client.ask("GET", f"{BASE}/deployments?sha={full(NEW)}&environment=staging&per_page=100")
    assert [(each.id, each.release_id) for each in github_rules.read_deployments("list", found)] == [(number, "r-1")]
    assert github.repository.deployments[0].states == ["in_progress"]


def test_comments_are_kept(github: GitHub, client: Client) -> None:
    assert client.ask("POST", f"{BASE}/commits/{full(NEW)}/comments", {"body": "rolled back"})[0] == 201
    _, said = client.ask("GET", f"{BASE}/commits/{full(NEW)}/comments?per_page=100")
    assert github_rules.read_comments("list", said) == ("rolled back",)
    assert github.repository.comments == {full(NEW): ["rolled back"]}


def test_a_merged_pull_request_can_be_reverted_and_no_other(github: GitHub, client: Client) -> None:
    merged = github.merge("Add thumbnails", full(NEW))
    _, said = client.ask("GET", f"{BASE}/commits/{full(NEW)}/pulls")
    (found,) = github_rules.read_pull_requests("list", said)
    assert (found.node_id, found.merge_commit) == (merged.node_id, full(NEW))

    _, made = client.ask("POST", "/graphql", github_rules.revert_request(found.node_id, "Revert it", "It failed."))
    _, again = client.ask("POST", "/graphql", github_rules.revert_request("PR_nobody", "Revert it", ""))

    assert github_rules.read_revert("revert", made) == f"https://github.com/{REPOSITORY}/pull/2"
    assert [(each.reverts, each.title) for each in github.repository.pull_requests[1:]] == [(1, "Revert it")]
    with pytest.raises(GitHubRefused, match="Could not resolve"):
        github_rules.read_revert("revert", again)


def test_it_can_be_down_slow_broken_or_busy_and_comes_back(github: GitHub, client: Client) -> None:
    github.become("broken")
    assert client.ask("GET", BASE)[0] == 502
    github.become("limited")
    assert client.ask("GET", BASE)[0] == 403
    github.become("slow")
    with pytest.raises(urllib3.exceptions.TimeoutError):
        client.ask("GET", BASE)
    github.become("down")
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        client.ask("GET", BASE)
    github.become("fine")
    assert client.ask("GET", BASE)[0] == 200
    assert [each.status for each in github.asked] == [502, 403, 0, 200]


def test_what_was_down_before_anybody_came_is_down(certificate: Certificate, github: GitHub) -> None:
    client = Client(certificate)
    github.become("down")
    github.listen(certificate, client.point)
    assert client.port == 0
    github.become("fine")
    assert client.ask("GET", BASE)[0] == 200
