"""What is read from the account's log of calls after a push, and what is computed from it."""

from typing import Any

import pytest

from bench.measure import CannotMeasure
from bench.pushes import ANSWERED, DEPLOYMENT_STARTED, ON_BUS, PUSH_STARTED, findings, seconds_of
from tests.bench.calls import call

PUSH, DEPLOY = "arn:push", "arn:deploy"


LOG = [
    call(10, None, "PutItem"),
    call(11, None, "PutEvents", error="Throttling"),
    call(12, None, "PutEvents"),
    call(13, None, "StartExecution", machine="arn:report"),
    call(14, None, "StartExecution", machine=PUSH),
    call(15, None, "StartExecution", machine=DEPLOY),
    call(16, None, "StartExecution", machine=PUSH),
]


def raw(cold: float, warm: float) -> dict[str, Any]:
    return {
        name: [dict.fromkeys((ANSWERED, ON_BUS, PUSH_STARTED, DEPLOYMENT_STARTED), seconds)]
        for name, seconds in (("cold", cold), ("warm", warm))
    }


def test_what_counts_is_the_first_call_that_has_worked() -> None:
    assert {ON_BUS: 2.5, PUSH_STARTED: 4.5, DEPLOYMENT_STARTED: 5.5} == seconds_of(LOG, 10.0, PUSH, DEPLOY)


def test_a_push_that_starts_nothing_cannot_be_measured() -> None:
    with pytest.raises(CannotMeasure, match="StartExecution for arn:deploy"):
        seconds_of(LOG[:5], 10.0, PUSH, DEPLOY)


@pytest.mark.parametrize(("cold", "met"), [(0.9, [True, True]), (1.1, [False, True]), (11.0, [False, False])])
def test_goals_are_for_cold_functions(cold: float, met: list[bool]) -> None:
    """A push is rare: it usually meets no warm one."""
    assert met == [goal.met for goal in findings(raw(cold, 0.1)).goals]


def test_each_moment_is_told_for_cold_and_warm_functions() -> None:
    (table,) = findings(raw(2.0, 0.1)).tables

    assert 8 == len(table.rows)
    assert {"2.00 s", "100 ms"} == {row[1] for row in table.rows}
