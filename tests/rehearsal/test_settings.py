"""What the pretend world is told of `environments/*.toml`."""

from pathlib import Path

import pytest

from rehearsal.settings import (
    ApplicationMetrics,
    Cache,
    Checks,
    Database,
    GitHub,
    Ingress,
    Settings,
    UnknownEnvironment,
)

MINIMAL = """
service = "receipts"
environment = "test"
account = "111122223333"
region = "eu-west-1"
routes = []
colors = {}
logs.group = "/receipts/test"

[database]
instance = "receipts-test"
host = "database.receipts.test"
name = "receipts"
secret_arn = "database"
maximum_connections = 100

[cache]
host = "cache.receipts.test"

[checks]
live_url = "https://api.receipts.test"
test_url = "https://test.receipts.test:8443/below"
allowed_hosts = ["api.receipts.test", "test.receipts.test"]
health = [{ name = "api", url = "https://api.receipts.test/health" }]
smoke = [
    { name = "login", path = "/login", body_secret_arn = "login" },
    { name = "upload", path = "/upload", token_secret_arn = "token" },
    { name = "list", path = "/list", token_secret_arn = "token" },
]

[judge]
source = "load_balancer"
"""


def read(folder: Path, text: str) -> Settings:
    (folder / "test.toml").write_text(text, encoding="utf-8")
    return Settings.read("test", folder)


def test_what_is_left_out_is_as_the_stack_takes_it(tmp_path: Path) -> None:
    """The same defaults as in cdk/settings.py, or functions would knock at other doors than the world opens."""
    settings = read(tmp_path, MINIMAL)
    assert Cache("cache.receipts.test", 6379, tls=True, secret_arn=None) == settings.cache
    assert Database("receipts-test", "database.receipts.test", 5432, "receipts", "database", 100) == settings.database
    assert "receipts-test" == settings.database_instance
    assert "/receipts/test" == settings.log_group


def test_an_application_publishes_as_the_stack_expects_it(tmp_path: Path) -> None:
    """The same defaults as in cdk/settings.py, or its alarms would look at what nobody publishes."""
    assert read(tmp_path, MINIMAL).application_metrics is None
    names = read(tmp_path, MINIMAL + '[judge.metrics]\nnamespace = "Receipts"\n').application_metrics
    assert ApplicationMetrics("Receipts", "AutoScalingGroupName", "Requests", "Errors", "ResponseTime") == names
    given = '[judge.metrics]\nnamespace = "R"\ndimension = "D"\nrequests = "a"\nerrors = "b"\nresponse_time = "c"\n'
    assert ApplicationMetrics("R", "D", "a", "b", "c") == read(tmp_path, MINIMAL + given).application_metrics


def test_what_is_given_counts(tmp_path: Path) -> None:
    given = MINIMAL.replace("[cache]", "port = 5433\n[cache]\nport = 6380\ntls = false\nsecret_arn = 'token'")
    settings = read(tmp_path, given)
    assert 5433 == settings.database.port
    assert Cache("cache.receipts.test", 6380, tls=False, secret_arn="token") == settings.cache


def test_both_listeners_are_found_by_their_urls_and_secrets_by_what_they_are_for(tmp_path: Path) -> None:
    expected = Checks(
        live=("api.receipts.test", 443),
        test=("test.receipts.test", 8443),
        hosts=("api.receipts.test", "test.receipts.test"),
        login_secret_arns=("login",),
        token_secret_arns=("token",),
    )
    assert expected == read(tmp_path, MINIMAL).checks


def test_an_unknown_environment_is_told_the_known_ones(tmp_path: Path) -> None:
    """Where pushes arrive is none, although its settings are beside them."""
    read(tmp_path, MINIMAL)
    (tmp_path / "ingress.toml").touch()
    for unknown in ("prod", "ingress"):
        with pytest.raises(UnknownEnvironment, match=f"no environment '{unknown}'; {tmp_path}/ has: test$"):
            Settings.read(unknown, tmp_path)


PUSHES = """
[github]
repository = "your-org/receipts"
repository_id = 7
token_secret_arn = "token"

[gates]
coverage_check = "coverage"
plan_check = "tests"

[gates.commit_checks]
tests = "required"

[pushes]
starts = "push"
"""


def test_pushes_are_of_the_repository_and_arrive_where_the_ingress_is(tmp_path: Path) -> None:
    """The host is GitHub's own unless it is said, and each check that gates ask for is there once."""
    (tmp_path / "ingress.toml").write_text('service = "receipts"\nwebhook_secret_arns = ["one", "two"]')
    settings = read(tmp_path, MINIMAL + PUSHES)
    assert settings.github == GitHub("your-org/receipts", 7, "api.github.com", "token", ("tests", "coverage"))
    assert settings.ingress == Ingress("Runback-receipts-ingress", ("one", "two"))


def test_who_takes_no_pushes_needs_no_ingress(tmp_path: Path) -> None:
    (tmp_path / "ingress.toml").write_text('service = "receipts"\nwebhook_secret_arns = ["one"]')
    settings = read(tmp_path, MINIMAL)
    assert (settings.github, settings.ingress) == (None, None)
