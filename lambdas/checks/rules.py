"""What is asked of a version, and which answer is good enough. All pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from json import loads
from math import isfinite
from typing import Any, Self

from lambdas.errors import ErrorRateTooHigh, SmokeCheckFailed

PROBE_NAMESPACE = "Runback/Probe"
"""Where what is asked every minute is published."""


class Scope(StrEnum):
    """On which occasion checks run, and so which of them, and through which listener."""

    SYSTEM = "system"
    """Before a release: the health of the whole system, whichever version serves."""
    NEW_VERSION = "new_version"
    """The new version, through the test listener, before it gets traffic."""
    LIVE = "live"
    """The new version once it has all traffic, and the whole system."""
    ROLLED_BACK = "rolled_back"
    """The old version after a rollback, and the whole system."""
    RESTORED = "restored"
    """The version that serves, through the test listener: no user can reach it, nor what watches the whole system."""


@dataclass(frozen=True)
class Check:
    """
    One request, and what its answer must be.

    The body is text, or that of a secret, or a form with a file. Where there is a `metric`, the answer must have a line
    "<metric> <value>" with a value of `at_most`.
    """

    name: str
    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    body_secret_arn: str | None = None
    file: str | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    token_secret_arn: str | None = None
    expected_status: int = 200
    maximum_seconds: float = 5.0
    metric: str | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class Checks:
    """
    All checks of an environment. `smoke` ones have the path of their URL only.

    `probe` names the smoke checks that are asked every minute, and is None for all of them.
    """

    live_url: str
    test_url: str
    allowed_hosts: frozenset[str]
    health: tuple[Check, ...]
    smoke: tuple[Check, ...]
    probe: frozenset[str] | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the CHECKS variable of a function."""
        given = loads(text)
        return cls(
            live_url=given["live_url"],
            test_url=given["test_url"],
            allowed_hosts=frozenset(given["allowed_hosts"]),
            health=tuple(Check(**check) for check in given["health"]),
            smoke=tuple(Check(**_with_url(check)) for check in given["smoke"]),
            probe=frozenset(given["probe"]) if "probe" in given else None,
        )

    def of(self, scope: Scope) -> tuple[Check, ...]:
        """Return the checks of an occasion, in the order of the settings."""
        if scope is Scope.SYSTEM:
            return self.health
        if scope in (Scope.NEW_VERSION, Scope.RESTORED):
            return _below(self.test_url, self.smoke)
        return (*self.health, *_below(self.live_url, self.smoke))

    @property
    def probed(self) -> tuple[Check, ...]:
        """What is asked every minute of whatever is live."""
        return _below(self.live_url, [check for check in self.smoke if self.probe is None or check.name in self.probe])


def _with_url(check: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in check.items() if name != "path"}, "url": check["path"]}


def _below(url: str, checks: Sequence[Check]) -> tuple[Check, ...]:
    return tuple(replace(check, url=f"{url.rstrip('/')}{check.url}") for check in checks)


@dataclass(frozen=True)
class Answer:
    """
    What came back. Without a response the status is 0, and `failure` says in words what happened instead.

    The names of `headers` are in lower case.
    """

    status: int
    seconds: float
    text: str = ""
    failure: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Result:
    """How a check went; `problem` is empty when it passed. It never repeats what was sent or answered."""

    name: str
    milliseconds: int
    problem: str = ""


def judge_answer(check: Check, answer: Answer) -> Result:
    """Say whether an answer is the expected one, and if not, in which way."""
    return Result(check.name, round(answer.seconds * 1000), _problem_of(check, answer))


def _problem_of(check: Check, answer: Answer) -> str:
    if answer.failure:
        return answer.failure
    if answer.status != check.expected_status:
        redirect = " (redirects are not followed)" if answer.status in range(300, 400) else ""
        return f"answered {answer.status}{redirect}, not {check.expected_status}"
    if answer.seconds > check.maximum_seconds:
        return f"took {answer.seconds:.2f} s, and {check.maximum_seconds:g} s are allowed"
    if check.metric:
        return _problem_of_metric(check.metric, check.at_most, answer.text)
    return ""


def _problem_of_metric(metric: str, at_most: float | None, text: str) -> str:
    lines = [line.split() for line in text.splitlines()]
    values = [line[1] for line in lines if len(line) > 1 and line[0] == metric]
    if not values:
        return f"has no line {metric!r} in its answer"
    try:
        value = float(values[0])
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        return f"has a {metric} that is not a number"
    if at_most is not None and value > at_most:
        return f"has a {metric} of {value:g}, and {at_most:g} is allowed"
    return ""


def require_passed(results: Sequence[Result]) -> None:
    """Raise SmokeCheckFailed that names every check that did not pass, so that one look is enough."""
    problems = [f"{result.name} {result.problem}" for result in results if result.problem]
    if problems:
        raise SmokeCheckFailed("; ".join(problems) + ".")


def bearer_problem(token: str) -> str:
    """
    Say why a token cannot be sent; empty when it can.

    Libraries quote a header that they refuse in their error, and an error ends in histories and logs.
    """
    if token and token.isascii() and token.isprintable() and " " not in token:
        return ""
    return "has a token secret that is empty, or has characters that no header may have"


@dataclass(frozen=True)
class DatabaseAddress:
    """Where the database is, and the certificates that a connection to it trusts beside the system's."""

    host: str
    port: int
    name: str
    secret_arn: str
    ca_file: str

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the DATABASE variable of a function."""
        given = loads(text)
        return cls(given["host"], given["port"], given["name"], given["secret_arn"], given["ca_file"])


@dataclass(frozen=True)
class CacheAddress:
    """Where the cache is. Without `secret_arn` it wants no AUTH token."""

    host: str
    port: int
    tls: bool
    secret_arn: str | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the CACHE variable of a function."""
        return cls(**loads(text))


@dataclass(frozen=True)
class LogRules:
    """How errors of a version are counted in the application's log, and how many are too many."""

    group: str
    request_pattern: str
    error_pattern: str
    maximum_error_percent: float
    minimum_requests: int
    window_seconds: int
    slow_pattern: str | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the LOGS variable of a function."""
        return cls(**loads(text))


@dataclass(frozen=True)
class Count:
    """
    How many log events matched.

    When there were more than could be read, `until_ms` is the time of the last one that was (0 if there was none), and
    None when all were read.
    """

    events: int
    until_ms: int | None = None


@dataclass(frozen=True)
class ErrorRate:
    """What the log says of a version; `percent` is None when that is not enough to judge by."""

    requests: int
    errors: int
    percent: float | None


def judge_error_rate(requests: Count, errors: Count, rules: LogRules) -> ErrorRate:
    """
    Work out the share of requests that failed. Both counts must end at the same time.

    Too few requests say nothing; nor do errors that could not all be read, unless those alone are too many.
    """
    if requests.events < rules.minimum_requests:
        return ErrorRate(requests.events, errors.events, None)
    percent = 100 * errors.events / requests.events
    is_known = errors.until_ms is None or percent > rules.maximum_error_percent
    return ErrorRate(requests.events, errors.events, percent if is_known else None)


def require_few_errors(rate: ErrorRate, rules: LogRules, version: str) -> None:
    """Raise ErrorRateTooHigh when the share is known, and more than is allowed."""
    if rate.percent is not None and rate.percent > rules.maximum_error_percent:
        raise ErrorRateTooHigh(
            f"{rate.errors} of {rate.requests} requests to version {version} are errors in {rules.group}:"
            f" {rate.percent:.1f} %, and {rules.maximum_error_percent:g} % are allowed."
        )
