import json
import traceback
from dataclasses import MISSING, asdict, fields, replace

import pytest

from cdk.settings import HealthCheck
from lambdas.checks.rules import (
    Answer,
    CacheAddress,
    Check,
    Checks,
    Count,
    DatabaseAddress,
    ErrorRate,
    LogRules,
    Result,
    Scope,
    bearer_problem,
    judge_answer,
    judge_error_rate,
    require_few_errors,
    require_passed,
)
from lambdas.database.login_rules import Credentials
from lambdas.errors import ErrorRateTooHigh, SmokeCheckFailed
from tests.builders import CACHE, CHECKS, DATABASE, LOGS, NEW_VERSION

ALL = Checks.from_json(json.dumps(CHECKS))
CHECK = Check("site", "https://api.receipts.example/health", maximum_seconds=2)
MEASURED = replace(CHECK, metric="response_time_avg", at_most=3.0)
RULES = LogRules.from_json(json.dumps(LOGS))

HEALTH = ("site", "https://api.receipts.example/health")
LIVE = "https://api.receipts.example"
TEST = "https://api.receipts.example:8443"


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope.SYSTEM, [HEALTH]),
        (Scope.NEW_VERSION, [("login", f"{TEST}/login"), ("upload", f"{TEST}/receipts")]),
        (Scope.RESTORED, [("login", f"{TEST}/login"), ("upload", f"{TEST}/receipts")]),
        (Scope.LIVE, [HEALTH, ("login", f"{LIVE}/login"), ("upload", f"{LIVE}/receipts")]),
        (Scope.ROLLED_BACK, [HEALTH, ("login", f"{LIVE}/login"), ("upload", f"{LIVE}/receipts")]),
    ],
)
def test_occasion_decides_which_checks_run_and_through_which_listener(
    scope: Scope, expected: list[tuple[str, str]]
) -> None:
    """Before a release there is no new version to blame, and before the first shift it is behind the test listener."""
    assert expected == [(check.name, check.url) for check in ALL.of(scope)]


def test_check_that_says_nothing_is_what_settings_call_the_default() -> None:
    """Functions are told of checks without their defaults, so that more fit into their variables."""
    written = {
        name: field.get_default(call_default_factory=True)
        for name, field in HealthCheck.model_fields.items()
        if not field.is_required()
    }
    assumed = {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(Check)
    }
    assert written == {name: assumed[name] for name in written}
    assert {MISSING} == {assumed[name] for name in assumed.keys() - written.keys()}


def test_checks_are_read_as_the_settings_say() -> None:
    login, upload = (Check(**{"url" if name == "path" else name: of[name] for name in of}) for of in CHECKS["smoke"])
    everything = Checks(
        live_url="https://api.receipts.example/",
        test_url="https://api.receipts.example:8443",
        allowed_hosts=frozenset({"api.receipts.example"}),
        health=(Check("site", "https://api.receipts.example/health"),),
        smoke=(login, upload),
    )
    assert (login.url, upload.url) == ("/login", "/receipts")
    assert Checks.from_json(json.dumps(CHECKS)) == everything
    assert Checks.from_json(json.dumps({**CHECKS, "probe": ["login"]})) == replace(
        everything, probe=frozenset({"login"})
    )


def test_database_and_cache_are_where_the_settings_say() -> None:
    assert DatabaseAddress.from_json(json.dumps(DATABASE)) == DatabaseAddress(
        host="database.receipts.example",
        port=5432,
        name="receipts",
        secret_arn=DATABASE["secret_arn"],
        ca_file="rds-eu-west-1.pem",
    )
    assert CacheAddress.from_json(json.dumps(CACHE)) == CacheAddress(
        host="cache.receipts.example", port=6379, tls=True, secret_arn=CACHE["secret_arn"]
    )
    assert CacheAddress.from_json('{"host": "cache", "port": 6379, "tls": false}').secret_arn is None


def test_log_is_read_as_the_settings_say() -> None:
    assert asdict(LogRules.from_json(json.dumps(LOGS))) == {**LOGS, "slow_pattern": None}


def problem(check: Check, status: int = 200, seconds: float = 0.1, text: str = "") -> str:
    return judge_answer(check, Answer(status, seconds, text)).problem


def test_expected_answer_in_time_passes() -> None:
    assert judge_answer(CHECK, Answer(200, 0.1234)) == Result("site", 123)
    assert not problem(CHECK, seconds=2.0)
    assert not problem(replace(CHECK, expected_status=404), status=404)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (503, "answered 503, not 200"),
        (201, "answered 201, not 200"),
        (300, "answered 300 (redirects are not followed), not 200"),
        (302, "answered 302 (redirects are not followed), not 200"),
        (399, "answered 399 (redirects are not followed), not 200"),
        (400, "answered 400, not 200"),
    ],
)
def test_another_status_is_a_problem_and_a_redirect_is_called_one(status: int, expected: str) -> None:
    assert expected == problem(CHECK, status=status)


def test_check_may_expect_a_redirect() -> None:
    assert not problem(replace(CHECK, expected_status=301), status=301)


def test_slow_answer_is_a_problem() -> None:
    assert problem(CHECK, seconds=2.01) == "took 2.01 s, and 2 s are allowed"


def test_what_happened_instead_of_an_answer_is_the_problem() -> None:
    result = judge_answer(CHECK, Answer(0, 2.0, failure="did not answer within 2 s"))
    assert result == Result("site", 2000, "did not answer within 2 s")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("response_time_avg 3.0", ""),
        ("other 9\nresponse_time_avg 0.2 1712345678\n", ""),
        ("response_time_avg -1", ""),
        ("response_time_avg 3.001", "has a response_time_avg of 3.001, and 3 is allowed"),
        ("response_time_avg 1e3", "has a response_time_avg of 1000, and 3 is allowed"),
        ("response_time_avg fast", "has a response_time_avg that is not a number"),
        ("response_time_avg nan", "has a response_time_avg that is not a number"),
        ("response_time_avg Inf", "has a response_time_avg that is not a number"),
        ("response_time_avg", "has no line 'response_time_avg' in its answer"),
        ("response_time_avg_max 1", "has no line 'response_time_avg' in its answer"),
        ("# response_time_avg 1", "has no line 'response_time_avg' in its answer"),
        ("", "has no line 'response_time_avg' in its answer"),
    ],
)
def test_metric_must_be_there_and_small_enough(text: str, expected: str) -> None:
    """What cannot be measured is not healthy, and NaN is larger than nothing."""
    assert expected == problem(MEASURED, text=text)


def test_metric_of_a_failed_answer_is_not_looked_at() -> None:
    assert problem(MEASURED, status=500, text="response_time_avg 1") == "answered 500, not 200"


def test_one_look_names_every_check_that_failed() -> None:
    results = [
        Result("site", 9, "answered 503, not 200"),
        Result("api", 9),
        Result("login", 9, "took 9.00 s, and 5 s are allowed"),
    ]
    with pytest.raises(SmokeCheckFailed) as raised:
        require_passed(results)
    assert str(raised.value) == "site answered 503, not 200; login took 9.00 s, and 5 s are allowed."


def test_checks_that_all_passed_are_no_error() -> None:
    require_passed([Result("site", 9), Result("api", 9)])


@pytest.mark.parametrize("token", ["", "two words", "first\nsecond", "first\rsecond", "tøken", "tab\there", "nul\0"])
def test_token_that_no_header_can_carry_is_refused_without_quoting_it(token: str) -> None:
    """The library's own error would quote it."""
    refused = bearer_problem(token)
    assert refused == "has a token secret that is empty, or has characters that no header may have"
    assert not token or token not in refused


def test_token_as_they_are_made_can_be_sent() -> None:
    assert bearer_problem("eyJhbGciOi.J9-_~+/=") == ""


def test_credentials_are_read_from_the_secret_that_rds_writes() -> None:
    secret = {"username": "checker", "password": "p4ss", "engine": "postgres", "port": 5432}
    assert Credentials.from_secret(json.dumps(secret)) == Credentials("checker", "p4ss")


def test_password_is_in_no_representation() -> None:
    assert "p4ss" not in repr(Credentials("checker", "p4ss"))


@pytest.mark.parametrize(
    "text",
    [
        "canary",
        '"canary"',
        "{'username': 'canary'}",
        '["canary", "canary"]',
        '{"username": "canary"}',
        '{"password": "canary"}',
        '{"username": null, "password": "canary"}',
        '{"username": "checker", "password": ["canary"]}',
        '{"username": "", "password": "canary"}',
        "17",
        "null",
        "",
    ],
)
def test_secret_of_another_form_is_told_so_without_quoting_it(text: str) -> None:
    with pytest.raises(ValueError, match='must be JSON with "username" and "password"') as raised:
        Credentials.from_secret(text)
    assert "canary" not in "".join(traceback.format_exception(raised.value))


def judged(requests: Count, errors: Count, rules: LogRules = RULES) -> ErrorRate:
    rate = judge_error_rate(requests, errors, rules)
    require_few_errors(rate, rules, NEW_VERSION)
    return rate


def test_share_of_errors_is_known_when_there_were_enough_requests() -> None:
    assert judged(Count(20), Count(0)) == ErrorRate(20, 0, 0.0)
    assert judged(Count(200), Count(3)) == ErrorRate(200, 3, 1.5)


def test_too_few_requests_say_nothing_even_if_all_failed() -> None:
    assert judged(Count(19), Count(19)) == ErrorRate(19, 19, None)


def test_errors_up_to_the_limit_are_accepted_and_one_more_is_not() -> None:
    assert judged(Count(100), Count(5)).percent == 5
    with pytest.raises(ErrorRateTooHigh) as raised:
        judged(Count(100), Count(6))
    assert str(raised.value) == (
        f"6 of 100 requests to version {NEW_VERSION} are errors in /receipts/test/application:"
        " 6.0 %, and 5 % are allowed."
    )


def test_limit_of_zero_accepts_no_error() -> None:
    strict = replace(RULES, maximum_error_percent=0)
    assert judged(Count(100), Count(0), strict).percent == 0
    with pytest.raises(ErrorRateTooHigh):
        judged(Count(100), Count(1), strict)


def test_errors_that_could_not_all_be_counted_say_nothing_unless_they_are_too_many_already() -> None:
    """There may be more of them, but never fewer."""
    assert judged(Count(100), Count(5, until_ms=7)) == ErrorRate(100, 5, None)
    with pytest.raises(ErrorRateTooHigh):
        judged(Count(100), Count(6, until_ms=7))


def test_requests_that_could_not_all_be_counted_are_judged_as_far_as_both_counts_go() -> None:
    assert judged(Count(100, until_ms=7), Count(5)) == ErrorRate(100, 5, 5.0)
