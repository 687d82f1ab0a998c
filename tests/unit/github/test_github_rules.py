"""What GitHub answers is read whole or not at all, and a refusal says what to do."""

from typing import Any

import pytest

from lambdas.errors import GitHubRefused, GitHubUnavailable
from lambdas.github.github_rules import (
    Check,
    GitHubSettings,
    Reply,
    deployment_request,
    one_line,
    read_check_runs,
    read_commits,
    read_comparison,
    read_deployment_id,
    read_deployments,
    read_pull_requests,
    read_revert,
    read_sha,
    read_statuses,
    read_token,
    require_answer,
    short_description,
)

CANARY = "ghp_canary"


@pytest.mark.parametrize("text", ['{"token": "ghp_x1"}', '{"token": "ghp_x1", "note": "rotated in May"}'])
def test_token_is_read_from_its_field(text: str) -> None:
    assert read_token(text) == "ghp_x1"


@pytest.mark.parametrize(
    "text", [CANARY, f'"{CANARY}"', f'{{"Token": "{CANARY}"}}', f'{{"token": "{CANARY}\\n"}}', '{"token": ""}']
)
def test_secret_that_holds_no_token_is_refused_and_not_quoted(text: str) -> None:
    """A line end in a header would begin another one."""
    with pytest.raises(GitHubRefused) as caught:
        read_token(text)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("api_url", "host", "graphql"),
    [
        ("https://api.github.com", "api.github.com", "https://api.github.com/graphql"),
        ("https://api.github.com/", "api.github.com", "https://api.github.com/graphql"),
        ("https://git.example.com/api/v3", "git.example.com", "https://git.example.com/api/graphql"),
        ("https://api.example.ghe.com", "api.example.ghe.com", "https://api.example.ghe.com/graphql"),
    ],
)
def test_graphql_is_where_each_kind_of_github_has_it(api_url: str, host: str, graphql: str) -> None:
    settings = GitHubSettings("your-org/receipts", 1, "arn", api_url)
    assert (settings.host, settings.graphql_url) == (host, graphql)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_good_answer_is_handed_on(status: int) -> None:
    assert require_answer("take it", Reply(status, "", {})).status == status


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (Reply(0, "", {}, "did not answer within 3 s"), 0),
        (Reply(500, "", {}), 0),
        (Reply(503, "", {"retry-after": "30"}), 30),
        (Reply(408, "", {}), 0),
        (Reply(429, "", {"retry-after": "7"}), 7),
        (Reply(403, "", {"retry-after": "60"}), 60),
        (Reply(403, '{"message": "You have exceeded a secondary rate limit."}', {}), 0),
        (
            Reply(
                403,
                "",
                {
                    "x-ratelimit-remaining": "0",
                    "x-ratelimit-reset": "1772361120",
                    "date": "Sun, 01 Mar 2026 10:31:00 GMT",
                },
            ),
            60,
        ),
        (Reply(403, "", {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1772361120"}), 0),
    ],
)
def test_what_may_work_later_says_when(reply: Reply, seconds: int) -> None:
    with pytest.raises(GitHubUnavailable) as caught:
        require_answer("take a status", reply)
    assert caught.value.retry_after == seconds
    assert "take a status" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (301, "renamed or moved"),
        (401, "put a new one into its secret"),
        (403, "the token lacks a right"),
        (404, "or the token may not see the repository"),
        (422, "422"),
    ],
)
def test_a_refusal_names_the_remedy(status: int, named: str) -> None:
    with pytest.raises(GitHubRefused, match=named) as caught:
        require_answer("take a status", Reply(status, '{"message": "Bad\\r\\nthing"}', {"x-ratelimit-remaining": "9"}))
    assert caught.value.status == status
    assert '"Bad thing"' in str(caught.value)


def test_check_runs_are_read_with_title_and_summary() -> None:
    """A coverage tool writes its number into the one or the other."""
    run = {
        "name": "coverage",
        "status": "completed",
        "conclusion": "success",
        "html_url": "https://github.com/run/1",
        "output": {"title": "84.2 % covered", "summary": "of 1,200 lines", "text": None},
    }
    checks, total = read_check_runs("list", {"total_count": 3, "check_runs": [run, {**run, "output": None}]})

    assert total == 3
    assert checks == [
        Check("coverage", "completed", "success", "84.2 % covered\nof 1,200 lines", "https://github.com/run/1"),
        Check("coverage", "completed", "success", "", "https://github.com/run/1"),
    ]


@pytest.mark.parametrize(
    ("state", "status", "conclusion"),
    [
        ("success", "completed", "success"),
        ("failure", "completed", "failure"),
        ("error", "completed", "failure"),
        ("pending", "in_progress", ""),
    ],
)
def test_a_commit_status_is_a_check(state: str, status: str, conclusion: str) -> None:
    given = {"total_count": 1, "statuses": [{"context": "ci/tests", "state": state, "description": None}]}
    assert read_statuses("list", given) == ([Check("ci/tests", status, conclusion, "", "")], 1)


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (read_check_runs, {"check_runs": [{"name": "tests"}], "total_count": 1}),
        (read_check_runs, {"check_runs": []}),
        (read_check_runs, []),
        (read_statuses, {"total_count": 1, "statuses": [{"context": "ci", "state": "perhaps"}]}),
        (read_comparison, {"status": "sideways", "ahead_by": 1}),
        (read_comparison, {"status": "ahead", "ahead_by": True}),
        (read_commits, {}),
        (read_commits, [1]),
        (read_pull_requests, [{"number": 1}]),
        (read_deployments, [{"id": "1"}]),
        (read_deployment_id, {"message": "Auto-merged main into it"}),
        (read_sha, "Not Found"),
        (read_revert, {"data": {"revertPullRequest": None}}),
    ],
)
def test_half_an_answer_is_no_answer(read: Any, given: Any) -> None:
    """A check that could not be read is none that has passed."""
    with pytest.raises(GitHubUnavailable, match="GitHub was to look"):
        read("look", given)


def test_graphql_refuses_with_200() -> None:
    with pytest.raises(GitHubRefused, match="Pull request is not merged"):
        read_revert(
            "revert", {"data": None, "errors": [{"type": "UNPROCESSABLE", "message": "Pull request is not merged"}]}
        )
    with pytest.raises(GitHubUnavailable):
        read_revert("revert", {"errors": [{"type": "RATE_LIMITED", "message": "wait"}]})


def test_a_deployment_is_of_this_very_commit_whatever_the_checks_say() -> None:
    """Otherwise GitHub merges the default branch into it, or refuses because our own status is pending."""
    request = deployment_request("c" * 40, "staging", "r-1", production=False)
    assert (request["ref"], request["auto_merge"], request["required_contexts"]) == ("c" * 40, False, [])


@pytest.mark.parametrize("payload", [{"release_id": "r-1"}, '{"release_id": "r-1"}'])
def test_deployments_know_their_release(payload: Any) -> None:
    others = [{"id": 2, "payload": ""}, {"id": 3, "payload": {}}, {"id": 4, "payload": None}]
    found = read_deployments("list", [{"id": 1, "payload": payload}, *others])
    assert [(each.id, each.release_id) for each in found] == [(1, "r-1"), (2, ""), (3, ""), (4, "")]


def test_what_humans_wrote_is_one_printable_line() -> None:
    assert one_line("fix\r\n\x1b[31mred\u202e  it") == "fix [31mred it"


def test_a_description_is_as_short_as_github_wants_it() -> None:
    assert short_description("short") == "short"
    assert len(short_description("word " * 100)) <= 140
    assert short_description("word " * 100).endswith("…")
